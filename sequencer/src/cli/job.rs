//! `assay job`

use super::Global;
use super::context::{Context, PATIENCE, final_proof, parse_amount, parse_key, show_amount};
use super::output::table;
use anyhow::{Context as _, Result, ensure};
use assay_client::api::{Base64, Hash32, Key32};
use assay_client::files;
use assay_client::l1::{JobOrder, L1, waiting_for};
use assay_client::l2::wait;
use assay_ledger::request::MAX_INPUT;
use clap::{Args, Subcommand};
use escrow::state::Job;
use serde_json::json;
use solana_pubkey::Pubkey;
use std::path::PathBuf;

const ADDRESS: &str = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU";

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay job create 0 --bytes input.bin --max-price 0.00001 --output-bytes 64\n  assay job show 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay job settle 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay job refund 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay job claim 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay job close 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lock a payment for one run of a model.
    Create {
        /// The model's index.
        model: u32,
        /// The root of the model's program, in hex: what the API says if absent. The job is declined
        /// where the model at the index has another by then.
        #[arg(long)]
        program: Option<Hash32>,
        /// A file with the inputs' bytes, at most 512.
        #[arg(long)]
        bytes: PathBuf,
        /// The most that may be charged, in SOL; all of it is locked.
        #[arg(long)]
        max_price: String,
        /// Bytes of room; all outputs of the model together must fit.
        #[arg(long)]
        output_bytes: u32,
        /// Which output is delivered.
        #[arg(long, default_value_t = 0)]
        output: u32,
        /// A feed account of the wallet that gets the output too.
        #[arg(long)]
        feed: Option<String>,
        /// Slots before a refund is possible; the least that is allowed, twice, if absent.
        #[arg(long)]
        deadline: Option<u64>,
    },
    /// Show a job.
    Show {
        /// Its address.
        job: String,
    },
    /// Bring a job's result to L1, waiting until it is final.
    Settle {
        /// Its address.
        job: String,
    },
    /// Take the payment back after the deadline.
    Refund {
        /// Its address.
        job: String,
    },
    /// Pay what waits for the sequencer and the publisher of a settled job, whose accounts could
    /// not take it then. Anybody may.
    Claim {
        /// Its address.
        job: String,
    },
    /// Close a finished job for its rent.
    Close {
        /// Its address.
        job: String,
    },
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let l1 = context.l1().await?;
        let address = |text: &str| -> Result<Pubkey> {
            let key =
                parse_key(text).with_context(|| format!("a job's address is like {ADDRESS}"))?;
            Ok(key.into())
        };
        let job = match self.command {
            Command::Create {
                model,
                program,
                bytes,
                max_price,
                output_bytes,
                output,
                feed,
                deadline,
            } => {
                let program_root = match program {
                    Some(root) => root.0,
                    None => context.api().model(model).await?.program_root.0,
                };
                let order = JobOrder {
                    model,
                    program_root,
                    input: files::read(&bytes, MAX_INPUT as u64)?,
                    max_price: parse_amount(&max_price, 9)?,
                    output_index: output,
                    output_bytes,
                    feed: feed.as_deref().map(address).transpose()?,
                    deadline,
                };
                let (job, landed) = l1.create_job(&order).await?;
                context.out.note(format!("on L1: {}", landed.signature));
                job
            }
            Command::Show { job } => address(&job)?,
            Command::Settle { job } => {
                let job = address(&job)?;
                let api = context.api();
                let ran = || async {
                    match api.job(Key32::from(job)).await {
                        Ok(view) => Ok(Some(view)),
                        Err(e) if e.is_not_found() => Ok(None),
                        Err(e) => Err(e.into()),
                    }
                };
                let view = wait("the job's result", PATIENCE, ran).await?;
                let proof = final_proof(&api, view.index).await?;
                l1.settle_job(&job, &view, &proof).await?;
                job
            }
            Command::Refund { job } => {
                let job = address(&job)?;
                l1.refund_job(&job).await?;
                job
            }
            Command::Claim { job } => {
                let job = address(&job)?;
                return claim(&context, &l1, &job).await;
            }
            Command::Close { job } => {
                let job = address(&job)?;
                l1.close_job(&job).await?;
                return context
                    .out
                    .result(&json!({ "closed": job.to_string() }), || {
                        format!("closed {job}")
                    });
            }
        };
        let account = l1.job(&job).await?;
        context
            .out
            .result(&value(&job, &account), || show(&job, &account))
    }
}

/// Pays everybody for whom something waits; fails if somebody cannot be paid.
async fn claim(context: &Context, l1: &L1, address: &Pubkey) -> Result<()> {
    let job = l1.job(address).await?;
    let mut recipients = vec![job.sequencer, job.publisher];
    recipients.dedup();
    recipients.retain(|recipient| waiting_for(&job, recipient) > 0);
    ensure!(!recipients.is_empty(), "nothing waits in this job");
    let mut paid = Vec::new();
    let mut failed = Vec::new();
    for recipient in recipients {
        let lamports = waiting_for(&job, &recipient);
        match l1.claim_payment(address, &recipient).await {
            Ok(_) => paid.push((recipient, lamports)),
            Err(error) => failed.push(format!("{recipient}: {error}")),
        }
    }
    let of =
        |(key, lamports): &(Pubkey, u64)| json!({ "to": key.to_string(), "lamports": lamports });
    let value: Vec<_> = paid.iter().map(of).collect();
    context.out.result(&json!({ "paid": value }), || {
        let lines = paid
            .iter()
            .map(|(key, lamports)| format!("{} SOL to {key}", show_amount(*lamports, 9)));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    ensure!(failed.is_empty(), "not paid: {}", failed.join("; "));
    Ok(())
}

fn value(address: &Pubkey, job: &Job) -> serde_json::Value {
    json!({
        "job": address.to_string(), "status": format!("{:?}", job.status).to_lowercase(),
        "client": job.client.to_string(), "model": job.model,
        "program_root": hex::encode(job.program_root), "message": job.message,
        "max_price": job.max_price, "price": job.price, "deadline": job.deadline,
        "created_at": job.created_at, "batch_at": job.batch_at, "done_at": job.done_at,
        "model_version": job.model_version, "output": Base64(job.output.data.clone()),
    })
}

fn show(address: &Pubkey, job: &Job) -> String {
    table(&[
        ("job", address.to_string()),
        ("status", format!("{:?}", job.status).to_lowercase()),
        ("client", job.client.to_string()),
        ("model", job.model.to_string()),
        ("program", hex::encode(job.program_root)),
        ("limit", format!("{} SOL", show_amount(job.max_price, 9))),
        ("charged", format!("{} SOL", show_amount(job.price, 9))),
        ("deadline", format!("slot {}", job.deadline)),
        ("created", super::feed::age(job.created_at)),
        ("output", hex::encode(&job.output.data)),
    ])
}
