//! `assay deploy`

use super::Global;
use super::context::Context;
use crate::programs::PROGRAMS;
use anyhow::{Context as _, Result};
use assay_client::deploy::deploy;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay deploy --keys target/deploy --key id.json\n  assay deploy --dev --rpc http://127.0.0.1:8899\n\nThe key pays and becomes the upgrade authority. A deployment that was cut off is taken up again."
)]
pub struct Arguments {
    /// The folder with the programs' keypairs: settlement.json, bridge.json, escrow.json (or
    /// ...-keypair.json). They must be those that the programs are built for.
    #[arg(long, value_name = "FOLDER", required_unless_present = "dev")]
    keys: Option<PathBuf>,
    /// Use the development keypairs, which everybody has.
    #[arg(long, conflicts_with = "keys")]
    dev: bool,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let (sender, payer) = (context.sender(), context.wallet()?);
        let mut done = Vec::new();
        for program in PROGRAMS {
            let key = match &self.keys {
                Some(folder) => program.keypair_in(folder)?,
                None => program.dev_keypair()?,
            };
            context
                .out
                .note(format!("{} ({} bytes)", program.name, program.bytes.len()));
            let outcome = deploy(&sender, payer.keypair(), &key, program.bytes, |at, of| {
                tracing::info!(program = program.name, at, of, "written");
            })
            .await
            .with_context(|| format!("deploying {}; running this again goes on", program.name))?;
            done.push(json!({
                "program": program.name, "id": program.id.to_string(),
                "outcome": format!("{outcome:?}").to_lowercase(),
            }));
        }
        context.out.result(&done, || {
            PROGRAMS
                .iter()
                .map(|p| format!("{:10}  {}\n", p.name, p.id))
                .collect()
        })
    }
}
