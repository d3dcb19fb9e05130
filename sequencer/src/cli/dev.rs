//! `assay dev`

use super::Global;
use super::config::Client;
use super::output::{Output, table};
use super::sequencer::{executor, shutdown};
use super::verifier::words;
use crate::config::ExecutorChoice;
use crate::dev::network::{LAMPORTS, Network, Options};
use crate::rollup;
use crate::verifier::config::VerifierConfig;
use crate::verifier::{End, Event, Verifier};
use anyhow::{Context as _, Result};
use assay_client::wallet::Wallet;
use assay_dispute::demand::Times;
use clap::Args;
use serde_json::json;
use solana_pubkey::Pubkey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay dev\n  assay dev --no-verifier\n  assay dev --executor cpu --slot-ms 400 --rpc-port 0 --ws-port 0\n\nWhile it runs, in another shell:\n  assay deposit 1 --config assay-dev/assay.toml\n  assay status --config assay-dev/assay.toml"
)]
pub struct Arguments {
    /// Where the settings, a funded user's key and the sequencer's and the verifier's state are written.
    #[arg(long, default_value = "assay-dev", value_name = "FOLDER")]
    dir: PathBuf,
    /// Port of the chain's JSON-RPC; 0 for any.
    #[arg(long, default_value_t = 8899)]
    rpc_port: u16,
    /// Port of the chain's websocket; 0 for any.
    #[arg(long, default_value_t = 8900)]
    ws_port: u16,
    /// Port of the sequencer's API; 0 for any.
    #[arg(long, default_value_t = 8600)]
    port: u16,
    /// Milliseconds of a slot.
    #[arg(long, default_value_t = 400)]
    slot_ms: u64,
    /// Slots until a batch is final.
    #[arg(long, default_value_t = Times::MIN_WINDOW)]
    window: u64,
    /// What runs the models: auto, cpu or wgpu.
    #[arg(long, default_value = "auto", value_parser = executor)]
    executor: ExecutorChoice,
    /// Run no verifier beside the sequencer. It does every batch again, tells in the log whether it is
    /// right, and disputes one that is not.
    #[arg(long)]
    no_verifier: bool,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let mut stop = std::pin::pin!(shutdown());
        let out = Output::new(global.json);
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot create {}", self.dir.display()))?;
        // The chain lives in memory; the state of an earlier one would not fit it.
        let folder = |prefix| {
            let folder = tempfile::Builder::new()
                .prefix(prefix)
                .tempdir_in(&self.dir);
            folder.with_context(|| format!("cannot write to {}", self.dir.display()))
        };
        let (data, replica) = (folder("sequencer-")?, folder("verifier-")?);
        let mut options = Options::new(data.path());
        options.chain.rpc_port = self.rpc_port;
        options.chain.ws_port = self.ws_port;
        options.chain.slot = Duration::from_millis(self.slot_ms.max(1));
        options.rollup.params.window = self.window;
        rollup::check(&options.rollup)?;
        options.listen.set_port(self.port);
        options.executor = self.executor;
        let start = async {
            let network = Network::start(options, |step| out.note(format!("{step:?}"))).await?;
            let user = user(&self.dir)?;
            network.fund(&user.address(), 100 * LAMPORTS).await?;
            network.mint_to(&user.address(), 1_000_000_000_000).await?;
            let verifier = match self.no_verifier {
                true => None,
                false => Some(Beside::start(&network, replica.path(), self.executor).await?),
            };
            anyhow::Ok((network, user, verifier))
        };
        let (network, user, verifier) = tokio::select! {
            started = start => started?,
            () = &mut stop => return Ok(()),
        };
        let client = Client {
            rpc: network.chain().rpc_url().into(),
            api: network.service().url(),
            rollup: Some(network.rollup.to_string()),
            key: user_file(&self.dir),
            priority_fee: 0,
        };
        let file = self.dir.join("assay.toml");
        std::fs::write(&file, client.to_toml()?)?;
        let value = json!({
            "rpc": network.chain().rpc_url(), "ws": network.chain().ws_url(),
            "api": network.service().url(), "rollup": network.rollup.to_string(),
            "mint": network.mint.to_string(), "user": user.address().to_string(),
            "settings": file, "verifier": verifier.as_ref().map(|v| v.address.to_string()),
        });
        out.result(&value, || {
            table(&[
                ("Solana RPC", network.chain().rpc_url().into()),
                ("websocket", network.chain().ws_url().into()),
                ("sequencer", network.service().url()),
                ("rollup", network.rollup.to_string()),
                ("token", network.mint.to_string()),
                (
                    "verifier",
                    match &verifier {
                        Some(verifier) => format!("{} (disputes with this key)", verifier.address),
                        None => "none".into(),
                    },
                ),
                ("funded user", user.address().to_string()),
                (
                    "settings",
                    format!("{} (use with --config)", file.display()),
                ),
            ])
        })?;
        // The verifier first: the others are no more there for it afterwards.
        let stopped = async {
            stop.await;
            if let Some(verifier) = verifier {
                verifier.stop().await;
            }
        };
        network.run_until(stopped).await
    }
}

/// The verifier beside the sequencer, which tells the log what it finds.
struct Beside {
    address: Pubkey,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Beside {
    /// Starts one that keeps its replica and its key in `dir`.
    async fn start(network: &Network, dir: &Path, executor: ExecutorChoice) -> Result<Self> {
        let key = Wallet::random();
        let keypair = dir.join("key.json");
        key.write_new(&keypair)?;
        let address = key.address();
        network.fund(&address, 100 * LAMPORTS).await?;
        let slot = u64::try_from(network.chain().slot().as_millis())?;
        let config = VerifierConfig {
            keypair: Some(keypair),
            data_dir: dir.into(),
            executor,
            poll_ms: slot.clamp(20, 400),
            ..VerifierConfig::default()
        };
        let listener = Arc::new(|event: &Event<'_>| match event {
            Event::Wrong(_) | Event::Malformed(_) => tracing::error!("verifier: {}", words(event)),
            Event::Rechecked(rechecked) if rechecked.invalid => {
                tracing::error!("verifier: {}", words(event));
            }
            _ => tracing::info!("verifier: {}", words(event)),
        });
        let (rpc, mirrors) = (network.chain().rpc_url(), [network.service().url()]);
        let verifier = Verifier::open(&config, rpc, network.rollup, &mirrors, listener).await;
        let mut verifier = verifier.context("the verifier does not start (--no-verifier)")?;
        let stop = CancellationToken::new();
        let token = stop.clone();
        let running = tokio::spawn(async move {
            match verifier.run(false, token).await {
                Ok(End::Done(_)) => {}
                Ok(End::Wrong(batch)) => {
                    tracing::error!(batch, "verifier: it ends, as this batch cannot be disputed");
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "verifier: it fails"),
            }
        });
        Ok(Self {
            address,
            stop,
            running,
        })
    }

    async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.running.await {
            tracing::error!(%error, "verifier: it ended badly");
        }
    }
}

fn user_file(dir: &Path) -> PathBuf {
    let file = dir.join("user.json");
    file.canonicalize().unwrap_or(file)
}

/// The user's key, made at the first start.
fn user(dir: &Path) -> Result<Wallet> {
    let file = dir.join("user.json");
    if file.is_file() {
        return Ok(Wallet::read(file)?);
    }
    let wallet = Wallet::random();
    wallet.write_new(file)?;
    Ok(wallet)
}
