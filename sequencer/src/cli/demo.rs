//! `assay demo`

use super::Global;
use super::sequencer::executor;
use crate::config::ExecutorChoice;
use crate::demo::{self, Options};
use crate::dev::cheat::Cheat;
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay demo\n  assay demo --executor cpu --json\n  assay demo --images 50 --rounds 1\n  assay demo --cheat list\n  assay demo --cheat wrong-output"
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
    /// Have the sequencer lie in this way, and a verifier catch it: the dispute, move by move, instead of
    /// the main job. `list` names the ways.
    #[arg(long, value_name = "KIND")]
    cheat: Option<String>,
    /// Play the dispute with legacy transactions, as if the chain took no others.
    #[arg(long, requires = "cheat")]
    legacy: bool,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        match self.cheat.as_deref() {
            Some("list") => {
                for cheat in Cheat::ALL {
                    println!("{:18} {}", cheat.name(), cheat.about());
                }
                return Ok(());
            }
            Some(name) => return self.cheat(name.parse()?, global).await,
            None => {}
        }
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

    async fn cheat(&self, cheat: Cheat, global: Global) -> Result<()> {
        let options = demo::cheat::Options {
            cheat,
            executor: self.executor,
            legacy: self.legacy,
            progress: true,
        };
        let report = demo::cheat::run(options).await?;
        if global.json {
            println!("{}", serde_json::to_string(&report.figures)?);
        } else {
            print!("{}", report.figures.summary());
        }
        report.check()
    }
}
