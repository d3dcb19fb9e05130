//! Proofs of a state: every kind of transaction, against what is true, every lie about it, and any change of
//! the proof.

#[path = "../common/batch.rs"]
mod batch;
mod garbage;
mod lies;

use assay_dispute::Hash;
use assay_dispute::descent::Descent;
use assay_dispute::stage::States;
use assay_dispute::step::ProofError;
use assay_dispute::step::ed25519::Syscalls;
use assay_dispute::step::state::{StateClaims, check_state, check_step};
use assay_ledger::result::TxResult;
use assay_ledger::signature::{Each, Verify};
use assay_ledger::state::INVALID;
use assay_ledger::transaction::{Destination, Transaction};
use assay_ledger::transition::{StateAccess, apply, expand};
use assay_ledger::witness::Witness;
use batch::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many cases a test takes: `ASSAY_CASES`, or else `default`.
fn cases(default: u64) -> u64 {
    let cases = std::env::var("ASSAY_CASES").ok();
    cases.and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn check_with(
    batch: &Batch,
    claims: &StateClaims,
    proof: &[u8],
    verify: &mut impl Verify,
) -> Result<bool, ProofError> {
    check_state(claims, proof, &|index| batch.message_chain(index), verify)
}

/// On chain and on a host alike.
fn check(batch: &Batch, claims: &StateClaims, proof: &[u8]) -> Result<bool, ProofError> {
    let verdict = check_with(batch, claims, proof, &mut Syscalls);
    assert_eq!(verdict, check_with(batch, claims, proof, &mut Each));
    verdict
}

/// The batches: the one with every kind, and the one that makes the accounts and models.
fn batches() -> [Batch; 2] {
    [every_kind(), first().finish()]
}

/// The state roots with another one after transaction `index`.
fn lied(batch: &Batch, index: u32, after: Hash) -> Vec<Hash> {
    let mut roots = batch.roots.clone();
    roots[index as usize + 1] = after;
    roots
}

/// What the asserter says when its states are `roots`, and what comes of the challenger's proof.
fn verdict(batch: &Batch, roots: &[Hash], index: u32) -> Result<bool, ProofError> {
    check(
        batch,
        &batch.claims(roots, index),
        &batch.prove(roots, index),
    )
}

#[test]
fn a_right_state_is_right() {
    for batch in batches() {
        for index in 0..batch.header.tx_count {
            let kind = batch.kinds[index as usize];
            assert_eq!(verdict(&batch, &batch.roots, index), Ok(false), "{kind}");
        }
    }
}

/// From where the descent of the state roots led to.
#[test]
fn a_step_follows_from_the_game() {
    let batch = every_kind();
    let chain = |index| batch.message_chain(index);
    let states = States {
        before: batch.roots[0],
        leaf: None,
    };
    let mut roots = batch.roots.clone();
    for (index, lie) in [(0, false), (0, true), (1, false), (7, true), (7, false)] {
        if lie {
            roots[index][0] ^= 1;
        }
        let mut descent =
            Descent::new(assay_tensor::merkle::root(&roots), roots.len() as u64).unwrap();
        (descent.index, descent.node, descent.height) = (index as u64, roots[index], 0);
        let proof = match index.checked_sub(1) {
            Some(step) => batch.prove(&roots, step as u32),
            None => Vec::new(),
        };
        let wrong = check_step(&batch.header, &states, &descent, &proof, &chain, &mut Each);
        assert_eq!(wrong, Ok(lie), "state {index}");
        let longer = [&proof[..], &[0]].concat();
        let wrong = check_step(&batch.header, &states, &descent, &longer, &chain, &mut Each);
        assert_eq!(wrong, Err(ProofError::Malformed));
        roots = batch.roots.clone();
    }
}

/// How long the proofs are: what a transaction or a buffer has to hold. `--nocapture` prints them.
#[test]
fn proofs_are_short() {
    let batch = every_kind();
    let mut most = 0;
    for index in 0..batch.header.tx_count {
        let (tx, _) = &batch.records[index as usize];
        let (head, input, tail) = tx.encoding();
        let record = head.len() + input.len() + tail.len();
        let length = batch.prove(&batch.roots, index).len();
        println!(
            "{:<32} {length:>6} bytes, {record} of the transaction",
            batch.kinds[index as usize]
        );
        most = most.max(length - record);
    }
    // A batch of 2^14 transactions has nine more siblings in each of the two trees.
    assert!(most + 18 * 32 < 8_192, "{most}");
}
