//! Proofs of a state from the data: every kind of transaction, against what is true, lies about it, and any
//! change of the proof.

#[path = "common/batch.rs"]
mod batch;

use assay_dispute::Hash;
use assay_dispute::descent::Descent;
use assay_dispute::step::ProofError;
use assay_dispute::step::data::prove_data;
use assay_dispute::step::ed25519::Syscalls;
use assay_dispute::step::record::{Recorded, check_record, prove_record};
use assay_ledger::codec;
use assay_ledger::data::data_root;
use assay_ledger::signature::Each;
use assay_ledger::state::INVALID;
use assay_tensor::merkle::Levels;
use batch::*;

/// The descent to leaf `index` of the asserter's states.
fn descent(states: &[Hash], index: u64) -> Descent {
    let tree = Levels::new(states.to_vec());
    let mut descent = Descent::new(tree.root(), tree.count()).unwrap();
    while !descent.done() {
        let levels = descent.step(6);
        let first = descent.index << levels;
        let level = u32::from(descent.height) - levels;
        let inside = descent.inside(levels) as u64;
        let nodes: Vec<Hash> = (0..inside).map(|i| tree.node(level, first + i)).collect();
        descent.reveal(&nodes).unwrap();
        descent.choose(((index >> level) - first) as u8).unwrap();
    }
    descent
}

/// A batch with its data, which the tests of states do not have.
fn with_data(mut batch: Batch) -> (Batch, Vec<u8>) {
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let data = codec::encode(&transactions);
    batch.header.data_root = data_root(&data);
    batch.header.data_len = data.len() as u32;
    (batch, data)
}

fn prove(batch: &Batch, data: &[u8], states: &[Hash], index: u32) -> Vec<u8> {
    let at = index as usize;
    prove_record(&Recorded {
        before: &states[at],
        path: &Levels::new(states.to_vec()).path(index.into()).unwrap(),
        data: &prove_data(&batch.header, data, index).unwrap(),
        witness: &batch.witness(index).unwrap(),
    })
}

/// On chain and on a host alike.
fn check(batch: &Batch, states: &[Hash], index: u32, proof: &[u8]) -> Result<bool, ProofError> {
    let descent = descent(states, u64::from(index) + 1);
    let chain = |index| batch.message_chain(index);
    let verdict = check_record(&batch.header, &descent, proof, &chain, &mut Syscalls);
    let host = check_record(&batch.header, &descent, proof, &chain, &mut Each);
    assert_eq!(verdict, host);
    verdict
}

fn is_job(batch: &Batch, index: u32) -> bool {
    let (tx, result) = &batch.records[index as usize];
    tx.consumes_message() && result.program_root != [0; 32]
}

#[test]
fn the_data_shows_every_step_but_that_of_a_job_that_runs() {
    let (batch, data) = with_data(every_kind());
    let refused = ProofError::Opening("the outputs of the job");
    let mut jobs = 0;
    for index in 0..batch.header.tx_count {
        let kind = batch.kinds[index as usize];
        let job = is_job(&batch, index);
        jobs += u32::from(job);
        let expected = |wrong| match job {
            true => Err(refused),
            false => Ok(wrong),
        };
        let right = &batch.roots;
        let proof = prove(&batch, &data, right, index);
        assert_eq!(
            check(&batch, right, index, &proof),
            expected(false),
            "{kind}"
        );
        for other in [INVALID, [9; 32], right[0], right[index as usize]] {
            let mut lied = right.clone();
            lied[index as usize + 1] = other;
            if lied == *right {
                continue;
            }
            let proof = prove(&batch, &data, &lied, index);
            assert_eq!(
                check(&batch, &lied, index, &proof),
                expected(true),
                "{kind}"
            );
        }
    }
    assert!(jobs > 0);
}

#[test]
fn what_the_leaf_says_does_not_matter() {
    let (batch, data) = with_data(every_kind());
    let mut records = batch.records.clone();
    for (_, result) in &mut records {
        result.fee ^= 1;
        result.output_root = [3; 32];
    }
    let mut other = batch.clone();
    let leaves = records
        .iter()
        .map(|(tx, r)| assay_ledger::batch::tx_leaf(tx, r));
    other.header.tx_root = assay_tensor::merkle::root(&leaves.collect::<Vec<_>>());
    for index in (0..batch.header.tx_count).filter(|index| !is_job(&batch, *index)) {
        let proof = prove(&batch, &data, &batch.roots, index);
        assert_eq!(check(&other, &batch.roots, index, &proof), Ok(false));
    }
}

#[test]
fn a_forged_signature_in_the_data_may_not_be_there() {
    let batch = every_kind();
    for index in 0..batch.header.tx_count {
        let mut records = batch.records.clone();
        let Some(signature) = signature_of(&mut records[index as usize].0) else {
            continue;
        };
        signature[40] ^= 1;
        let (forged, data) = with_data(batch.with_records(records));
        // Who goes on as if it were good is wrong, and who says that it is not is right.
        let proof = prove(&forged, &data, &batch.roots, index);
        assert_eq!(check(&forged, &batch.roots, index, &proof), Ok(true));
        let proof = prove(&forged, &data, &forged.roots, index);
        assert_eq!(check(&forged, &forged.roots, index, &proof), Ok(false));
    }
}

#[test]
fn no_other_bytes_convict_what_is_right() {
    let (batch, data) = with_data(every_kind());
    for index in 0..batch.header.tx_count {
        let proof = prove(&batch, &data, &batch.roots, index);
        // Every fifth byte, from another one on in each.
        for at in (index as usize % 5..proof.len()).step_by(5) {
            let mut other = proof.clone();
            other[at] ^= 1 << (at % 8);
            let verdict = check(&batch, &batch.roots, index, &other);
            assert_ne!(
                verdict,
                Ok(true),
                "{} byte {at}",
                batch.kinds[index as usize]
            );
        }
        for len in [0, 31, 32, proof.len() / 2, proof.len() - 1] {
            assert!(check(&batch, &batch.roots, index, &proof[..len]).is_err());
        }
        // Another record in its place, or no transaction where one is needed.
        let other = (index + 1) % batch.header.tx_count;
        let swapped = prove_record(&Recorded {
            before: &batch.roots[index as usize],
            path: &Levels::new(batch.roots.clone()).path(index.into()).unwrap(),
            data: &prove_data(&batch.header, &data, other).unwrap(),
            witness: &batch.witness(index).unwrap(),
        });
        assert_ne!(check(&batch, &batch.roots, index, &swapped), Ok(true));
    }
}

#[test]
fn without_a_transaction_before_there_is_nothing_to_show() {
    let (batch, data) = with_data(every_kind());
    let proof = prove(&batch, &data, &batch.roots, 0);
    let chain = |index| batch.message_chain(index);
    let first = descent(&batch.roots, 0);
    let verdict = check_record(&batch.header, &first, &proof, &chain, &mut Each);
    assert_eq!(verdict, Err(ProofError::Malformed));
    // After an invalid state comes an invalid one, which takes no data.
    let mut invalid = batch.roots.clone();
    invalid[3..].fill(INVALID);
    invalid[5] = [9; 32];
    let proof = prove_record(&Recorded {
        before: &INVALID,
        path: &Levels::new(invalid.clone()).path(4).unwrap(),
        data: &prove_data(&batch.header, &data, 4).unwrap(),
        witness: &batch.witness(4).unwrap(),
    });
    assert_eq!(
        check(&batch, &invalid, 4, &proof),
        Err(ProofError::Malformed)
    );
}
