//! What this sequencer runs: its own caps on one run of a model, below what the rollup permits.

use super::execute::NoRun;
use crate::config::ModelLimits;
use assay_ledger::state::Model;
use assay_tensor::program::CheckedProgram;

/// Whether a run of `model` is within what its leaf in the ledger says of it.
pub fn admits(limits: &ModelLimits, model: &Model) -> Result<(), NoRun> {
    within("work units", model.units, limits.units)?;
    let output = u64::from(model.output_bytes);
    within("bytes of output", output, limits.output_bytes)
}

/// The same for what only the program itself shows.
pub fn admits_program(limits: &ModelLimits, program: &CheckedProgram) -> Result<(), NoRun> {
    within("bytes of memory", program.bytes(), limits.memory)
}

fn within(what: &'static str, need: u64, cap: u64) -> Result<(), NoRun> {
    match need > cap {
        true => Err(NoRun::TooLarge { what, need, cap }),
        false => Ok(()),
    }
}
