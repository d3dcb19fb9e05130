//! What this sequencer runs: its own caps on one run of a model, below what the rollup permits.

use super::execute::NoRun;
use crate::config::ModelLimits;
use assay_ledger::state::Model;
use assay_tensor::program::{CheckedProgram, Program};
use assay_tensor::types::TensorType;

/// Whether a run of `model` is within what its leaf in the ledger says of it.
pub fn admits(limits: &ModelLimits, model: &Model) -> Result<(), NoRun> {
    within("work units", model.units, limits.units)?;
    let output = u64::from(model.output_bytes);
    within("bytes of output", output, limits.output_bytes)
}

/// The same for what only the program itself shows.
pub fn admits_program(limits: &ModelLimits, program: &CheckedProgram) -> Result<(), NoRun> {
    within("bytes of memory", memory(program), limits.memory)
}

/// Bytes that one run takes: parameters, inputs and the value of every operator. Executors use
/// less, as values share places; by how much is theirs to decide.
pub fn memory(program: &CheckedProgram) -> u64 {
    let Program {
        inputs, parameters, ..
    } = program.program();
    let all = inputs.iter().chain(parameters).chain(program.value_types());
    all.map(TensorType::bytes).fold(0, u64::saturating_add)
}

fn within(what: &'static str, need: u64, cap: u64) -> Result<(), NoRun> {
    match need > cap {
        true => Err(NoRun::TooLarge { what, need, cap }),
        false => Ok(()),
    }
}
