//! Proofs of one element: every operator, against what is true and against any change of it.

#[path = "common/run.rs"]
mod run;

use assay_dispute::step::ProofError;
use assay_dispute::step::element::{ElementClaims, check_element};
use assay_tensor::commit::CHUNK;
use assay_tensor::op::Op;
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::random;
use assay_tensor::types::{DType, TensorType};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use run::{Run, cases, place};
use std::collections::BTreeMap;

/// Up to `most` elements of `count`: both ends and random ones.
fn some(rng: &mut ChaCha8Rng, count: u64, most: u64) -> Vec<u64> {
    if count <= most {
        return (0..count).collect();
    }
    let mut some = vec![0, count - 1];
    some.extend((2..most).map(|_| rng.random_range(0..count)));
    some
}

#[test]
fn an_element_convicts_exactly_if_it_is_wrong() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut elements = BTreeMap::new();
    for seed in 0..cases(120) {
        let run = Run::random(random::program(seed));
        for operator in 0..run.header.operators {
            let leaf = run.leaf(operator);
            let size = leaf.result.dtype.size();
            let kind = leaf.op.kind();
            for element in some(&mut rng, leaf.result.shape.elements(), 12) {
                let (chunk, at) = place(leaf.result.dtype, element);
                let first = element as usize * size;
                let byte = first + rng.random_range(0..size);
                let flip = rng.random_range(1..=255u8);

                // The element is wrong: nothing after it matters.
                let lie = run.lie(operator, |data| data[byte] ^= flip);
                let execution = run.execution();
                let proof = execution.prove_chunk(&lie.disputed(), chunk, lie.chunk(chunk));
                let proof = proof.unwrap();
                assert_eq!(
                    proof,
                    execution.prove_element(&lie.disputed(), chunk, at).unwrap()
                );
                let convicts = lie.check(&run, chunk, &proof);
                assert_eq!(
                    convicts,
                    Ok(true),
                    "seed {seed}, {kind} {operator}, {element}"
                );

                // All others in its chunk are wrong, and it is right.
                let lie = run.lie(operator, |data| {
                    let chunk = byte / CHUNK * CHUNK;
                    let end = data.len().min(chunk + CHUNK);
                    for i in (chunk..end).filter(|i| !(first..first + size).contains(i)) {
                        data[i] ^= flip;
                    }
                });
                let proof = execution.prove_element(&lie.disputed(), chunk, at).unwrap();
                assert_eq!(lie.check(&run, chunk, &proof), Ok(false), "seed {seed}");
                *elements.entry(kind).or_insert(0u64) += 1;
            }
        }
    }
    println!("elements: {elements:?}");
    assert_eq!(elements.len(), 9);
}

/// Whatever is done to a proof, a true chunk stands; and what is opened cannot be changed at all.
#[test]
fn no_proof_convicts_what_is_true() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut mutants = 0;
    for seed in 0..cases(120) {
        let run = Run::random(random::program(seed));
        let operator = rng.random_range(0..run.header.operators);
        let honest = run.lie(operator, |_| {});
        let result = honest.leaf.result;
        let element = rng.random_range(0..result.shape.elements());
        let (chunk, at) = place(result.dtype, element);
        let proof = run.execution().prove_element(&honest.disputed(), chunk, at);
        let proof = proof.unwrap();
        assert_eq!(honest.check(&run, chunk, &proof), Ok(false));
        for _ in 0..60 {
            // An element of a window in the padding reads nothing.
            if proof.len() > 2 {
                let mut mutant = proof.clone();
                let byte = rng.random_range(2..proof.len());
                mutant[byte] ^= rng.random_range(1..=255u8);
                assert!(honest.check(&run, chunk, &mutant).is_err(), "seed {seed}");
            }
            // Another element may open as well, and is right as well.
            let mut mutant = proof.clone();
            mutant[..2].copy_from_slice(&rng.random_range(0..CHUNK as u16).to_le_bytes());
            assert_ne!(honest.check(&run, chunk, &mutant), Ok(true));
            mutants += 2;
        }
        for cut in (0..proof.len().min(300)).chain(proof.len().saturating_sub(300)..proof.len()) {
            assert!(honest.check(&run, chunk, &proof[..cut]).is_err());
        }
        for more in [1, 31, 32, 512] {
            let longer = [&proof[..], &vec![0; more]].concat();
            assert_eq!(
                honest.check(&run, chunk, &longer),
                Err(ProofError::Malformed)
            );
        }
    }
    println!("{mutants} mutants");
}

/// Each root in the claims is what its operands open against.
#[test]
fn every_claim_counts() {
    let mut refused = [0; 4];
    for seed in 0..cases(150) {
        let run = Run::random(random::program(seed));
        for operator in 0..run.header.operators {
            let lie = run.lie(operator, |data| data[0] ^= 1);
            let proof = run
                .execution()
                .prove_element(&lie.disputed(), 0, 0)
                .unwrap();
            let claims = lie.claims(&run, 0);
            assert_eq!(check_element(&claims, &proof), Ok(true));
            let other = [7; 32];
            let mut program = run.header;
            program.inputs_root = other;
            let wrong = [
                (
                    "the earlier values",
                    ElementClaims {
                        trace_root: &other,
                        ..claims
                    },
                ),
                (
                    "the parameters",
                    ElementClaims {
                        parameters_root: &other,
                        ..claims
                    },
                ),
                (
                    "the input",
                    ElementClaims {
                        input_root: &other,
                        ..claims
                    },
                ),
                (
                    "the inputs' types",
                    ElementClaims {
                        program: &program,
                        ..claims
                    },
                ),
            ];
            let kinds = |kind: fn(&Operand) -> bool| {
                lie.leaf.operands.iter().any(|(operand, _)| kind(operand))
            };
            let names = [
                kinds(|o| matches!(o, Operand::Value(_))),
                kinds(|o| matches!(o, Operand::Parameter(_))),
                kinds(|o| matches!(o, Operand::Input(_))),
                kinds(|o| matches!(o, Operand::Input(_))),
            ];
            // A window in the padding reads nothing of its image.
            let windowed = matches!(
                lie.leaf.op,
                Op::Conv2d { .. } | Op::MaxPool2d(_) | Op::AvgPool2d { .. }
            );
            for (i, ((what, claims), named)) in wrong.into_iter().zip(names).enumerate() {
                match check_element(&claims, &proof) {
                    Ok(true) => assert!(!named || windowed),
                    Ok(false) => panic!("seed {seed}: {what}"),
                    Err(error) => {
                        assert_eq!(error, ProofError::Opening(what));
                        refused[i] += 1;
                    }
                }
            }
            // Values from behind the operator are not agreed on.
            if names[0] {
                let claims = ElementClaims {
                    operator: 0,
                    ..claims
                };
                let behind = check_element(&claims, &proof);
                assert!(behind.is_err() || behind == Ok(true) && windowed);
            }
        }
    }
    println!("{refused:?}");
    assert!(refused.iter().all(|n| *n > 50), "{refused:?}");
}

fn ty(dtype: DType, dims: &[u32]) -> TensorType {
    TensorType::new(dtype, dims).unwrap()
}

/// One tensor that is several operands is opened once; inputs share their chunks.
#[test]
fn operands_share_what_they_open() {
    let add = Op::Add {
        multiplier_a: 3,
        multiplier_b: 5,
        offset: 7,
        shift: 2,
        range: assay_tensor::op::OutputRange {
            zero_point: 0,
            lo: -128,
            hi: 127,
        },
    };
    let node = |a, b| Node {
        op: add.clone(),
        operands: vec![a, b],
    };
    let [a, b] = [0, 1].map(Operand::Input);
    let program = Program {
        inputs: vec![ty(DType::I8, &[300]); 2],
        parameters: vec![ty(DType::I8, &[300]); 3],
        nodes: vec![
            node(a, b),
            node(a, a),
            node(Operand::Value(1), Operand::Value(1)),
            node(Operand::Value(2), Operand::Value(0)),
            node(Operand::Parameter(2), Operand::Parameter(0)),
            node(Operand::Parameter(1), Operand::Parameter(1)),
        ],
        outputs: vec![Output {
            name: "y".into(),
            value: 5,
        }],
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let parameters = (0..3).map(|_| random::random_tensor(&mut rng, ty(DType::I8, &[300])));
    let parameters = parameters.collect();
    let input = (0..600).map(|i| (i * 7 % 256) as u8).collect();
    let run = Run::new(program.check().unwrap(), parameters, input);
    // Per operator: the proof's bytes of element 299, counted by hand.
    let lens = [
        // Both ends of the inputs are in different chunks of 512 and 88 bytes: both, no sibling; two type leaves.
        2 + 16 + 600,
        // Byte 299 alone: one chunk and its sibling, one type leaf and its sibling.
        2 + 8 + 32 + 512 + 32,
        // One value of 300 bytes, its path of three.
        2 + 300 + 3 * 32,
        // Values 0 and 2 of eight places: nothing shared but the top.
        2 + 600 + 4 * 32 - 32,
        // Parameters 0 and 2 of four places.
        2 + 600 + 2 * 32,
        2 + 300 + 2 * 32,
    ];
    for (operator, len) in (0u32..).zip(lens) {
        for element in [0u64, 211, 212, 299] {
            let lie = run.lie(operator, |data| data[element as usize] ^= 1);
            let proof = run
                .execution()
                .prove_chunk(&lie.disputed(), 0, lie.chunk(0))
                .unwrap();
            assert_eq!(
                lie.check(&run, 0, &proof),
                Ok(true),
                "{operator}, {element}"
            );
            if element == 299 {
                assert_eq!(proof.len(), len, "operator {operator}");
            }
        }
    }
}

#[test]
fn there_is_no_proof_of_nothing() {
    let run = Run::random(random::program(5));
    let honest = run.lie(0, |_| {});
    let execution = run.execution();
    assert!(
        execution
            .prove_chunk(&honest.disputed(), 0, honest.chunk(0))
            .is_none()
    );
    assert!(
        execution
            .prove_chunk(&honest.disputed(), 1 << 40, honest.chunk(0))
            .is_none()
    );
    assert!(
        execution
            .prove_element(&honest.disputed(), 0, u16::MAX)
            .is_none()
    );
    let mut other = honest.disputed();
    other.operator = run.header.operators;
    assert!(execution.prove_element(&other, 0, 0).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        cases: cases(2_000) as u32,
        ..ProptestConfig::default()
    })]

    /// Any claims, though no game leads to most of them, and any bytes.
    #[test]
    fn any_bytes_are_judged(
        (seed, other) in (0u64..60, 0u64..60),
        operator in any::<u32>(),
        chunk in prop_oneof![0u64..3, any::<u64>()],
        bytes in prop::collection::vec(any::<u8>(), 0..CHUNK + 1),
        proof in prop::collection::vec(any::<u8>(), 0..3_000),
        counts in any::<[u32; 3]>(),
        input_bytes in any::<u64>(),
        header in any::<bool>(),
    ) {
        let program = random::program(seed).program;
        let mut claimed = random::program(other).program.header();
        if header {
            [claimed.inputs, claimed.parameters, claimed.operators] = counts;
            claimed.input_bytes = input_bytes;
        }
        let leaf = program.operator_leaf(operator % program.header().operators).unwrap();
        let claims = ElementClaims {
            program: &claimed,
            parameters_root: &[1; 32],
            input_root: &[2; 32],
            trace_root: &[3; 32],
            operator,
            leaf: &leaf,
            chunk,
            bytes: &bytes,
        };
        prop_assert!(check_element(&claims, &proof).is_err());
    }
}
