//! `assay batch`

use super::Global;
use super::context::Context;
use super::output::table;
use anyhow::Result;
use assay_client::api::BatchView;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay batch list\n  assay batch show 3\n  assay batch data 3 batch-3.bin\n  assay batch close"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the newest batches.
    List,
    /// Show a batch, with what it cost on L1.
    Show {
        /// Its number.
        number: u64,
    },
    /// Fetch a batch's data.
    Data {
        /// Its number.
        number: u64,
        /// Where to write it.
        file: PathBuf,
    },
    /// Close the batch being built now (on a development network).
    Close,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let api = context.api();
        match self.command {
            Command::List => {
                let batches = api.batches().await?;
                let lines: Vec<String> = batches.iter().map(line).collect();
                context.out.result(&batches, || lines.join("\n"))
            }
            Command::Show { number } => {
                let batch = api.batch(number).await?;
                context.out.result(&batch, || show(&batch))
            }
            Command::Data { number, file } => {
                let data = api.batch_data(number).await?;
                std::fs::write(&file, &data)?;
                let value = json!({ "file": file, "bytes": data.len() });
                context.out.result(&value, || {
                    format!("{} bytes in {}", data.len(), file.display())
                })
            }
            Command::Close => {
                api.close_batch().await?;
                context
                    .out
                    .result(&json!({ "closed": true }), || "closed".into())
            }
        }
    }
}

fn status(batch: &BatchView) -> String {
    format!("{:?}", batch.status).to_lowercase()
}

fn line(batch: &BatchView) -> String {
    format!(
        "{:6}  {:6}  {:6} transactions  {:8} bytes  {:8} lamports",
        batch.number,
        status(batch),
        batch.tx_count,
        batch.data_len,
        batch.l1_lamports
    )
}

fn show(batch: &BatchView) -> String {
    let mut text = table(&[
        ("batch", batch.number.to_string()),
        ("status", status(batch)),
        ("hash", batch.hash.to_string()),
        ("parent", batch.parent.to_string()),
        ("sequencer", batch.sequencer.to_string()),
        ("state root", batch.state_root.to_string()),
        ("transactions", batch.tx_count.to_string()),
        ("inferences", batch.inferences.to_string()),
        (
            "data",
            format!("{} bytes, root {}", batch.data_len, batch.data_root),
        ),
        (
            "on L1",
            format!("{} lamports, {} bytes", batch.l1_lamports, batch.l1_bytes),
        ),
    ]);
    for t in &batch.l1 {
        text += &format!(
            "  {:9} {:6} lamports {:5} bytes  {}\n",
            t.step, t.lamports, t.bytes, t.signature
        );
    }
    text
}
