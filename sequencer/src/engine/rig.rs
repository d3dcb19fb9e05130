//! An engine with its store and executor, and nothing around them: neither L1 nor HTTP. The
//! service is built on it, the pipeline's benchmark and the tests use it as it is.

use super::admission::Admission;
use super::apply::Ledger;
use super::execute::ExecutorThread;
use super::gate::Gate;
use super::writer::{Parts, Writer};
use super::{EngineFailure, EngineHandle};
use crate::batcher::OpenBatch;
use crate::config::{BatchLimits, ExecutorChoice, ModelLimits};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::blobs::Blobs;
use crate::store::quota::Quota;
use anyhow::{Context, Result, anyhow};
use assay_ledger::state::InboxHead;
use assay_ledger::store::FullState;
use assay_ledger::transition::{Env, Heads};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// What batches fix for their transactions; the number is the first one's, 1.
    pub env: Env,
    /// When batches are closed.
    pub limits: BatchLimits,
    /// What runs the models.
    pub executor: ExecutorChoice,
    /// Which ones it runs.
    pub models: ModelLimits,
    /// Requests that may wait.
    pub queue: usize,
    /// Whether requests are accepted.
    pub gate: Gate,
}

/// A running engine.
#[derive(Debug)]
pub struct Rig {
    /// Where it keeps its state.
    pub store: Arc<Store>,
    /// Where it has its models from.
    pub blobs: Blobs,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What requests are checked with before it is given them.
    pub admission: Admission,
    /// How to reach it.
    pub engine: EngineHandle,
    /// The newest batch that was closed.
    pub closed: watch::Receiver<u64>,
    /// How far it had read the inbox when it started.
    pub inbox: InboxHead,
    /// Name of the executor.
    pub executor: String,
    /// How it ended.
    pub ended: oneshot::Receiver<Result<(), EngineFailure>>,
}

impl Rig {
    /// Starts an engine on what `dir` holds; a new rollup's where that is nothing. Blocks while
    /// it reads.
    pub fn start(dir: &Path, options: Options) -> Result<Self> {
        let env = options.env;
        let store = Arc::new(Store::open(dir, &env.rollup, &env.sequencer)?);
        let models = &options.models;
        let age = Duration::from_secs(models.unnamed_age_s);
        let quota = Quota::new(store.clone(), models.unnamed_bytes, age);
        let blobs = Blobs::open(dir).context("cannot make the directory of blobs")?;
        let blobs = blobs.with_quota(quota);
        let metrics = Arc::new(Metrics::default());
        let executor = gpu_kernels::open(options.executor.into())?;
        let executor = ExecutorThread::start(
            executor,
            blobs.clone(),
            options.models.clone(),
            metrics.clone(),
        )?;
        let name = executor.name().to_owned();
        let (micro_batch, backlog) = (options.limits.micro_batch, options.limits.backlog);
        let ledger = restore(&store, env, options.limits, options.models)?;
        let inbox = ledger.state.heads().inbox;
        let (closed, watching) = watch::channel(ledger.open.number() - 1);
        let (writer, engine) = Writer::new(Parts {
            ledger,
            store: store.clone(),
            executor,
            blobs: blobs.clone(),
            metrics: metrics.clone(),
            closed,
            micro_batch,
            queue: options.queue,
            backlog,
            gate: options.gate,
        });
        let admission = Admission {
            rollup: env.rollup,
            store: store.clone(),
            blobs: blobs.clone(),
            metrics: metrics.clone(),
            queue: options.queue as u64,
        };
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                // Nobody listens any more only when the rig was dropped.
                let _ = end.send(writer.run());
            })?;
        Ok(Self {
            store,
            blobs,
            metrics,
            admission,
            engine,
            closed: watching,
            inbox,
            executor: name,
            ended,
        })
    }

    /// Finishes what was asked for and ends.
    pub async fn stop(self) -> Result<()> {
        self.engine.stop();
        ended(self.ended).await
    }
}

/// How an engine ended.
pub async fn ended(ended: oneshot::Receiver<Result<(), EngineFailure>>) -> Result<()> {
    match ended.await {
        Ok(ended) => ended.context("the engine stopped"),
        Err(_) => Err(anyhow!("the engine's thread panicked: see the log above")),
    }
}

/// The ledger as the store has it; the genesis state where there is nothing yet.
fn restore(store: &Store, env: Env, limits: BatchLimits, models: ModelLimits) -> Result<Ledger> {
    let Some(progress) = store.progress()? else {
        return Ok(Ledger {
            state: FullState::genesis(),
            open: OpenBatch::genesis(env, limits),
            limits: models,
        });
    };
    let tables = store.ledger()?;
    let heads = Heads::from(&progress.components);
    let mut state = FullState::from_parts(&heads, tables.accounts, tables.models, tables.outbox)?;
    if state.components() != progress.components {
        return Err(EngineFailure::State(
            "the tables do not give the state root that was stored with them".into(),
        )
        .into());
    }
    let records = store.transactions(progress.number)?;
    tracing::info!(
        batch = progress.number,
        transactions = records.len(),
        accounts = heads.accounts,
        "the ledger is restored"
    );
    Ok(Ledger {
        state,
        open: OpenBatch::restore(env, limits, &progress, records)?,
        limits: models,
    })
}
