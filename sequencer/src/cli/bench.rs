//! `assay bench`

use super::Global;
use super::output::Output;
use super::sequencer::executor;
use crate::bench::http::{self, http};
use crate::bench::junk::stand_in::Limits;
use crate::bench::junk::{self, Account, junk};
use crate::bench::pipeline::{Options, pipeline};
use crate::config::ExecutorChoice;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay bench pipeline\n  assay bench pipeline --inferences 8192 --executor wgpu --json\n  assay bench http\n  assay bench junk --accounts chain,data --json"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Inferences per second through the sequencer without L1 and HTTP, and what its parts take.
    Pipeline {
        /// Inferences in all.
        #[arg(long, default_value_t = Options::default().inferences)]
        inferences: usize,
        /// Clients that submit at the same time.
        #[arg(long, default_value_t = Options::default().clients)]
        clients: usize,
        /// Requests of one call.
        #[arg(long, default_value_t = Options::default().call)]
        call: usize,
        /// What runs the model: auto, cpu or wgpu.
        #[arg(long, default_value = "cpu", value_parser = executor)]
        executor: ExecutorChoice,
    },
    /// Transactions per second over HTTP in bulk, beside the same without HTTP.
    Http {
        /// Requests of each kind.
        #[arg(long, default_value_t = http::Options::default().requests)]
        requests: usize,
        /// Clients that submit at the same time.
        #[arg(long, default_value_t = http::Options::default().clients)]
        clients: usize,
        /// Requests of one call.
        #[arg(long, default_value_t = http::Options::default().call)]
        call: usize,
        /// What runs the model: auto, cpu or wgpu.
        #[arg(long, default_value = "cpu", value_parser = executor)]
        executor: ExecutorChoice,
    },
    /// Seconds from a wrong batch to a verifier's first move in its dispute, while strangers' transactions name each account.
    Junk {
        /// Junk transactions for each account.
        #[arg(long, default_value_t = 50_000)]
        junk: u32,
        /// The accounts that are attacked, one after the other; all of them where none is given.
        #[arg(long, value_delimiter = ',', value_enum)]
        accounts: Vec<Account>,
        /// How long each call to the node takes, in milliseconds.
        #[arg(long, default_value_t = 50)]
        latency_ms: u64,
        /// Calls a second that the node takes; others get status 429.
        #[arg(long, default_value_t = 40)]
        calls_per_second: u32,
    },
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let out = Output::new(global.json);
        match self.command {
            Command::Pipeline {
                inferences,
                clients,
                call,
                executor,
            } => {
                let options = Options {
                    inferences,
                    clients,
                    call,
                    executor,
                };
                let report = pipeline(options).await?;
                out.result(&report, || report.to_string())
            }
            Command::Http {
                requests,
                clients,
                call,
                executor,
            } => {
                let options = http::Options {
                    requests,
                    clients,
                    call,
                    executor,
                };
                let report = http(options).await?;
                out.result(&report, || report.to_string())
            }
            Command::Junk {
                junk: transactions,
                accounts,
                latency_ms,
                calls_per_second,
            } => {
                let options = junk::Options {
                    junk: transactions,
                    accounts,
                    limits: Limits {
                        latency: Duration::from_millis(latency_ms),
                        calls_per_second,
                    },
                };
                let report = junk(&options).await?;
                out.result(&report, || report.to_string())
            }
        }
    }
}
