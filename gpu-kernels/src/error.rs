//! What can go wrong in an executor, and what to do about it.

use assay_tensor::{program::CheckedProgram, types::Tensor};

/// An executor's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// No device that can run compute shaders.
    #[error(
        "no graphics device was found: install a Vulkan driver \
         (without a GPU: Debian's mesa-vulkan-drivers), or choose the CPU executor"
    )]
    NoAdapter,
    /// A device gave a wrong answer to the start-up self-test.
    #[error("{adapter} computes wrong ({detail}): update its driver, or choose the CPU executor")]
    SelfTest {
        /// The device.
        adapter: String,
        /// What was wrong.
        detail: String,
    },
    /// A device cannot run this program.
    #[error(
        "{adapter} cannot run this program: {reason}; choose another device or the CPU executor"
    )]
    Unsupported {
        /// The device.
        adapter: String,
        /// Why not.
        reason: String,
    },
    /// The parameters are not those of the program.
    #[error(
        "the parameters do not fit the program ({0}): give it the parameters it was deployed with"
    )]
    Parameters(String),
    /// A request has the wrong size.
    #[error(
        "request {request} has {got} bytes where the program's inputs are {want}: \
         send all inputs one after the other, nothing else"
    )]
    InputSize {
        /// Its index in the batch.
        request: usize,
        /// Bytes given.
        got: u64,
        /// Bytes of all inputs together.
        want: u64,
    },
    /// The device was lost again each time that the work was retried.
    #[error(
        "{adapter} was lost {attempts} times in a row ({detail}): \
         look at the driver's log, or choose the CPU executor"
    )]
    DeviceLost {
        /// The device.
        adapter: String,
        /// How often the work was tried.
        attempts: u32,
        /// What was noticed last.
        detail: String,
    },
    /// The device or its driver refused something for another reason.
    #[error("{adapter} failed ({detail}): look at the driver's log, or choose the CPU executor")]
    Device {
        /// The device.
        adapter: String,
        /// What it said.
        detail: String,
    },
    /// The program could not be run.
    #[error("the program could not be run: {0}")]
    Run(String),
}

impl ExecutorError {
    /// Whether what was asked was wrong, so that no other executor could do it either.
    pub fn is_callers(&self) -> bool {
        match self {
            ExecutorError::Parameters(_)
            | ExecutorError::InputSize { .. }
            | ExecutorError::Run(_) => true,
            ExecutorError::NoAdapter
            | ExecutorError::SelfTest { .. }
            | ExecutorError::Unsupported { .. }
            | ExecutorError::DeviceLost { .. }
            | ExecutorError::Device { .. } => false,
        }
    }
}

/// Checks that `parameters` are of `program`'s types.
pub(crate) fn check_parameters(
    program: &CheckedProgram,
    parameters: &[Tensor],
) -> Result<(), ExecutorError> {
    let types = &program.program().parameters;
    if types.len() != parameters.len() {
        return Err(ExecutorError::Parameters(format!(
            "{} where it has {}",
            parameters.len(),
            types.len()
        )));
    }
    match types
        .iter()
        .zip(parameters)
        .position(|(ty, p)| ty != p.ty())
    {
        Some(i) => Err(ExecutorError::Parameters(format!(
            "parameter {i} is {:?} and should be {:?}",
            parameters[i].ty(),
            types[i]
        ))),
        None => Ok(()),
    }
}

/// Checks that every request has exactly the bytes of `program`'s inputs.
pub(crate) fn check_requests(
    program: &CheckedProgram,
    requests: &[&[u8]],
) -> Result<(), ExecutorError> {
    let want = program.input_bytes();
    match requests.iter().position(|r| r.len() as u64 != want) {
        Some(request) => Err(ExecutorError::InputSize {
            request,
            got: requests[request].len() as u64,
            want,
        }),
        None => Ok(()),
    }
}
