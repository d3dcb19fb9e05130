//! The trace of a run by any executor: [`assay_tensor::trace`] on its speed.

use std::sync::Arc;

use assay_tensor::{
    program::CheckedProgram,
    trace::{Trace, instrumented},
    types::Tensor,
};

use crate::{Executor, ExecutorError};

/// The values of all operators of one run of `program` on `executor`, with their trees. The request
/// is the bytes of all inputs, one after the other. The executor runs [`instrumented`] programs: a program of
/// 4,096 operators sixteen times, each time only as far as it must.
///
/// # Errors
/// Those of [`Executor::prepare`] and [`crate::PreparedModel::run`].
pub fn trace(
    executor: &dyn Executor,
    program: &CheckedProgram,
    parameters: &Arc<Vec<Tensor>>,
    request: &[u8],
) -> Result<Trace, ExecutorError> {
    let mut answers = Vec::new();
    for part in instrumented(program) {
        let mut model = executor.prepare(Arc::new(part), parameters.clone())?;
        answers.extend(model.run(&[request])?);
    }
    Trace::from_answers(program, answers).ok_or_else(|| {
        ExecutorError::Run(format!(
            "{} gave a trace of another size than the program's",
            executor.name()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cpu, gpu};
    use assay_tensor::op::Op;
    use assay_tensor::program::{Node, Operand, Output, Program};
    use assay_tensor::random;
    use assay_tensor::types::{DType, TensorType};

    /// The CPU, and every graphics device.
    fn executors() -> Vec<Box<dyn Executor>> {
        let mut all: Vec<Box<dyn Executor>> = Vec::new();
        for kernel in cpu::Kernel::available() {
            all.push(Box::new(cpu::CpuExecutor::with_kernel(kernel).unwrap()));
        }
        for adapter in gpu::adapters() {
            match gpu::open_adapter(&adapter) {
                Ok(executor) => all.push(Box::new(executor)),
                Err(ExecutorError::Unsupported { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        all
    }

    #[test]
    fn every_executor_gives_the_reference_trace() {
        for executor in executors() {
            let mut seed = 0;
            let mut compared = 0;
            while compared < 60 {
                let case = random::program(seed);
                let inputs = case.program.inputs_from_bytes(&case.inputs[0]).unwrap();
                let want = Trace::reference(&case.program, &case.parameters, &inputs).unwrap();
                let parameters = Arc::new(case.parameters);
                match trace(&*executor, &case.program, &parameters, &case.inputs[0]) {
                    Ok(got) => {
                        assert!(got == want, "{}: seed {seed}", executor.name());
                        compared += 1;
                    }
                    Err(ExecutorError::Unsupported { .. }) => {}
                    Err(error) => panic!("{}: seed {seed}: {error}", executor.name()),
                }
                seed += 1;
                assert!(seed < 200, "{} admits almost nothing", executor.name());
            }
        }
    }

    /// More operators than a program may have outputs.
    #[test]
    fn a_long_program_is_traced_in_parts() {
        let node = |i: u32| Node {
            op: Op::Lookup,
            operands: vec![
                match i.checked_sub(1) {
                    Some(before) => Operand::Value(before),
                    None => Operand::Input(0),
                },
                Operand::Parameter(0),
            ],
        };
        let ty = |dims: &[u32]| TensorType::new(DType::I8, dims).unwrap();
        let program = Program {
            inputs: vec![ty(&[3])],
            parameters: vec![ty(&[256])],
            nodes: (0..600).map(node).collect(),
            outputs: vec![Output {
                name: "last".into(),
                value: 599,
            }],
        };
        let program = program.check().unwrap();
        assert_eq!(instrumented(&program).len(), 3);
        let table = (0..=255u8).map(|i| i.wrapping_mul(7).wrapping_add(3));
        let parameters = Arc::new(vec![Tensor::new(ty(&[256]), table.collect()).unwrap()]);
        let request = [1, 2, 250];
        let inputs = program.inputs_from_bytes(&request).unwrap();
        let want = Trace::reference(&program, &parameters, &inputs).unwrap();
        let got = trace(&cpu::CpuExecutor::new(), &program, &parameters, &request).unwrap();
        assert!(got == want);
        assert_eq!(got.values().len(), 600);
    }
}
