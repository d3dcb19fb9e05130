//! The demo with a sequencer that lies: how it is caught, and what that costs.
//!
//! * [`story`]: what happens, in order
//! * [`watch`]: `assay verifier` at work, from L1 alone; the sequencer answers by itself
//! * [`publisher`]: who shows the bytes of the liar's model
//! * [`moves`]: what both have sent, in words
//! * [`figures`]: what is printed

pub mod figures;
pub mod moves;
pub mod publisher;
mod story;
pub mod watch;

use crate::config::ExecutorChoice;
use crate::dev::cheat::Cheat;
use anyhow::{Result, ensure};
use figures::{Figures, Line};

/// How the demo is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How the sequencer cheats.
    pub cheat: Cheat,
    /// What runs the model for the sequencer.
    pub executor: ExecutorChoice,
    /// Whether everything goes into legacy transactions.
    pub legacy: bool,
    /// Whether progress and the moves are shown on standard error.
    pub progress: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// The dispute's transactions, in order.
    pub lines: Vec<Line>,
}

impl Report {
    /// An error if the cheat got away with it, or somebody honest lost by it.
    pub fn check(&self) -> Result<()> {
        let figures = &self.figures;
        ensure!(figures.caught, "the cheat was not convicted");
        ensure!(figures.slashed_lamports > 0, "the cheat kept its bond");
        ensure!(
            figures.honest_balances_intact,
            "balances are not what they were before the lie"
        );
        Ok(())
    }
}

/// Runs the demo.
pub async fn run(options: Options) -> Result<Report> {
    story::run(options).await
}
