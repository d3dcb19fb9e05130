//! The encoding of programs: canonical, bounded, total, and pinned by vectors.
//!
//! `ASSAY_BLESS=1` writes the vectors anew: only ever together with a new version byte.

mod common;

use assay_tensor::codec::{DecodeError, MAGIC, VERSION};
use assay_tensor::commit::{input_root, outputs_root, parameters_root};
use assay_tensor::leaves::{OperatorLeaf, OutputLeaf, TypeLeaf};
use assay_tensor::op::Op;
use assay_tensor::program::{Program, to_blob};
use assay_tensor::types::{DType, TensorType};
use assay_tensor::{random, reference};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/programs.txt");

/// The fields of a vector: `name: hex` lines, vectors apart by an empty line.
type Vector = BTreeMap<String, Vec<u8>>;

fn read_vectors(path: &Path) -> Vec<Vector> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split("\n\n")
        .map(|block| {
            let fields = block.lines().filter(|line| !line.is_empty());
            fields
                .map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    (name.to_string(), hex::decode(value).unwrap())
                })
                .collect::<Vector>()
        })
        .filter(|vector| !vector.is_empty())
        .collect()
}

/// All fields of the vector that follow from its program, parameters and inputs.
fn derive(program: &[u8], parameters: &[u8], inputs: &[u8]) -> Vector {
    let program = Program::decode(program).unwrap().check().unwrap();
    let parameters = program.parameters_from_blob(parameters).unwrap();
    let input_tensors = program.inputs_from_bytes(inputs).unwrap();
    let outputs = reference::run(&program, &parameters, &input_tensors).unwrap();
    let leaf = program.operator_leaf(0).unwrap();
    [
        ("program", program.program().encode()),
        ("parameters", to_blob(&parameters)),
        ("inputs", inputs.to_vec()),
        ("outputs", to_blob(&outputs)),
        ("first_operator_leaf", leaf.encode()),
        ("program_root", program.root().to_vec()),
        ("parameters_root", parameters_root(&parameters).to_vec()),
        ("input_root", input_root(inputs).to_vec()),
        ("outputs_root", outputs_root(&outputs).to_vec()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}

/// A few small random cases that have all operators between them.
fn bless(path: &Path) {
    let mut text = String::from(
        "# Tensor programs: encodings, one run of each, and the commitments. Hexadecimal.\n",
    );
    let mut missing: BTreeSet<&str> = [
        "MatMul",
        "Conv2d",
        "Add",
        "Lookup",
        "MaxPool2d",
        "AvgPool2d",
        "Reshape",
        "Transpose",
        "ArgMax",
    ]
    .into();
    for seed in 0.. {
        let case = random::program(seed);
        let kinds = case.program.program().nodes.iter().map(|n| n.op.kind());
        let kinds = kinds.collect::<BTreeSet<_>>();
        let small = case.program.input_bytes() + case.program.parameter_bytes() < 900
            && case.program.output_bytes() < 300;
        if !small || kinds.is_disjoint(&missing) {
            continue;
        }
        missing.retain(|kind| !kinds.contains(kind));
        let vector = derive(
            &case.program.program().encode(),
            &to_blob(&case.parameters),
            &case.inputs[0],
        );
        for (name, value) in vector {
            text += &format!("{name}: {}\n", hex::encode(value));
        }
        text.push('\n');
        if missing.is_empty() {
            break;
        }
    }
    std::fs::write(path, text.trim_end().to_string() + "\n").unwrap();
}

#[test]
fn vectors_hold() {
    let path = Path::new(VECTORS);
    if std::env::var("ASSAY_BLESS").is_ok() {
        bless(path);
    }
    let vectors = read_vectors(path);
    let mut kinds = BTreeSet::new();
    for vector in &vectors {
        let derived = derive(&vector["program"], &vector["parameters"], &vector["inputs"]);
        assert_eq!(*vector, derived);
        let program = Program::decode(&vector["program"]).unwrap();
        kinds.extend(program.nodes.iter().map(|node| node.op.kind()));
    }
    assert_eq!(kinds.len(), 9, "the vectors have no {kinds:?}");
}

#[test]
fn every_random_program_decodes_to_itself() {
    for seed in 0..common::cases(2_000) {
        let case = random::program(seed);
        let program = case.program.program();
        let bytes = program.encode();
        assert_eq!(Program::decode(&bytes).as_ref(), Ok(program), "seed {seed}");
        for index in 0..program.nodes.len() as u32 {
            let leaf = case.program.operator_leaf(index).unwrap();
            assert_eq!(OperatorLeaf::decode(&leaf.encode()), Ok(leaf));
        }
        for ty in &program.parameters {
            assert_eq!(TensorType::decode(&ty.encode()), Ok(*ty));
        }
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    for seed in 0..60 {
        let bytes = random::program(seed).program.program().encode();
        for len in 0..bytes.len() {
            assert!(Program::decode(&bytes[..len]).is_err(), "{len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Program::decode(&longer), Err(DecodeError::Trailing(1)));
    }
}

/// An encoded program of nothing, and a list of it replaced.
fn empty_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut program = [&MAGIC[..], &[VERSION, 0, 0, 0, 0]].concat();
    program.splice(at..=at, bytes.iter().copied());
    program
}

#[test]
fn each_malformed_thing_has_its_error() {
    let unknown = |what, byte| DecodeError::Unknown { what, byte };
    let cases: &[(Vec<u8>, DecodeError)] = &[
        (b"ATPx\x01\0\0\0\0".to_vec(), DecodeError::Magic),
        (empty_with(4, &[2]), DecodeError::Version(2)),
        (b"ATPr".to_vec(), DecodeError::Truncated),
        (b"AT".to_vec(), DecodeError::Truncated),
        // Zero in two bytes.
        (empty_with(5, &[0x80, 0]), DecodeError::Number),
        // Too long a number.
        (empty_with(5, &[0xff; 6]), DecodeError::Number),
        (
            empty_with(5, &[0x81, 0x02]),
            DecodeError::TooMany {
                what: "inputs",
                found: 257,
                limit: 256,
            },
        ),
        // A long list of which nothing is there takes no memory.
        (empty_with(6, &[0x80, 0x80, 0x04]), DecodeError::Truncated),
        (empty_with(5, &[1, 0x20]), unknown("element type", 0x20)),
        (empty_with(5, &[1, 0x07, 1, 1, 1]), DecodeError::Shape),
        (empty_with(5, &[1, 0x01, 0]), DecodeError::Shape),
        // 2^32 does not fit a dimension; 2^31 + 1 elements do not fit a tensor.
        (
            empty_with(5, &[1, 0x01, 0x80, 0x80, 0x80, 0x80, 0x10]),
            DecodeError::Number,
        ),
        (
            empty_with(5, &[1, 0x01, 0x81, 0x80, 0x80, 0x80, 0x08]),
            DecodeError::Shape,
        ),
        (empty_with(7, &[1, 9]), unknown("operator", 9)),
        (empty_with(7, &[1, 0, 2]), unknown("epilogue", 2)),
        (
            empty_with(7, &[1, 3, 5]),
            DecodeError::TooMany {
                what: "operands",
                found: 5,
                limit: 4,
            },
        ),
        (empty_with(7, &[1, 3, 1, 3]), unknown("kind of operand", 3)),
        // Input 65,536.
        (
            empty_with(7, &[1, 3, 1, 0x80, 0x80, 0x10]),
            DecodeError::Number,
        ),
        (empty_with(8, &[1, 1, 0xff, 0]), DecodeError::Name),
        (
            empty_with(8, &[1, 65]),
            DecodeError::TooMany {
                what: "bytes of a name",
                found: 65,
                limit: 64,
            },
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(Program::decode(bytes), Err(*error), "{bytes:02x?}");
    }
    assert_eq!(
        Program::decode(&empty_with(4, &[1])),
        Ok(Program::default())
    );
}

#[test]
fn attributes_of_full_range_survive() {
    let transpose = Program {
        nodes: vec![assay_tensor::program::Node {
            op: Op::Transpose([255, 0, 7, 1, 2, 3]),
            operands: vec![],
        }],
        ..Program::default()
    };
    assert_eq!(Program::decode(&transpose.encode()), Ok(transpose));
    let largest = TensorType::new(DType::I32, &[1 << 31]).unwrap();
    assert_eq!(TensorType::decode(&largest.encode()), Ok(largest));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(common::cases(4_000) as u32))]

    /// What decodes is the only encoding of what it decodes to; and nothing panics, in the
    /// check neither.
    #[test]
    fn bytes_decode_canonically_or_not_at_all(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [&MAGIC[..], &[VERSION], &bytes].concat();
        if let Ok(program) = Program::decode(&bytes) {
            prop_assert_eq!(program.encode(), bytes);
            let _ = program.check();
        }
    }

    #[test]
    fn mutated_programs_decode_canonically_or_not_at_all(
        seed in 0u64..5_000,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = random::program(seed).program.program().encode();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(program) = Program::decode(&bytes) {
            prop_assert_eq!(program.encode(), bytes);
            if let Ok(checked) = program.check() {
                // What passes the check has a root and leaves, whatever it says.
                checked.root();
            }
        }
        let _ = OperatorLeaf::decode(&random::program(seed).program.program().encode());
    }

    #[test]
    fn mutated_leaves_decode_canonically_or_not_at_all(
        seed in 0u64..5_000,
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let program = random::program(seed).program;
        for bytes in [
            program.operator_leaf(0).unwrap().encode(),
            program.input_leaves()[0].encode(),
            program.output_leaves()[0].encode(),
        ] {
            let mut mutant = bytes.clone();
            mutant[at.index(bytes.len())] = value;
            let cut = &bytes[..cut.index(bytes.len())];
            for bytes in [&mutant[..], cut, &[&bytes[..], &[value]].concat()] {
                // Of any list: a leaf of another is no less a stranger's bytes.
                if let Ok(leaf) = OperatorLeaf::decode(bytes) {
                    prop_assert_eq!(leaf.encode(), bytes);
                }
                if let Ok(leaf) = TypeLeaf::decode(bytes) {
                    prop_assert_eq!(leaf.encode(), bytes);
                }
                if let Ok(leaf) = OutputLeaf::decode(bytes) {
                    prop_assert_eq!(leaf.encode(), bytes);
                }
            }
        }
        let (input, output) = (&program.input_leaves()[0], &program.output_leaves()[0]);
        prop_assert_eq!(&TypeLeaf::decode(&input.encode()).unwrap(), input);
        prop_assert_eq!(&OutputLeaf::decode(&output.encode()).unwrap(), output);
    }
}
