//! Tests on every device found; visibly skipped where there is none.

mod loss;
mod opening;
mod splitting;

use std::{io::Write as _, sync::Arc};

use assay_tensor::{program::CheckedProgram, random, types::Tensor};

use super::{AdapterInfo, GpuExecutor, adapters, faults::Faults, worker::Worker};
use crate::{Executor, ExecutorError, reference::Reference};

/// All devices, or none with a word about it: a test that had nothing to run on has not passed
/// in silence.
fn devices(test: &str) -> Vec<AdapterInfo> {
    let found = adapters();
    if found.is_empty() {
        // Past the test harness, which keeps the output of tests that pass.
        let mut terminal = std::io::stderr();
        writeln!(terminal, "{test}: skipped: no adapter").unwrap();
    }
    found
}

/// Opens a device on which faults can be injected.
fn open_with(info: &AdapterInfo, faults: &Faults) -> Result<GpuExecutor, ExecutorError> {
    Ok(GpuExecutor {
        info: info.clone(),
        name: info.to_string(),
        worker: Arc::new(Worker::start(info.clone(), faults.clone())?),
    })
}

/// A random program with its reference answers.
struct Case {
    program: Arc<CheckedProgram>,
    parameters: Arc<Vec<Tensor>>,
    requests: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
}

impl Case {
    fn new(seed: u64) -> Self {
        let case = random::program(seed);
        let program = Arc::new(case.program);
        let parameters = Arc::new(case.parameters);
        let requests: Vec<&[u8]> = case.inputs.iter().map(Vec::as_slice).collect();
        let answers = Reference
            .prepare(program.clone(), parameters.clone())
            .and_then(|mut model| model.run(&requests))
            .unwrap();
        Self {
            program,
            parameters,
            answers,
            requests: case.inputs,
        }
    }

    fn requests(&self) -> Vec<&[u8]> {
        self.requests.iter().map(Vec::as_slice).collect()
    }
}
