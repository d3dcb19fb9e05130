//! The verifier: reads every batch from L1, does it again, and says whether it is as its header says. With a
//! key it disputes one that is not, until L1 has reverted it, and demands on L1 what batches name of models and
//! nobody gives.
//!
//! * [`config`]: how it is set up
//! * [`board`]: what was found, for who does something about it
//! * [`defence`]: does something about it, while batches are done again
//! * [`demands`]: what nobody gives, demanded; [`pieces`]: what of it was given on L1
//! * [`metrics`]: what it counts, and where that can be read

pub mod board;
pub mod config;
pub mod defence;
pub mod demands;
pub mod metrics;
pub mod pieces;

use crate::dispute::Done;
use crate::dispute::carry::Carrier;
use crate::dispute::shelf::Shelf;
use crate::engine::execute::ModelKey;
use crate::l1::{self, error::Severity, pace::Pace};
use crate::replica::begin;
use crate::replica::error::ReplicaError;
use crate::replica::fetch::Fetcher;
use crate::replica::mirrors::Mirrors;
use crate::replica::runs::{Caps, Models, Sample};
use crate::replica::{AHEAD, Fetched, Outcome, Rechecked, Replica, Right, Wrong};
use crate::store::Store;
use crate::store::blobs::Blobs;
use anyhow::{Context, Result, ensure};
use assay_client::accounts;
use assay_client::rpc::Rpc;
use assay_client::sender::{Options, Sender};
use assay_client::wallet::Wallet;
use assay_ledger::header::Header;
use assay_tensor::program::MAX_BYTES;
use board::{Board, Found};
use config::VerifierConfig;
use defence::Defence;
use futures::{StreamExt, TryStreamExt};
use metrics::Metrics;
use serde::Serialize;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a verifier that is to end bears with L1 or the mirrors being away.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what is on its way to L1 may take when the verifier is stopped.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// Where the verifier stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The newest batch that was done again and is right.
    pub head: u64,
    /// The newest batch on L1.
    pub tip: u64,
    /// The newest final batch.
    pub finalised: u64,
    /// A wrong batch that is on L1.
    pub wrong: Option<u64>,
    /// Why it does not get on with the batch after `head`, if it does not.
    pub stands: Option<String>,
    /// What it cannot do, if there is something: models that nobody gives, disputes that cannot be played.
    pub lacks: Vec<String>,
    /// Batches up to `head` with runs that could not be re-executed, final ones too: they are not verified.
    pub unverified_batches: u64,
    /// These runs.
    pub unverified_runs: u64,
}

impl Standing {
    /// What is amiss, if something is.
    pub fn trouble(&self) -> Option<String> {
        let wrong = self.wrong.map(|n| format!("batch {n} on L1 is wrong"));
        let stands = self.stands.as_ref().map(|why| {
            format!(
                "it does not get on with batch {}: {why}",
                self.head.saturating_add(1)
            )
        });
        let all: Vec<_> = wrong
            .into_iter()
            .chain(stands)
            .chain(self.lacks.iter().cloned())
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What a verifier tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// A batch was replayed and is as its header says. It is verified if none of its runs is unverified.
    Right(&'a Right, Duration),
    /// Runs of a final batch, unverified until then, were re-executed.
    Rechecked(&'a Rechecked),
    /// A batch is wrong.
    Wrong(&'a Wrong),
    /// A batch, right otherwise, deploys a program that is none.
    Malformed(&'a Header),
    /// L1 has reverted this many batches; the newest that is left.
    Reverted(u64, u64),
    /// A transaction of a dispute, or over a demand, of one's own.
    Disputed(&'a Done),
}

/// How a verifier ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to, or has seen all that there was.
    Done(Standing),
    /// A batch is wrong, and there is nothing else to do about it than to say so: no key to dispute it
    /// with, the dispute was lost, there is nothing to prove, or it is final.
    Wrong(u64),
}

/// Told what happens.
pub type Listener = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// A verifier.
pub struct Verifier {
    replica: Replica,
    models: Arc<Models>,
    fetcher: Fetcher,
    /// The models, for proofs about them.
    shelf: Arc<Shelf>,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    listener: Listener,
    poll: Duration,
    /// How long a verifier that is to end waits for the bytes of models.
    patience: Duration,
    /// Sends to L1, if it has a key.
    carrier: Option<Carrier>,
    served: Option<(SocketAddr, JoinHandle<std::io::Result<()>>)>,
}

impl Verifier {
    /// The verifier of `rollup` that `config` describes, reading from the node at `rpc_url` and
    /// fetching models at `mirrors`.
    pub async fn open(
        config: &VerifierConfig,
        rpc_url: &str,
        rollup: Pubkey,
        mirrors: &[String],
        listener: Listener,
    ) -> Result<Self> {
        ensure!(
            (0.0..=1.0).contains(&config.sample),
            "the sample is a share from 0 to 1, not {}",
            config.sample
        );
        let asked = Rpc::new(rpc_url);
        let params = accounts::rollup(&asked, &rollup).await;
        let params = params.with_context(|| format!("cannot read rollup {rollup} at {rpc_url}"))?;
        let timeout = l1::timeout(&params.config.params.into(), asked.slot_time().await);
        let rpc = Rpc::within(rpc_url, config.commitment.into(), timeout);
        let sample = Sample {
            share: config.sample,
            seed: seed(config)?,
        };
        // No sequencer has this key: a data directory is either a sequencer's or a verifier's.
        let store = Store::open(&config.data_dir, &rollup.to_bytes(), &[0; 32])?;
        let blobs = Blobs::open(&config.data_dir).context("cannot make the directory of blobs")?;
        let mirrors = Mirrors::new(mirrors);
        if config.from_final && store.progress()?.is_none() {
            begin::at_final(&rpc, &rollup, &store, &mirrors).await?;
        }
        let shelf = Arc::new(Shelf::new(blobs.clone(), config.executor));
        let fetcher = Fetcher::new(mirrors.clone(), blobs.clone(), config.memory);
        if config.memory < MAX_BYTES {
            let memory = config.memory;
            tracing::warn!(
                memory,
                most = MAX_BYTES,
                "the setting `memory` is less than a model may take: such a model's outputs will not be checked"
            );
        }
        let caps = Caps {
            memory: config.memory,
            ..Caps::default()
        };
        let models = Models::start(config.executor, blobs, mirrors, Some(sample), caps)?;
        let models = Arc::new(models);
        let replica = Replica::open(rpc.clone(), rollup, Arc::new(store), &config.data_dir)?;
        let metrics = Arc::new(Metrics::default());
        metrics.node.watch(rpc.health().clone());
        let carrier = match key(config)? {
            None => None,
            Some(key) => {
                let options = Options {
                    unit_price: config.priority_fee,
                    wire: config.transactions.wire(),
                    poll: config.poll().min(Options::default().poll),
                    ..Options::default()
                };
                let sender = Sender::new(rpc, options);
                let (told, counted) = (listener.clone(), metrics.clone());
                let done = move |done: &Done| {
                    counted.count_dispute(&done.landed);
                    told(&Event::Disputed(done));
                };
                Some(Carrier::new(sender, key, rollup, Arc::new(done)))
            }
        };
        let board = Arc::new(Board::new(replica.head().number));
        let served = match config.listen {
            Some(listen) => Some(metrics::serve(listen, metrics.clone(), board.standing()).await?),
            None => None,
        };
        let verifier = Self {
            replica,
            models,
            fetcher,
            shelf,
            board,
            metrics,
            listener,
            poll: config.poll(),
            patience: config.patience(),
            carrier,
            served,
        };
        verifier.fetch();
        Ok(verifier)
    }

    /// Where health and metrics are served.
    pub fn address(&self) -> Option<SocketAddr> {
        self.served.as_ref().map(|(address, _)| *address)
    }

    /// Name of the executor.
    pub fn executor(&self) -> &str {
        self.models.executor()
    }

    /// Where it stands, now and later.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.board.standing()
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Models whose bytes nobody has given yet.
    pub fn wanted(&self) -> usize {
        self.fetcher.lacking().len()
    }

    /// Verifies until `stop`; with `once` until it has seen all that there is.
    ///
    /// Disputes and demands are played by a task of their own: their clocks run while batches are done again.
    pub async fn run(&mut self, once: bool, stop: CancellationToken) -> Result<End> {
        let defended = CancellationToken::new();
        // Whoever drops this future ends the task.
        let _ended = defended.clone().drop_guard();
        let defence = self.carrier.clone().map(|carrier| {
            let defence = Defence::new(
                carrier,
                self.replica.store().clone(),
                self.models.clone(),
                self.shelf.clone(),
                self.board.clone(),
            );
            self.board.forget_engaged();
            let counted = self.metrics.clone();
            tokio::spawn(defence.run(self.poll, counted, defended.clone()))
        });
        let models = self.models.clone();
        models.resume();
        let stopped = stop.clone();
        let halting = tokio::spawn(async move {
            stopped.cancelled().await;
            // What runs in a thread does not hear it otherwise.
            models.halt();
        });
        let end = self.follow(once, &stop).await;
        halting.abort();
        defended.cancel();
        if let Some(defence) = defence {
            // Nothing is lost with it: what is next follows from what L1 has.
            let _ = tokio::time::timeout(LAST_CALLS, defence).await;
        }
        end
    }

    async fn follow(&mut self, once: bool, stop: &CancellationToken) -> Result<End> {
        let mut pace = Pace::new(self.poll);
        let mut troubled: Option<Instant> = None;
        let mut unverified: Option<Instant> = None;
        let mut news = self.fetcher.news();
        loop {
            news.mark_unchanged();
            let did = tokio::select! {
                did = self.catch_up() => did,
                () = stop.cancelled() => return Ok(End::Done(self.board.now())),
            };
            let wait = match did {
                _ if stop.is_cancelled() => return Ok(End::Done(self.board.now())),
                Ok(()) => {
                    troubled = None;
                    let wait = pace.good();
                    let standing = self.board.now();
                    // Not where the wrong batch was given up.
                    let busy = self.carrier.is_some() && self.board.is_busy();
                    if let Some(number) = standing.wrong
                        && (number <= standing.finalised || !busy)
                    {
                        return Ok(End::Wrong(number));
                    }
                    if once && standing.head == standing.tip && !busy {
                        // The bytes of the models may be on their way.
                        let since = *unverified.get_or_insert_with(Instant::now);
                        if !self.may_verify_more() || since.elapsed() >= self.patience {
                            return Ok(End::Done(standing));
                        }
                    }
                    let stuck = self.board.stuck(PATIENCE).filter(|_| once);
                    if let Some(trouble) = stuck {
                        anyhow::bail!("disputes: {trouble}");
                    }
                    wait
                }
                Err(error) => {
                    self.metrics.retries.inc();
                    // Whatever it is: a dispute that nobody plays is lost.
                    let engaged = self.carrier.is_some() && self.board.is_engaged();
                    let since = *troubled.get_or_insert_with(Instant::now);
                    let critical = error.severity() == Severity::Critical;
                    if !engaged && (critical || once && since.elapsed() > PATIENCE) {
                        return Err(error.into());
                    }
                    tracing::warn!(%error, "verifying: trying again");
                    pace.failed()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = news.changed() => {}
                () = stop.cancelled() => return Ok(End::Done(self.board.now())),
            }
        }
    }

    /// Whether unverified runs lack nothing but the bytes of their models.
    fn may_verify_more(&self) -> bool {
        let mut doubts = self.replica.doubts().iter();
        doubts.any(|doubt| !doubt.models.is_empty())
    }

    /// Looks at L1 and does what is new there.
    pub async fn catch_up(&mut self) -> Result<(), ReplicaError> {
        let done = self.look().await;
        let stands = done.as_ref().err().map(ToString::to_string);
        let lacking = self.fetcher.lacking();
        for header in self.board.lacks(&lacking) {
            (self.listener)(&Event::Malformed(&header));
        }
        self.show(|standing| standing.stands = stands);
        done
    }

    async fn look(&mut self) -> Result<(), ReplicaError> {
        let mut look = self.replica.look().await?;
        if look.reverted > 0 {
            let event = Event::Reverted(look.reverted, self.replica.head().number);
            (self.listener)(&event);
            self.forget_models();
        }
        let blobs = self.models.blobs();
        let has = |model: &ModelKey| blobs.has(&model.0) && blobs.has(&model.1);
        if self.replica.reconsider(has)? {
            look = self.replica.look().await?;
        }
        for rechecked in tokio::task::block_in_place(|| self.replica.recheck(&self.models))? {
            if rechecked.invalid {
                self.board.invalid(&rechecked.header);
            }
            self.metrics.recount(&rechecked);
            (self.listener)(&Event::Rechecked(&rechecked));
        }
        let next = look.batches.first().map(|posted| posted.header.hash());
        if self.board.wrong().map(|found| found.header().hash()) != next {
            self.board.found(None);
        }
        self.board.named(self.replica.namings());
        self.board.doubted(self.replica.doubts());
        self.show(|standing| {
            standing.tip = look.heads.tip;
            standing.finalised = look.heads.finalised;
        });
        if self.board.wrong().is_some() {
            return Ok(());
        }
        let (rpc, reader) = (self.replica.rpc().clone(), self.replica.data());
        let mut fetched = futures::stream::iter(look.batches)
            .map(|posted| {
                let (rpc, reader) = (&rpc, &reader);
                async move {
                    let data = reader.read(rpc, &posted).await?;
                    Ok::<_, ReplicaError>(Fetched { posted, data })
                }
            })
            .buffered(AHEAD);
        while let Some(batch) = fetched.try_next().await? {
            if !self.test(batch).await? {
                break;
            }
        }
        Ok(())
    }

    /// Does a batch again; whether it is right.
    async fn test(&mut self, batch: Fetched) -> Result<bool, ReplicaError> {
        self.replica.read_inbox(&batch.posted.header).await?;
        let (finalised, disputes) = (self.board.now().finalised, self.carrier.is_some());
        let patience = self.replica.patience(&batch.posted, finalised, disputes);
        let patience = patience.await?;
        let begun = Instant::now();
        let (replica, models) = (&mut self.replica, &self.models);
        match tokio::task::block_in_place(|| replica.advance(batch, models, patience))? {
            Outcome::Right(right) => {
                let took = begun.elapsed();
                self.metrics.count(&right, took);
                (self.listener)(&Event::Right(&right, took));
                for naming in &right.named {
                    self.fetcher.want(naming.model, naming.program());
                }
                self.board.named(self.replica.namings());
                self.board.doubted(self.replica.doubts());
                self.show(|_| {});
                Ok(true)
            }
            Outcome::Wrong(wrong) => {
                (self.listener)(&Event::Wrong(&wrong));
                let before = self.replica.state().clone();
                self.board.found(Some(Found { wrong, before }));
                self.show(|_| {});
                Ok(false)
            }
        }
    }

    /// Fetches the models that can be called, or will be.
    fn fetch(&self) {
        for naming in self.replica.namings() {
            self.fetcher.want(naming.model, naming.program());
        }
        for model in self.replica.state().models() {
            // Not to know it is to ask for it all the same.
            let known = self.replica.store().program_header(&model.program_root);
            let model = (model.program_root, model.parameters_root);
            self.fetcher.want(model, known.ok().flatten());
        }
    }

    /// Fetches nothing any more that only reverted batches named.
    fn forget_models(&self) {
        let namings = self.replica.namings().iter().map(|naming| naming.model);
        let models = self.replica.state().models().iter();
        let models = models.map(|m| (m.program_root, m.parameters_root));
        let named: BTreeSet<_> = namings.chain(models).collect();
        self.fetcher.retain(|model| named.contains(model));
    }

    fn show(&self, change: impl FnOnce(&mut Standing)) {
        let head = self.replica.head().number;
        let doubts = self.replica.doubts();
        let runs = doubts.iter().map(|doubt| doubt.runs).sum();
        self.board.show(|standing| {
            change(standing);
            standing.head = head;
            standing.unverified_batches = doubts.len() as u64;
            standing.unverified_runs = runs;
        });
        self.metrics.show(&self.board.now());
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        if let Some((_, serving)) = &self.served {
            serving.abort();
        }
    }
}

/// The key that disputes are opened with.
fn key(config: &VerifierConfig) -> Result<Option<Arc<Keypair>>> {
    let wallet = config.keypair.as_ref().map(Wallet::read).transpose()?;
    Ok(wallet.map(|wallet| wallet.keypair().clone()))
}

/// What chooses the sample.
fn seed(config: &VerifierConfig) -> Result<[u8; 32]> {
    let Some(text) = &config.seed else {
        return Ok(rand::random());
    };
    let bytes = hex::decode(text).context("the sample's seed is 64 hex digits")?;
    let bytes: Result<[u8; 32], _> = bytes.try_into();
    bytes.map_err(|_| anyhow::anyhow!("the sample's seed is 64 hex digits"))
}
