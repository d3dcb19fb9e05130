//! The demo: the main job from the deposit to the withdrawal, all real, with its figures.
//!
//! * [`story`]: what happens, in order
//! * [`cheat`]: the same with a sequencer that lies, and how it is caught
//! * [`digits`]: the model and the held-out images
//! * [`balances`]: who has what before and after, and whether it adds up
//! * [`costs`]: what it cost on L1, and what it would have cost otherwise
//! * [`figures`]: what is printed
//! * [`progress`]: what is seen meanwhile

pub mod balances;
pub mod cheat;
pub mod costs;
pub mod digits;
pub mod figures;
mod progress;
mod story;

use crate::config::ExecutorChoice;
use anyhow::Result;
use figures::Figures;

/// How the demo is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What runs the model.
    pub executor: ExecutorChoice,
    /// Images of the held-out set; all if `None`.
    pub images: Option<usize>,
    /// How often each image is classified.
    pub rounds: usize,
    /// Whether progress is shown on standard error.
    pub progress: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// Who had what.
    pub balances: balances::Balances,
    /// What must hold, and whether it does.
    pub checks: Vec<balances::Check>,
}

impl Report {
    /// The balances and the checks, for people.
    pub fn story(&self) -> String {
        let mut text = self.balances.table();
        for check in &self.checks {
            text += &format!("{check}\n");
        }
        text
    }

    /// An error if something that must hold does not.
    pub fn check(&self) -> Result<()> {
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|c| !c.holds())
            .map(ToString::to_string)
            .collect();
        anyhow::ensure!(
            failed.is_empty(),
            "it does not add up:\n{}",
            failed.join("\n")
        );
        Ok(())
    }
}

/// Runs the demo.
pub async fn run(options: Options) -> Result<Report> {
    story::run(options).await
}
