//! The start-up self-test: every kernel on odd shapes and extreme numbers, against the
//! reference. A device that gives one other byte is not used: its answers would be settled,
//! disputed and lost.

use assay_tensor::{
    op::{Epilogue, Op, OutputRange, Requant, Window},
    program::{CheckedProgram, Node, Operand, Output, Program},
    reference,
    types::{DType, Shape, Tensor, TensorType},
};

use super::{
    engine::{Engine, Failure},
    faults::{Fault, Faults},
    plan::Plan,
};

/// Requests of the test run: more than one, and not a power of two.
const REQUESTS: u32 = 3;

/// Runs the test.
///
/// # Errors
/// [`Failure::Lost`] if the device was lost, which says nothing about how it computes;
/// [`Failure::Refused`] with what differs, or what the device said.
pub(super) fn run(engine: &Engine, faults: &Faults) -> Result<(), Failure> {
    let Case {
        program,
        parameters,
        requests,
    } = case()
        .ok_or_else(|| Failure::Refused("the self-test's own program is not well-formed".into()))?;
    let plan = Plan::new(&program, &engine.limits).map_err(Failure::Refused)?;
    let mut resident = engine.upload(&plan, &parameters)?;
    let mut got = engine.run(&program, &plan, &mut resident, &requests.concat(), REQUESTS)?;
    if faults.due(Fault::WrongResult)
        && let Some(byte) = got.last_mut().and_then(|answer| answer.last_mut())
    {
        *byte ^= 1;
    }
    for (i, (request, answer)) in requests.iter().zip(&got).enumerate() {
        compare(&program, &parameters, request, answer)
            .map_err(|detail| Failure::Refused(format!("request {i}: {detail}")))?;
    }
    Ok(())
}

/// Compares one answer with the reference.
fn compare(
    program: &CheckedProgram,
    parameters: &[Tensor],
    request: &[u8],
    answer: &[u8],
) -> Result<(), String> {
    let inputs = program.inputs_from_bytes(request).unwrap_or_default();
    let want = reference::run(program, parameters, &inputs).map_err(|error| error.to_string())?;
    let got = program
        .outputs_from_bytes(answer)
        .ok_or_else(|| format!("{} bytes of outputs", answer.len()))?;
    for ((output, want), got) in program.program().outputs.iter().zip(&want).zip(&got) {
        let elements = want.ty().shape.elements();
        if let Some(element) = (0..elements).find(|i| want.get(*i) != got.get(*i)) {
            return Err(format!(
                "{} gives {:?} for element {element}, which is {:?}",
                output.name,
                got.get(element).unwrap_or_default(),
                want.get(element).unwrap_or_default(),
            ));
        }
    }
    Ok(())
}

struct Case {
    program: CheckedProgram,
    parameters: Vec<Tensor>,
    requests: Vec<Vec<u8>>,
}

/// Numbers without structure: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A program under construction.
struct Builder {
    numbers: Numbers,
    program: Program,
    parameters: Vec<Tensor>,
}

impl Builder {
    fn input(&mut self, dims: &[u32]) -> Option<Operand> {
        self.program.inputs.push(TensorType::new(DType::I8, dims)?);
        Some(Operand::Input(self.program.inputs.len() as u16 - 1))
    }

    fn parameter(&mut self, tensor: Tensor) -> Operand {
        self.program.parameters.push(*tensor.ty());
        self.parameters.push(tensor);
        Operand::Parameter(self.parameters.len() as u32 - 1)
    }

    fn bytes(&mut self, dims: &[u32]) -> Option<Operand> {
        let ty = TensorType::new(DType::I8, dims)?;
        let data = self.numbers.bytes(ty.bytes());
        Some(self.parameter(Tensor::new(ty, data)?))
    }

    /// Bias and scales for `channels` channels: ordinary ones, and the extremes in turn.
    fn finish(&mut self, channels: u32) -> Option<[Operand; 2]> {
        const BIASES: [i32; 5] = [0, i32::MAX, i32::MIN, -7, 1 << 24];
        const SCALES: [[i32; 2]; 9] = [
            [1 << 30, 39],
            [i32::MAX, 62],
            [i32::MAX, 1],
            [1, 1],
            [0, 40],
            [-1, 33],
            [0x5555_5555, 32],
            [0x6543_2101, 31],
            [i32::MIN + 12_345, -3],
        ];
        let any = self.numbers.next() as usize;
        let biases: Vec<i32> = (0..channels as usize)
            .map(|c| BIASES[(any + c * 2) % BIASES.len()])
            .collect();
        let scales: Vec<i32> = (0..channels as usize)
            .flat_map(|c| SCALES[(any + c) % SCALES.len()])
            .collect();
        let bias = self.parameter(Tensor::from_i32(&[channels], &biases)?);
        let scales = self.parameter(Tensor::from_i32(&[channels, 2], &scales)?);
        Some([bias, scales])
    }

    /// An operator, whose value is an output too, so that a difference names it.
    fn operator(&mut self, name: &str, op: Op, operands: &[Operand]) -> Operand {
        let value = self.program.nodes.len() as u32;
        self.program.nodes.push(Node {
            op,
            operands: operands.to_vec(),
        });
        self.program.outputs.push(Output {
            name: name.to_owned(),
            value,
        });
        Operand::Value(value)
    }

    /// A convolution with requantisation.
    fn convolution(
        &mut self,
        name: &str,
        x: Operand,
        weights: [u32; 4],
        groups: u32,
        window: Window,
    ) -> Option<Operand> {
        let w = self.bytes(&weights)?;
        let [bias, scales] = self.finish(weights[0])?;
        let op = Op::Conv2d {
            window,
            groups,
            pad_value: -3,
            epilogue: Epilogue::Requant(RANGE),
        };
        Some(self.operator(name, op, &[x, w, bias, scales]))
    }
}

const RANGE: OutputRange = OutputRange {
    zero_point: -5,
    lo: -120,
    hi: 127,
};

const THREE: Window = Window {
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
};

fn case() -> Option<Case> {
    let mut b = Builder {
        numbers: Numbers(2),
        program: Program::default(),
        parameters: Vec::new(),
    };
    let image = b.input(&[1, 7, 5, 3])?;
    let row = b.input(&[3, 9])?;

    let x = b.convolution("conv2d", image, [8, 3, 3, 3], 1, THREE)?;
    let grouped = b.convolution("conv2d by words", x, [8, 3, 3, 4], 2, THREE)?;
    let wide = Window {
        strides: [2, 1],
        dilations: [1, 2],
        pads: [0, 2, 1, 2],
        ..THREE
    };
    b.convolution("conv2d by bytes", x, [12, 3, 3, 2], 4, wide)?;
    let depthwise = b.convolution("conv2d, depthwise", x, [8, 3, 3, 1], 8, THREE)?;

    let add = Op::Add {
        multiplier_a: i32::MAX,
        multiplier_b: -1_234_567_890,
        offset: -(1 << 47) - 1,
        shift: 33,
        range: RANGE,
    };
    let sum = b.operator("add", add, &[grouped, depthwise]);
    let channels = b.bytes(&[8])?;
    let add = Op::Add {
        multiplier_a: 3,
        multiplier_b: -1,
        offset: 5,
        shift: 1,
        range: RANGE,
    };
    b.operator("add, broadcast", add, &[sum, channels]);
    let table = b.bytes(&[256])?;
    let looked_up = b.operator("lookup", Op::Lookup, &[x, table]);

    let window = Window {
        kernel: [3, 2],
        strides: [2, 1],
        ..THREE
    };
    b.operator("max pool", Op::MaxPool2d(window), &[looked_up]);
    let average = Op::AvgPool2d {
        window,
        pad_value: 9,
        offset: -77,
        requant: Requant {
            multiplier: 0x3333_3333,
            shift: 33,
            range: RANGE,
        },
    };
    b.operator("average pool", average, &[looked_up]);
    let transposed = b.operator("transpose", Op::Transpose([0, 3, 1, 2, 0, 0]), &[looked_up]);
    let flat = Op::Reshape(Shape::new(&[28, 10])?);
    let flat = b.operator("reshape", flat, &[transposed]);
    b.operator("argmax of i8", Op::ArgMax, &[flat]);

    let w = b.bytes(&[6, 9])?;
    let [bias, scales] = b.finish(6)?;
    let requantised = Op::MatMul(Epilogue::Requant(RANGE));
    b.operator("matmul", requantised.clone(), &[row, w, bias, scales]);
    let accumulators = Op::MatMul(Epilogue::Accumulate);
    let products = b.operator("matmul, accumulators", accumulators, &[row, w, bias]);
    b.operator("argmax of i32", Op::ArgMax, &[products]);
    let turned = Op::Transpose([1, 0, 0, 0, 0, 0]);
    b.operator("transpose of i32", turned, &[products]);
    let [bias, scales] = b.finish(3)?;
    b.operator("matmul of values", requantised, &[row, row, bias, scales]);

    let program = b.program.check().ok()?;
    let size = program.input_bytes();
    Some(Case {
        program,
        parameters: b.parameters,
        requests: (0..REQUESTS).map(|_| b.numbers.bytes(size)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{kernels::Kernel, limits::Limits, record::Recording};

    /// With limits that any device has.
    fn limits() -> Limits {
        Limits::new(&wgpu::Limits::downlevel_defaults(), wgpu::DeviceType::Cpu)
    }

    #[test]
    fn covers_every_kernel() {
        let case = case().unwrap();
        let plan = Plan::new(&case.program, &limits()).unwrap();
        let recording = Recording::new(&plan, &limits(), REQUESTS);
        for kernel in Kernel::ALL {
            assert!(
                recording.dispatches.iter().any(|d| d.kernel == kernel),
                "{kernel:?}"
            );
        }
    }

    #[test]
    fn notices_any_wrong_byte() {
        let case = case().unwrap();
        let request = &case.requests[0];
        let inputs = case.program.inputs_from_bytes(request).unwrap();
        let outputs = reference::run(&case.program, &case.parameters, &inputs).unwrap();
        let right: Vec<u8> = outputs.into_iter().flat_map(Tensor::into_data).collect();
        let check = |answer: &[u8]| compare(&case.program, &case.parameters, request, answer);
        assert_eq!(check(&right), Ok(()));
        for at in [0, right.len() / 2, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 0x80;
            assert!(check(&wrong).unwrap_err().contains("gives"), "{at}");
        }
        assert!(check(&right[1..]).is_err());
    }
}
