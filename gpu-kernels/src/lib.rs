//! Executors of tensor programs.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`reference`] | the oracle: `assay_tensor::reference`, one element at a time |
//! | [`cpu`] | the CPU's vector instructions: VNNI, AVX2, NEON, or portable Rust |
//! | [`gpu`] | wgpu compute shaders, on any Vulkan, Metal, DX12 or GL device |
//! | [`fallback`] | two of them: the second does what the first cannot |
//! | [`trace`] | all values of a run, on any of them, for disputes |
//!
//! All of them give the same bytes for the same program, parameters and inputs; the fast ones
//! are second implementations that the tests hold equal to the reference, bit for bit.
//!
//! An [`Executor`] prepares a checked program with its parameters once; the [`PreparedModel`]
//! then answers batches of requests. [`open`] picks an executor.

pub mod cpu;
mod error;
pub mod fallback;
pub mod gpu;
pub mod reference;
pub mod trace;

use std::sync::Arc;

use assay_tensor::{program::CheckedProgram, types::Tensor};

pub use error::ExecutorError;

/// Something that runs tensor programs: a GPU, or a CPU with its best instructions.
pub trait Executor: Send + Sync {
    /// What it is and runs on, for people: `cpu (avx512-vnni)`, `wgpu (llvmpipe, Vulkan)`.
    fn name(&self) -> &str;

    /// Makes `program` with `parameters` ready to be run many times: packs and uploads the
    /// parameters, plans memory.
    ///
    /// # Errors
    /// [`ExecutorError::Parameters`] if the parameters are not of the program's types;
    /// [`ExecutorError::Unsupported`] if this executor's limits do not admit the program.
    fn prepare(
        &self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError>;
}

/// A program with its parameters, ready to run.
pub trait PreparedModel: Send {
    /// Runs a batch. Each request is the bytes of all inputs, one after the other; each answer
    /// the bytes of all outputs, likewise. Answers are in the order of the requests.
    ///
    /// # Errors
    /// [`ExecutorError::InputSize`] if a request is not exactly the program's input bytes.
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError>;
}

/// Which executor [`open`] gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// A real GPU if there is one that passes its self-test, with the CPU behind it for what it
    /// cannot do; else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The best device that wgpu finds, a software one (lavapipe) if there is no other.
    Wgpu,
}

/// Opens an executor.
///
/// # Errors
/// With [`Choice::Wgpu`] only: [`ExecutorError::NoAdapter`] if there is no device, or the
/// error of the last device tried if none passes its self-test.
pub fn open(choice: Choice) -> Result<Box<dyn Executor>, ExecutorError> {
    match choice {
        Choice::Cpu => Ok(cpu()),
        Choice::Wgpu => Ok(Box::new(gpu::open_best()?)),
        Choice::Auto => match gpu::open_real() {
            Ok(gpu) => Ok(Box::new(fallback::Fallback::new(Box::new(gpu), cpu()))),
            Err(ExecutorError::NoAdapter) => Ok(cpu()),
            Err(error) => {
                tracing::warn!(%error, "no GPU is usable, running on the CPU");
                Ok(cpu())
            }
        },
    }
}

/// The CPU executor.
pub fn cpu() -> Box<dyn Executor> {
    Box::new(cpu::CpuExecutor::new())
}
