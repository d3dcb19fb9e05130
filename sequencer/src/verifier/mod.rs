//! The verifier: reads every batch from L1, does it again, and says whether it is as its header says. With a
//! key it disputes one that is not, until L1 has reverted it.
//!
//! * [`config`]: how it is set up
//! * [`metrics`]: what it counts, and where that can be read

pub mod config;
pub mod metrics;

use crate::dispute::carry::Carrier;
use crate::dispute::cases::Theirs;
use crate::dispute::error::DisputeError;
use crate::dispute::shelf::Shelf;
use crate::dispute::{Done, Driver};
use crate::l1::error::Severity;
use crate::replica::error::ReplicaError;
use crate::replica::mirrors::Mirrors;
use crate::replica::runs::{Models, Sample};
use crate::replica::{AHEAD, Fetched, Outcome, Replica, Right, Wrong};
use crate::store::Store;
use crate::store::blobs::Blobs;
use anyhow::{Context, Result, ensure};
use assay_client::batches;
use assay_client::rpc::Rpc;
use assay_client::sender::{Options, Sender};
use assay_dispute::Side;
use assay_ledger::Hash;
use backon::BackoffBuilder;
use config::VerifierConfig;
use futures::{StreamExt, TryStreamExt};
use metrics::Metrics;
use serde::Serialize;
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_keypair::{EncodableKey, Keypair};
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

/// Where the verifier stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The newest batch that was done again and is right.
    pub head: u64,
    /// The newest batch on L1.
    pub tip: u64,
    /// The newest final batch.
    pub finalised: u64,
    /// A wrong batch that is on L1.
    pub wrong: Option<u64>,
}

/// What a verifier tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// A batch was done again and is right.
    Right(&'a Right, Duration),
    /// A batch is wrong.
    Wrong(&'a Wrong),
    /// L1 has reverted this many batches; the newest that is left.
    Reverted(u64, u64),
    /// A transaction of a dispute of one's own.
    Disputed(&'a Done),
}

/// How a verifier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to, or has seen all that there was.
    Done(Standing),
    /// A batch is wrong, and there is nothing else to do about it than to say so: no key to dispute it
    /// with, or it is final.
    Wrong(u64),
}

/// Told what happens.
pub type Listener = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// A verifier.
pub struct Verifier {
    replica: Replica,
    models: Models,
    metrics: Arc<Metrics>,
    listener: Listener,
    poll: Duration,
    standing: watch::Sender<Standing>,
    /// The wrong batch after the replica's newest one, if it has one.
    wrong: Option<Wrong>,
    /// Models whose bytes nobody has given yet.
    wanted: BTreeSet<(Hash, Hash)>,
    /// Plays its disputes, if it has a key.
    driver: Option<Driver>,
    /// The models, for proofs about them.
    shelf: Arc<Shelf>,
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
        let rpc = Rpc::with_client(RpcClient::new_with_timeout_and_commitment(
            rpc_url.to_owned(),
            Duration::from_secs(20),
            config.commitment.into(),
        ));
        let sample = Sample {
            share: config.sample,
            seed: seed(config)?,
        };
        // No sequencer has this key: a data directory is either a sequencer's or a verifier's.
        let store = Store::open(&config.data_dir, &rollup.to_bytes(), &[0; 32])?;
        let blobs = Blobs::open(&config.data_dir).context("cannot make the directory of blobs")?;
        let mirrors = Mirrors::new(mirrors);
        let shelf = Arc::new(Shelf::new(blobs.clone(), config.executor));
        let models = Models::start(config.executor, blobs, mirrors, Some(sample))?;
        let replica = Replica::open(rpc.clone(), rollup, Arc::new(store))?;
        let known = replica.state().models().iter();
        let wanted = known
            .map(|m| (m.program_root, m.parameters_root))
            .filter(|(program, parameters)| {
                !models.blobs().has(program) || !models.blobs().has(parameters)
            })
            .collect();
        let metrics = Arc::new(Metrics::default());
        let driver = match key(config)? {
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
                let carrier = Carrier::new(sender, Arc::new(key), rollup, Arc::new(done));
                Some(Driver::new(carrier, Side::Challenger))
            }
        };
        let standing = watch::Sender::new(Standing {
            head: replica.head().number,
            ..Standing::default()
        });
        let served = match config.listen {
            Some(listen) => {
                Some(metrics::serve(listen, metrics.clone(), standing.subscribe()).await?)
            }
            None => None,
        };
        Ok(Self {
            replica,
            models,
            metrics,
            listener,
            poll: config.poll(),
            standing,
            wrong: None,
            wanted,
            driver,
            shelf,
            served,
        })
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
        self.standing.subscribe()
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Models whose bytes nobody has given yet.
    pub fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Verifies until `stop`; with `once` until it has seen all that there is.
    pub async fn run(&mut self, once: bool, stop: CancellationToken) -> Result<End> {
        let policy = backon::ExponentialBuilder::default()
            .with_min_delay(self.poll)
            .with_max_delay(Duration::from_secs(10))
            .with_jitter()
            .without_max_times();
        let mut backoff = policy.build();
        let mut troubled: Option<Instant> = None;
        loop {
            let did = tokio::select! {
                did = self.step() => did,
                () = stop.cancelled() => return Ok(End::Done(*self.standing.borrow())),
            };
            let wait = match did {
                Ok(more) => {
                    troubled = None;
                    backoff = policy.build();
                    let standing = *self.standing.borrow();
                    if let Some(number) = standing.wrong
                        && (self.driver.is_none() || number <= standing.finalised)
                    {
                        return Ok(End::Wrong(number));
                    }
                    let busy = more || self.driver.as_ref().is_some_and(Driver::is_busy);
                    if once && standing.head == standing.tip && !busy {
                        return Ok(End::Done(standing));
                    }
                    match more {
                        true => Duration::ZERO,
                        false => self.poll,
                    }
                }
                Err(error) if error.severity() == Severity::Critical => return Err(error.into()),
                Err(error) => {
                    self.metrics.retries.inc();
                    let since = *troubled.get_or_insert_with(Instant::now);
                    if once && since.elapsed() > PATIENCE {
                        return Err(error.into());
                    }
                    tracing::warn!(%error, "verifying: trying again");
                    backoff.next().unwrap_or(self.poll)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Ok(End::Done(*self.standing.borrow())),
            }
        }
    }

    /// Looks at L1, does what is new there, and what is next in the disputes. Whether there may be
    /// more to do at once.
    async fn step(&mut self) -> Result<bool, StepError> {
        let caught_up = self.catch_up().await;
        // Clocks run, whatever else is amiss.
        let more = self.dispute().await;
        caught_up?;
        Ok(more?)
    }

    /// Does what is next in the disputes. Whether there may be more to do at once.
    async fn dispute(&mut self) -> Result<bool, DisputeError> {
        let Some(driver) = &mut self.driver else {
            return Ok(false);
        };
        let wrong = self.wrong.as_ref().map(|wrong| &wrong.batch);
        let cases = Theirs {
            replica: &self.replica,
            wrong,
            models: &self.models,
            shelf: &self.shelf,
        };
        let headers: Vec<_> = wrong.iter().map(|batch| batch.posted.header).collect();
        driver.step(&cases, &headers).await
    }

    /// Looks at L1 and does what is new there.
    pub async fn catch_up(&mut self) -> Result<(), ReplicaError> {
        let look = self.replica.look().await?;
        if look.reverted > 0 {
            let event = Event::Reverted(look.reverted, self.replica.head().number);
            (self.listener)(&event);
        }
        let next = look.batches.first().map(|posted| posted.header.hash());
        let same = |wrong: &Wrong| Some(wrong.batch.posted.header.hash()) == next;
        if !self.wrong.as_ref().is_some_and(same) {
            self.wrong = None;
        }
        self.show(|standing| {
            standing.tip = look.heads.tip;
            standing.finalised = look.heads.finalised;
        });
        self.fetch_wanted().await;
        if self.wrong.is_some() {
            return Ok(());
        }
        let rpc = self.replica.rpc().clone();
        let mut fetched = futures::stream::iter(look.batches)
            .map(|posted| {
                let rpc = &rpc;
                async move {
                    let data = batches::data(rpc, &posted).await?;
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
        let begun = Instant::now();
        let (replica, models) = (&mut self.replica, &self.models);
        match tokio::task::block_in_place(|| replica.advance(batch, models))? {
            Outcome::Right(right) => {
                let took = begun.elapsed();
                self.metrics.count(&right, took);
                (self.listener)(&Event::Right(&right, took));
                self.wanted.extend(right.models);
                self.fetch_wanted().await;
                self.show(|_| {});
                Ok(true)
            }
            Outcome::Wrong(wrong) => {
                (self.listener)(&Event::Wrong(&wrong));
                self.wrong = Some(wrong);
                self.show(|_| {});
                Ok(false)
            }
        }
    }

    /// Fetches the bytes of models that will be run, while there is somebody who gives them.
    async fn fetch_wanted(&mut self) {
        for model in self.wanted.clone() {
            match self.models.fetch(&model.0, &model.1).await {
                Ok(()) => {
                    self.wanted.remove(&model);
                }
                Err(error) => tracing::warn!(%error, "a deployed model cannot be fetched"),
            }
        }
    }

    fn show(&self, change: impl FnOnce(&mut Standing)) {
        self.standing.send_modify(|standing| {
            change(standing);
            standing.head = self.replica.head().number;
            let wrong = self.wrong.as_ref();
            standing.wrong = wrong.map(|w| w.batch.posted.header.number);
            self.metrics.show(standing);
        });
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        if let Some((_, serving)) = &self.served {
            serving.abort();
        }
    }
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error("disputes: {0}")]
    Dispute(#[from] DisputeError),
}

impl StepError {
    fn severity(&self) -> Severity {
        match self {
            Self::Replica(e) => e.severity(),
            Self::Dispute(e) => e.severity(),
        }
    }
}

/// The key that disputes are opened with.
fn key(config: &VerifierConfig) -> Result<Option<Keypair>> {
    let Some(path) = &config.keypair else {
        return Ok(None);
    };
    let key = Keypair::read_from_file(path).map_err(|e| anyhow::anyhow!("{e}"));
    let key = key.with_context(|| format!("cannot read the keypair {}", path.display()))?;
    Ok(Some(key))
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
