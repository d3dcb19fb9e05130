//! A Solana chain inside this process: surfpool, offline, with JSON-RPC and websocket on loopback.

use anyhow::{Context, Result, anyhow, bail};
use crossbeam_channel::{Receiver, Sender};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;
use surfpool_core::runloops::start_local_surfnet_runloop;
use surfpool_core::surfnet::locker::SurfnetSvmLocker;
use surfpool_core::surfnet::svm::{SurfnetSvm, SurfnetSvmConfig};
use surfpool_types::{
    BlockProductionMode, RpcConfig, SimnetCommand, SimnetConfig, SimnetEvent, SurfpoolConfig,
    SvmFeatureConfig,
};

/// How long starting and stopping may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The servers that announce their end: JSON-RPC and websocket.
const SERVERS: usize = 2;

/// How the chain is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port of the JSON-RPC server on loopback; 0 for any free one.
    pub rpc_port: u16,
    /// Port of the websocket server on loopback; 0 for any free one.
    pub ws_port: u16,
    /// Time of a slot.
    pub slot: Duration,
    /// Whether it takes version-1 transactions, as mainnet does.
    pub version1: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rpc_port: 0,
            ws_port: 0,
            slot: Duration::from_millis(400),
            version1: true,
        }
    }
}

/// A running chain. It ends when this is dropped.
pub struct Chain {
    rpc_url: String,
    ws_url: String,
    slot: Duration,
    commands: Sender<SimnetCommand>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Chain {
    /// Starts a chain and waits until it answers.
    pub async fn start(options: Options) -> Result<Self> {
        tokio::task::spawn_blocking(move || Self::start_blocking(&options))
            .await
            .context("the thread that starts the chain died")?
    }

    fn start_blocking(options: &Options) -> Result<Self> {
        let rpc_port = port(options.rpc_port).context("no port for the chain's JSON-RPC")?;
        let ws_port = port(options.ws_port).context("no port for the chain's websocket")?;
        let slot_time = u64::try_from(options.slot.as_millis())?.max(1);
        let simnet = SimnetConfig {
            offline_mode: true,
            remote_rpc_url: None,
            slot_time,
            block_production_mode: BlockProductionMode::Clock,
            instruction_profiling_enabled: false,
            log_bytes_limit: None,
            ..Default::default()
        };
        let features = SvmFeatureConfig::default();
        let v1 = agave_feature_set::enable_tx_v1::id();
        let svm_config = SurfnetSvmConfig {
            surfnet_id: simnet.surfnet_id.clone(),
            slot_time,
            instruction_profiling_enabled: simnet.instruction_profiling_enabled,
            max_profiles: simnet.max_profiles,
            log_bytes_limit: simnet.log_bytes_limit,
            feature_config: if options.version1 {
                features.enable(v1)
            } else {
                features.disable(v1)
            },
            skip_blockhash_check: false,
        };
        let config = SurfpoolConfig {
            simnets: vec![simnet],
            rpc: RpcConfig {
                bind_host: "127.0.0.1".into(),
                bind_port: rpc_port,
                ws_port,
                ..Default::default()
            },
            ..Default::default()
        };
        let (svm, events, geyser) =
            SurfnetSvm::new(svm_config).map_err(|e| anyhow!("the chain does not start: {e}"))?;
        let (commands, inbox) = crossbeam_channel::unbounded();
        let locker = SurfnetSvmLocker::new(svm);
        let loopback = commands.clone();
        let thread = std::thread::Builder::new()
            .name("chain".into())
            .spawn(move || {
                let run = start_local_surfnet_runloop(locker, config, loopback, inbox, geyser);
                if let Err(error) = hiro_system_kit::nestable_block_on(run) {
                    tracing::error!(%error, "the embedded chain stopped");
                }
            })?;
        loop {
            match events.recv_timeout(PATIENCE) {
                Ok(SimnetEvent::CoreStarted(_)) => break,
                Ok(SimnetEvent::Aborted(reason)) => bail!("the chain does not start: {reason}"),
                Ok(SimnetEvent::Shutdown) => bail!("the chain shut down while it started"),
                Ok(_) => {}
                Err(e) => bail!("the chain does not start: {e}"),
            }
        }
        let ended = drain(events)?;
        Ok(Self {
            rpc_url: format!("http://127.0.0.1:{rpc_port}"),
            ws_url: format!("ws://127.0.0.1:{ws_port}"),
            slot: options.slot,
            commands,
            ended,
            thread: Some(thread),
        })
    }

    /// Address of the JSON-RPC server.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// Address of the websocket server.
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// Time of a slot.
    pub fn slot(&self) -> Duration {
        self.slot
    }

    /// Stops the chain and waits until its ports are free.
    pub async fn stop(mut self) -> Result<()> {
        let _ = self.commands.send(SimnetCommand::Terminate(None));
        let (ended, thread) = (self.ended.clone(), self.thread.take());
        tokio::task::spawn_blocking(move || {
            ended
                .recv_timeout(PATIENCE)
                .map_err(|_| anyhow!("the chain's servers did not stop"))?;
            if let Some(thread) = thread {
                thread
                    .join()
                    .map_err(|_| anyhow!("the chain's thread panicked"))?;
            }
            Ok(())
        })
        .await?
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.commands.send(SimnetCommand::Terminate(None));
    }
}

/// Empties the event channel, which is unbounded, until the servers have ended.
fn drain(events: Receiver<SimnetEvent>) -> Result<Receiver<()>> {
    let (done, ended) = crossbeam_channel::bounded(1);
    std::thread::Builder::new()
        .name("chain-events".into())
        .spawn(move || {
            let mut servers = 0;
            for event in events {
                match event {
                    SimnetEvent::Shutdown => {
                        servers += 1;
                        if servers == SERVERS {
                            let _ = done.send(());
                        }
                    }
                    // Whoever sent what failed is told so by the answer to the call.
                    SimnetEvent::ErrorLog(_, message) => tracing::debug!(%message, "chain"),
                    SimnetEvent::WarnLog(_, message) => tracing::debug!(%message, "chain"),
                    _ => {}
                }
            }
        })?;
    Ok(ended)
}

/// `wanted`, or a free port where it is 0; an error if `wanted` is taken.
fn port(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", wanted))
        .with_context(|| format!("cannot listen on 127.0.0.1:{wanted}"))?;
    Ok(listener.local_addr()?.port())
}
