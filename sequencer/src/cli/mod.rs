//! The command line: one file a command.
//!
//! * [`config`]: `assay.toml`, the environment, flags
//! * [`context`]: what the client commands share
//! * [`output`]: printing for people and for programs

mod batch;
mod bench;
mod bond;
pub mod config;
mod context;
mod demo;
mod deploy;
mod deposit;
mod dev;
mod dispute;
mod feed;
mod infer;
mod init;
mod job;
mod key;
mod model;
mod output;
mod sequencer;
mod status;
mod transfer;
mod verifier;
mod withdraw;

pub use model::bundle_of;
pub use verifier::exit_code;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Assay: a Solana layer 2 for AI, whose every result anyone can test.
///
/// Settings come from assay.toml, then from ASSAY_... variables, then from flags.
#[derive(Debug, Parser)]
#[command(name = "assay", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The file of settings.
    #[arg(
        long,
        global = true,
        env = "ASSAY_CONFIG",
        default_value = "assay.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// JSON-RPC of a Solana node.
    #[arg(long, global = true, value_name = "URL", help_heading = "Client")]
    pub rpc: Option<String>,
    /// The sequencer's API.
    #[arg(long, global = true, value_name = "URL", help_heading = "Client")]
    pub api: Option<String>,
    /// The rollup's address; by default the one that the sequencer serves.
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Client")]
    pub rollup: Option<String>,
    /// The key file that pays and signs, as solana-keygen writes it.
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        help_heading = "Client"
    )]
    pub key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// More of the log: -v for debug, -vv for trace. ASSAY_LOG takes a filter.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a sequencer.
    Sequencer(sequencer::Arguments),
    /// Test every batch on L1 by doing it again.
    Verifier(verifier::Arguments),
    /// Run a development network: a chain, the programs and a sequencer in this process.
    Dev(dev::Arguments),
    /// Run the main job on a local chain, from the deposit to the withdrawal, and print the figures.
    Demo(demo::Arguments),
    /// Make and show keys.
    Key(key::Arguments),
    /// Move SOL or tokens from L1 to L2.
    Deposit(deposit::Arguments),
    /// Move SOL or tokens to another account on L2.
    Transfer(transfer::Arguments),
    /// Move SOL or tokens from L2 to L1.
    Withdraw(withdraw::Arguments),
    /// Import, deploy, update and list models.
    Model(model::Arguments),
    /// Run a model.
    Infer(infer::Arguments),
    /// Jobs that are paid on L1.
    Job(job::Arguments),
    /// Addresses on L1 at which programs read a model's newest result.
    Feed(feed::Arguments),
    /// Show batches.
    Batch(batch::Arguments),
    /// A sequencer's bond and what it has earned.
    Bond(bond::Arguments),
    /// Show disputes: who claims what, whose clock runs, what is at stake.
    Dispute(dispute::Arguments),
    /// Show how the sequencer and the wallet's accounts stand.
    Status(status::Arguments),
    /// Measure the sequencer.
    Bench(bench::Arguments),
    /// Deploy the three programs.
    Deploy(deploy::Arguments),
    /// Create a rollup, and bond a sequencer.
    Init(init::Arguments),
}

impl Cli {
    /// How much is to be logged.
    pub fn verbosity(&self) -> u8 {
        self.global.verbose
    }

    /// Whether the command serves, and so logs what it does.
    pub fn serves(&self) -> bool {
        matches!(
            self.command,
            Command::Sequencer(_) | Command::Verifier(_) | Command::Dev(_)
        )
    }

    /// Runs the command.
    pub async fn run(self) -> Result<()> {
        let global = self.global;
        match self.command {
            Command::Sequencer(a) => a.run(global).await,
            Command::Verifier(a) => a.run(global).await,
            Command::Dev(a) => a.run(global).await,
            Command::Demo(a) => a.run(global).await,
            Command::Key(a) => a.run(global),
            Command::Deposit(a) => a.run(global).await,
            Command::Transfer(a) => a.run(global).await,
            Command::Withdraw(a) => a.run(global).await,
            Command::Model(a) => a.run(global).await,
            Command::Infer(a) => a.run(global).await,
            Command::Job(a) => a.run(global).await,
            Command::Feed(a) => a.run(global).await,
            Command::Batch(a) => a.run(global).await,
            Command::Bond(a) => a.run(global).await,
            Command::Dispute(a) => a.run(global).await,
            Command::Status(a) => a.run(global).await,
            Command::Bench(a) => a.run(global).await,
            Command::Deploy(a) => a.run(global).await,
            Command::Init(a) => a.run(global).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_every_example_parses() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        let mut examples = 0;
        let mut open = vec![command];
        while let Some(command) = open.pop() {
            open.extend(command.get_subcommands().cloned());
            let Some(help) = command.get_after_help() else {
                continue;
            };
            for line in help.to_string().lines() {
                let Some(line) = line.trim().strip_prefix("assay ") else {
                    continue;
                };
                let words = std::iter::once("assay").chain(line.split_whitespace());
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("assay {line}: {error}");
                }
                examples += 1;
            }
        }
        assert!(examples >= 14, "{examples} examples");
    }
}
