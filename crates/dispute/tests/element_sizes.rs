//! How large the proofs of one element are: the digits model, and generated ones of the sizes that
//! must be disputable. The figures are printed (`--nocapture`); the bounds hold them.

#[path = "common/costly.rs"]
mod costly;
#[path = "common/opened.rs"]
mod opened;
#[path = "common/run.rs"]
mod run;

use assay_dispute::step::element::MAX_PROOF;
use assay_onnx::dataset::{self, HeldOut};
use assay_onnx::{Limits, import};
use assay_tensor::check::check;
use assay_tensor::leaves::MAX_LEAF;
use assay_tensor::op::{Epilogue, Op, OutputRange, Window};
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::random::random_tensor;
use assay_tensor::types::{DType, TensorType};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use run::{Run, place};

const ALL: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};

/// The largest proof of these elements of an operator.
fn largest(run: &Run, operator: u32, elements: impl Iterator<Item = u64>) -> usize {
    let honest = run.lie(operator, |_| {});
    let dtype = honest.leaf.result.dtype;
    let len = |element| {
        let (chunk, at) = place(dtype, element);
        let proof = run.execution().prove_element(&honest.disputed(), chunk, at);
        let proof = proof.unwrap();
        assert_eq!(honest.check(run, chunk, &proof), Ok(false));
        proof.len()
    };
    elements.map(len).max().unwrap()
}

#[test]
fn the_digits_model() {
    let model = import(dataset::DIGITS, &Limits::default()).unwrap();
    let images = HeldOut::digits().unwrap();
    let input = images.input(0, model.inputs[0].quantisation.as_ref().unwrap());
    let run = Run::new(model.program, model.parameters, input.unwrap());
    let mut most = 0;
    for operator in 0..run.header.operators {
        let leaf = run.leaf(operator);
        let elements = leaf.result.shape.elements();
        let len = largest(&run, operator, 0..elements);
        let leaf_len = leaf.encode().len();
        println!(
            "operator {operator:2} {:10} {:?}: leaf {leaf_len} bytes, largest proof {len} bytes",
            leaf.op.kind(),
            leaf.result
        );
        most = most.max(len);
    }
    println!("largest {most}");
    // One version-1 transaction, or a buffer account filled by three legacy ones.
    assert!(most < 3_000, "{most}");
}

#[test]
fn an_inner_size_of_16384() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let ty = |dtype, dims: &[u32]| TensorType::new(dtype, dims).unwrap();
    let (inner, columns) = (16_384, 24);
    let parameters = [
        ty(DType::I8, &[columns, inner]),
        ty(DType::I32, &[columns]),
        ty(DType::I32, &[columns, 2]),
    ];
    let product = |a| Node {
        op: Op::MatMul(Epilogue::Requant(ALL)),
        operands: vec![
            a,
            Operand::Parameter(0),
            Operand::Parameter(1),
            Operand::Parameter(2),
        ],
    };
    let program = Program {
        inputs: vec![ty(DType::I8, &[4, inner])],
        parameters: parameters.to_vec(),
        nodes: vec![
            Node {
                op: Op::Reshape(ty(DType::I8, &[2, 2, inner]).shape),
                operands: vec![Operand::Input(0)],
            },
            product(Operand::Input(0)),
            product(Operand::Value(0)),
        ],
        outputs: vec![Output {
            name: "y".into(),
            value: 2,
        }],
    };
    let tensors = parameters.map(|ty| random_tensor(&mut rng, ty)).to_vec();
    let input = random_tensor(&mut rng, program.inputs[0]).into_data();
    let run = Run::new(program.check().unwrap(), tensors, input);
    for operator in [1, 2] {
        let len = largest(&run, operator, 0..96);
        println!("operator {operator}: largest proof {len} bytes");
        // Two rows of chunks, the bias, the scales; the rest are siblings.
        assert!((2 * 16_384..2 * 16_384 + 1_500).contains(&len), "{len}");
    }
}

#[test]
fn a_program_of_4096_operators() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let ty = TensorType::new(DType::I8, &[40]).unwrap();
    let table = TensorType::new(DType::I8, &[256]).unwrap();
    let nodes = (0..4_096u32).map(|i| {
        let value = |at: Option<u32>| at.map_or(Operand::Input(0), Operand::Value);
        if i % 3 == 0 {
            return Node {
                op: Op::Lookup,
                operands: vec![value(i.checked_sub(1)), Operand::Parameter(0)],
            };
        }
        Node {
            op: Op::Add {
                multiplier_a: 1 << 20,
                multiplier_b: -(1 << 19),
                offset: i64::from(i),
                shift: 20,
                range: ALL,
            },
            // One from nearby and one from far away share nothing.
            operands: vec![value(i.checked_sub(1)), value((i / 2).checked_sub(1))],
        }
    });
    let program = Program {
        inputs: vec![ty],
        parameters: vec![table],
        nodes: nodes.collect(),
        outputs: vec![Output {
            name: "y".into(),
            value: 4_095,
        }],
    };
    let parameters = vec![random_tensor(&mut rng, table)];
    let input = random_tensor(&mut rng, ty).into_data();
    let run = Run::new(program.check().unwrap(), parameters, input);
    let mut most = 0;
    for operator in [0, 1, 2, 2_047, 2_048, 2_049, 4_093, 4_094, 4_095] {
        most = most.max(largest(&run, operator, [0, 17, 39].into_iter()));
    }
    println!("largest proof {most} bytes");
    // Two values, and two paths of twelve that share the last.
    assert!(most <= 2 + 2 * 40 + 256 + 24 * 32, "{most}");
}

/// A proof that does not fit a buffer could not be brought.
#[test]
fn the_costliest() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut most = 0;
    for (name, op, types, element) in costly::costly() {
        let opened = opened::opened(&mut rng, op, &types, element);
        assert_eq!(opened.check(&opened.bytes), Ok(false), "{name}");
        println!("{name:<40} {:>7} bytes", opened.proof.len());
        assert!(opened.leaf.encode().len() <= MAX_LEAF, "{name}");
        most = most.max(opened.proof.len());
    }
    assert!(most > 120_000 && most <= MAX_PROOF, "{most}");
}

/// Windows of any size that passes the check, anywhere on images of any size: each element opens, and no proof is
/// longer than the longest.
#[test]
fn no_window_s_proof_is_longer_than_the_longest() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let i8s = |dims: &[u32]| TensorType::new(DType::I8, dims);
    let (mut most, mut opened_all) = (0, 0);
    while opened_all < run::cases(400) {
        let rows = rng.random_range(1..=64u32);
        let columns = rng.random_range(1..=(1 << 16) / rows);
        let height = rng.random_range(rows..=rows + 4);
        // A power of two at times, so that the rows lie alike.
        let width = match rng.random_bool(0.5) {
            true => 1 << rng.random_range(12..=25u32),
            false => rng.random_range(columns..=1 << 25),
        };
        let window = Window {
            kernel: [rows, columns],
            strides: [1, rng.random_range(1..=width)],
            dilations: [1; 2],
            pads: [rng.random_range(0..3); 4],
        };
        let Some(image) = i8s(&[1, height, width, 1]) else {
            continue;
        };
        let (op, types) = match rng.random_bool(0.5) {
            true => (Op::MaxPool2d(window), vec![image]),
            false => (
                costly::conv(window, 1),
                costly::weighed(image, &[7, rows, columns, 1]),
            ),
        };
        let Ok(checked) = check(&op, &types) else {
            continue;
        };
        let element = rng.random_range(0..checked.result.shape.elements());
        let opened = opened::opened(&mut rng, op, &types, element);
        assert_eq!(opened.check(&opened.bytes), Ok(false), "{:?}", opened.leaf);
        most = most.max(opened.proof.len());
        opened_all += 1;
    }
    println!("{opened_all} windows, largest proof {most} bytes");
    assert!(most > 80_000 && most <= MAX_PROOF, "{most}");
}
