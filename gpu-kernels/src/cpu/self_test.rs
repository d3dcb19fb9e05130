//! Refuses a kernel that computes wrong: small programs against the reference.

use super::kernel::Kernel;
use super::model::Model;
use crate::PreparedModel;
use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::reference;
use assay_tensor::types::{DType, Tensor, TensorType};
use std::sync::Arc;

/// Requests of a test.
const REQUESTS: usize = 3;

/// Runs the test programs on `kernel`; the error names the first operator that differs.
pub(super) fn run(kernel: Kernel) -> Result<(), String> {
    let mut source = Source(0x9e37_79b9_7f4a_7c15);
    for (columns, channels, groups) in [(1, 1, 1), (37, 3, 1), (75, 20, 20), (130, 8, 2)] {
        test(kernel, &mut source, columns, channels, groups)?;
    }
    Ok(())
}

/// Bytes that look random and are always the same (SplitMix64).
struct Source(u64);

impl Source {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let next = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }
}

/// A convolution, pools and sums of its result, and products of all that, each an output.
fn test(
    kernel: Kernel,
    source: &mut Source,
    columns: u32,
    channels: u32,
    groups: u32,
) -> Result<(), String> {
    let (program, parameters) = program(source, columns, channels, groups)
        .ok_or("the self-test's own program is malformed")?;
    let bytes = usize::try_from(program.input_bytes()).map_err(|error| error.to_string())?;
    let requests = (0..REQUESTS)
        .map(|_| source.bytes(bytes))
        .collect::<Vec<_>>();
    let (program, parameters) = (Arc::new(program), Arc::new(parameters));
    let mut model = Model::new(kernel, 1, program.clone(), parameters.clone())?;
    let requests = requests.iter().map(Vec::as_slice).collect::<Vec<_>>();
    let answers = model.run(&requests).map_err(|error| error.to_string())?;
    compare(&program, &parameters, &requests, &answers)
}

/// That `answers` are the reference's.
fn compare(
    program: &CheckedProgram,
    parameters: &[Tensor],
    requests: &[&[u8]],
    answers: &[Vec<u8>],
) -> Result<(), String> {
    for (request, answer) in requests.iter().zip(answers) {
        let inputs = program.inputs_from_bytes(request).unwrap_or_default();
        let expected =
            reference::run(program, parameters, &inputs).map_err(|error| error.to_string())?;
        let outputs = program.split_outputs(answer).unwrap_or_default();
        for (index, expected) in expected.iter().enumerate() {
            if outputs.get(index) != Some(&expected.data()) {
                // Each operator's value is an output.
                let node = &program.program().nodes[index];
                return Err(format!(
                    "operator {index} ({}) of the self-test",
                    node.op.kind()
                ));
            }
        }
    }
    Ok(())
}

fn program(
    source: &mut Source,
    columns: u32,
    channels: u32,
    groups: u32,
) -> Option<(CheckedProgram, Vec<Tensor>)> {
    let range = OutputRange {
        zero_point: -3,
        lo: -100,
        hi: 127,
    };
    let window = Window {
        kernel: [3, 2],
        strides: [2, 1],
        dilations: [1, 2],
        pads: [1, 0, 2, 3],
    };
    let mut parameters = Vec::new();
    let mut parameter = |dtype, dims: &[u32]| {
        let ty = TensorType::new(dtype, dims)?;
        parameters.push(Tensor::new(ty, source.bytes(ty.bytes() as usize))?);
        Some(Operand::Parameter(parameters.len() as u32 - 1))
    };
    let mut nodes = Vec::new();
    let mut node = |op, operands: Vec<Operand>| {
        nodes.push(Node { op, operands });
        Operand::Value(nodes.len() as u32 - 1)
    };
    // Random bias and scales: accumulators wrap, shifts and multipliers take their limits.
    let filters = channels;
    let conv = node(
        Op::Conv2d {
            window,
            groups,
            pad_value: -5,
            epilogue: Epilogue::Requant(range),
        },
        vec![
            Operand::Input(0),
            parameter(DType::I8, &[filters, 3, 2, channels / groups])?,
            parameter(DType::I32, &[filters])?,
            parameter(DType::I32, &[filters, 2])?,
        ],
    );
    node(Op::MaxPool2d(window), vec![conv]);
    let requant = Requant {
        multiplier: 1 << 28,
        shift: 30,
        range,
    };
    let average = Op::AvgPool2d {
        window,
        pad_value: 9,
        offset: -7,
        requant,
    };
    node(average, vec![conv]);
    let sum = Op::Add {
        multiplier_a: 70_000,
        multiplier_b: -50_000,
        offset: 1 << 20,
        shift: 16,
        range,
    };
    let sum = node(sum, vec![Operand::Input(0), Operand::Input(0)]);
    let looked_up = node(Op::Lookup, vec![sum, parameter(DType::I8, &[256])?]);
    let transposed = node(Op::Transpose([0, 3, 1, 2, 0, 0]), vec![looked_up]);
    for epilogue in [Epilogue::Accumulate, Epilogue::Requant(range)] {
        let mut operands = vec![
            transposed,
            parameter(DType::I8, &[columns, 7])?,
            parameter(DType::I32, &[columns])?,
        ];
        if let Epilogue::Requant(_) = epilogue {
            operands.push(parameter(DType::I32, &[columns, 2])?);
        }
        let product = node(Op::MatMul(epilogue), operands);
        node(Op::ArgMax, vec![product]);
    }
    let outputs = (0..nodes.len() as u32).map(|value| Output {
        name: format!("{value}"),
        value,
    });
    let program = Program {
        inputs: vec![TensorType::new(DType::I8, &[1, 6, 7, channels])?],
        parameters: parameters.iter().map(|p| *p.ty()).collect(),
        outputs: outputs.collect(),
        nodes,
    };
    Some((program.check().ok()?, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_bit_is_noticed_and_its_operator_named() {
        let (program, parameters) = program(&mut Source(1), 5, 4, 2).unwrap();
        let request = Source(2).bytes(program.input_bytes() as usize);
        let inputs = program.inputs_from_bytes(&request).unwrap();
        let outputs = reference::run(&program, &parameters, &inputs).unwrap();
        let mut start = 0;
        for (index, output) in outputs.iter().enumerate() {
            let mut answer = assay_tensor::program::to_blob(&outputs);
            let test =
                |answer: &[u8]| compare(&program, &parameters, &[&request], &[answer.to_vec()]);
            assert_eq!(test(&answer), Ok(()));
            answer[start + index % output.data().len()] ^= 1;
            let error = test(&answer).unwrap_err();
            assert!(error.starts_with(&format!("operator {index} (")), "{error}");
            start += output.data().len();
        }
        assert!(compare(&program, &parameters, &[&request], &[vec![]]).is_err());
    }
}
