//! `assay verifier`

use super::Global;
use super::config::Settings;
use super::context::{Context as Shared, parse_key};
use super::output::{Output, table};
use super::sequencer::{executor, shutdown};
use crate::config::ExecutorChoice;
use crate::verifier::{End, Event, Standing, Verifier};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use solana_pubkey::Pubkey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long it may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// The exit code of a command that ended with this error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<WrongBatch>() {
        3
    } else if error.is::<Unverified>() {
        4
    } else {
        1
    }
}

/// Not every run that was to be re-executed was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{runs} runs in {batches} batches are unverified: they could not be re-executed")]
pub struct Unverified {
    /// The batches.
    pub batches: u64,
    /// The runs.
    pub runs: u64,
}

/// A batch on L1 is not what its transactions give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch {0} on L1 is wrong")]
pub struct WrongBatch(pub u64);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay verifier --config assay-dev/assay.toml\n  assay verifier --rpc http://127.0.0.1:8899 --rollup 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU --blobs http://127.0.0.1:8600\n  assay verifier --once --sample 0.1 --json\n  assay verifier --keypair challenger.json --from-final\n\nEverything is read from L1 but the models' bytes, which any sequencer's API or mirror may give: they are checked against their roots. State is kept in the data folder; a restart goes on where it was. With a keypair it disputes a wrong batch, and demands on L1 what a batch names of a model and nobody gives, for the key's lamports, until L1 has reverted the batch or the bytes are there; see `assay dispute`. /health says what is amiss.\n\nA batch is verified if every run of a model that was to be re-executed was. Exit codes: 0, all batches are verified; 1, an error; 3, a batch is invalid and cannot be disputed; 4, runs are unverified, as the bytes of their models are not to be had or do not run here."
)]
pub struct Arguments {
    /// The keypair that opens and plays disputes over wrong batches, and demands models that nobody gives; without
    /// one both are only reported.
    #[arg(long, value_name = "FILE")]
    keypair: Option<PathBuf>,
    /// Where the replica of the ledger and the models' bytes are kept.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Begin a new folder with the state after the newest final batch, and not at genesis. An API gives it; it is checked against L1.
    #[arg(long)]
    from_final: bool,
    /// What runs the models: auto, cpu or wgpu.
    #[arg(long, value_parser = executor)]
    executor: Option<ExecutorChoice>,
    /// The share of the models' runs that is done again, from 0 to 1; everything else always is.
    #[arg(long, value_name = "SHARE")]
    sample: Option<f64>,
    /// What chooses that share, 64 hex digits; a random one if it is not given.
    #[arg(long, value_name = "HEX")]
    seed: Option<String>,
    /// An API that has the models' bytes, besides --api; may be given again. All are asked, the first ones first.
    #[arg(long, value_name = "URL")]
    blobs: Vec<String>,
    /// Verify what is on L1 by now, and end.
    #[arg(long)]
    once: bool,
    /// How long --once waits for the bytes of models that runs need, in seconds.
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// Where /health, /status and /metrics are served.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let shared = Shared::new(&global)?;
        let Settings {
            client,
            mut verifier,
            ..
        } = shared.settings.clone();
        verifier.keypair = self.keypair.or(verifier.keypair);
        verifier.data_dir = self.data_dir.unwrap_or(verifier.data_dir);
        verifier.from_final |= self.from_final;
        verifier.executor = self.executor.unwrap_or(verifier.executor);
        verifier.sample = self.sample.unwrap_or(verifier.sample);
        verifier.seed = self.seed.or(verifier.seed);
        verifier.patience_secs = self.patience.unwrap_or(verifier.patience_secs);
        verifier.listen = self.listen.or(verifier.listen);
        let rpc = global.rpc.or(verifier.rpc_url.take()).unwrap_or(client.rpc);
        let rollup = match global.rollup.or(verifier.rollup.take()) {
            Some(text) => Pubkey::from(parse_key(&text).context("the rollup's address")?),
            None => shared.rollup().await?,
        };
        let mut mirrors = self.blobs;
        mirrors.append(&mut verifier.blobs);
        mirrors.push(client.api);
        let out = shared.out;
        let listener = Arc::new(move |event: &Event<'_>| {
            // Whoever reads the output may be gone; the verifier goes on.
            let _ = tell(out, event);
        });
        let mut running = Verifier::open(&verifier, &rpc, rollup, &mirrors, listener).await?;
        started(out, &running, rollup)?;
        let stop = CancellationToken::new();
        let token = stop.clone();
        let told = shutdown();
        let waiting = tokio::spawn(async move {
            told.await;
            token.cancel();
            tokio::time::sleep(GRACE).await;
            // Something does not let go, an executor for example. All that was said is kept already.
            std::process::exit(0);
        });
        let end = running.run(self.once, stop).await;
        waiting.abort();
        match end? {
            End::Done(standing) => {
                ended(out, &running, &standing)?;
                let (batches, runs) = (standing.unverified_batches, standing.unverified_runs);
                if self.once && runs > 0 {
                    return Err(Unverified { batches, runs }.into());
                }
                Ok(())
            }
            End::Wrong(number) => Err(WrongBatch(number).into()),
        }
    }
}

/// Why a batch is wrong that is right otherwise.
const MALFORMED: &str = "it deploys a malformed program";

fn started(out: Output, verifier: &Verifier, rollup: Pubkey) -> Result<()> {
    let head = verifier.replica().head().number;
    let listen = verifier.address().map(|address| address.to_string());
    let value = json!({
        "event": "started", "rollup": rollup.to_string(), "head": head,
        "executor": verifier.executor(), "listen": listen,
    });
    out.result(&value, || {
        let from = match head {
            0 => "from genesis".to_owned(),
            head => format!("after batch {head}"),
        };
        format!("verifying {rollup} {from} on {}", verifier.executor())
    })
}

fn tell(out: Output, event: &Event<'_>) -> Result<()> {
    let value = match event {
        Event::Right(right, took) => {
            let header = &right.header;
            json!({
                "event": verdict(right.unverified == 0), "batch": header.number,
                "hash": hex::encode(header.hash()), "transactions": header.tx_count,
                "runs": right.runs, "reexecuted": right.again, "unverified": right.unverified,
                "seconds": took.as_secs_f64(),
            })
        }
        Event::Rechecked(rechecked) => {
            let header = &rechecked.header;
            json!({
                "event": if rechecked.invalid { "invalid" } else { "verified" },
                "batch": header.number, "hash": hex::encode(header.hash()),
                "reexecuted": rechecked.runs, "final": true,
            })
        }
        Event::Wrong(wrong) => {
            let header = &wrong.batch.posted.header;
            let sequencer = Pubkey::new_from_array(header.sequencer).to_string();
            json!({
                "event": "invalid", "batch": header.number, "hash": hex::encode(header.hash()),
                "sequencer": sequencer, "why": wrong.why.to_string(),
            })
        }
        Event::Malformed(header) => {
            let sequencer = Pubkey::new_from_array(header.sequencer).to_string();
            json!({
                "event": "invalid", "batch": header.number, "hash": hex::encode(header.hash()),
                "sequencer": sequencer, "why": MALFORMED,
            })
        }
        Event::Disputed(done) => {
            let landed = &done.landed;
            json!({
                "event": "disputed", "dispute": done.dispute.to_string(), "batch": done.batch,
                "what": done.what, "signature": landed.signature.to_string(), "slot": landed.slot,
                "lamports": landed.lamports, "bytes": landed.bytes, "units": landed.units,
            })
        }
        Event::Reverted(count, head) => {
            json!({ "event": "reverted", "batches": count, "head": head })
        }
    };
    out.result(&value, || words(event))
}

/// What a batch is that is as its header says.
fn verdict(verified: bool) -> &'static str {
    if verified { "verified" } else { "unverified" }
}

/// What a verifier tells, for people.
pub fn words(event: &Event<'_>) -> String {
    match event {
        Event::Right(right, took) => format!(
            "batch {} is {}: {} transactions, {} of {} runs re-executed, {:.2} s",
            right.header.number,
            verdict(right.unverified == 0),
            right.header.tx_count,
            right.again,
            right.runs,
            took.as_secs_f64()
        ),
        Event::Rechecked(rechecked) => {
            let (batch, runs) = (rechecked.header.number, rechecked.runs);
            if rechecked.invalid {
                format!("batch {batch}, which is FINAL, is INVALID: a run has another output")
            } else {
                format!("final batch {batch}: {runs} runs re-executed later, verified")
            }
        }
        Event::Wrong(wrong) => {
            let header = &wrong.batch.posted.header;
            format!(
                "batch {} of sequencer {} is INVALID: {}",
                header.number,
                Pubkey::new_from_array(header.sequencer),
                wrong.why
            )
        }
        Event::Malformed(header) => format!(
            "batch {} of sequencer {} is INVALID: {MALFORMED}",
            header.number,
            Pubkey::new_from_array(header.sequencer),
        ),
        Event::Disputed(done) => format!(
            "dispute {} over batch {}: {} ({} lamports, {} compute units)",
            done.dispute,
            done.batch,
            done.what,
            done.landed.lamports,
            done.landed.units.unwrap_or(0)
        ),
        Event::Reverted(count, head) => {
            format!("L1 has reverted {count} batches; the newest is {head}")
        }
    }
}

fn ended(out: Output, verifier: &Verifier, standing: &Standing) -> Result<()> {
    let totals = verifier.replica().totals();
    let value = json!({
        "event": "ended", "head": standing.head, "tip": standing.tip,
        "finalised": standing.finalised, "transactions": totals.transactions,
        "runs": totals.inferences, "models_not_fetched": verifier.wanted(),
        "unverified_batches": standing.unverified_batches,
        "unverified_runs": standing.unverified_runs,
    });
    out.result(&value, || {
        table(&[
            ("replayed up to batch", standing.head.to_string()),
            ("newest on L1", standing.tip.to_string()),
            ("newest final", standing.finalised.to_string()),
            ("transactions", totals.transactions.to_string()),
            ("runs of models", totals.inferences.to_string()),
            ("models not fetched", verifier.wanted().to_string()),
            (
                "unverified batches",
                standing.unverified_batches.to_string(),
            ),
            ("unverified runs", standing.unverified_runs.to_string()),
        ])
    })
}
