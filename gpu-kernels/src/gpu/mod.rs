//! The wgpu executor: compute shaders on any Vulkan, Metal, DX12 or GL device.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`kernels`] | the shaders of `src/shaders` and the parameters that they take |
//! | [`layout`] | how tensors lie in buffers of words |
//! | [`plan`] | a program as steps on buffers: lowering, memory with reuse |
//! | [`record`] | a plan as the dispatches of a run of some requests |
//! | [`limits`] | what a device admits |
//! | [`divide`] | division by numbers known at run time |
//! | [`engine`] | a device: follows recordings, notices errors and loss |
//! | `resident` | what a prepared program has on a device |
//! | [`self_test`] | refuses a device that computes wrong |
//! | [`worker`] | the thread that a device has to itself; rebuilds it when lost |
//! | `faults` | what tests make go wrong |
//! | [`adapter`] | which devices there are |
//!
//! Planning and recording need no device, so they can be read and tested without one. The
//! shaders use only the subset of WGSL that is deterministic on every device; a test walks
//! naga's representation of each and refuses anything else.

pub mod adapter;
pub mod divide;
pub mod engine;
mod faults;
pub mod kernels;
pub mod layout;
pub mod limits;
pub mod plan;
pub mod record;
mod resident;
pub mod self_test;
pub mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use assay_tensor::{program::CheckedProgram, types::Tensor};

pub use adapter::{AdapterInfo, adapters};

use crate::{
    Executor, ExecutorError, PreparedModel,
    error::{check_parameters, check_requests},
};
use worker::{Job, ModelId, Worker};

/// A device that passed its self-test, as an executor. Its thread ends with the last of the
/// executor and the models prepared on it.
#[derive(Debug)]
pub struct GpuExecutor {
    info: AdapterInfo,
    name: String,
    worker: Arc<Worker>,
}

/// Opens the device `info`, one of [`adapters`], and tests it.
///
/// # Errors
/// [`ExecutorError::NoAdapter`] if it is there no more, [`ExecutorError::Unsupported`] if it
/// cannot run the kernels, [`ExecutorError::SelfTest`] if it computes wrong.
pub fn open_adapter(info: &AdapterInfo) -> Result<GpuExecutor, ExecutorError> {
    Ok(GpuExecutor {
        info: info.clone(),
        name: format!("wgpu ({info})"),
        worker: Arc::new(Worker::start(info.clone(), faults::Faults::default())?),
    })
}

/// Opens the best device that passes its self-test, a software one if there is no other. OpenGL
/// is tried last.
///
/// # Errors
/// [`ExecutorError::NoAdapter`] if there is none, else the error of the last one tried.
pub fn open_best() -> Result<GpuExecutor, ExecutorError> {
    open_first(adapter::of(adapter::NATIVE)).or_else(|native| {
        open_first(adapter::of(adapter::OPENGL)).map_err(|opengl| match opengl {
            ExecutorError::NoAdapter => native,
            error => error,
        })
    })
}

/// Opens the best real GPU that passes its self-test, by an API made for computing on it:
/// OpenGL is not looked at.
///
/// # Errors
/// As [`open_best`].
pub fn open_real() -> Result<GpuExecutor, ExecutorError> {
    let mut found = adapter::of(adapter::NATIVE);
    found.retain(|info| !info.software);
    open_first(found)
}

fn open_first(found: Vec<AdapterInfo>) -> Result<GpuExecutor, ExecutorError> {
    let mut last = ExecutorError::NoAdapter;
    for info in found {
        match open_adapter(&info) {
            Ok(executor) => return Ok(executor),
            Err(error) => {
                tracing::warn!(%error, adapter = %info, "device refused");
                last = error;
            }
        }
    }
    Err(last)
}

impl GpuExecutor {
    /// The device.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }
}

impl Executor for GpuExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepare(
        &self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
        check_parameters(&program, &parameters)?;
        let model = self.worker.ask(|reply| Job::Prepare {
            program: program.clone(),
            parameters,
            reply,
        })?;
        Ok(Box::new(Prepared {
            program,
            model,
            worker: self.worker.clone(),
        }))
    }
}

/// A model on a device: a name for what its thread holds.
struct Prepared {
    program: Arc<CheckedProgram>,
    model: ModelId,
    worker: Arc<Worker>,
}

impl PreparedModel for Prepared {
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
        check_requests(&self.program, requests)?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        self.worker.ask(|reply| Job::Run {
            model: self.model,
            count: requests.len(),
            requests: requests.concat(),
            reply,
        })
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.worker.tell(Job::Release(self.model));
    }
}
