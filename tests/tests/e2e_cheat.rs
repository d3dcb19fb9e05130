//! Sequencers that lie, on a real chain with the real programs: each is caught, convicted and slashed, and
//! nobody honest loses anything. `ASSAY_ALL_CHEATS=1` plays all kinds with legacy transactions too.

use assay::config::ExecutorChoice;
use assay::demo::cheat::{self, Options, Report};
use assay::dev::cheat::Cheat;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Networks at a time: for the most part they wait for slots.
const TOGETHER: usize = 3;

/// What convicts the cheat.
fn reason(kind: Cheat) -> &'static str {
    match kind {
        Cheat::WrongOutput | Cheat::WrongParameters => "element",
        Cheat::WrongBalance | Cheat::ForgedSignature | Cheat::SkippedMessage => "state",
        Cheat::WrongData | Cheat::HiddenLeaf => "data",
        Cheat::MalformedProgram => "program",
        Cheat::WithheldData => "withheld",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn whoever_lies_is_caught_and_nobody_else_pays() {
    let legacy = |kind: &Cheat| match std::env::var_os("ASSAY_ALL_CHEATS") {
        Some(_) => true,
        // The longest dispute.
        None => *kind == Cheat::WrongOutput,
    };
    let kinds = Cheat::ALL.into_iter();
    let games = kinds
        .clone()
        .map(|kind| (kind, false))
        .chain(kinds.filter(legacy).map(|kind| (kind, true)));
    let permits = Arc::new(Semaphore::new(TOGETHER));
    let mut playing = JoinSet::new();
    for (kind, legacy) in games {
        let permits = permits.clone();
        playing.spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            let report = cheat::run(Options {
                cheat: kind,
                executor: ExecutorChoice::Cpu,
                legacy,
                progress: false,
            });
            let report = report.await;
            check(
                kind,
                legacy,
                &report.unwrap_or_else(|e| panic!("{kind}: {e:?}")),
            );
        });
    }
    // A panic in one is a panic here.
    playing.join_all().await;
}

fn check(kind: Cheat, legacy: bool, report: &Report) {
    let figures = &report.figures;
    eprint!("{}", figures.summary());
    for line in &report.lines {
        eprintln!("{line}");
    }
    report.check().unwrap_or_else(|e| panic!("{kind}: {e}"));
    assert_eq!(figures.cheat, kind.name());
    assert_eq!(figures.reason, reason(kind), "{kind}");
    let version = if legacy { "legacy" } else { "1" };
    assert_eq!(figures.transaction_version, version);
    assert_eq!(figures.slashed_lamports, 1_000_000_000, "{kind}");
    assert_eq!(figures.reward_lamports, 500_000_000, "{kind}");
    assert_eq!(figures.transactions, report.lines.len(), "{kind}");
    let most = if legacy { 32 } else { 16 };
    assert!(figures.transactions <= most, "{kind}: {:#?}", report.lines);
    assert!(figures.seconds < 60.0, "{kind}: {} s", figures.seconds);
    assert!((1..700_000).contains(&figures.max_compute_units), "{kind}");
    assert!(figures.lamports >= 5_000 * figures.transactions as u64);

    let json = serde_json::to_value(figures).unwrap();
    for key in [
        "cheat",
        "caught",
        "slashed_lamports",
        "transactions",
        "seconds",
        "lamports",
        "max_compute_units",
        "honest_balances_intact",
    ] {
        assert!(json.get(key).is_some(), "{kind}: {key}");
    }
}
