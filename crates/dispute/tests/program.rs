//! Proofs that a program is none: every flaw has one, and no program that passes its check does.

#[path = "common/run.rs"]
mod run;

use assay_dispute::Hash;
use assay_dispute::step::ProofError;
use assay_dispute::step::program::{Leaves, check_flaw, prove_flaw};
use assay_tensor::header::ProgramHeader;
use assay_tensor::leaves::{List, MAX_LEAF, OperatorLeaf, OutputLeaf, TypeLeaf};
use assay_tensor::merkle;
use assay_tensor::op::{Epilogue, Op};
use assay_tensor::program::{MAX_BYTES, Node, Operand, Output, Program};
use assay_tensor::random;
use assay_tensor::types::{DType, TensorType};
use proptest::prelude::*;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use run::cases;
use std::collections::BTreeMap;

/// The header with the roots and counts of these leaves.
fn commit(header: &ProgramHeader, leaves: &Leaves) -> ProgramHeader {
    let list = |list: List| {
        let hashes: Vec<Hash> = leaves.list(list).iter().map(|l| list.hash(l)).collect();
        (hashes.len() as u32, merkle::root(&hashes))
    };
    let mut header = *header;
    (header.inputs, header.inputs_root) = list(List::Inputs);
    (header.parameters, header.parameters_root) = list(List::Parameters);
    (header.operators, header.operators_root) = list(List::Operators);
    (header.outputs, header.outputs_root) = list(List::Outputs);
    header
}

/// Whether these leaves spell a program that passes its check and has this header: by the check of
/// whole programs, which the proofs know nothing of.
fn is_program(header: &ProgramHeader, leaves: &Leaves) -> bool {
    let types = |leaves: &[Vec<u8>]| -> Option<Vec<TensorType>> {
        let leaves = leaves.iter().map(|leaf| TypeLeaf::decode(leaf).ok());
        leaves.map(|leaf| Some(leaf?.ty)).collect()
    };
    let nodes = leaves.operators.iter().map(|leaf| {
        let leaf = OperatorLeaf::decode(leaf).ok()?;
        Some(Node {
            op: leaf.op,
            operands: leaf
                .operands
                .into_iter()
                .map(|(operand, _)| operand)
                .collect(),
        })
    });
    let outputs = leaves.outputs.iter().map(|leaf| {
        let leaf = OutputLeaf::decode(leaf).ok()?;
        Some(Output {
            name: leaf.name,
            value: leaf.value,
        })
    });
    let program = || {
        Some(Program {
            inputs: types(&leaves.inputs)?,
            parameters: types(&leaves.parameters)?,
            nodes: nodes.collect::<Option<_>>()?,
            outputs: outputs.collect::<Option<_>>()?,
        })
    };
    let checked = program().and_then(|program| program.check().ok());
    checked.is_some_and(|program| program.header() == *header)
}

fn random_type(rng: &mut ChaCha8Rng, like: TensorType) -> TensorType {
    let mut dims = like.shape.dims().to_vec();
    let dtype = match rng.random_range(0..4) {
        0 if like.dtype == DType::I8 => DType::I32,
        0 => DType::I8,
        _ => like.dtype,
    };
    match rng.random_range(0..4) {
        0 if dims.len() < 6 => dims.push(1),
        1 if dims.len() > 1 => dims.reverse(),
        2 if !dims.is_empty() => dims[0] += 1,
        _ => {}
    }
    TensorType::new(dtype, &dims).unwrap_or(like)
}

fn random_number(rng: &mut ChaCha8Rng, like: u64) -> u64 {
    match rng.random_range(0..5) {
        0 => like.wrapping_add(1),
        1 => like.wrapping_sub(1),
        2 => rng.random(),
        3 => u64::MAX - rng.random_range(0..3),
        _ => rng.random_range(0..like.saturating_add(2)),
    }
}

fn random_operand(rng: &mut ChaCha8Rng, header: &ProgramHeader) -> Operand {
    match rng.random_range(0..3) {
        0 => Operand::Input(rng.random_range(0..=header.inputs) as u16),
        1 => Operand::Parameter(rng.random_range(0..=header.parameters)),
        _ => Operand::Value(rng.random_range(0..=header.operators)),
    }
}

/// Changes one field of a leaf; says which.
fn change_field(
    rng: &mut ChaCha8Rng,
    header: &ProgramHeader,
    list: List,
    bytes: &mut Vec<u8>,
) -> &'static str {
    match list {
        List::Inputs | List::Parameters => {
            let mut leaf = TypeLeaf::decode(bytes).unwrap();
            let what = if rng.random() {
                leaf.ty = random_type(rng, leaf.ty);
                "type"
            } else {
                leaf.running_bytes = random_number(rng, leaf.running_bytes);
                "running bytes"
            };
            *bytes = leaf.encode();
            what
        }
        List::Operators => {
            let mut leaf = OperatorLeaf::decode(bytes).unwrap();
            let at = rng.random_range(0..leaf.operands.len());
            let what = match rng.random_range(0..8) {
                0 => {
                    leaf.op = [
                        Op::Lookup,
                        Op::ArgMax,
                        Op::Reshape(leaf.result.shape),
                        Op::MatMul(Epilogue::Accumulate),
                        Op::Transpose([1, 0, 0, 0, 0, 0]),
                    ]
                    .choose(rng)
                    .unwrap()
                    .clone();
                    "operator"
                }
                1 => {
                    leaf.operands[at].0 = random_operand(rng, header);
                    "operand"
                }
                2 => {
                    leaf.operands[at].1 = random_type(rng, leaf.operands[at].1);
                    "operand type"
                }
                3 => {
                    leaf.result = random_type(rng, leaf.result);
                    "result"
                }
                4 => {
                    leaf.running_units = random_number(rng, leaf.running_units);
                    "running units"
                }
                5 => {
                    leaf.running_bytes = random_number(rng, leaf.running_bytes);
                    "values' running bytes"
                }
                6 if leaf.operands.len() > 1 => {
                    leaf.operands.remove(at);
                    "operand gone"
                }
                _ => {
                    let other = rng.random_range(0..leaf.operands.len());
                    leaf.operands.swap(at, other);
                    "operands swapped"
                }
            };
            *bytes = leaf.encode();
            what
        }
        List::Outputs => {
            let mut leaf = OutputLeaf::decode(bytes).unwrap();
            let what = match rng.random_range(0..5) {
                0 => {
                    // Another's name, now and then.
                    leaf.name = format!("output {}", rng.random_range(0..3));
                    "name"
                }
                1 => {
                    let len = [0, 1, 63, 64, 65, 255].choose(rng).unwrap();
                    leaf.name = "n".repeat(*len);
                    "name's length"
                }
                2 => {
                    leaf.value = rng.random_range(0..=header.operators);
                    "value"
                }
                3 => {
                    leaf.ty = random_type(rng, leaf.ty);
                    "output's type"
                }
                _ => {
                    leaf.running_bytes = random_number(rng, leaf.running_bytes);
                    "output's running bytes"
                }
            };
            *bytes = leaf.encode();
            what
        }
    }
}

fn list_mut(leaves: &mut Leaves, list: List) -> &mut Vec<Vec<u8>> {
    match list {
        List::Inputs => &mut leaves.inputs,
        List::Parameters => &mut leaves.parameters,
        List::Operators => &mut leaves.operators,
        List::Outputs => &mut leaves.outputs,
    }
}

/// Changes something about a program; says what.
fn mutate(rng: &mut ChaCha8Rng, header: &mut ProgramHeader, leaves: &mut Leaves) -> &'static str {
    let lists = List::ALL
        .into_iter()
        .filter(|list| !leaves.list(*list).is_empty());
    let list = *lists.collect::<Vec<_>>().choose(rng).unwrap();
    let all = list_mut(leaves, list);
    let at = rng.random_range(0..all.len());
    match rng.random_range(0..18) {
        0 => {
            all.remove(at);
            "leaf gone"
        }
        1 => {
            let leaf = all[at].clone();
            all.insert(at, leaf);
            "leaf twice"
        }
        2 => {
            let other = rng.random_range(0..all.len());
            all.swap(at, other);
            "leaves swapped"
        }
        3 => {
            let byte = rng.random_range(0..all[at].len());
            all[at][byte] ^= 1 << rng.random_range(0..8);
            "bit"
        }
        4 => {
            all[at].pop();
            "cut"
        }
        5 => {
            all[at].push(0);
            "longer"
        }
        6 => {
            header.units = random_number(rng, header.units);
            "units"
        }
        7 => {
            header.input_bytes = random_number(rng, header.input_bytes);
            "input bytes"
        }
        8 => {
            header.parameter_bytes = random_number(rng, header.parameter_bytes);
            "parameter bytes"
        }
        9 => {
            header.value_bytes = random_number(rng, header.value_bytes);
            "value bytes"
        }
        10 => {
            header.output_bytes = random_number(rng, header.output_bytes);
            "output bytes"
        }
        _ => change_field(rng, header, list, &mut all[at]),
    }
}

#[test]
fn every_flaw_has_a_proof_and_nothing_else_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut counts: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    let mut longest = 0;
    for seed in 0..cases(200) {
        let program = random::program(seed).program;
        let good = (program.header(), Leaves::of(&program));
        assert!(is_program(&good.0, &good.1));
        assert_eq!(prove_flaw(&good.0, &good.1), None, "seed {seed}");
        for _ in 0..60 {
            let (mut header, mut leaves) = good.clone();
            let mut what = mutate(&mut rng, &mut header, &mut leaves);
            // Two changes may make up for each other.
            if rng.random_ratio(1, 4) && List::ALL.iter().all(|l| !leaves.list(*l).is_empty()) {
                let decodes = leaves
                    .operators
                    .iter()
                    .all(|l| OperatorLeaf::decode(l).is_ok())
                    && leaves.outputs.iter().all(|l| OutputLeaf::decode(l).is_ok())
                    && leaves.inputs.iter().all(|l| TypeLeaf::decode(l).is_ok())
                    && leaves
                        .parameters
                        .iter()
                        .all(|l| TypeLeaf::decode(l).is_ok());
                if decodes {
                    mutate(&mut rng, &mut header, &mut leaves);
                    what = "two changes";
                }
            }
            let header = commit(&header, &leaves);
            let proof = prove_flaw(&header, &leaves);
            let sound = is_program(&header, &leaves);
            assert_eq!(proof.is_none(), sound, "seed {seed}: {what}");
            counts.entry(what).or_default()[usize::from(sound)] += 1;
            if let Some(proof) = proof {
                longest = longest.max(proof.len());
                assert_eq!(check_flaw(&header, &proof), Ok(true), "seed {seed}: {what}");
                // The header of the good program does not fall to it.
                assert_ne!(check_flaw(&good.0, &proof), Ok(true), "seed {seed}: {what}");
            }
        }
    }
    println!("flawed and sound: {counts:?}, longest proof {longest}");
    for what in [
        "running bytes",
        "values' running bytes",
        "parameter bytes",
        "value bytes",
        "operand type",
        "result",
        "units",
        "name",
        "value",
        "two changes",
    ] {
        assert!(counts[what][0] > 20, "{what}: {counts:?}");
    }
}

/// The proof's form of these leaves of the header's lists.
fn opened(leaves: &Leaves, places: &[(List, usize)]) -> Vec<u8> {
    let mut proof = Vec::new();
    for (list, index) in places {
        let all = leaves.list(*list);
        let hashes: Vec<Hash> = all.iter().map(|leaf| list.hash(leaf)).collect();
        proof.push(*list as u8);
        proof.extend((*index as u32).to_le_bytes());
        proof.extend((all[*index].len() as u32).to_le_bytes());
        proof.extend(&all[*index]);
        let path = merkle::path(&hashes, *index as u64).unwrap();
        proof.extend(path.into_iter().flatten());
    }
    proof
}

#[test]
fn whatever_is_opened_of_a_program_convicts_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for seed in 0..cases(300) {
        let program = random::program(seed).program;
        let (header, leaves) = (program.header(), Leaves::of(&program));
        assert_eq!(check_flaw(&header, &[]), Ok(false));
        let lists = List::ALL.into_iter();
        let places = lists.flat_map(|list| (0..leaves.list(list).len()).map(move |i| (list, i)));
        let places = places.collect::<Vec<_>>();
        for _ in 0..40 {
            let some = [0; 2].map(|_| *places.choose(&mut rng).unwrap());
            let some = &some[..rng.random_range(1..=2)];
            let proof = opened(&leaves, some);
            assert_eq!(
                check_flaw(&header, &proof),
                Ok(false),
                "seed {seed}: {some:?}"
            );
            let mut mutant = proof.clone();
            mutant[rng.random_range(0..proof.len())] ^= rng.random_range(1..=255u8);
            assert_ne!(
                check_flaw(&header, &mutant),
                Ok(true),
                "seed {seed}: {some:?}"
            );
            let cut = rng.random_range(1..proof.len());
            assert_ne!(check_flaw(&header, &proof[..cut]), Ok(true));
            let more = [&proof[..], &proof[..cut]].concat();
            assert_ne!(check_flaw(&header, &more), Ok(true));
        }
        let three = opened(&leaves, &[places[0], places[0], places[0]]);
        assert_eq!(check_flaw(&header, &three), Err(ProofError::Malformed));
    }
}

#[test]
fn counts_over_their_limits_are_flaws() {
    let header = random::program(0).program.header();
    assert!(header.parameters > 0);
    let change = |change: fn(&mut ProgramHeader)| {
        let mut header = header;
        change(&mut header);
        check_flaw(&header, &[])
    };
    assert_eq!(change(|_| {}), Ok(false));
    assert_eq!(change(|h| h.inputs = 257), Ok(true));
    assert_eq!(change(|h| h.parameters = 65_537), Ok(true));
    assert_eq!(change(|h| h.operators = 65_537), Ok(true));
    assert_eq!(change(|h| h.outputs = 257), Ok(true));
    assert_eq!(change(|h| h.operators = 0), Ok(true));
    assert_eq!(change(|h| h.value_bytes = MAX_BYTES), Ok(true));
    assert_eq!(change(|h| h.outputs = 0), Ok(true));
    // An empty list has the empty root and no bytes.
    assert_eq!(change(|h| h.inputs = 0), Ok(true));
    assert_eq!(change(|h| h.parameters = 0), Ok(true));
}

/// A tree whose places behind the end of the list are not empty is no tree of a program.
#[test]
fn what_is_behind_a_lists_end_is_empty() {
    for seed in 0..60 {
        let program = random::program(seed).program;
        let (header, leaves) = (program.header(), Leaves::of(&program));
        for list in List::ALL {
            let all = leaves.list(list);
            let mut hashes: Vec<Hash> = all.iter().map(|leaf| list.hash(leaf)).collect();
            let places = hashes.len().next_power_of_two();
            if hashes.is_empty() || hashes.len() == places {
                continue;
            }
            let last = hashes.len() - 1;
            hashes.resize(places, merkle::EMPTY_LEAF);
            hashes[places - 1] = [9; 32];
            let root = merkle::root(&hashes);
            let mut padded = header;
            match list {
                List::Inputs => padded.inputs_root = root,
                List::Parameters => padded.parameters_root = root,
                List::Operators => padded.operators_root = root,
                List::Outputs => padded.outputs_root = root,
            }
            let mut proof = opened(&leaves, &[(list, last)]);
            let path = merkle::path(&hashes, last as u64).unwrap();
            proof.truncate(proof.len() - 32 * path.len());
            proof.extend(path.into_iter().flatten());
            assert_eq!(
                check_flaw(&padded, &proof),
                Ok(true),
                "seed {seed}, {list:?}"
            );
        }
    }
}

/// A leaf that is longer than any convicts, but may be too long to be shown: who has it says nothing, and demands
/// it, which nobody can answer. What is wrong in other leaves is shown.
#[test]
fn what_is_wrong_is_shown_in_short_leaves() {
    for seed in 0..20 {
        let program = random::program(seed).program;
        let mut leaves = Leaves::of(&program);
        for list in [List::Inputs, List::Operators, List::Outputs] {
            list_mut(&mut leaves, list)[0] = vec![7; MAX_LEAF + 1];
        }
        let header = commit(&program.header(), &leaves);
        let long = opened(&leaves, &[(List::Operators, 0)]);
        assert_eq!(check_flaw(&header, &long), Ok(true));
        assert_eq!(prove_flaw(&header, &leaves), None);
        let last = leaves.operators.len();
        leaves.operators.push(vec![7; MAX_LEAF]);
        let header = commit(&program.header(), &leaves);
        let proof = prove_flaw(&header, &leaves).unwrap();
        assert_eq!(proof, opened(&leaves, &[(List::Operators, last)]));
        assert_eq!(check_flaw(&header, &proof), Ok(true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        cases: cases(4_000) as u32,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_judged(
        seed in 0u64..40,
        proof in prop::collection::vec(any::<u8>(), 0..400),
        counts in any::<[u32; 4]>(),
        random_header in any::<bool>(),
    ) {
        let mut header = random::program(seed).program.header();
        if random_header {
            [header.inputs, header.parameters, header.operators, header.outputs] = counts;
        }
        let judged = check_flaw(&header, &proof);
        prop_assert!(random_header || judged != Ok(true));
    }
}
