//! The step proof of one element in a Solana program, against the element function on this host and against
//! every executor, on every operator; and what an element costs.
//!
//! `ASSAY_ELEMENTS` says how many elements (100,000 if unset), `ASSAY_SEED` the first seed.

mod common;
#[path = "../../../crates/dispute/tests/common/costly.rs"]
mod costly;
#[path = "../../../crates/dispute/tests/common/opened.rs"]
mod opened;
#[path = "../../../crates/dispute/tests/common/run.rs"]
mod run;

use assay_dispute::step::element::Disputed;
use assay_tensor::check::{MAX_READ_CHUNKS, check};
use assay_tensor::commit::CHUNK;
use assay_tensor::op::{Epilogue, Op, Window};
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::random::{self, random_tensor};
use assay_tensor::types::{DType, MAX_ELEMENTS, Shape, TensorType};
use common::{Answer, Chain, HEAP, MOST_UNITS};
use costly::{ALL, average};
use gpu_kernels::{Executor, ExecutorError, cpu, gpu};
use probe::{MOST_ELEMENTS, Request, push_element};
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use run::{Run, place};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// The operators.
const KINDS: usize = 9;
/// The most elements of one operator's value: all if there are no more.
const OF_EACH: usize = 500;
/// One element in so many is claimed wrong.
const LIES: usize = 8;
/// How many windows near the bound are tried.
const WINDOWS: usize = 400;
/// How many of the costliest elements are printed.
const DEAREST: usize = 30;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
    })
}

/// The CPU's kernels, and every graphics device.
fn executors() -> Vec<Box<dyn Executor>> {
    let mut all: Vec<Box<dyn Executor>> = Vec::new();
    for kernel in cpu::Kernel::available() {
        all.push(Box::new(cpu::CpuExecutor::with_kernel(kernel).unwrap()));
    }
    for adapter in gpu::adapters() {
        match gpu::open_adapter(&adapter) {
            Ok(executor) => all.push(Box::new(executor)),
            // Said even where the test harness keeps the output of tests that pass.
            Err(error @ ExecutorError::Unsupported { .. }) => {
                let mut terminal = std::io::stderr();
                writeln!(terminal, "elements: not compared: {error}").unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    all
}

/// That these elements of the operator's value are decided on chain as they should: each as it is, and some
/// changed. The units of all.
fn decide(chain: &mut Chain, run: &Run, operator: u32, elements: &[u64]) -> u64 {
    let leaf = run.leaf(operator);
    let size = leaf.result.dtype.size();
    let roots = run.trace.trees().roots();
    let path = roots.path(u64::from(operator)).unwrap();
    let disputed = Disputed {
        operator,
        root: roots.node(0, u64::from(operator)),
        path: &path,
    };
    let request = Request::Elements {
        program: Box::new(run.header),
        parameters_root: run.parameters_root,
        input_root: run.input_root,
        trace_root: run.trace.root(),
        operator,
        leaf: leaf.encode(),
    };
    let value = run.trace.values()[operator as usize].data();
    let chunks: Vec<&[u8]> = value.chunks(CHUNK).collect();
    let execution = run.execution();
    let mut units = 0;
    // Every eighth is there twice.
    for elements in elements.chunks(MOST_ELEMENTS * LIES / (LIES + 1)) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (number, element) in elements.iter().enumerate() {
            let (chunk, at) = place(leaf.result.dtype, *element);
            let proof = execution.prove_element(&disputed, chunk, at).unwrap();
            let claimed = chunks[chunk as usize];
            push_element(&mut bytes, chunk, claimed, &proof);
            expected.push(0);
            if number % LIES == 0 {
                let mut claimed = claimed.to_vec();
                claimed[usize::from(at) * size + number / LIES % size] ^= 1 << (number % 8);
                push_element(&mut bytes, chunk, &claimed, &proof);
                expected.push(1);
            }
        }
        let answer = chain.decide(&request, &bytes);
        assert_eq!(
            answer.verdicts, expected,
            "operator {operator} of {:?}",
            leaf.op
        );
        units += answer.units;
    }
    units
}

/// A claim that is exactly what an executor has computed is right on chain, and any other is wrong: so what is
/// computed on chain is what the executors compute.
#[test]
fn elements_are_decided_as_the_executors_compute_them() {
    let wanted = setting("ASSAY_ELEMENTS", 100_000);
    let first = setting("ASSAY_SEED", 0);
    let mut chain = Chain::without_limit();
    let executors = executors();
    // By executor: the programs that it has run.
    let mut programs = vec![0u64; executors.len()];
    let mut kinds = BTreeMap::<_, (u64, u64)>::new();
    let (mut compared, mut seed) = (0, first);
    while compared < wanted {
        let case = random::program(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let parameters = Arc::new(case.parameters.clone());
        let input = case.inputs[0].clone();
        let run = Run::random(case);
        for (executor, programs) in executors.iter().zip(&mut programs) {
            match gpu_kernels::trace::trace(&**executor, &run.program, &parameters, &input) {
                Ok(trace) => {
                    assert!(trace == run.trace, "{}: seed {seed}", executor.name());
                    *programs += 1;
                }
                Err(ExecutorError::Unsupported { .. }) => {}
                Err(error) => panic!("{}: seed {seed}: {error}", executor.name()),
            }
        }
        for operator in 0..run.header.operators {
            let leaf = run.leaf(operator);
            let count = leaf.result.shape.elements();
            let some = sample(&mut rng, count as usize, OF_EACH.min(count as usize));
            let some: Vec<u64> = some.iter().map(|element| element as u64).collect();
            let units = decide(&mut chain, &run, operator, &some);
            compared += some.len() as u64;
            let (elements, all_units) = kinds.entry(leaf.op.kind()).or_default();
            *elements += some.len() as u64;
            *all_units += units;
        }
        seed += 1;
    }
    let programs_all = seed - first;
    println!("{compared} elements of {programs_all} programs, 0 decided otherwise");
    for (kind, (elements, units)) in &kinds {
        // The lies among them cost as much.
        let mean = units * LIES as u64 / (elements * (LIES as u64 + 1));
        println!("{kind:<10} {elements:>6} elements, {mean:>6} units on average");
    }
    for (executor, programs) in executors.iter().zip(&programs) {
        println!("{}: {programs} programs", executor.name());
        assert!(programs * 100 >= programs_all * 99, "{}", executor.name());
    }
    assert_eq!(kinds.len(), KINDS);
    let least = wanted / 1_000;
    assert!(kinds.values().all(|(elements, _)| *elements >= least));
}

fn ty(dtype: DType, dims: &[u32]) -> TensorType {
    TensorType::new(dtype, dims).unwrap()
}

/// A window with stride one.
fn window(kernel: [u32; 2], dilation: u32, pads: u32) -> Window {
    Window {
        kernel,
        strides: [1; 2],
        dilations: [dilation; 2],
        pads: [pads; 4],
    }
}

/// The operator on one input and parameters, at the very end of what its check lets through.
fn costly() -> Vec<(&'static str, Op, TensorType, Vec<TensorType>)> {
    use DType::{I8, I32};
    let conv = |window, groups| Op::Conv2d {
        window,
        groups,
        pad_value: -3,
        epilogue: Epilogue::Requant(ALL),
    };
    let scales = |channels| [ty(I32, &[channels]), ty(I32, &[channels, 2])];
    let weights = |dims: &[u32]| [&[ty(I8, dims)], &scales(dims[0])[..]].concat();
    let add = Op::Add {
        multiplier_a: i32::MIN,
        multiplier_b: i32::MAX,
        offset: (1 << 48) - 1,
        shift: 40,
        range: ALL,
    };
    vec![
        (
            "MatMul, inner size 1,024",
            Op::MatMul(Epilogue::Requant(ALL)),
            ty(I8, &[2, 1_024]),
            weights(&[3, 1_024]),
        ),
        (
            "MatMul, inner size 16,384",
            Op::MatMul(Epilogue::Requant(ALL)),
            ty(I8, &[2, 16_384]),
            weights(&[3, 16_384]),
        ),
        (
            "MatMul, inner size 32,769",
            Op::MatMul(Epilogue::Requant(ALL)),
            ty(I8, &[2, 32_769]),
            weights(&[3, 32_769]),
        ),
        (
            "Conv2d, 3x3 of 16 channels",
            conv(window([3, 3], 1, 1), 1),
            ty(I8, &[1, 8, 8, 16]),
            weights(&[8, 3, 3, 16]),
        ),
        (
            "Conv2d, 42x513 of one channel",
            conv(window([42, 513], 1, 0), 1),
            ty(I8, &[1, 42, 900, 1]),
            weights(&[1, 42, 513, 1]),
        ),
        (
            "Conv2d, 128 taps apart",
            conv(window([1, 128], 512, 0), 2),
            ty(I8, &[1, 1, 66_000, 2]),
            weights(&[2, 1, 128, 1]),
        ),
        (
            "Conv2d, in the padding",
            conv(window([40, 1], 1, 40), 1),
            ty(I8, &[1, 1, 1, 500]),
            weights(&[1, 40, 1, 500]),
        ),
        (
            "MaxPool2d, 67x513",
            Op::MaxPool2d(window([67, 513], 1, 0)),
            ty(I8, &[1, 67, 1_040, 1]),
            vec![],
        ),
        (
            "MaxPool2d, 132 taps apart",
            Op::MaxPool2d(window([11, 12], 64, 0)),
            ty(I8, &[1, 720, 720, 3]),
            vec![],
        ),
        (
            "AvgPool2d, 67x513",
            average(window([67, 513], 1, 0)),
            ty(I8, &[1, 67, 1_040, 1]),
            vec![],
        ),
        ("Add", add, ty(I8, &[70_000]), vec![ty(I8, &[70_000])]),
        (
            "Lookup",
            Op::Lookup,
            ty(I8, &[70_000]),
            vec![ty(I8, &[256])],
        ),
        (
            "Reshape",
            Op::Reshape(Shape::new(&[7, 10_000]).unwrap()),
            ty(I32, &[70_000]),
            vec![],
        ),
        (
            "Transpose",
            Op::Transpose([3, 1, 0, 2, 0, 0]),
            ty(I32, &[10, 10, 70, 10]),
            vec![],
        ),
        (
            "ArgMax, of 65,536 i8",
            Op::ArgMax,
            ty(I8, &[2, 65_536]),
            vec![],
        ),
        (
            "ArgMax, of 16,384 i32",
            Op::ArgMax,
            ty(I32, &[2, 16_384]),
            vec![],
        ),
    ]
}

/// What the costliest elements take: the operator beside 4,095 others, so that all paths are long.
#[test]
fn the_costliest_elements_fit() {
    let mut chain = Chain::new();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (mut most, mut heap) = (0, 0);
    let mut kinds = std::collections::BTreeSet::new();
    for (name, op, input, parameters) in costly() {
        kinds.insert(op.kind());
        // The last of many, on a value that is itself the input.
        let mut nodes = vec![Node {
            op: Op::Reshape(input.shape),
            operands: vec![Operand::Input(0)],
        }];
        let small = Node {
            op: Op::Lookup,
            operands: vec![
                Operand::Input(1),
                Operand::Parameter(parameters.len() as u32),
            ],
        };
        nodes.resize(4_095, small);
        let operands = (0..parameters.len() as u32).map(Operand::Parameter);
        nodes.push(Node {
            op,
            operands: std::iter::once(Operand::Value(0)).chain(operands).collect(),
        });
        let types: Vec<TensorType> = [&parameters[..], &[ty(DType::I8, &[256])]].concat();
        let program = Program {
            inputs: vec![input, ty(DType::I8, &[1])],
            parameters: types.clone(),
            nodes,
            outputs: vec![Output {
                name: "y".into(),
                value: 4_095,
            }],
        };
        let tensors = types
            .iter()
            .map(|ty| random_tensor(&mut rng, *ty))
            .collect();
        let mut bytes = vec![0; input.bytes() as usize + 1];
        rng.fill(&mut bytes[..]);
        if name.contains("of 65,536") {
            // The largest comes last.
            bytes.iter_mut().for_each(|byte| *byte &= 0xbf);
            bytes[65_535] = 0x7f;
        }
        let run = Run::new(program.check().unwrap(), tensors, bytes);
        let honest = run.lie(4_095, |_| {});
        let last = honest.leaf.result.shape.elements() - 1;
        for element in [0, last] {
            let (chunk, at) = place(honest.leaf.result.dtype, element);
            let proof = run.execution().prove_element(&honest.disputed(), chunk, at);
            let proof = proof.unwrap();
            let request = Request::Elements {
                program: Box::new(run.header),
                parameters_root: run.parameters_root,
                input_root: run.input_root,
                trace_root: honest.trace_root,
                operator: 4_095,
                leaf: honest.leaf.encode(),
            };
            let mut rest = Vec::new();
            push_element(&mut rest, chunk, honest.chunk(chunk), &proof);
            let answer = chain.decide(&request, &rest);
            assert_eq!(answer.verdicts, [0], "{name}");
            let (units, bytes) = (answer.units, proof.len());
            println!(
                "{name:<30} {units:>6} units, {:>5} bytes of heap, {bytes:>5} of the proof",
                answer.heap
            );
            most = most.max(units);
            heap = heap.max(answer.heap);
        }
    }
    println!("{most} units, {heap} bytes of heap at most");
    assert_eq!(kinds.len(), KINDS);
    assert!(most < MOST_UNITS, "{most}");
    assert!(heap < HEAP * 3 / 4, "{heap}");
}

/// What the chain answers about an element whose operands are too large to have, and the length of its proof.
fn decide_opened(
    chain: &mut Chain,
    rng: &mut ChaCha8Rng,
    op: Op,
    types: &[TensorType],
    element: u64,
) -> (Answer, usize) {
    let opened = opened::opened(rng, op, types, element);
    let request = Request::Elements {
        program: Box::new(opened.program),
        parameters_root: opened.parameters_root,
        input_root: [0; 32],
        trace_root: opened.trace_root,
        operator: opened.program.operators - 1,
        leaf: opened.leaf.encode(),
    };
    let mut rest = Vec::new();
    push_element(&mut rest, opened.chunk, &opened.bytes, &opened.proof);
    let answer = chain.decide(&request, &rest);
    assert_eq!(answer.verdicts, [0], "{:?}", opened.leaf);
    (answer, opened.proof.len())
}

/// What those take whose operands are too large to have, in the largest of programs: a proof that takes more than
/// a transaction may could not be brought.
#[test]
fn the_costliest_to_open_fit() {
    let mut chain = Chain::new();
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut costs = Vec::new();
    for (name, op, types, element) in costly::costly() {
        let (answer, bytes) = decide_opened(&mut chain, &mut rng, op, &types, element);
        costs.push((answer.units, answer.heap, bytes, name));
    }
    costs.sort_unstable();
    for (units, heap, bytes, name) in costs.iter().rev().take(DEAREST) {
        println!("{name:<36} {units:>7} units, {heap:>5} bytes of heap, {bytes:>6} of the proof");
    }
    let most = costs.last().unwrap().0;
    let heap = costs.iter().map(|cost| cost.1).max().unwrap();
    println!(
        "{} ways: {most} units, {heap} bytes of heap at most",
        costs.len()
    );
    assert!(most < MOST_UNITS, "{most}");
    assert!(heap < HEAP * 3 / 4, "{heap}");
}

/// Nobody thought of these: windows of any shape near the bound, over as large an image as there can be.
#[test]
fn no_window_is_dearer_than_the_costliest() {
    let mut chain = Chain::new();
    let mut rng = ChaCha8Rng::seed_from_u64(77);
    let (mut most, mut tried) = (0, 0);
    while tried < WINDOWS {
        let taps = rng.random_range(MAX_READ_CHUNKS as u32 / 2..=MAX_READ_CHUNKS as u32);
        let rows = match rng.random_range(0..3) {
            0 => 1,
            1 => taps,
            _ => rng.random_range(1..=taps),
        };
        let kernel = [rows, rng.random_range(1..=taps / rows)];
        let groups = rng.random_range(1..=4u32);
        let channels = groups * rng.random_range(1..=2);
        // The image is as large as can be, the taps mostly as far apart as they fit.
        let pixels = MAX_ELEMENTS as u32 / channels;
        let height = match kernel {
            [_, 1] => pixels,
            [1, _] => 1,
            _ => rows * rng.random_range(1..=1 << 10),
        };
        let size = [height, pixels / height];
        let apart = |axis: usize| (size[axis] / kernel[axis]).max(1);
        let far = rng.random_bool(0.8);
        let dilations = [0, 1].map(|axis| if far { apart(axis) } else { 1 + axis as u32 });
        let window = Window {
            kernel,
            strides: size.map(|size| rng.random_range(1..=size)),
            dilations,
            pads: [rng.random_range(0..2); 4],
        };
        let image = ty(DType::I8, &[1, size[0], size[1], channels]);
        let (op, types) = match rng.random_range(0..4) {
            0 => (Op::MaxPool2d(window), vec![image]),
            1 => (average(window), vec![image]),
            _ => {
                let filter = [kernel[0], kernel[1], channels / groups];
                let most = MAX_ELEMENTS as u32 / filter.iter().product::<u32>() / groups;
                let filters = groups * rng.random_range(1..=most);
                let weights = [filters, filter[0], filter[1], filter[2]];
                (
                    costly::conv(window, groups),
                    costly::weighed(image, &weights),
                )
            }
        };
        let Ok(checked) = check(&op, &types) else {
            continue;
        };
        let element = rng.random_range(0..checked.result.shape.elements());
        let (answer, _) = decide_opened(&mut chain, &mut rng, op, &types, element);
        most = most.max(answer.units);
        tried += 1;
    }
    println!("{tried} windows: {most} units at most");
    assert!((MOST_UNITS * 4 / 5..MOST_UNITS).contains(&most), "{most}");
}
