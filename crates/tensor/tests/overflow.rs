//! The overflow analysis: exact for the weights, safe for any input.

mod common;

use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::overflow::{bounds, check_overflow};
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::types::{DType, Tensor, TensorType};
use assay_tensor::{random, reference};

fn product(inner: u32, weights: &[i8], bias: i32) -> (Program, Vec<Tensor>) {
    let parameters = vec![
        Tensor::from_i8(&[1, inner], weights).unwrap(),
        Tensor::from_i32(&[1], &[bias]).unwrap(),
    ];
    let program = Program {
        inputs: vec![TensorType::new(DType::I8, &[inner]).unwrap()],
        parameters: parameters.iter().map(|p| *p.ty()).collect(),
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
    (program, parameters)
}

#[test]
fn a_product_is_bounded_by_its_weights_and_bias() {
    let (program, parameters) = product(3, &[1, -2, 127], 10);
    let program = program.check().unwrap();
    let [bound] = check_overflow(&program, &parameters).unwrap()[..] else {
        panic!("one operator accumulates")
    };
    // 127 * 1 + (-128) * (-2) + 127 * 127 + 10, and at the other end.
    assert_eq!(bound.accumulator.hi, 127 + 256 + 127 * 127 + 10);
    assert_eq!(bound.accumulator.lo, -128 - 254 - 128 * 127 + 10);
    assert_eq!(bound.accumulator.magnitude(), 128 + 254 + 128 * 127 - 10);
}

#[test]
fn the_operator_that_may_overflow_is_named() {
    let limit = i32::MAX - 127 * 3;
    let (program, parameters) = product(3, &[1, 1, 1], limit);
    let program = program.check().unwrap();
    assert!(check_overflow(&program, &parameters).is_ok());
    let (program, parameters) = product(3, &[1, 1, 1], limit + 1);
    let program = program.check().unwrap();
    let error = check_overflow(&program, &parameters).unwrap_err();
    assert_eq!(
        error.to_string(),
        "operator 0 (MatMul) may overflow: its accumulator can reach a magnitude of 2147483648, \
         more than 2^31 - 1"
    );
    // Parameters that are not the program's are not trusted for anything.
    assert!(check_overflow(&program, &[]).is_err());
}

/// Over random programs: no accumulator of any run is outside of its interval, and results
/// of `i8` stay in what their operator says.
#[test]
fn no_run_leaves_its_bounds() {
    let mut narrow = 0;
    for seed in 0..common::cases(400) {
        let case = random::program(seed);
        // The accumulators themselves: the same program with the epilogues taken off where
        // nothing follows from the value.
        let mut program = case.program.program().clone();
        let used = |p: &Program, i: usize| {
            let mut operands = p.nodes.iter().flat_map(|n| &n.operands);
            operands.any(|o| *o == Operand::Value(i as u32))
        };
        for i in 0..program.nodes.len() {
            if used(&program, i) {
                continue;
            }
            let node = &mut program.nodes[i];
            match &mut node.op {
                Op::MatMul(epilogue) | Op::Conv2d { epilogue, .. } => {
                    *epilogue = Epilogue::Accumulate;
                    node.operands.truncate(3);
                }
                _ => {}
            }
        }
        let program = program.check().unwrap();
        let found = bounds(&program, &case.parameters);
        for request in &case.inputs {
            let inputs = program.inputs_from_bytes(request).unwrap();
            let values = reference::trace(&program, &case.parameters, &inputs).unwrap();
            for bound in &found {
                let value = &values[bound.index as usize];
                if value.ty().dtype != DType::I32 || bound.may_overflow() {
                    continue;
                }
                narrow += 1;
                for i in 0..value.ty().shape.elements() {
                    let x = i64::from(value.get(i).unwrap());
                    let interval = bound.accumulator;
                    assert!((interval.lo..=interval.hi).contains(&x), "seed {seed}");
                }
            }
        }
    }
    assert!(narrow > 50, "too few accumulators were seen: {narrow}");
}

#[test]
fn an_average_over_padding_is_bounded() {
    let window = Window {
        kernel: [2, 2],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [1, 0, 0, 0],
    };
    let range = OutputRange {
        zero_point: 0,
        lo: -128,
        hi: 127,
    };
    let op = |offset| Op::AvgPool2d {
        window,
        pad_value: 100,
        offset,
        requant: Requant {
            multiplier: 1,
            shift: 1,
            range,
        },
    };
    let program = |offset| Program {
        inputs: vec![TensorType::new(DType::I8, &[1, 4, 4, 1]).unwrap()],
        nodes: vec![Node {
            op: op(offset),
            operands: vec![Operand::Input(0)],
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: 0,
        }],
        ..Program::default()
    };
    let bound = |offset| bounds(&program(offset).check().unwrap(), &[])[0];
    assert_eq!(bound(5).accumulator.hi, 4 * 127 + 5);
    assert_eq!(bound(5).accumulator.lo, -4 * 128 + 5);
    assert!(bound(i32::MAX).may_overflow());
}
