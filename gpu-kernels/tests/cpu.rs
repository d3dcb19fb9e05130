//! The CPU executor, with each kernel that this processor has, against the reference: no
//! element differs. `ASSAY_CASES` raises the number of random programs.

use assay_tensor::op::{Epilogue, Op, OutputRange, Window};
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::random::{self, RandomCase};
use assay_tensor::types::{DType, Tensor, TensorType};
use gpu_kernels::cpu::{CpuExecutor, Kernel};
use gpu_kernels::reference::Reference;
use gpu_kernels::{Executor, ExecutorError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

fn cases() -> u64 {
    let cases = std::env::var("ASSAY_CASES").ok();
    cases.and_then(|n| n.parse().ok()).unwrap_or(1_000)
}

/// Runs the case on every executor; the first one's answers are what the others must give.
fn compare(executors: &[Box<dyn Executor>], case: RandomCase, what: &str) -> u64 {
    let program = Arc::new(case.program);
    let parameters = Arc::new(case.parameters);
    let requests = case.inputs.iter().map(Vec::as_slice).collect::<Vec<_>>();
    let answers = executors.iter().map(|executor| {
        let mut model = executor
            .prepare(program.clone(), parameters.clone())
            .unwrap();
        let first = model.run(&requests).unwrap();
        // A second run finds the memory of the first one, and another batch.
        if let [_, rest @ ..] = &requests[..] {
            let second = model.run(rest).unwrap();
            assert!(second == first[1..], "{what}: {} repeated", executor.name());
        }
        first
    });
    let answers = answers.collect::<Vec<_>>();
    for (executor, other) in executors.iter().zip(&answers).skip(1) {
        let nodes = &program.program().nodes;
        assert!(
            *other == answers[0],
            "{what}: {}: {nodes:?}",
            executor.name()
        );
    }
    answers[0].iter().map(|answer| answer.len() as u64).sum()
}

fn executors() -> Vec<Box<dyn Executor>> {
    let mut all: Vec<Box<dyn Executor>> = vec![Box::new(Reference)];
    for kernel in Kernel::available() {
        let executor = CpuExecutor::with_kernel(kernel).unwrap();
        all.push(Box::new(executor.clone()));
        all.push(Box::new(executor.threads(1)));
    }
    all
}

#[test]
fn random_programs_are_equal_on_every_kernel() {
    let executors = executors();
    let mut bytes = 0;
    for seed in 0..cases() {
        bytes += compare(&executors, random::program(seed), &format!("seed {seed}"));
    }
    let names = executors.iter().map(|executor| executor.name());
    println!("{bytes} bytes equal on {:?}", names.collect::<Vec<_>>());
}

fn ty(dtype: DType, dims: &[u32]) -> TensorType {
    TensorType::new(dtype, dims).unwrap()
}

/// One operator over an input and random parameters, with `requests` requests.
fn single(rng: &mut ChaCha8Rng, op: Op, types: &[TensorType], requests: usize) -> RandomCase {
    let (input, rest) = types.split_first().unwrap();
    let parameters = rest.iter().map(|ty| random::random_tensor(rng, *ty));
    let parameters = parameters.collect::<Vec<_>>();
    let operands = (0..rest.len() as u32).map(Operand::Parameter);
    let program = Program {
        inputs: vec![*input],
        parameters: rest.to_vec(),
        nodes: vec![Node {
            op,
            operands: std::iter::once(Operand::Input(0)).chain(operands).collect(),
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: 0,
        }],
    };
    let inputs = (0..requests).map(|_| random::random_tensor(rng, *input).into_data());
    RandomCase {
        inputs: inputs.collect(),
        program: program.check().unwrap(),
        parameters,
    }
}

const RANGE: OutputRange = OutputRange {
    zero_point: 1,
    lo: -128,
    hi: 127,
};

/// Rows and columns around each tile's and panel's size, inner sizes around each group's.
#[test]
fn products_of_every_size_around_a_tile() {
    let executors = executors();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for rows in (1..=14).chain([23, 25, 240, 241]) {
        for columns in [1, 7, 8, 9, 15, 16, 17, 33, 48, 63, 64, 65, 100] {
            let inner = *[1, 2, 3, 4, 5, 7, 8, 31, 64, 130]
                .get(rng.random_range(0..10usize))
                .unwrap();
            let epilogue = if rng.random() {
                Epilogue::Accumulate
            } else {
                Epilogue::Requant(RANGE)
            };
            let mut types = vec![
                ty(DType::I8, &[rows, inner]),
                ty(DType::I8, &[columns, inner]),
                ty(DType::I32, &[columns]),
            ];
            if let Epilogue::Requant(_) = epilogue {
                types.push(ty(DType::I32, &[columns, 2]));
            }
            let case = single(&mut rng, Op::MatMul(epilogue), &types, 2);
            compare(&executors, case, &format!("{rows} x {inner} x {columns}"));
        }
    }
}

/// The longest inner sizes, at the ends of the range: the largest sums there are.
#[test]
fn the_largest_sums() {
    let executors = executors();
    let inner = 32_760;
    for (x, w) in [(-128, -128), (-128, 127), (127, -128), (127, 127)] {
        let program = Program {
            inputs: vec![ty(DType::I8, &[2, inner])],
            parameters: vec![ty(DType::I8, &[3, inner]), ty(DType::I32, &[3])],
            nodes: vec![Node {
                op: Op::MatMul(Epilogue::Accumulate),
                operands: vec![
                    Operand::Input(0),
                    Operand::Parameter(0),
                    Operand::Parameter(1),
                ],
            }],
            outputs: vec![Output {
                name: "y".into(),
                value: 0,
            }],
        };
        let weights = vec![w; 3 * inner as usize];
        let case = RandomCase {
            program: program.check().unwrap(),
            parameters: vec![
                Tensor::from_i8(&[3, inner], &weights).unwrap(),
                Tensor::from_i32(&[3], &[i32::MAX, i32::MIN, 0]).unwrap(),
            ],
            inputs: vec![vec![x as u8; 2 * inner as usize]],
        };
        compare(&executors, case, &format!("{x} times {w}"));
    }
}

/// A window whose padding no memory would hold.
#[test]
fn padding_out_of_all_proportion() {
    let executors = executors();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let window = Window {
        kernel: [2, 2],
        strides: [1 << 30, 1 << 30],
        dilations: [1 << 29, 1 << 30],
        pads: [1 << 30, 1 << 30, 1 << 31, 1 << 31],
    };
    let op = Op::Conv2d {
        window,
        groups: 1,
        pad_value: -9,
        epilogue: Epilogue::Requant(RANGE),
    };
    let types = [
        ty(DType::I8, &[2, 3, 3, 2]),
        ty(DType::I8, &[5, 2, 2, 2]),
        ty(DType::I32, &[5]),
        ty(DType::I32, &[5, 2]),
    ];
    compare(&executors, single(&mut rng, op, &types, 2), "convolution");
    let pool = single(&mut rng, Op::MaxPool2d(window), &types[..1], 2);
    compare(&executors, pool, "pool");
}

/// Results of more pixels than a block of the convolution, ordinary, grouped and depthwise.
#[test]
fn images_larger_than_a_block() {
    let executors = executors();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for (width, stride) in [(75, 1), (151, 2), (5000, 1)] {
        for groups in [1, 2, 4] {
            let window = Window {
                kernel: [3, 3],
                strides: [stride, 1],
                dilations: [1, 1],
                pads: [1, 1, 0, 2],
            };
            let op = Op::Conv2d {
                window,
                groups,
                pad_value: 7,
                epilogue: Epilogue::Requant(RANGE),
            };
            let types = [
                ty(DType::I8, &[1, 40_000 / width, width, 4]),
                ty(DType::I8, &[4, 3, 3, 4 / groups]),
                ty(DType::I32, &[4]),
                ty(DType::I32, &[4, 2]),
            ];
            let case = single(&mut rng, op, &types, 1);
            compare(&executors, case, &format!("{width} wide, {groups} groups"));
        }
    }
}

/// Batches that are split over threads and micro-batches, at each size around a share.
#[test]
fn batches_of_many_sizes() {
    let executors = executors();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for requests in [1, 2, 3, 63, 64, 65, 130, 257] {
        let types = [
            ty(DType::I8, &[3, 200]),
            ty(DType::I8, &[70, 200]),
            ty(DType::I32, &[70]),
            ty(DType::I32, &[70, 2]),
        ];
        let op = Op::MatMul(Epilogue::Requant(RANGE));
        let case = single(&mut rng, op, &types, requests);
        compare(&executors, case, &format!("{requests} requests"));
    }
}

fn small() -> (Arc<CheckedProgram>, Arc<Vec<Tensor>>) {
    let case = random::program(1);
    (Arc::new(case.program), Arc::new(case.parameters))
}

#[test]
fn what_does_not_fit_is_refused() {
    for executor in executors() {
        let (program, parameters) = small();
        let mut model = executor
            .prepare(program.clone(), parameters.clone())
            .unwrap();
        assert_eq!(model.run(&[]), Ok(vec![]));
        let good = vec![0; program.input_bytes() as usize];
        let long = vec![0; good.len() + 1];
        let error = model.run(&[&good, &long]).unwrap_err();
        assert_eq!(
            error,
            ExecutorError::InputSize {
                request: 1,
                got: long.len() as u64,
                want: good.len() as u64
            }
        );
        // And goes on working.
        assert_eq!(model.run(&[&good]).unwrap().len(), 1);
        let more = [&parameters[..], &[Tensor::from_i8(&[1], &[0]).unwrap()]].concat();
        assert!(matches!(
            executor.prepare(program, Arc::new(more)),
            Err(ExecutorError::Parameters(_))
        ));
    }
}

#[test]
fn a_kernel_that_is_not_there_is_refused() {
    let available = Kernel::available();
    for kernel in [
        Kernel::Avx512Vnni,
        Kernel::AvxVnni,
        Kernel::Avx2,
        Kernel::Neon,
        Kernel::Scalar,
    ] {
        let opened = CpuExecutor::with_kernel(kernel);
        assert_eq!(opened.is_ok(), available.contains(&kernel), "{kernel:?}");
    }
    assert_eq!(CpuExecutor::new().kernel(), available[0]);
}
