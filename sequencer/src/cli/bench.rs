//! `assay bench`

use super::Global;
use super::output::Output;
use super::sequencer::executor;
use crate::bench::http::{self, http};
use crate::bench::pipeline::{Options, pipeline};
use crate::config::ExecutorChoice;
use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay bench pipeline\n  assay bench pipeline --inferences 8192 --executor wgpu --json\n  assay bench http"
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
        }
    }
}
