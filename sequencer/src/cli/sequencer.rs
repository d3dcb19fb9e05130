//! `assay sequencer`

use super::Global;
use super::config::Settings;
use super::output::Output;
use crate::config::ExecutorChoice;
use crate::service::Service;
use anyhow::Result;
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay sequencer --config assay.toml\n  assay sequencer --rpc http://127.0.0.1:8899 --key keys/sequencer.json --rollup 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU --listen 0.0.0.0:8600\n\nThe key must be bonded: see `assay init`. One process at a time may use a key: it holds a lease on L1, which the same data folder has again at once after a crash. State is kept in the data folder; a restart goes on where it was. With a folder that is new, or older than L1, the state is built again from L1 first, which takes the models' bytes: see --blobs."
)]
pub struct Arguments {
    /// Where the HTTP API listens.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the state and the blobs are kept.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// What runs the models: auto, cpu or wgpu.
    #[arg(long, value_parser = executor)]
    executor: Option<ExecutorChoice>,
    /// An API that has the models' bytes, asked when the state is built again from L1; may be given again.
    #[arg(long, value_name = "URL")]
    blobs: Vec<String>,
    /// Begin though another process of the same key may be at work: its machine is gone, and with it what it has
    /// answered and not posted.
    #[arg(long)]
    take_over: bool,
}

/// An executor by its name.
pub fn executor(text: &str) -> Result<ExecutorChoice, String> {
    match text {
        "auto" => Ok(ExecutorChoice::Auto),
        "cpu" => Ok(ExecutorChoice::Cpu),
        "wgpu" => Ok(ExecutorChoice::Wgpu),
        _ => Err("expected auto, cpu or wgpu".into()),
    }
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let mut config = Settings::load(&global)?.sequencer;
        if let Some(rpc) = global.rpc {
            config.rpc_url = rpc;
        }
        if let Some(key) = global.key {
            config.keypair = key;
        }
        if let Some(rollup) = global.rollup {
            config.rollup = rollup.parse()?;
        }
        config.listen = self.listen.unwrap_or(config.listen);
        config.data_dir = self.data_dir.unwrap_or(config.data_dir);
        config.executor = self.executor.unwrap_or(config.executor);
        config.take_over |= self.take_over;
        config.blobs.splice(0..0, self.blobs);
        let mut stop = std::pin::pin!(shutdown());
        let service = tokio::select! {
            service = Service::start(config) => service?,
            () = &mut stop => return Ok(()),
        };
        let url = service.url();
        Output::new(global.json).result(&json!({ "url": url }), || format!("serving {url}"))?;
        service.run_until(stop).await
    }
}

/// Resolves at Ctrl-C or SIGTERM. It listens from this call on.
pub fn shutdown() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let told = {
        use tokio::signal::unix::{Signal, SignalKind, signal};
        async fn comes(signal: std::io::Result<Signal>) {
            match signal {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(error) => {
                    tracing::error!(%error, "a signal cannot be listened for");
                    std::future::pending().await
                }
            }
        }
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        async move {
            tokio::select! {
                () = comes(interrupt) => {}
                () = comes(terminate) => {}
            }
        }
    };
    #[cfg(not(unix))]
    let told = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be listened for");
            std::future::pending::<()>().await;
        }
    };
    async {
        told.await;
        tracing::info!("stopping");
    }
}
