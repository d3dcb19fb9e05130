//! Disputes on a real chain, played by the service itself: a verifier convicts what is wrong, through
//! SIGKILL and a node that dies.

use crate::support::{L1, SOLS, until};
use crate::verifier::{Process, Work, config, same_state};
use crate::wire::Wire;
use anchor_lang::Discriminator;
use anyhow::{Context, Result, ensure};
use assay::dev::cheat::Cheat;
use assay::dev::cheat::cheater::Cheater;
use assay::dev::network::dev_rollup;
use assay::l1::posting::Posting;
use assay::service::Service;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Verifier};
use assay_client::accounts;
use assay_client::deploy::airdrop;
use assay_client::disputes::{self, Found, Of};
use assay_client::http::Api;
use assay_client::wallet::Wallet;
use assay_dispute::player::{Library, Model};
use assay_ledger::header::Header;
use settlement::state::{Chain, Config as RollupConfig};
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Slots in which a batch can be disputed; each side's clock is half of it, so that a call to a node that
/// never answers ends long before.
const WINDOW: u64 = 2_000;

pub fn rollup(window: u64) -> RollupConfig {
    let mut rollup = dev_rollup();
    rollup.params.window = window;
    rollup.params.clock = window / 2;
    rollup.params.extension = window / 10;
    rollup.unbond_delay = 4 * window;
    rollup
}

/// A chain with a sequencer that will lie, and somebody who can challenge it.
pub struct World {
    pub l1: L1,
    pub service: Service,
    pub api: Api,
    pub cheater: Arc<Cheater>,
    pub challenger: Wallet,
}

impl World {
    pub async fn start(cheat: Cheat) -> Result<Self> {
        Self::with(cheat, WINDOW).await
    }

    pub async fn with(cheat: Cheat, window: u64) -> Result<Self> {
        let l1 = L1::with(rollup(window)).await?;
        let (service, cheater) = lying(&l1, cheat).await?;
        let challenger = rich(&l1, "challenger.json").await?;
        Ok(Self {
            api: Api::new(service.url()),
            l1,
            service,
            cheater,
            challenger,
        })
    }

    /// The lie stands on L1: its header.
    async fn lie(&self, work: &Work<'_>) -> Result<Header> {
        told(&self.cheater, work).await
    }

    pub async fn stop(self) -> Result<()> {
        self.service.stop().await?;
        self.l1.chain.stop().await
    }
}

pub async fn rich(l1: &L1, file: &str) -> Result<Wallet> {
    let wallet = Wallet::random();
    wallet.write_new(l1.dir.path().join(file))?;
    airdrop(l1.sender.rpc(), &wallet.address(), 10 * SOLS).await?;
    Ok(wallet)
}

/// A sequencer that lies once it is told to.
pub async fn lying(l1: &L1, cheat: Cheat) -> Result<(Service, Arc<Cheater>)> {
    let key = l1.sequencer.keypair().clone();
    let cheater = Arc::new(Cheater::new(cheat, key.clone()));
    let posting = Posting::Cheating(cheater.clone());
    let service = Service::start_posting(l1.config(), key, posting).await?;
    Ok((service, cheater))
}

/// The cheater lies in the next batch, with a message from L1 behind its transactions; the header
/// when it is on L1.
pub async fn told(cheater: &Cheater, work: &Work<'_>) -> Result<Header> {
    let imported = &work.model.imported;
    let mut library = Library::default();
    let model = Model::new(imported.program.clone(), imported.parameters.clone());
    library.insert(model.context("the digits model")?);
    cheater.arm(Arc::new(library));
    work.submit(20).await?;
    work.credited().await?;
    let _ = work.api.close_batch().await;
    let mut seen = cheater.seen();
    tokio::time::timeout(crate::support::PATIENCE, seen.wait_for(|seen| *seen)).await??;
    let told = cheater.told().context("it has lied")?;
    Ok(told.lie.claims.header)
}

/// What a verifier of one's own has done.
#[derive(Default)]
struct Log {
    wrong: Vec<u64>,
    /// What each transaction did, its dispute, its fee, its units, its signature.
    steps: Vec<(String, Pubkey, u64, u64, String)>,
}

pub struct Watch {
    log: Arc<Mutex<Log>>,
    stop: CancellationToken,
    running: JoinHandle<Result<(Verifier, End)>>,
    pub standing: tokio::sync::watch::Receiver<assay::verifier::Standing>,
}

impl Watch {
    /// Starts a verifier with the key in `key`.
    pub async fn start(l1: &L1, api: &Api, rpc: &str, dir: &str, key: &str) -> Result<Self> {
        let config = VerifierConfig {
            keypair: Some(l1.dir.path().join(key)),
            ..config(l1, dir)
        };
        Self::with(l1, rpc, config, &[api.url().to_owned()]).await
    }

    /// Starts a verifier.
    pub async fn with(
        l1: &L1,
        rpc: &str,
        config: VerifierConfig,
        mirrors: &[String],
    ) -> Result<Self> {
        let log = Arc::new(Mutex::new(Log::default()));
        let told = log.clone();
        let listener = Arc::new(move |event: &Event<'_>| match event {
            Event::Wrong(wrong) => {
                let number = wrong.batch.posted.header.number;
                told.lock().unwrap().wrong.push(number);
            }
            Event::Disputed(done) => {
                let landed = &done.landed;
                let step = (
                    done.what.clone(),
                    done.dispute,
                    landed.lamports,
                    landed.units.unwrap_or(0),
                    landed.signature.to_string(),
                );
                told.lock().unwrap().steps.push(step);
            }
            Event::Right(..) | Event::Rechecked(_) | Event::Reverted(..) | Event::Malformed(_) => {}
        });
        let mut verifier = Verifier::open(&config, rpc, l1.rollup, mirrors, listener).await?;
        let (stop, standing) = (CancellationToken::new(), verifier.standing());
        let token = stop.clone();
        let running = tokio::spawn(async move {
            let end = verifier.run(false, token).await?;
            Ok((verifier, end))
        });
        Ok(Self {
            log,
            stop,
            running,
            standing,
        })
    }

    pub fn steps(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.steps.iter().map(|step| step.0.clone()).collect()
    }

    /// What was done since the last time, and in which dispute.
    pub fn take(&self) -> (Vec<String>, Option<Pubkey>) {
        let steps = std::mem::take(&mut self.log.lock().unwrap().steps);
        let dispute = steps.first().map(|step| step.1);
        (steps.into_iter().map(|step| step.0).collect(), dispute)
    }

    pub fn has_ended(&self) -> bool {
        self.running.is_finished()
    }

    /// How it ends by itself.
    pub async fn end(self) -> Result<End> {
        let ended = tokio::time::timeout(crate::support::PATIENCE, self.running);
        Ok(ended.await???.1)
    }

    pub async fn stop(self) -> Result<Verifier> {
        self.stop.cancel();
        let (verifier, end) = self.running.await??;
        ensure!(matches!(end, End::Done(_)), "{end:?}");
        Ok(verifier)
    }
}

pub async fn chain(l1: &L1) -> Result<Box<Chain>> {
    Ok(accounts::chain(l1.sender.rpc(), &l1.rollup).await?)
}

pub async fn bond(l1: &L1) -> Result<u64> {
    let key = l1.sequencer.address();
    let sequencer = accounts::sequencer(l1.sender.rpc(), &l1.rollup, &key).await?;
    Ok(sequencer.context("a sequencer")?.bond)
}

/// Waits until L1 has reverted a batch.
pub async fn reverted(l1: &L1, header: &Header) -> Result<()> {
    let hash = header.hash();
    until("the wrong batch to be reverted", || async {
        Ok(chain(l1)
            .await?
            .live(header.number, &hash)
            .is_none()
            .then_some(()))
    })
    .await
}

/// Waits until neither disputes nor buffers are left.
pub async fn cleaned(l1: &L1, key: &Wallet) -> Result<()> {
    let rpc = l1.sender.rpc();
    until("accounts to be closed", || async {
        let open = disputes::find(rpc, &l1.rollup, Of::Anybody).await?.len();
        let buffers = disputes::buffers(rpc, &key.address()).await?.len();
        ensure!(open + buffers == 0, "{open} disputes, {buffers} buffers");
        Ok(Some(()))
    })
    .await
}

/// Waits until the honest batch stands where the lie did, and the verifier has taken it.
pub async fn honest_again(l1: &L1, watch: &mut Watch, lie: &Header) -> Result<()> {
    until("the honest batch", || async {
        let chain = chain(l1).await?;
        Ok((chain.tip_number >= lie.number).then_some(()))
    })
    .await?;
    let number = lie.number;
    let taken = watch
        .standing
        .wait_for(|s| s.head >= number && s.wrong.is_none());
    tokio::time::timeout(crate::support::PATIENCE, taken).await??;
    Ok(())
}

/// The transactions of a dispute on both sides: how many, their fees, the most units of one, and
/// seconds from the first to the last.
async fn costs(
    l1: &L1,
    dispute: &Pubkey,
    own: &[(String, Pubkey, u64, u64, String)],
) -> Result<(usize, u64, u64)> {
    let rpc = l1.sender.rpc();
    let on_it = rpc.client().get_signatures_for_address(dispute).await?;
    let mut all: BTreeSet<String> = on_it.into_iter().map(|t| t.signature).collect();
    let mine = own.iter().filter(|step| step.1 == *dispute);
    all.extend(mine.map(|step| step.4.clone()));
    let (mut lamports, mut units) = (0, 0);
    for signature in &all {
        let found = rpc.transaction(&signature.parse()?).await?;
        let meta = found.and_then(|t| t.transaction.meta).context("its meta")?;
        lamports += meta.fee;
        let used: Option<u64> = meta.compute_units_consumed.into();
        units = units.max(used.unwrap_or(0));
    }
    Ok((all.len(), lamports, units))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_convicts_whoever_lies() -> Result<()> {
    let World {
        l1,
        mut service,
        mut api,
        mut cheater,
        challenger,
    } = World::start(Cheat::WrongOutput).await?;
    let mut work = Work::start(&l1, &api).await?;
    let rpc = l1.chain.rpc_url().to_owned();
    let mut watch = Watch::start(&l1, &api, &rpc, "verifier", "challenger.json").await?;
    let lies = [
        Cheat::WrongOutput,
        Cheat::WrongBalance,
        Cheat::ForgedSignature,
        Cheat::SkippedMessage,
        Cheat::WrongData,
        Cheat::HiddenLeaf,
        Cheat::WrongParameters,
    ];
    for (i, cheat) in lies.into_iter().enumerate() {
        if i > 0 {
            service.stop().await?;
            (service, cheater) = lying(&l1, cheat).await?;
            api = Api::new(service.url());
            work.api = api.clone();
        }
        let (bonded, begun) = (bond(&l1).await?, Instant::now());
        let before = l1.sender.rpc().balance(&challenger.address()).await?;
        let lie = told(&cheater, &work).await?;
        reverted(&l1, &lie).await?;
        let seconds = begun.elapsed().as_secs_f64();
        honest_again(&l1, &mut watch, &lie).await?;
        cleaned(&l1, &challenger).await?;
        assert_eq!(bond(&l1).await?, bonded - lie.params.bond_slice, "{cheat}");
        let steps = std::mem::take(&mut watch.log.lock().unwrap().steps);
        let wrong = std::mem::take(&mut watch.log.lock().unwrap().wrong);
        assert_eq!(wrong, [lie.number], "{cheat}");
        let dispute = steps.first().context("a step")?.1;
        assert!(steps.iter().all(|step| step.1 == dispute), "{cheat}: once");
        let (transactions, lamports, units) = costs(&l1, &dispute, &steps).await?;
        let after = l1.sender.rpc().balance(&challenger.address()).await?;
        let fees: u64 = steps.iter().map(|step| step.2).sum();
        assert_eq!(after, before + lie.params.bond_slice / 2 - fees, "{cheat}");
        println!(
            "{cheat}: {transactions} transactions ({} by the challenger), {lamports} lamports, at most {units} units, {seconds:.1} s from the lie to the verdict: {:?}",
            steps.len(),
            steps.iter().map(|step| &step.0).collect::<Vec<_>>()
        );
        assert!(transactions <= 16, "{cheat}: {transactions} transactions");
    }
    let verifier = watch.stop().await?;
    // It has what the sequencer has, after all that was reverted.
    let next = work.batch(3).await?;
    until("the last batch", || async {
        Ok((chain(&l1).await?.tip_number >= next).then_some(()))
    })
    .await?;
    drop(verifier);
    let mut watch = Watch::start(&l1, &api, &rpc, "verifier", "challenger.json").await?;
    let caught_up = watch.standing.wait_for(|s| s.head >= next);
    tokio::time::timeout(crate::support::PATIENCE, caught_up).await??;
    same_state(&api, &watch.stop().await?).await?;
    service.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_killed_in_every_step_of_a_dispute_wins_it_once() -> Result<()> {
    let world = World::start(Cheat::WrongOutput).await?;
    let l1 = &world.l1;
    let work = Work::start(l1, &world.api).await?;
    let lie = world.lie(&work).await?;
    let dir = l1.dir.path().join("verifier");
    let key = l1.dir.path().join("challenger.json");
    let more = ["--keypair", key.to_str().context("a path")?];
    let mut disputes = BTreeSet::new();
    let mut kills = 0;
    while chain(l1).await?.live(lie.number, &lie.hash()).is_some() {
        let mut process = Process::start(l1, world.api.url(), &dir, &more)?;
        while let Some(event) = process.event().await? {
            if event["event"] == "disputed" {
                disputes.insert(event["dispute"].to_string());
                break;
            }
            if event["event"] == "verified" && event["batch"].as_u64() >= Some(lie.number) {
                // Reverted by what was sent before it was killed.
                break;
            }
        }
        // In whatever it does now.
        tokio::time::sleep(Duration::from_millis(kills * 13 % 90)).await;
        process.child.kill().await?;
        kills += 1;
        ensure!(kills < 100, "the dispute does not end");
    }
    assert!(kills > 2, "{kills} kills");
    assert_eq!(disputes.len(), 1, "{disputes:?}");
    // Whatever was left open is closed by the next one.
    let rpc = l1.chain.rpc_url();
    let watch = Watch::start(l1, &world.api, rpc, "verifier", "challenger.json").await?;
    cleaned(l1, &world.challenger).await?;
    watch.stop().await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_outlasts_a_node_that_dies_and_answers_that_are_lost() -> Result<()> {
    let world = World::start(Cheat::WrongParameters).await?;
    let l1 = &world.l1;
    let wire = Wire::to(l1.chain.rpc_url()).await?;
    let work = Work::start(l1, &world.api).await?;
    let mut watch = Watch::start(l1, &world.api, &wire.url, "verifier", "challenger.json").await?;
    // The opening lands, and nobody says so.
    wire.mute_at(opening());
    let lie = world.lie(&work).await?;
    let open = || async {
        let found = disputes::find(l1.sender.rpc(), &l1.rollup, Of::Anybody).await?;
        Ok(found.into_iter().next())
    };
    let first: Found = until("the dispute", open).await?;
    assert!(watch.steps().is_empty());
    wire.mend();
    until("a move after it", || async {
        Ok(open()
            .await?
            .filter(|f| f.game.moves > first.game.moves + 1))
    })
    .await?;
    // Gone in the middle.
    wire.cut();
    wire.refuses(3).await?;
    wire.mend();
    reverted(l1, &lie).await?;
    honest_again(l1, &mut watch, &lie).await?;
    cleaned(l1, &world.challenger).await?;
    let steps = watch.steps();
    let opened = steps.iter().filter(|step| step.contains("open")).count();
    assert!(opened <= 1, "{steps:?}");
    watch.stop().await?;
    world.stop().await
}

/// The first bytes of the instruction that opens a dispute.
fn opening() -> [u8; 8] {
    let bytes = settlement::instruction::OpenDispute::DISCRIMINATOR;
    bytes.try_into().expect("eight bytes")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_verifiers_one_wins_and_the_other_loses_nothing() -> Result<()> {
    let world = World::start(Cheat::WrongOutput).await?;
    let l1 = &world.l1;
    let second = rich(l1, "second.json").await?;
    let work = Work::start(l1, &world.api).await?;
    let rpc = l1.chain.rpc_url();
    let mut one = Watch::start(l1, &world.api, rpc, "one", "challenger.json").await?;
    let mut two = Watch::start(l1, &world.api, rpc, "two", "second.json").await?;
    let bonded = bond(l1).await?;
    let lie = world.lie(&work).await?;
    reverted(l1, &lie).await?;
    honest_again(l1, &mut one, &lie).await?;
    honest_again(l1, &mut two, &lie).await?;
    cleaned(l1, &world.challenger).await?;
    cleaned(l1, &second).await?;
    assert_eq!(bond(l1).await?, bonded - lie.params.bond_slice);
    let mut won = 0;
    for (wallet, watch) in [(&world.challenger, one), (&second, two)] {
        let fees: u64 = watch.log.lock().unwrap().steps.iter().map(|s| s.2).sum();
        assert!(fees > 0, "both have disputed it");
        let have = l1.sender.rpc().balance(&wallet.address()).await? + fees;
        match have - 10 * SOLS {
            0 => {}
            prize => {
                assert_eq!(prize, lie.params.bond_slice / 2);
                won += 1;
            }
        }
        watch.stop().await?;
    }
    assert_eq!(won, 1);
    world.stop().await
}
