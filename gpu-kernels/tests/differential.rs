//! wgpu on every device found against the reference, bit for bit: random programs, the same
//! with parameters and inputs exchanged, and requantisation at its edges.
//!
//! `ASSAY_CASES` says how many programs (300 if unset), `ASSAY_SEED` the first seed.

use std::{io::Write as _, sync::Arc};

use assay_tensor::{
    op::{Epilogue, Op, OutputRange},
    program::{CheckedProgram, Node, Operand, Output, Program},
    random::{self, RandomCase},
    types::{DType, Tensor, TensorType},
};
use gpu_kernels::{
    Executor, ExecutorError,
    gpu::{self, GpuExecutor},
    reference::Reference,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Every device that can run the kernels. One that computes wrong fails the test, here and
/// now: on it nothing could be compared.
fn devices(test: &str) -> Vec<GpuExecutor> {
    let adapters = gpu::adapters();
    if adapters.is_empty() {
        skipped(test, "no adapter");
    }
    let open = |info| match gpu::open_adapter(info) {
        Ok(executor) => Some(executor),
        Err(error @ ExecutorError::Unsupported { .. }) => {
            skipped(test, &error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    };
    adapters.iter().filter_map(open).collect()
}

/// Says so even where the test harness keeps the output of tests that pass.
fn skipped(test: &str, why: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{test}: skipped: {why}").unwrap();
}

/// The number of elements compared, or `None` if the program is beyond the device.
fn compare(executor: &GpuExecutor, case: RandomCase, what: &str) -> Option<u64> {
    let program = Arc::new(case.program);
    let parameters = Arc::new(case.parameters);
    let requests: Vec<&[u8]> = case.inputs.iter().map(Vec::as_slice).collect();
    let mut model = match executor.prepare(program.clone(), parameters.clone()) {
        Ok(model) => model,
        Err(ExecutorError::Unsupported { .. }) => return None,
        Err(error) => panic!("{}, {what}: {error}", executor.name()),
    };
    let got = model.run(&requests).unwrap();
    let mut reference = Reference.prepare(program.clone(), parameters).unwrap();
    let want = reference.run(&requests).unwrap();
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let differing = got.iter().zip(want).filter(|(a, b)| a != b).count();
        assert!(
            got == want,
            "{}, {what}, request {i}: {differing} of {} bytes differ in {:?}",
            executor.name(),
            want.len(),
            program.program().nodes
        );
    }
    let types = program.output_types();
    let elements: u64 = types.iter().map(|ty| ty.shape.elements()).sum();
    Some(elements * requests.len() as u64)
}

fn compare_all(test: &str, cases: u64, case: impl Fn(u64) -> RandomCase) {
    let first = setting("ASSAY_SEED", 0);
    for executor in devices(test) {
        let (mut elements, mut beyond) = (0, 0);
        for seed in first..first + cases {
            match compare(&executor, case(seed), &format!("seed {seed}")) {
                Some(count) => elements += count,
                None => beyond += 1,
            }
        }
        println!(
            "{test}: {}: {cases} programs, {elements} elements, 0 differing, \
             {beyond} programs beyond the device",
            executor.name()
        );
        assert!(
            beyond * 100 <= cases,
            "{beyond} of {cases} programs refused"
        );
    }
}

#[test]
fn random_programs() {
    compare_all(
        "random_programs",
        setting("ASSAY_CASES", 300),
        random::program,
    );
}

#[test]
fn random_programs_with_parameters_as_inputs() {
    let cases = setting("ASSAY_CASES", 300).div_ceil(3);
    compare_all("random_programs_with_parameters_as_inputs", cases, |seed| {
        parameters_as_inputs(random::program(seed))
    });
}

#[test]
fn random_programs_with_inputs_as_parameters() {
    let cases = setting("ASSAY_CASES", 300).div_ceil(3);
    compare_all("random_programs_with_inputs_as_parameters", cases, |seed| {
        inputs_as_parameters(random::program(seed))
    });
}

/// The same program with its operands exchanged, if that is a program.
fn exchange(case: &RandomCase, exchange: impl Fn(Operand) -> Operand) -> Program {
    let mut program = case.program.program().clone();
    for operand in program.nodes.iter_mut().flat_map(|node| &mut node.operands) {
        *operand = exchange(*operand);
    }
    program
}

/// With each parameter an input, so that weights, bias, scales and tables differ from request
/// to request.
fn parameters_as_inputs(case: RandomCase) -> RandomCase {
    let inputs = case.program.program().inputs.len() as u16;
    let mut program = exchange(&case, |operand| match operand {
        Operand::Parameter(i) => Operand::Input(inputs + i as u16),
        other => other,
    });
    program.inputs.append(&mut program.parameters);
    let mut requests = case.inputs;
    for (i, request) in requests.iter_mut().enumerate() {
        for parameter in &case.parameters {
            let mut data = parameter.data().to_vec();
            let by = i % data.len();
            data.rotate_left(by);
            request.extend(data);
        }
    }
    RandomCase {
        program: program.check().unwrap(),
        parameters: Vec::new(),
        inputs: requests,
    }
}

/// With each input but the last a parameter, so that what is computed from those is the same
/// for all requests.
fn inputs_as_parameters(case: RandomCase) -> RandomCase {
    let last = case.program.program().inputs.len() as u16 - 1;
    let parameters = case.parameters.len() as u32;
    let mut program = exchange(&case, |operand| match operand {
        Operand::Input(i) if i < last => Operand::Parameter(parameters + u32::from(i)),
        Operand::Input(_) => Operand::Input(0),
        other => other,
    });
    let types = program.inputs.clone();
    let kept = program.inputs.split_off(usize::from(last));
    program.parameters.append(&mut program.inputs);
    program.inputs = kept;
    let first = case.program.split_inputs(&case.inputs[0]).unwrap();
    let mut parameters = case.parameters;
    for (ty, data) in types.iter().zip(first).take(usize::from(last)) {
        parameters.push(Tensor::new(*ty, data.to_vec()).unwrap());
    }
    let requests = case.inputs.iter().map(|request| {
        let inputs = case.program.split_inputs(request).unwrap();
        inputs[usize::from(last)].to_vec()
    });
    RandomCase {
        inputs: requests.collect(),
        program: program.check().unwrap(),
        parameters,
    }
}

/// A program of one operator on these operands.
fn single(op: Op, inputs: &[TensorType], parameters: &[Tensor]) -> CheckedProgram {
    let operands = (0..inputs.len() as u16)
        .map(Operand::Input)
        .chain((0..parameters.len() as u32).map(Operand::Parameter));
    let program = Program {
        inputs: inputs.to_vec(),
        parameters: parameters.iter().map(|p| *p.ty()).collect(),
        nodes: vec![Node {
            op,
            operands: operands.collect(),
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: 0,
        }],
    };
    program.check().unwrap()
}

const RANGE: OutputRange = OutputRange {
    zero_point: -17,
    lo: -128,
    hi: 127,
};

/// A number at or about a power of two, or any.
fn edge(rng: &mut ChaCha8Rng) -> i32 {
    let power = 1i32.wrapping_shl(rng.random_range(0..32));
    match rng.random_range(0..4) {
        0 => rng.random(),
        1 => power.wrapping_add(rng.random_range(-2..=2)),
        2 => power.wrapping_neg().wrapping_add(rng.random_range(-2..=2)),
        _ => rng.random_range(-3..=3),
    }
}

#[test]
fn requantisation_at_its_edges() {
    const COLUMNS: u32 = 1 << 14;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let zero = Tensor::from_i8(&[COLUMNS, 1], &vec![0; COLUMNS as usize]).unwrap();
    let row = TensorType::new(DType::I8, &[1]).unwrap();
    let executors = devices("requantisation_at_its_edges");
    for round in 0..4 {
        // Accumulators are the biases. Every third is where the shift's rounding turns over:
        // half of a unit, or just below.
        let (mut biases, mut scales) = (Vec::new(), Vec::new());
        for i in 0..COLUMNS {
            let shift = rng.random_range(-2..=66);
            let multiplier = edge(&mut rng);
            let unit = 1i64 << (shift.clamp(1, 62) - 1);
            let near = i128::from(unit) * rng.random_range(-200..200)
                / i128::from(multiplier & i32::MAX).max(1);
            biases.push(match i % 3 {
                0 => near as i32,
                _ => edge(&mut rng),
            });
            scales.extend([multiplier, shift]);
        }
        let parameters = vec![
            zero.clone(),
            Tensor::from_i32(&[COLUMNS], &biases).unwrap(),
            Tensor::from_i32(&[COLUMNS, 2], &scales).unwrap(),
        ];
        let program = single(Op::MatMul(Epilogue::Requant(RANGE)), &[row], &parameters);
        for executor in &executors {
            let case = RandomCase {
                program: program.clone(),
                parameters: parameters.clone(),
                inputs: vec![vec![1]],
            };
            compare(executor, case, &format!("round {round}")).unwrap();
        }
    }
}

#[test]
fn additions_at_their_edges() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    // Every pair of operands.
    let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let a: Vec<u8> = all.iter().flat_map(|a| [*a as u8; 256]).collect();
    let b = Tensor::from_i8(&[256], &all).unwrap();
    let ty = TensorType::new(DType::I8, &[256, 256]).unwrap();
    let executors = devices("additions_at_their_edges");
    for round in 0..6 {
        let op = Op::Add {
            multiplier_a: edge(&mut rng),
            multiplier_b: edge(&mut rng),
            offset: rng.random_range(-(1i64 << 48) + 1..1 << 48) >> rng.random_range(0..48),
            shift: rng.random_range(1..=62),
            range: RANGE,
        };
        let parameters = vec![b.clone()];
        let program = single(op.clone(), &[ty], &parameters);
        for executor in &executors {
            let case = RandomCase {
                program: program.clone(),
                parameters: parameters.clone(),
                inputs: vec![a.clone()],
            };
            compare(executor, case, &format!("round {round}, {op:?}")).unwrap();
        }
    }
}
