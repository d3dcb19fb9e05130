//! The verifier where nobody serves what a batch names: it demands that on L1, reads what is answered there, and
//! has a batch reverted for what is not.

use crate::disputes::{World, chain, reverted, rich, rollup, told};
use crate::mirror::Mirror;
use crate::support::{L1, PATIENCE, until};
use crate::verifier::{Work, config, same_state};
use anyhow::{Context, Result, ensure};
use assay::dev::cheat::Cheat;
use assay::service::Service;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Standing, Verifier};
use assay_client::api::Hash32;
use assay_client::disputes::buffers;
use assay_client::http::Api;
use assay_client::wallet::Wallet;
use assay_client::{accounts, demands};
use assay_ledger::header::Header;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What verifiers of one key have done, one after the other.
#[derive(Clone, Default)]
struct Log {
    /// What was done about which demand.
    steps: Arc<Mutex<Vec<(String, Pubkey)>>>,
    /// Batches that are right, their runs, and those of them that were done again.
    right: Arc<Mutex<Vec<(Header, u64, u64)>>>,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(Verifier, End)>>,
    standing: watch::Receiver<Standing>,
}

impl Log {
    /// A verifier that knows nobody to ask but L1.
    async fn start(&self, l1: &L1, mirrors: &[String]) -> Result<Running> {
        let config = VerifierConfig {
            keypair: Some(l1.dir.path().join("challenger.json")),
            ..config(l1, "verifier")
        };
        let log = self.clone();
        let listener = move |event: &Event<'_>| match event {
            Event::Disputed(done) => {
                let step = (done.what.clone(), done.dispute);
                log.steps.lock().unwrap().push(step);
            }
            Event::Right(right, _) => {
                let batch = (right.header, right.runs, right.again);
                log.right.lock().unwrap().push(batch);
            }
            Event::Reverted(..) | Event::Rechecked(_) => {}
            Event::Wrong(_) | Event::Malformed(_) => panic!("{event:?}"),
        };
        let rpc = l1.chain.rpc_url();
        let listener = Arc::new(listener);
        // One that was killed in this process lets go of the data directory a moment later.
        let mut verifier = until("the verifier", || async {
            let told = listener.clone();
            let verifier = Verifier::open(&config, rpc, l1.rollup, mirrors, told).await?;
            Ok(Some(verifier))
        })
        .await?;
        let (stop, standing) = (CancellationToken::new(), verifier.standing());
        let token = stop.clone();
        let task = tokio::spawn(async move {
            let end = verifier.run(false, token).await?;
            Ok((verifier, end))
        });
        Ok(Running {
            stop,
            task,
            standing,
        })
    }

    fn opened(&self) -> Vec<Pubkey> {
        let steps = self.steps.lock().unwrap();
        let opened = steps.iter().filter(|(what, _)| what == "open_demand");
        opened.map(|(_, demand)| *demand).collect()
    }

    /// Waits until so many demands were opened, and that each was so once.
    async fn demanded(&self, count: usize) -> Result<()> {
        until("demands", || async {
            let opened = self.opened();
            let different: BTreeSet<_> = opened.iter().collect();
            ensure!(
                different.len() == opened.len(),
                "demanded twice: {opened:?}"
            );
            Ok((opened.len() >= count).then_some(()))
        })
        .await
    }
}

impl Running {
    async fn stop(self) -> Result<Verifier> {
        self.stop.cancel();
        let (verifier, end) = self.task.await??;
        ensure!(matches!(end, End::Done(_)), "{end:?}");
        Ok(verifier)
    }

    /// Ends it wherever it is.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn until(&mut self, what: impl Fn(&Standing) -> bool) -> Result<Standing> {
        let stands = self.standing.wait_for(|standing| what(standing));
        Ok(tokio::time::timeout(PATIENCE, stands).await??.clone())
    }
}

/// Skips this part of the window, in which a verifier waits for somebody else to give what the newest batch names: a twelfth
/// for a program, a quarter for parameters.
async fn skip_mirrors(l1: &L1, part: u64) -> Result<()> {
    let window = accounts::rollup(l1.sender.rpc(), &l1.rollup).await?.config;
    let slot = l1.sender.rpc().slot().await?;
    l1.skip_to(slot + window.params.window / part).await
}

/// Waits until neither demands nor buffers are left.
async fn settled(l1: &L1, key: &Wallet) -> Result<()> {
    let rpc = l1.sender.rpc();
    until("accounts to be closed", || async {
        let open = demands::of(rpc, &l1.rollup, &key.address()).await?.len();
        let buffers = buffers(rpc, &key.address()).await?.len();
        ensure!(open + buffers == 0, "{open} demands, {buffers} buffers");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_nobody_serves_is_demanded_and_read_from_l1() -> Result<()> {
    let l1 = L1::with(rollup(28_800)).await?;
    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    let challenger = rich(&l1, "challenger.json").await?;
    let log = Log::default();
    let mut blind = log.start(&l1, &[]).await?;
    let work = Work::start(&l1, &api).await?;
    let last = work.batch(12).await?;

    // It does what it can, and says what it lacks.
    let trouble = |standing: &Standing| standing.trouble().is_some();
    let standing = blind.until(trouble).await?;
    let said = standing.trouble().unwrap_or_default();
    assert!(said.contains("no source is named"), "{said}");
    let stands = blind.until(|standing| standing.stands.is_some()).await?;
    assert!(stands.head >= 1 && stands.head < last, "{stands:?}");
    skip_mirrors(&l1, 12).await?;
    log.demanded(1).await?;
    // In the middle of it.
    blind.stop().await?;
    let mut blind = log.start(&l1, &[]).await?;
    // The four lists of the program; then its parameters. (A demand that landed while it was stopped was not told.)
    let program = Hash32(work.model.imported.program.root()).to_string();
    let program = l1.dir.path().join("verifier/blobs").join(program);
    until("the program", || async {
        Ok(program.exists().then_some(()))
    })
    .await?;
    skip_mirrors(&l1, 6).await?;
    blind
        .until(|standing| standing.head >= last && standing.trouble().is_none())
        .await?;
    settled(&l1, &challenger).await?;
    let opened = log.opened().len();
    log.demanded(opened).await?;
    println!("{opened} demands for the digits model");
    assert!(opened > 4, "a program's lists, and its parameters");
    let right = log.right.lock().unwrap().clone();
    let runs: u64 = right.iter().map(|(_, runs, _)| runs).sum();
    let again: u64 = right.iter().map(|(_, _, again)| again).sum();
    assert!(runs >= 12 && again == runs, "{right:?}");
    let verifier = blind.stop().await?;
    assert_eq!(verifier.wanted(), 0);
    same_state(&api, &verifier).await?;
    service.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_reverted_whose_model_nobody_gives() -> Result<()> {
    let World {
        l1,
        service,
        api,
        cheater,
        challenger,
    } = World::with(Cheat::WithheldData, 900).await?;
    let work = Work::start(&l1, &api).await?;
    let log = Log::default();
    let mirrors = [api.url().to_owned()];
    let running = log.start(&l1, &mirrors).await?;
    let lie = told(&cheater, &work).await?;
    skip_mirrors(&l1, 4).await?;
    log.demanded(1).await?;
    // Whatever becomes of it then: another one goes on.
    running.kill().await;
    let mut running = log.start(&l1, &mirrors).await?;
    let named = chain(&l1).await?;
    ensure!(named.live(lie.number, &lie.hash()).is_some(), "too late");
    let standing = running.until(|s| s.head >= lie.number).await?;
    assert_eq!(standing.wrong, None, "nothing of the batch itself is wrong");
    reverted(&l1, &lie).await?;
    settled(&l1, &challenger).await?;
    log.demanded(1).await?;
    let steps = log.steps.lock().unwrap().clone();
    let ended = steps.iter().filter(|(what, _)| what == "time_out_demand");
    assert_eq!(ended.count(), 1, "{steps:?}");
    until("the honest batch", || async {
        let right = log.right.lock().unwrap();
        let header = right.last().context("a batch")?.0;
        Ok((header.number >= lie.number && header != lie).then_some(()))
    })
    .await?;
    running
        .until(|standing| standing.trouble().is_none())
        .await?;
    let verifier = running.stop().await.context("the verifier")?;
    same_state(&api, &verifier).await?;
    service.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_holds_up_no_later_batch_and_is_run_when_it_can() -> Result<()> {
    // Nothing is demanded for long.
    let l1 = L1::with(rollup(200_000)).await?;
    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    rich(&l1, "challenger.json").await?;
    let giving: Arc<AtomicBool> = Arc::default();
    let given = giving.clone();
    // It withholds the blobs until it is told otherwise.
    let gives = move |path: &str| !path.contains("/blobs/") || given.load(Ordering::SeqCst);
    let mirrors = [Mirror::before(&service.url(), gives).await?.url];
    let log = Log::default();
    let mut running = log.start(&l1, &mirrors).await?;
    let work = Work::start(&l1, &api).await?;
    let first = work.batch(12).await?;
    let last = work.batch(3).await?;
    assert!(first < last);
    let standing = running.until(|standing| standing.head >= last).await?;
    let said = standing.trouble().unwrap_or_default();
    assert!(said.contains("unverified"), "{said}");
    let last_of = |number: u64| {
        let right = log.right.lock().unwrap();
        let mut of = right.iter().rev().filter(|(h, _, _)| h.number == number);
        of.next().map(|(_, runs, again)| (*runs, *again))
    };
    assert_eq!(last_of(first), Some((12, 0)));

    // Through a restart.
    running.stop().await?;
    giving.store(true, Ordering::SeqCst);
    let mut running = log.start(&l1, &mirrors).await?;
    running
        .until(|standing| standing.head >= last && standing.trouble().is_none())
        .await?;
    until("the runs to be done", || async {
        Ok((last_of(first) == Some((12, 12)) && last_of(last) == Some((3, 3))).then_some(()))
    })
    .await?;
    let verifier = running.stop().await?;
    assert_eq!(verifier.replica().doubts(), []);
    same_state(&api, &verifier).await?;
    service.stop().await?;
    l1.chain.stop().await
}
