//! The SIMD CPU executor.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`kernel`] | the sets of instructions, chosen at run time |
//! | [`plan`] | from a program to steps over places in memory |
//! | [`model`] | a prepared program: micro-batches on threads |
//! | [`gemm`] | rows times packed weights: the inner loops, a file a kernel |
//! | [`epilogue`] | from accumulators to results |
//! | [`mat_mul`], [`conv2d`], [`pool`], [`elementwise`], [`layout`] | the operators |
//! | [`self_test`] | refuses a kernel that computes wrong |

mod conv2d;
mod elementwise;
mod epilogue;
mod gemm;
mod kernel;
mod layout;
mod mat_mul;
mod model;
mod plan;
mod pool;
mod self_test;
mod step;

pub use kernel::Kernel;

use crate::error::check_parameters;
use crate::{Executor, ExecutorError, PreparedModel};
use assay_tensor::{program::CheckedProgram, types::Tensor};
use std::num::NonZero;
use std::sync::Arc;

/// The CPU as an executor.
#[derive(Clone, Debug)]
pub struct CpuExecutor {
    kernel: Kernel,
    threads: usize,
    name: String,
}

impl CpuExecutor {
    /// With the fastest kernel that this processor has and that passes its self-test, on all
    /// processors.
    pub fn new() -> Self {
        let fastest = Kernel::available().into_iter().find_map(|kernel| {
            Self::with_kernel(kernel)
                .inspect_err(|error| tracing::error!(%error, "a CPU kernel is not used"))
                .ok()
        });
        // The portable kernel is the last resort even of a processor that fails it.
        fastest.unwrap_or_else(|| Self::untested(Kernel::Scalar))
    }

    /// With a kernel of [`Kernel::available`], on all processors.
    ///
    /// # Errors
    /// [`ExecutorError::Unsupported`] if this processor lacks the kernel's instructions,
    /// [`ExecutorError::SelfTest`] if it computes wrong.
    pub fn with_kernel(kernel: Kernel) -> Result<Self, ExecutorError> {
        let executor = Self::untested(kernel);
        if !Kernel::available().contains(&kernel) {
            return Err(ExecutorError::Unsupported {
                adapter: executor.name,
                reason: "this processor lacks the kernel's instructions".into(),
            });
        }
        match self_test::run(kernel) {
            Ok(()) => Ok(executor),
            Err(detail) => Err(ExecutorError::SelfTest {
                adapter: executor.name,
                detail,
            }),
        }
    }

    fn untested(kernel: Kernel) -> Self {
        Self {
            kernel,
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
            name: format!("cpu ({})", kernel.name()),
        }
    }

    /// The same on at most `threads` threads for each batch, at least one.
    pub fn threads(self, threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            ..self
        }
    }

    /// What it computes with.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }
}

impl Default for CpuExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor for CpuExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepare(
        &self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
        check_parameters(&program, &parameters)?;
        let model = model::Model::new(self.kernel, self.threads, program, parameters);
        let model = model.map_err(|reason| ExecutorError::Unsupported {
            adapter: self.name.clone(),
            reason,
        })?;
        Ok(Box::new(model))
    }
}
