//! `reads` and `eval` against an independent implementation on whole tensors, over random
//! programs and over hand-picked limits.

mod common;
#[path = "common/whole.rs"]
mod whole;

use assay_tensor::check::{MAX_READ_CHUNKS, check, chunks};
use assay_tensor::commit::CHUNK;
use assay_tensor::eval::eval;
use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::program::Operand;
use assay_tensor::reads::reads;
use assay_tensor::types::{Shape, Tensor, TensorType};
use assay_tensor::{random, reference};
use std::collections::BTreeMap;

#[test]
fn every_value_equals_the_whole_tensor_implementation() {
    let mut seen = BTreeMap::new();
    let mut elements = 0;
    for seed in 0..common::cases(600) {
        let case = random::program(seed);
        let program = case.program.program();
        for request in &case.inputs {
            let inputs = case.program.inputs_from_bytes(request).unwrap();
            let values = reference::trace(&case.program, &case.parameters, &inputs).unwrap();
            for (node, value) in program.nodes.iter().zip(&values) {
                let operands = node.operands.iter().map(|operand| match *operand {
                    Operand::Input(i) => &inputs[usize::from(i)],
                    Operand::Parameter(i) => &case.parameters[i as usize],
                    Operand::Value(i) => &values[i as usize],
                });
                let operands = operands.collect::<Vec<_>>();
                let expected = whole::apply(&node.op, &operands, *value.ty());
                assert!(expected == *value, "seed {seed}: {node:?}");
                *seen.entry(node.op.kind()).or_insert(0u32) += 1;
                elements += value.ty().shape.elements();
            }
            let outputs = reference::run(&case.program, &case.parameters, &inputs).unwrap();
            let named = program.outputs.iter().map(|o| &values[o.value as usize]);
            assert!(outputs.iter().eq(named));
            // One request of most is enough for this slow an oracle.
            if seed % 8 > 0 {
                break;
            }
        }
    }
    println!("{elements} elements: {seen:?}");
    assert_eq!(seen.len(), 9, "an operator never came up: {seen:?}");
}

#[test]
fn reads_stay_inside_of_their_operands_and_limits() {
    for seed in 0..common::cases(300) {
        let case = random::program(seed);
        let program = case.program.program();
        for (node, ty) in program.nodes.iter().zip(case.program.value_types()) {
            let types = node.operands.iter().map(|o| case.program.type_of(*o));
            let types = types.collect::<Vec<_>>();
            let elements = ty.shape.elements();
            for element in 0..elements {
                let reads = reads(&node.op, &types, element).unwrap();
                let lens = reads.as_slice().iter().map(|read| read.len);
                assert!(lens.map(|len| chunks(len.into())).sum::<u64>() <= MAX_READ_CHUNKS);
                for read in reads.as_slice() {
                    assert!(read.len > 0);
                    let end = read.start + u64::from(read.len);
                    assert!(end <= types[usize::from(read.operand)].bytes());
                }
                // Bytes of another number are refused, not guessed at.
                if element < 3 {
                    let zeros = vec![0u8; MAX_READ_CHUNKS as usize * CHUNK];
                    let lens = reads.as_slice().iter().map(|read| read.len as usize);
                    let good = lens.map(|len| &zeros[..len]).collect::<Vec<_>>();
                    let eval = |ranges: &[&[u8]]| eval(&node.op, &types, element, ranges);
                    assert!(eval(&good).is_some());
                    assert!(eval(&[&good[..], &[&zeros[..1]]].concat()).is_none());
                    for at in 0..good.len() {
                        let mut other = good.clone();
                        other[at] = &zeros[..good[at].len() + 1];
                        assert!(eval(&other).is_none());
                        other[at] = &zeros[..good[at].len() - 1];
                        assert!(eval(&other).is_none());
                        other.remove(at);
                        assert!(eval(&other).is_none());
                    }
                }
            }
            assert!(reads(&node.op, &types, elements).is_none());
            assert!(eval(&node.op, &types, elements, &[]).is_none());
            assert!(reads(&node.op, &types[1..], 0).is_none());
        }
    }
}

/// Every element of `op` over these operands.
fn run(op: &Op, operands: &[&Tensor]) -> Vec<i32> {
    let types = operands.iter().map(|t| *t.ty()).collect::<Vec<_>>();
    let result = check(op, &types).unwrap().result;
    (0..result.shape.elements())
        .map(|element| {
            let reads = reads(op, &types, element).unwrap();
            let ranges = reads.as_slice().iter().map(|read| {
                let start = read.start as usize;
                let data = operands[usize::from(read.operand)].data();
                &data[start..start + read.len as usize]
            });
            eval(op, &types, element, &ranges.collect::<Vec<_>>()).unwrap()
        })
        .collect()
}

const ALL: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};

#[test]
fn requantisation_at_its_limits() {
    // (accumulator, multiplier, shift, range) and the result by hand.
    let zero_point = |zero_point| OutputRange { zero_point, ..ALL };
    let cases = [
        (1, 1, 1, ALL, 1),   // a half goes up
        (-1, 1, 1, ALL, 0),  // so does minus a half
        (-3, 1, 1, ALL, -1), // -1.5 to -1
        (3, 1, 2, ALL, 1),
        (i32::MAX, i32::MAX, 62, ALL, 1),
        (i32::MIN, i32::MAX, 62, ALL, -1),
        (i32::MIN, i32::MAX, 55, ALL, -128),
        (i32::MAX, i32::MAX, 1, ALL, 127),
        (100, 0, 62, zero_point(-7), -7),
        (200, 1, 1, zero_point(100), 127), // the zero point comes before the clamp
        (
            -100,
            1,
            1,
            OutputRange {
                zero_point: 5,
                lo: 5,
                hi: 9,
            },
            5,
        ),
        // As data: the sign bit of the multiplier is not one, the shift is clamped.
        (8, i32::MIN + 4, 4, ALL, 2),
        (4, 1, 0, ALL, 2),
        (4, 1, i32::MIN, ALL, 2),
        (i32::MAX, i32::MAX, i32::MAX, ALL, 1),
    ];
    let a = Tensor::from_i8(&[1], &[0]).unwrap();
    let b = Tensor::from_i8(&[1, 1], &[0]).unwrap();
    for (acc, multiplier, shift, range, expected) in cases {
        let bias = Tensor::from_i32(&[1], &[acc]).unwrap();
        let scales = Tensor::from_i32(&[1, 2], &[multiplier, shift]).unwrap();
        let op = Op::MatMul(Epilogue::Requant(range));
        let found = run(&op, &[&a, &b, &bias, &scales]);
        assert_eq!(found, [expected], "{acc} * {multiplier} >> {shift}");
    }
}

#[test]
fn accumulators_wrap() {
    let a = Tensor::from_i8(&[2], &[-128, -128]).unwrap();
    let b = Tensor::from_i8(&[1, 2], &[-128, 127]).unwrap();
    let bias = Tensor::from_i32(&[1], &[i32::MIN]).unwrap();
    let op = Op::MatMul(Epilogue::Accumulate);
    // -128 * -128 - 128 * 127 = 128.
    assert_eq!(run(&op, &[&a, &b, &bias]), [i32::MIN + 128]);
    let bias = Tensor::from_i32(&[1], &[i32::MAX]).unwrap();
    assert_eq!(run(&op, &[&a, &b, &bias]), [i32::MIN + 127]);
}

#[test]
fn windows_in_the_padding_alone() {
    let x = Tensor::from_i8(&[1, 1, 1, 1], &[-5]).unwrap();
    let window = Window {
        kernel: [1, 1],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [0, 1, 0, 1],
    };
    assert_eq!(run(&Op::MaxPool2d(window), &[&x]), [-128, -5, -128]);
    let average = Op::AvgPool2d {
        window,
        pad_value: 3,
        offset: 1,
        requant: Requant {
            multiplier: 2,
            shift: 1,
            range: ALL,
        },
    };
    assert_eq!(run(&average, &[&x]), [4, -4, 4]);
}

#[test]
fn ties_go_to_the_lowest_index() {
    let x = Tensor::from_i32(&[3, 3], &[1, 1, 0, i32::MIN, i32::MIN, i32::MIN, 0, 2, 2]).unwrap();
    assert_eq!(run(&Op::ArgMax, &[&x]), [0, 0, 1]);
    let x = Tensor::from_i8(&[4], &[-128, 127, -1, 127]).unwrap();
    assert_eq!(run(&Op::ArgMax, &[&x]), [1]);
}

#[test]
fn a_table_is_indexed_from_minus_128() {
    let table = (0..=255u8).map(|i| i as i8).collect::<Vec<_>>();
    let table = Tensor::from_i8(&[256], &table).unwrap();
    let x = Tensor::from_i8(&[4], &[-128, -1, 0, 127]).unwrap();
    assert_eq!(run(&Op::Lookup, &[&x, &table]), [0, 127, -128, -1]);
}

#[test]
fn scalars_are_tensors() {
    let x = Tensor::from_i8(&[], &[7]).unwrap();
    let op = Op::Add {
        multiplier_a: 2,
        multiplier_b: 2,
        offset: 0,
        shift: 1,
        range: ALL,
    };
    assert_eq!(run(&op, &[&x, &x]), [14]);
    assert_eq!(run(&Op::Transpose([0; 6]), &[&x]), [7]);
    let one = Shape::new(&[1, 1, 1, 1, 1, 1]).unwrap();
    assert_eq!(run(&Op::Reshape(one), &[&x]), [7]);
}

#[test]
fn what_was_never_checked_is_refused_and_never_panics() {
    let ty = |dims: &[u32]| TensorType::new(assay_tensor::types::DType::I8, dims).unwrap();
    let window = Window {
        kernel: [u32::MAX, 0],
        strides: [0, 0],
        dilations: [u32::MAX, 0],
        pads: [u32::MAX; 4],
    };
    let requant = Requant {
        multiplier: -1,
        shift: 255,
        range: OutputRange {
            zero_point: 0,
            lo: 1,
            hi: 0,
        },
    };
    let ops = [
        Op::MaxPool2d(window),
        Op::AvgPool2d {
            window,
            pad_value: 0,
            offset: 0,
            requant,
        },
        Op::Conv2d {
            window,
            groups: 0,
            pad_value: 0,
            epilogue: Epilogue::Accumulate,
        },
        Op::Transpose([255; 6]),
        Op::Add {
            multiplier_a: 0,
            multiplier_b: 0,
            offset: i64::MIN,
            shift: 0,
            range: ALL,
        },
    ];
    for op in &ops {
        for operands in [&[][..], &[ty(&[2, 2, 2, 2])], &[ty(&[2, 2, 2, 2]); 4]] {
            assert!(reads(op, operands, 0).is_none());
            assert!(eval(op, operands, 0, &[]).is_none());
            assert!(eval(op, operands, u64::MAX, &[&[0; 64]]).is_none());
        }
    }
}
