//! The check refuses each malformed thing with the error that names it.

mod common;

use assay_tensor::check::{CheckError, MAX_INNER, MAX_READ_CHUNKS, check, chunks};
use assay_tensor::commit::CHUNK;
use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::program::{MAX_BYTES, Node, Operand, Output, Program, ProgramError};
use assay_tensor::types::{DType, Shape, TensorType};

fn i8(dims: &[u32]) -> TensorType {
    TensorType::new(DType::I8, dims).unwrap()
}

fn i32(dims: &[u32]) -> TensorType {
    TensorType::new(DType::I32, dims).unwrap()
}

const ALL: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};
const EMPTY: OutputRange = OutputRange {
    zero_point: 0,
    lo: 1,
    hi: 0,
};
const WINDOW: Window = Window {
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
};
const REQUANT: Requant = Requant {
    multiplier: 1,
    shift: 1,
    range: ALL,
};

fn conv(window: Window, groups: u32, epilogue: Epilogue) -> Op {
    Op::Conv2d {
        window,
        groups,
        pad_value: 0,
        epilogue,
    }
}

fn add(offset: i64, shift: u8, range: OutputRange) -> Op {
    Op::Add {
        multiplier_a: 1,
        multiplier_b: 1,
        offset,
        shift,
        range,
    }
}

fn average(window: Window, requant: Requant) -> Op {
    Op::AvgPool2d {
        window,
        pad_value: 0,
        offset: 0,
        requant,
    }
}

#[test]
fn what_is_well_formed_passes_at_its_cost() {
    let requant = Epilogue::Requant(ALL);
    let cases = [
        (
            Op::MatMul(Epilogue::Accumulate),
            vec![i8(&[2, 5, 7]), i8(&[3, 7]), i32(&[3])],
            i32(&[2, 5, 3]),
            30 * 8,
        ),
        (
            Op::MatMul(requant),
            vec![i8(&[7]), i8(&[3, 7]), i32(&[3]), i32(&[3, 2])],
            i8(&[3]),
            3 * 8,
        ),
        (
            conv(WINDOW, 2, requant),
            vec![
                i8(&[1, 5, 6, 4]),
                i8(&[6, 3, 3, 2]),
                i32(&[6]),
                i32(&[6, 2]),
            ],
            i8(&[1, 5, 6, 6]),
            180 * 19,
        ),
        (add(0, 1, ALL), vec![i8(&[2, 3]), i8(&[3])], i8(&[2, 3]), 18),
        (Op::Lookup, vec![i8(&[5]), i8(&[256])], i8(&[5]), 10),
        (
            Op::MaxPool2d(WINDOW),
            vec![i8(&[1, 4, 4, 2])],
            i8(&[1, 4, 4, 2]),
            320,
        ),
        (
            average(WINDOW, REQUANT),
            vec![i8(&[1, 4, 4, 2])],
            i8(&[1, 4, 4, 2]),
            320,
        ),
        (
            Op::Reshape(Shape::new(&[6]).unwrap()),
            vec![i32(&[2, 3])],
            i32(&[6]),
            6,
        ),
        (
            Op::Transpose([1, 2, 0, 0, 0, 0]),
            vec![i8(&[2, 3, 5])],
            i8(&[3, 5, 2]),
            30,
        ),
        (Op::ArgMax, vec![i32(&[4, 5])], i32(&[4]), 24),
    ];
    for (op, operands, result, units) in cases {
        let checked = check(&op, &operands).unwrap();
        assert_eq!((checked.result, checked.units), (result, units), "{op:?}");
        // Its operands in another number are refused, whichever they are.
        let fewer = check(&op, &operands[1..]).unwrap_err();
        assert!(matches!(fewer, CheckError::OperandCount { .. }), "{fewer}");
        let more = [&operands[..], &[i8(&[1])]].concat();
        assert!(matches!(
            check(&op, &more).unwrap_err(),
            CheckError::OperandCount { .. }
        ));
    }
}

#[test]
fn each_malformed_operator_has_its_error() {
    use CheckError::*;
    let matmul = Op::MatMul(Epilogue::Accumulate);
    let requant = Op::MatMul(Epilogue::Requant(ALL));
    let wrong_type = |operand, expected, found| OperandType {
        operand,
        expected,
        found,
    };
    let wrong_size = |operand, dimension, expected, found| OperandShape {
        operand,
        dimension,
        expected,
        found,
    };
    let wrong_rank = |operand, expected, found| OperandRank {
        operand,
        expected,
        found,
    };
    let image = i8(&[1, 4, 4, 4]);
    let kernel = |kernel| Window { kernel, ..WINDOW };
    let large = 1 << 16;
    let cases = [
        (
            matmul.clone(),
            vec![i32(&[1, 2]), i8(&[3, 2]), i32(&[3])],
            wrong_type(0, DType::I8, DType::I32),
        ),
        (
            matmul.clone(),
            vec![i8(&[1, 2]), i8(&[3, 2]), i8(&[3])],
            wrong_type(2, DType::I32, DType::I8),
        ),
        (
            matmul.clone(),
            vec![i8(&[]), i8(&[3, 2]), i32(&[3])],
            wrong_rank(0, 1, 0),
        ),
        (
            matmul.clone(),
            vec![i8(&[2]), i8(&[3, 2, 1]), i32(&[3])],
            wrong_rank(1, 2, 3),
        ),
        (
            matmul.clone(),
            vec![i8(&[2]), i8(&[3, 4]), i32(&[3])],
            wrong_size(1, 1, 2, 4),
        ),
        (
            matmul.clone(),
            vec![i8(&[2]), i8(&[3, 2]), i32(&[4])],
            wrong_size(2, 0, 3, 4),
        ),
        (
            requant.clone(),
            vec![i8(&[2]), i8(&[3, 2]), i32(&[3]), i32(&[3, 3])],
            wrong_size(3, 1, 2, 3),
        ),
        (
            requant.clone(),
            vec![i8(&[2]), i8(&[3, 2]), i32(&[3]), i8(&[3, 2])],
            wrong_type(3, DType::I32, DType::I8),
        ),
        (
            Op::MatMul(Epilogue::Requant(EMPTY)),
            vec![i8(&[2]), i8(&[3, 2]), i32(&[3]), i32(&[3, 2])],
            Clamp { lo: 1, hi: 0 },
        ),
        (
            matmul.clone(),
            vec![i8(&[large]), i8(&[1, large]), i32(&[1])],
            ReadsTooManyChunks(2 * 129 + 2),
        ),
        (
            matmul.clone(),
            vec![i8(&[131_072]), i8(&[1, 131_072]), i32(&[1])],
            InnerTooLarge(131_072),
        ),
        (
            matmul.clone(),
            vec![i8(&[1 << 20, 1]), i8(&[1 << 20, 1]), i32(&[1 << 20])],
            ResultTooLarge,
        ),
        (
            conv(WINDOW, 0, Epilogue::Accumulate),
            vec![image, i8(&[4, 3, 3, 4]), i32(&[4])],
            Groups {
                groups: 0,
                channels: 4,
            },
        ),
        (
            conv(WINDOW, 2, Epilogue::Accumulate),
            vec![image, i8(&[3, 3, 3, 2]), i32(&[3])],
            Groups {
                groups: 2,
                channels: 3,
            },
        ),
        (
            conv(WINDOW, 2, Epilogue::Accumulate),
            vec![image, i8(&[4, 3, 3, 4]), i32(&[4])],
            wrong_size(1, 3, 2, 4),
        ),
        (
            conv(kernel([3, 2]), 1, Epilogue::Accumulate),
            vec![image, i8(&[4, 3, 3, 4]), i32(&[4])],
            wrong_size(1, 2, 2, 3),
        ),
        (
            conv(WINDOW, 1, Epilogue::Accumulate),
            vec![i8(&[4, 4, 4]), i8(&[4, 3, 3, 4]), i32(&[4])],
            wrong_rank(0, 4, 3),
        ),
        // 11 x 12 taps of one channel of several are 132 ranges, the filter and the bias up to two chunks each.
        (
            conv(kernel([11, 12]), 4, Epilogue::Accumulate),
            vec![i8(&[1, 12, 12, 4]), i8(&[4, 11, 12, 1]), i32(&[4])],
            ReadsTooManyChunks(132 + 2 + 2),
        ),
        // Of two channels up to two chunks each.
        (
            conv(kernel([8, 9]), 2, Epilogue::Accumulate),
            vec![i8(&[1, 9, 9, 4]), i8(&[4, 8, 9, 2]), i32(&[4])],
            ReadsTooManyChunks(72 * 2 + 2 + 2),
        ),
        // A row of 12 pixels is up to 3 chunks, the filter 36.
        (
            conv(kernel([34, 12]), 1, Epilogue::Accumulate),
            vec![i8(&[1, 34, 12, 43]), i8(&[4, 34, 12, 43]), i32(&[4])],
            ReadsTooManyChunks(34 * 3 + 36 + 2),
        ),
        (
            Op::MaxPool2d(kernel([9, 15])),
            vec![i8(&[1, 13, 13, 2])],
            ReadsTooManyChunks(135),
        ),
        (
            Op::MaxPool2d(kernel([63, 1_026])),
            vec![i8(&[1, 64, 2_048, 1])],
            ReadsTooManyChunks(63 * 4),
        ),
        (
            Op::MaxPool2d(kernel([u32::MAX, u32::MAX])),
            vec![i8(&[1, 13, 13, 2])],
            WindowTooLarge {
                dimension: 1,
                window: u64::from(u32::MAX),
                image: 15,
            },
        ),
        // Padding makes any kernel fit: its area is bounded all the same.
        (
            Op::MaxPool2d(Window {
                kernel: [1 << 31; 2],
                pads: [1 << 31; 4],
                ..WINDOW
            }),
            vec![i8(&[1, 1, 1, 1])],
            ResultTooLarge,
        ),
        (
            Op::MaxPool2d(Window {
                kernel: [u32::MAX; 2],
                strides: [u32::MAX; 2],
                dilations: [1, 1],
                pads: [u32::MAX, u32::MAX, 0, 0],
            }),
            vec![i8(&[1, 1, 1, 1])],
            InnerTooLarge(u64::from(u32::MAX) * u64::from(u32::MAX)),
        ),
        (
            Op::MaxPool2d(Window {
                dilations: [1, 3],
                ..WINDOW
            }),
            vec![image],
            WindowTooLarge {
                dimension: 2,
                window: 7,
                image: 6,
            },
        ),
        (
            Op::MaxPool2d(Window {
                strides: [1, 0],
                ..WINDOW
            }),
            vec![image],
            EmptyWindow,
        ),
        (Op::MaxPool2d(kernel([0, 1])), vec![image], EmptyWindow),
        (
            Op::MaxPool2d(Window {
                dilations: [0, 1],
                ..WINDOW
            }),
            vec![image],
            EmptyWindow,
        ),
        (
            Op::MaxPool2d(WINDOW),
            vec![i32(&[1, 4, 4, 4])],
            wrong_type(0, DType::I8, DType::I32),
        ),
        (
            average(
                WINDOW,
                Requant {
                    multiplier: -1,
                    ..REQUANT
                },
            ),
            vec![image],
            Multiplier(-1),
        ),
        (
            average(
                WINDOW,
                Requant {
                    shift: 0,
                    ..REQUANT
                },
            ),
            vec![image],
            Shift(0),
        ),
        (
            average(
                WINDOW,
                Requant {
                    shift: 63,
                    ..REQUANT
                },
            ),
            vec![image],
            Shift(63),
        ),
        (
            average(
                WINDOW,
                Requant {
                    range: EMPTY,
                    ..REQUANT
                },
            ),
            vec![image],
            Clamp { lo: 1, hi: 0 },
        ),
        (add(1 << 48, 1, ALL), vec![image, image], Offset(1 << 48)),
        (add(i64::MIN, 1, ALL), vec![image, image], Offset(i64::MIN)),
        (add(0, 63, ALL), vec![image, image], Shift(63)),
        (add(0, 1, EMPTY), vec![image, image], Clamp { lo: 1, hi: 0 }),
        (
            add(0, 1, ALL),
            vec![i8(&[2, 3]), i8(&[2])],
            wrong_size(1, 0, 3, 2),
        ),
        (
            add(0, 1, ALL),
            vec![i8(&[3]), i8(&[2, 3])],
            wrong_rank(0, 2, 1),
        ),
        (
            add(0, 1, ALL),
            vec![i8(&[3]), i32(&[3])],
            wrong_type(1, DType::I8, DType::I32),
        ),
        (
            Op::Lookup,
            vec![i8(&[3]), i8(&[255])],
            wrong_size(1, 0, 256, 255),
        ),
        (
            Op::Lookup,
            vec![i32(&[3]), i8(&[256])],
            wrong_type(0, DType::I8, DType::I32),
        ),
        (
            Op::Reshape(Shape::new(&[5]).unwrap()),
            vec![i8(&[2, 3])],
            ReshapeElements { from: 6, to: 5 },
        ),
        (
            Op::Transpose([0, 0, 0, 0, 0, 0]),
            vec![i8(&[2, 3])],
            Permutation,
        ),
        (
            Op::Transpose([0, 2, 0, 0, 0, 0]),
            vec![i8(&[2, 3])],
            Permutation,
        ),
        (
            Op::Transpose([1, 0, 1, 0, 0, 0]),
            vec![i8(&[2, 3])],
            Permutation,
        ),
        (Op::Transpose([255; 6]), vec![i8(&[1; 6])], Permutation),
        (Op::ArgMax, vec![i8(&[])], wrong_rank(0, 1, 0)),
        (Op::ArgMax, vec![i8(&[68_098])], ReadsTooManyChunks(135)),
        (Op::ArgMax, vec![i32(&[17_025])], ReadsTooManyChunks(135)),
    ];
    for (op, operands, error) in cases {
        assert_eq!(check(&op, &operands), Err(error), "{op:?} {operands:?}");
    }
}

#[test]
fn a_range_lies_in_so_many_chunks_wherever_it_begins() {
    let chunk = CHUNK as u64;
    for len in 1..4 * chunk {
        let touched = (0..chunk).map(|start| (start + len - 1) / chunk + 1);
        assert_eq!(touched.max(), Some(chunks(len)), "{len}");
    }
    assert_eq!(2 * chunks(32_769) + chunks(4) + chunks(8), MAX_READ_CHUNKS);
    assert_eq!(chunks(68_097), MAX_READ_CHUNKS);
}

#[test]
fn the_limits_themselves_pass() {
    let requant = Op::MatMul(Epilogue::Requant(ALL));
    for inner in [16_384, 32_768, 32_769] {
        let operands = [i8(&[inner]), i8(&[2, inner]), i32(&[2]), i32(&[2, 2])];
        assert!(check(&requant, &operands).is_ok());
    }
    assert!(check(&Op::ArgMax, &[i8(&[65_536])]).is_ok());
    assert!(check(&Op::ArgMax, &[i8(&[68_097])]).is_ok());
    assert!(check(&Op::ArgMax, &[i32(&[17_024])]).is_ok());
    let kernel = |kernel| Window { kernel, ..WINDOW };
    // Taps of one channel of several, which lie apart; rows of a single channel.
    for (window, channels) in [([8, 8], 4), ([2, 67], 4), ([67, 513], 1)] {
        let image = [i8(&[1, 68, 600, channels])];
        assert!(check(&Op::MaxPool2d(kernel(window)), &image).is_ok());
        assert!(check(&average(kernel(window), REQUANT), &image).is_ok());
    }
    // What ordinary networks have: a first layer, patches, a dilated one, many channels, depthwise ones.
    for (size, dilation, channels, groups) in [
        (7, 1, 3, 1),
        (32, 1, 3, 1),
        (3, 6, 2_048, 1),
        (3, 1, 2_048, 1),
        (1, 1, 30_000, 1),
        (7, 1, 512, 512),
        (11, 2, 512, 512),
        (3, 1, 512, 32),
    ] {
        let window = Window {
            dilations: [dilation; 2],
            ..kernel([size; 2])
        };
        let weights = i8(&[groups, size, size, channels / groups]);
        let scales = [i32(&[groups]), i32(&[groups, 2])];
        let operands = [i8(&[1, 64, 64, channels]), weights, scales[0], scales[1]];
        let op = conv(window, groups, Epilogue::Requant(ALL));
        assert!(check(&op, &operands).is_ok(), "{size} {channels} {groups}");
    }
    assert!(check(&add((1 << 48) - 1, 62, ALL), &[i8(&[1]), i8(&[1])]).is_ok());
    assert!(check(&add(1 - (1 << 48), 62, ALL), &[i8(&[1]), i8(&[1])]).is_ok());
}

/// `ArgMax` of a product: well-formed.
fn program() -> Program {
    Program {
        inputs: vec![i8(&[1, 2])],
        parameters: vec![i8(&[3, 2]), i32(&[3])],
        nodes: vec![
            Node {
                op: Op::MatMul(Epilogue::Accumulate),
                operands: vec![
                    Operand::Input(0),
                    Operand::Parameter(0),
                    Operand::Parameter(1),
                ],
            },
            Node {
                op: Op::ArgMax,
                operands: vec![Operand::Value(0)],
            },
        ],
        outputs: vec![Output {
            name: "class".into(),
            value: 1,
        }],
    }
}

#[test]
fn a_program_error_names_the_operator() {
    let refused = |change: &dyn Fn(&mut Program)| {
        let mut program = program();
        change(&mut program);
        program.check().unwrap_err()
    };
    let names = |error: ProgramError, what: &str| {
        assert_eq!(error.to_string(), what);
    };
    let checked = program().check().unwrap();
    assert_eq!(
        (checked.units(), checked.running_units()),
        (13, &[9, 13][..])
    );
    assert_eq!((checked.input_bytes(), checked.output_bytes()), (2, 4));
    assert_eq!(checked.parameter_bytes(), 18);
    assert!(checked.parameters_from_blob(&[0; 17]).is_none());
    assert!(checked.split_inputs(&[0; 3]).is_none());

    names(
        refused(&|p| p.nodes[1].op = Op::Lookup),
        "operator 1 (Lookup) takes 2 operands and is given 1",
    );
    names(
        refused(&|p| p.parameters[0] = i8(&[3, 4])),
        "operator 0 (MatMul) operand 1 has size 4 in dimension 1, where 2 is needed",
    );
    // A cycle: an operator that reads itself, or what comes later.
    for value in [1, 2, u32::MAX] {
        names(
            refused(&|p| p.nodes[1].operands = vec![Operand::Value(value)]),
            &format!("operator 1 (ArgMax) reads Value({value}), which does not come before it"),
        );
    }
    names(
        refused(&|p| p.nodes[0].operands[0] = Operand::Input(1)),
        "operator 0 (MatMul) reads Input(1), which does not come before it",
    );
    names(
        refused(&|p| p.nodes[0].operands[1] = Operand::Parameter(2)),
        "operator 0 (MatMul) reads Parameter(2), which does not come before it",
    );
    names(refused(&|p| p.outputs.clear()), "has no outputs");
    names(
        refused(&|p| p.outputs[0].value = 2),
        "output \"class\" is value 2, which no operator defines",
    );
    for name in [String::new(), "x".repeat(65)] {
        names(
            refused(&|p| p.outputs[0].name = name.clone()),
            "output 0 has a name that is empty, too long, or another output's too",
        );
    }
    names(
        refused(&|p| p.outputs.push(p.outputs[0].clone())),
        "output 1 has a name that is empty, too long, or another output's too",
    );
    names(
        refused(&|p| p.inputs = vec![i8(&[1]); 257]),
        "has 257 inputs, more than 256",
    );
    names(
        refused(&|p| p.parameters = vec![i8(&[1]); 65_537]),
        "has 65537 parameters, more than 65536",
    );
    names(
        refused(&|p| p.nodes = vec![p.nodes[0].clone(); 65_537]),
        "has 65537 operators, more than 65536",
    );
    names(
        refused(&|p| p.outputs = vec![p.outputs[0].clone(); 257]),
        "has 257 outputs, more than 256",
    );
    assert_eq!(
        refused(&|p| *p = Program::default()),
        ProgramError::NoOutputs
    );
}

/// So much memory, and no more, does everybody need who does a run again.
#[test]
fn a_program_takes_at_most_4_gib() {
    const HALF: u32 = 1 << 29;
    let copy = |operand| Node {
        op: Op::Reshape(Shape::new(&[HALF]).unwrap()),
        operands: vec![operand],
    };
    // Half a GiB of input, two of parameters, one of values, and half of output.
    let sized = |input: u32| Program {
        inputs: vec![i8(&[input])],
        parameters: vec![i8(&[HALF]), i8(&[3 * HALF])],
        nodes: vec![copy(Operand::Parameter(0)), copy(Operand::Value(0))],
        outputs: program().outputs,
    };
    let most = sized(HALF).check().unwrap();
    let (header, half) = (most.header(), u64::from(HALF));
    assert_eq!((most.bytes(), header.bytes()), (MAX_BYTES, MAX_BYTES));
    assert_eq!(
        (
            header.parameter_bytes,
            header.value_bytes,
            header.output_bytes
        ),
        (4 * half, 2 * half, half)
    );
    assert_eq!(most.running_bytes(), [half, 2 * half]);
    assert!(!header.is_flawed());

    let refused = |program: Program| program.check().unwrap_err().to_string();
    assert_eq!(
        refused(sized(HALF + 1)),
        "takes 4294967297 bytes for inputs, parameters, values and outputs, more than 4 GiB"
    );
    // The same value once more.
    let mut twice = sized(HALF);
    twice.outputs.push(Output {
        name: "again".into(),
        value: 0,
    });
    assert_eq!(
        refused(twice),
        "takes 4831838208 bytes for inputs, parameters, values and outputs, more than 4 GiB"
    );
}

/// The units of all that fits 4 GiB fit 64 bits.
#[test]
fn the_cost_of_a_program_cannot_wrap() {
    assert!(MAX_BYTES.checked_mul(MAX_INNER + 1).is_some());
}
