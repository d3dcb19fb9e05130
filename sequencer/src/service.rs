//! The sequencer as a whole: started from a configuration, stopped without losing anything.

use crate::api::{self, Api};
use crate::config::Config;
use crate::dispute::answers::{Answers, work};
use crate::dispute::carry::Carrier;
use crate::dispute::cases::Own;
use crate::dispute::demands::Demands;
use crate::dispute::shelf::Shelf;
use crate::dispute::{Driver, Listener};
use crate::engine::EngineHandle;
use crate::engine::backlog::Room;
use crate::engine::gate::{Closed, Gate};
use crate::engine::rig::{self, Options, Rig};
use crate::l1::error::L1Error;
use crate::l1::follower::Follower;
use crate::l1::lease::{Instance, Lease};
use crate::l1::poster::Poster;
use crate::l1::posting::Posting;
use crate::l1::{self, L1, room};
use crate::recover::recover;
use crate::store::Store;
use anyhow::{Context, Result, anyhow, ensure};
use assay_client::inbox::Reader;
use assay_client::rpc::TIMEOUT;
use assay_dispute::Side;
use assay_ledger::transition::Env;
use solana_keypair::{EncodableKey, Keypair};
use solana_signer::Signer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long calls that are under way may take to end when the service stops: a client that has
/// sent half of a request must not hold it up.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// A running sequencer. Dropping it stops it without waiting; [`Service::stop`] waits.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
    engine: EngineHandle,
    lease: Lease,
}

impl Service {
    /// Starts the sequencer that `config` describes; its API answers when this returns.
    pub async fn start(config: Config) -> Result<Self> {
        let key = Keypair::read_from_file(&config.keypair)
            .map_err(|e| anyhow!("{e}"))
            .with_context(|| {
                format!(
                    "cannot read the keypair {}: make one with `assay key new`",
                    config.keypair.display()
                )
            })?;
        Self::start_with(config, Arc::new(key)).await
    }

    /// The same with a key that is not read from `config.keypair`.
    pub async fn start_with(config: Config, key: Arc<Keypair>) -> Result<Self> {
        Self::start_posting(config, key, Posting::Honest).await
    }

    /// The same, and what goes to L1 may be a lie: for the development network.
    pub async fn start_posting(
        config: Config,
        key: Arc<Keypair>,
        posting: Posting,
    ) -> Result<Self> {
        let l1 = L1::new(&config, key.clone(), TIMEOUT);
        let (info, heads) = l1.look().await.with_context(|| {
            format!(
                "cannot read rollup {} from L1 at {}",
                config.rollup, config.rpc_url
            )
        })?;
        let closed = may_start(&l1, info.params.bond_slice).await?;
        let slot = l1.rpc().slot_time().await;
        let l1 = L1::new(&config, key, l1::timeout(&info.params, slot));
        // First of all, as it says whose folder it is, and that no other process uses it.
        let store = Store::open(&config.data_dir, &info.rollup, &info.sequencer)?;
        let instance = Instance::of(&config.data_dir)
            .with_context(|| format!("cannot write in {}", config.data_dir.display()))?;
        let gate = Gate::default();
        gate.set_stake(closed);
        let lease = Lease::take(&l1, instance, gate.clone(), config.take_over).await?;
        let stop = CancellationToken::new();
        // From here on: building the state from L1 may take longer than a lease.
        let keeping = {
            let (lease, stop) = (lease.clone(), stop.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { lease.keep(stop).await }))
        };
        recover(&config, &l1, &heads, store)
            .await
            .context("the state cannot be built from L1")?;
        let options = Options {
            env: Env {
                rollup: info.rollup,
                number: 1,
                sequencer: info.sequencer,
                params: info.params,
                inbox_end: u64::MAX,
            },
            limits: config.batch.clone(),
            executor: config.executor,
            models: config.models.clone(),
            queue: config.api.queue,
            gate,
        };
        let data_dir = config.data_dir.clone();
        let rig = tokio::task::spawn_blocking(move || Rig::start(&data_dir, options)).await??;
        let listener = match TcpListener::bind(config.listen).await {
            Ok(listener) => listener,
            Err(error) => {
                let _ = rig.stop().await;
                return Err(error).with_context(|| {
                    format!(
                        "cannot listen on {}: set `listen` to a free address",
                        config.listen
                    )
                });
            }
        };
        // Until the poster has looked, L1 takes nothing.
        let told = Room {
            tip: heads.tip,
            batches: 0,
        };
        rig.engine.room(told)?;
        rig.metrics.node.watch(l1.rpc().health().clone());
        let reader = Reader::new(l1.rollup, rig.inbox);
        let heads = Arc::new(watch::Sender::new(heads));
        let bond_slice = info.params.bond_slice;
        let api = Api {
            store: rig.store.clone(),
            blobs: rig.blobs.clone(),
            admission: rig.admission.clone(),
            engine: rig.engine.clone(),
            heads: heads.subscribe(),
            metrics: rig.metrics.clone(),
            info: Arc::new(info),
            executor: rig.executor.clone(),
            limits: config.api.clone(),
            instance: instance.to_string(),
            snapshots: Default::default(),
            dev: config.dev,
        };
        let poster = Poster {
            l1: l1.clone(),
            store: rig.store.clone(),
            metrics: rig.metrics.clone(),
            heads: heads.clone(),
            engine: rig.engine.clone(),
            lease: lease.clone(),
            bond_slice,
            told,
            closed: rig.closed.clone(),
            in_flight: config.l1.in_flight,
            poll: config.l1.poll(),
            posting: posting.clone(),
            repost: config.l1.repost,
            held: None,
        };
        let shelf = Arc::new(Shelf::new(rig.blobs.clone(), config.executor));
        let done: Listener = Arc::new(|_| {});
        let carrier = Carrier::new(l1.sender.clone(), l1.key.clone(), l1.rollup, done);
        let demands = Demands::new(carrier.clone(), shelf.clone());
        let answers = Answers {
            driver: Driver::new(carrier, Side::Asserter, rig.store.clone()),
            cases: Own {
                store: rig.store.clone(),
                shelf,
                wire: l1.sender.wire().await?,
                posting,
            },
        };
        let follower = Follower {
            l1,
            engine: rig.engine.clone(),
            metrics: rig.metrics.clone(),
            heads,
            reader,
            poll: config.l1.poll(),
        };
        let mut service = Self::spawn(
            (listener, api),
            rig,
            poster,
            follower,
            (answers, demands),
            (lease, stop),
        )?;
        let kept = async { follow(keeping.await?, "keeping the lease") };
        service.tasks.spawn(kept);
        Ok(service)
    }

    fn spawn(
        (listener, api): (TcpListener, Api),
        rig: Rig,
        poster: Poster,
        follower: Follower,
        (answers, demands): (Answers, Demands),
        (lease, stop): (Lease, CancellationToken),
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        tracing::info!(%address, executor = api.executor, "the sequencer serves");
        let engine = rig.engine;
        let mut tasks = JoinSet::new();
        tasks.spawn(rig::ended(rig.ended));
        let (token, to_drain) = (stop.clone(), engine.clone());
        tasks.spawn(async move {
            let stopped = token.clone();
            let serve = axum::serve(listener, api::router(api))
                .with_graceful_shutdown(async move { stopped.cancelled().await })
                .into_future();
            let patience = async {
                token.cancelled().await;
                tokio::time::sleep(LAST_CALLS).await;
            };
            tokio::select! {
                served = serve => served.context("the HTTP server failed")?,
                () = patience => tracing::warn!("stopping: calls that did not end are cut off"),
            }
            // Every call has been answered; what is left to the engine is to end.
            to_drain.stop();
            Ok(())
        });
        let token = stop.clone();
        let (counted, poll) = (rig.metrics.clone(), follower.poll);
        tasks.spawn(async move {
            let answering = work(answers, counted, poll, token);
            answering.await.context("answering disputes")
        });
        let token = stop.clone();
        let counted = rig.metrics;
        tasks.spawn(async move {
            let answering = work(demands, counted, poll, token);
            answering.await.context("answering demands")
        });
        let token = stop.clone();
        tasks.spawn(async move { follow(poster.run(token).await, "posting batches") });
        let token = stop.clone();
        tasks.spawn(async move { follow(follower.run(token).await, "following the inbox") });
        Ok(Self {
            address,
            stop,
            tasks,
            engine,
            lease,
        })
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API's base address, `http://...`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The engine, for whoever is in the same process.
    pub fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// Waits until something fails; then stops the rest.
    pub async fn failed(&mut self) -> anyhow::Error {
        let error = loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => break error,
                Some(Err(error)) => break error.into(),
                None => break anyhow!("every part of the service has ended"),
            }
        };
        self.stop.cancel();
        self.engine.stop();
        error
    }

    /// Stops: takes no more calls, answers those that are under way, makes everything durable.
    /// The batch being built stays open in the store and goes on at the next start.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.map_err(anyhow::Error::from).flatten();
            if first.is_ok() {
                first = ended;
            }
        }
        // Nothing is answered or posted any more.
        self.lease.give_up().await;
        first
    }

    /// Serves until `shutdown` resolves, then stops; or until something fails.
    pub async fn run_until(mut self, shutdown: impl Future<Output = ()>) -> Result<()> {
        tokio::select! {
            error = self.failed() => {
                tracing::error!(error = format!("{error:#}"), "the sequencer fails");
                let _ = self.stop().await;
                Err(error)
            }
            () = shutdown => self.stop().await,
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
        self.engine.stop();
    }
}

/// Checks that there is something to do for the key: requests to accept, or batches on L1 to defend. Why no requests
/// are accepted at first, if they are not.
async fn may_start(l1: &L1, bond_slice: u64) -> Result<Option<Closed>> {
    let key = l1.key.pubkey();
    let (chain, stake) = room::read(l1, &key.to_bytes()).await?;
    let Some(closed) = room::unbacked(stake.as_ref(), bond_slice) else {
        return Ok(None);
    };
    // What cannot be counted is there.
    let pending = chain.locked_bond(&key).unwrap_or(u64::MAX) > 0;
    ensure!(pending, "{key} cannot sequence: {closed}");
    tracing::error!(why = %closed, "no requests are accepted: batches on L1 that are not final are defended");
    Ok(Some(closed))
}

fn follow(ended: Result<(), L1Error>, what: &'static str) -> Result<()> {
    match ended {
        Ok(()) | Err(L1Error::Stopped) => Ok(()),
        Err(error) => Err(error).context(what),
    }
}
