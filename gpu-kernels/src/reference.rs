//! The reference as an executor: `assay_tensor::reference`, which evaluates one element at a
//! time by the same two functions that a step proof uses. Slow, and what the others must equal.

use std::sync::Arc;

use assay_tensor::{program::CheckedProgram, reference, types::Tensor};

use crate::{
    Executor, ExecutorError, PreparedModel,
    error::{check_parameters, check_requests},
};

/// The reference executor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl Executor for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    fn prepare(
        &self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
        check_parameters(&program, &parameters)?;
        Ok(Box::new(Prepared {
            program,
            parameters,
        }))
    }
}

struct Prepared {
    program: Arc<CheckedProgram>,
    parameters: Arc<Vec<Tensor>>,
}

impl PreparedModel for Prepared {
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
        check_requests(&self.program, requests)?;
        requests
            .iter()
            .map(|request| {
                let inputs = self.program.inputs_from_bytes(request).unwrap_or_default();
                let outputs = reference::run(&self.program, &self.parameters, &inputs)
                    .map_err(|error| ExecutorError::Run(error.to_string()))?;
                Ok(outputs.into_iter().flat_map(Tensor::into_data).collect())
            })
            .collect()
    }
}
