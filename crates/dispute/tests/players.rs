//! Honest players against liars.

mod arena;

use arena::duel::*;
use arena::lies::*;
use arena::world::*;
use assay_dispute::Side;
use assay_dispute::game::{Dispute, Reason, Verdict};
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Claims, Next};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// An honest challenger wins against all ways to stand by the lie, with any transactions.
fn convicts(batch: &Batch, lie: &Lie) {
    let own = batch.knowledge(lie.header, lie.data.clone());
    let mut challenger = Challenger::new(own, batch.library.clone());
    assert!(challenger.wrong().is_some(), "{}", lie.name);
    for (way, claims) in lie.claims.iter().enumerate() {
        let room = [LEGACY_ROOM, VERSION_1_ROOM][(way + lie.name.len()) % 2];
        let mut asserter = Asserter::new(claims.clone(), batch.library.clone(), room);
        let outcome = duel(batch, &lie.header, &mut challenger, &mut asserter);
        let Verdict { winner, reason } = outcome.verdict;
        let steps = outcome.steps;
        // Every move fits a transaction of the kind that the players were told.
        let moves = steps.iter().filter(|step| !step.proof);
        let largest = moves.map(|step| step.bytes).max().unwrap_or(0);
        assert!(largest <= room, "{}: {steps:?}", lie.name);
        assert_eq!(winner, Side::Challenger, "{}: {steps:?}", lie.name);
        if let Some(expected) = lie.reason.filter(|_| way == 0) {
            assert_eq!(reason, expected, "{}: {steps:?}", lie.name);
        }
    }
}

/// A transaction of each kind with each status in the batch.
fn kinds(batch: &Batch) -> Vec<u32> {
    let mut seen = BTreeMap::new();
    for (index, (tx, result)) in (0u32..).zip(&batch.records) {
        let ran = result.program_root != [0; 32];
        seen.entry((kind(tx), result.status, ran)).or_insert(index);
    }
    seen.into_values().collect()
}

#[test]
fn nothing_is_wrong_with_an_honest_batch() {
    for seed in 0..4 {
        let batch = mixed(seed, 2, 40);
        let mut own = batch.own();
        assert!(own.is_whole() && own.fault().is_none());
        assert!(Claims::honest(&mut own).is_some());
        let mut challenger = Challenger::new(own, batch.library.clone());
        assert_eq!(challenger.wrong(), None);
    }
}

#[test]
fn whatever_is_said_of_a_run_is_found() {
    for seed in 10..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 3, 40);
        for (index, (_, result)) in (0u32..).zip(&batch.records) {
            if result.program_root == [0; 32] {
                continue;
            }
            for lie in wrong_runs(&batch, index, &mut rng) {
                convicts(&batch, &lie);
            }
        }
    }
}

/// Every operator that there is.
const OPERATORS: usize = 9;

#[test]
fn whatever_is_said_of_an_operator_s_value_is_found() {
    // How often each operator was lied about in each way.
    let mut seen: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for seed in 20..28 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 3, 30);
        for (index, (_, result)) in (0u32..).zip(&batch.records) {
            if result.program_root == [0; 32] {
                continue;
            }
            let own = run(&batch, index);
            let program = own.model().program();
            let nodes = program.program().nodes.iter().zip(program.value_types());
            for (operator, (node, ty)) in (0u32..).zip(nodes) {
                // One that an output depends on.
                let wrong = (0..16).find_map(|_| {
                    let element = rng.random_range(0..ty.shape.elements());
                    wrong_element(&batch, index, operator, element as usize)
                });
                let lies = wrong_values(&batch, index, operator);
                for lie in lies.into_iter().chain(wrong) {
                    convicts(&batch, &lie);
                    let way = lie.name.split(" of operator").next().unwrap();
                    let way = way.trim_end_matches(|c: char| c.is_ascii_digit());
                    let kind = node.op.kind();
                    *seen.entry((kind, way.to_string())).or_default() += 1;
                }
            }
        }
    }
    let kinds: BTreeSet<_> = seen.keys().map(|(kind, _)| kind).collect();
    let ways: BTreeSet<_> = seen.keys().map(|(_, way)| way).collect();
    assert_eq!((kinds.len(), ways.len()), (OPERATORS, 7), "{seen:#?}");
    assert_eq!(seen.len(), OPERATORS * 7, "{seen:#?}");
}

#[test]
fn whatever_is_said_of_a_result_or_a_state_is_found() {
    let mut seen = BTreeSet::new();
    for seed in 30..33 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 2, 40);
        for index in kinds(&batch) {
            seen.insert(kind(&batch.records[index as usize].0));
            for lie in wrong_results(&batch, index, &mut rng) {
                convicts(&batch, &lie);
            }
            for lie in wrong_states(&batch, index, &mut rng) {
                convicts(&batch, &lie);
            }
        }
    }
    assert_eq!(seen.len(), 7);
}

#[test]
fn whatever_is_wrong_with_the_data_is_found() {
    for seed in 40..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 2, 5 + 3 * seed as usize % 41);
        for lie in wrong_data(&batch, &mut rng) {
            convicts(&batch, &lie);
        }
    }
}

#[test]
fn the_first_batch_is_disputed_like_any_other() {
    let mut rng = ChaCha8Rng::seed_from_u64(60);
    let (batch, _) = rollup(random_models([1, 2]));
    assert_eq!(batch.parent, None);
    let count = batch.records.len() as u32;
    let mut lies = wrong_data(&batch, &mut rng);
    for index in [0, 1, count - 1] {
        lies.extend(wrong_results(&batch, index, &mut rng));
        lies.extend(wrong_states(&batch, index, &mut rng));
    }
    for lie in lies {
        convicts(&batch, &lie);
    }
}

#[test]
fn a_batch_of_one_transaction_is_disputed_like_any_other() {
    for seed in 61..70 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 1, 1);
        assert_eq!(batch.header.tx_count, 1);
        let mut lies = wrong_data(&batch, &mut rng);
        lies.extend(wrong_results(&batch, 0, &mut rng));
        lies.extend(wrong_states(&batch, 0, &mut rng));
        if batch.records[0].1.program_root != [0; 32] {
            lies.extend(wrong_runs(&batch, 0, &mut rng));
        }
        for lie in lies {
            convicts(&batch, &lie);
        }
    }
}

#[test]
fn a_malformed_program_convicts_whoever_lets_it_be_deployed() {
    for flaw in Flaw::ALL {
        let mut rng = ChaCha8Rng::seed_from_u64(80);
        let (_, mut maker) = rollup(random_models([3]));
        for _ in 0..5 {
            maker.random(&mut rng);
        }
        maker.deploy_malformed(flaw);
        for _ in 0..5 {
            maker.random(&mut rng);
        }
        let batch = maker.finish().0;
        let mut lie = honest(&batch).lie(format!("{flaw:?}"), Some(Reason::Program));
        convicts(&batch, &lie);
        // It stands by something else besides: whichever comes first convicts it.
        lie.reason = None;
        for index in 0..batch.records.len() as u32 {
            for other in wrong_results(&batch, index, &mut rng) {
                convicts(&batch, &other);
            }
        }
    }
}

#[test]
fn a_player_that_starts_again_goes_on_as_before() {
    for seed in 90..96 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 2, 20);
        for _ in 0..5 {
            let lie = random_lie(&batch, &mut rng);
            let challenger = || {
                let own = batch.knowledge(lie.header, lie.data.clone());
                Challenger::new(own, batch.library.clone())
            };
            let asserter =
                || Asserter::new(lie.claims[0].clone(), batch.library.clone(), LEGACY_ROOM);
            let mut lasting = (challenger(), asserter());
            let mut dispute = Dispute::open(lie.header, [9; 32], 0);
            loop {
                let asserts = dispute.stage.turn() == Some(Side::Asserter);
                let mut next = || match asserts {
                    true => lasting.1.next(&dispute, true, 0),
                    false => lasting.0.next(&dispute, true, 0),
                };
                let first = next();
                // Asked twice, and asked of somebody who has seen nothing of the game.
                assert_eq!(next(), first, "{}", lie.name);
                let fresh = match asserts {
                    true => asserter().next(&dispute, true, 0),
                    false => challenger().next(&dispute, true, 0),
                };
                assert_eq!(fresh, first, "{}", lie.name);
                let Next::Play(made) = first else {
                    break;
                };
                dispute.play(made, true, 0).unwrap();
            }
        }
    }
}
