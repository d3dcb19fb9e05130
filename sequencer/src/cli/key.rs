//! `assay key`

use super::Global;
use super::context::Context;
use anyhow::Result;
use assay_client::wallet::Wallet;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay key new\n  assay key new keys/sequencer.json\n  assay key show --json"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new key file; an existing file is left alone.
    New {
        /// The file; the settings' key file if absent.
        file: Option<PathBuf>,
    },
    /// Show the address of a key file.
    Show {
        /// The file; the settings' key file if absent.
        file: Option<PathBuf>,
    },
}

impl Arguments {
    pub fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let or_default =
            |file: Option<PathBuf>| file.unwrap_or(context.settings.client.key.clone());
        let (wallet, file) = match self.command {
            Command::New { file } => {
                let (wallet, file) = (Wallet::random(), or_default(file));
                wallet.write_new(&file)?;
                (wallet, file)
            }
            Command::Show { file } => {
                let file = or_default(file);
                (Wallet::read(&file)?, file)
            }
        };
        let address = wallet.address().to_string();
        let value = json!({ "address": address, "file": file });
        context
            .out
            .result(&value, || format!("{address}  {}", file.display()))
    }
}
