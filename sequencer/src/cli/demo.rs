//! `assay demo`

use super::Global;
use super::sequencer::executor;
use crate::config::ExecutorChoice;
use crate::demo::{self, Options};
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay demo\n  assay demo --executor cpu --json\n  assay demo --images 50 --rounds 1"
)]
pub struct Arguments {
    /// What runs the model: auto (a GPU if there is one, else the CPU), cpu, or wgpu (any Vulkan
    /// device, a software one too).
    #[arg(long, default_value = "auto", value_parser = executor)]
    executor: ExecutorChoice,
    /// Images of the held-out set; all 600 if absent.
    #[arg(long)]
    images: Option<usize>,
    /// How often each image is classified.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let options = Options {
            executor: self.executor,
            images: self.images,
            rounds: self.rounds as usize,
            progress: true,
        };
        let report = demo::run(options).await?;
        eprint!("{}", report.story());
        if global.json {
            println!("{}", serde_json::to_string(&report.figures)?);
        } else {
            print!("{}", report.figures.summary());
        }
        report.check()
    }
}
