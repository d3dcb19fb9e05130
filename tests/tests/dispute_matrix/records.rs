//! Each kind of transaction: a wrong balance, nonce, root, status, fee; and wrong data.

use super::support::{Scene, Summary};
use crate::arena::lies::*;
use crate::arena::world::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

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
fn a_wrong_result_or_state_of_any_transaction_loses() {
    let mut summary = Summary::default();
    let mut seen = BTreeSet::new();
    for seed in [30, 31] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 2, 40);
        let mut scene = Scene::new(&batch);
        for index in kinds(&batch) {
            let mut lies = wrong_results(&batch, index, &mut rng);
            lies.extend(wrong_states(&batch, index, &mut rng));
            for lie in &lies {
                for played in scene.convicts(lie, 2) {
                    let what = lie.name.split_whitespace().next().expect("a name");
                    seen.insert((kind(&batch.records[index as usize].0), what.to_string()));
                    summary.add(&played);
                }
            }
        }
    }
    let kinds: BTreeSet<_> = seen.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    for kind in kinds {
        for what in [
            "balance",
            "nonce",
            "status",
            "fee",
            "program",
            "parameters",
            "input",
            "output",
            "units",
        ] {
            assert!(seen.contains(&(kind, what.into())), "{what} of {kind}");
        }
    }
    summary.print("records");
}

#[test]
fn wrong_data_loses() {
    let mut summary = Summary::default();
    for seed in [40, 43, 50] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 2, 5 + 3 * seed as usize % 41);
        let mut scene = Scene::new(&batch);
        for lie in wrong_data(&batch, &mut rng) {
            for played in scene.convicts(&lie, 1) {
                summary.add(&played);
            }
        }
    }
    summary.print("data");
}

#[test]
fn a_malformed_program_loses() {
    let mut summary = Summary::default();
    for flaw in Flaw::ALL {
        let (_, mut maker) = rollup(random_models([3]));
        maker.deploy_malformed(flaw);
        let batch = maker.finish().0;
        let mut scene = Scene::new(&batch);
        let reason = Some(assay_dispute::game::Reason::Program);
        let lie = honest(&batch).lie(format!("{flaw:?}"), reason);
        for played in scene.convicts(&lie, 1) {
            summary.add(&played);
        }
    }
    summary.print("programs");
}
