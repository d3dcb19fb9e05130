//! What is changed in a proof, and what is none.

use super::*;

/// Everything that a dishonest challenger can change in a witness.
#[test]
fn a_changed_witness_proves_nothing() {
    type Change = fn(&mut Witness) -> bool;
    let changes: [Change; 17] = [
        |w| opened(w, |a| a.balance += 1),
        |w| opened(w, |a| a.balance = 0),
        |w| opened(w, |a| a.nonce += 1),
        |w| opened(w, |a| a.owner[0] ^= 1),
        |w| opened(w, |a| a.mint[0] ^= 1),
        |w| opened(w, |a| a.next ^= 1),
        |w| w.accounts.leaves.pop().is_some(),
        |w| {
            let some = !w.accounts.leaves.is_empty();
            w.accounts.leaves.clear();
            w.accounts.siblings.clear();
            some
        },
        |w| {
            w.accounts
                .leaves
                .first_mut()
                .is_some_and(|l| l.1.take().is_some())
        },
        |w| {
            w.accounts.leaves.first_mut().is_some_and(|l| {
                l.0 ^= 1;
                true
            })
        },
        |w| w.accounts.siblings.pop().is_some(),
        |w| w.models.leaves.pop().is_some(),
        |w| {
            w.models.leaves.first_mut().is_some_and(|(_, m)| {
                m.as_mut().is_some_and(|m| {
                    m.price += 1;
                    true
                })
            })
        },
        |w| w.outbox.pop().is_some(),
        |w| {
            let some = !w.outbox.is_empty();
            w.outbox.clear();
            some
        },
        |w| {
            w.components.units += 1;
            true
        },
        |w| {
            w.components.accounts.count -= 1;
            true
        },
    ];
    fn opened(w: &mut Witness, f: fn(&mut assay_ledger::state::Account)) -> bool {
        let leaves = w.accounts.leaves.iter_mut();
        let used = leaves.filter_map(|(_, a)| a.as_mut()).collect::<Vec<_>>();
        let some = !used.is_empty();
        used.into_iter().for_each(f);
        some
    }
    for batch in batches() {
        for index in 0..batch.header.tx_count {
            let claims = batch.claims(&batch.roots, index);
            for (number, change) in changes.iter().enumerate() {
                let right = batch.witness(index).unwrap();
                let mut witness = right.clone();
                if change(&mut witness) && witness != right {
                    let proof = batch.prove_with(&batch.roots, index, Some(&witness));
                    let kind = batch.kinds[index as usize];
                    assert!(check(&batch, &claims, &proof).is_err(), "{kind}: {number}");
                }
            }
            // Of another state, or none at all.
            let other = batch.witness((index + 1) % batch.header.tx_count);
            let proof = batch.prove_with(&batch.roots, index, other.as_ref());
            assert_ne!(check(&batch, &claims, &proof), Ok(true));
            let proof = batch.prove_with(&batch.roots, index, None);
            assert_eq!(check(&batch, &claims, &proof), Err(ProofError::Malformed));
        }
    }
}

/// What belongs to one step proves nothing about another.
#[test]
fn a_proof_is_of_its_own_step() {
    let batch = every_kind();
    for index in 0..batch.header.tx_count {
        let claims = batch.claims(&batch.roots, index);
        for other in (0..batch.header.tx_count).filter(|other| *other != index) {
            let proof = batch.prove(&batch.roots, other);
            let verdict = check(&batch, &claims, &proof);
            assert_eq!(verdict, Err(ProofError::Opening("the state before")));
        }
        let proof = batch.prove(&batch.roots, index);
        let mut wrong = claims;
        wrong.tx_root[0] ^= 1;
        let verdict = check(&batch, &wrong, &proof);
        assert_eq!(verdict, Err(ProofError::Opening("the transaction")));
        wrong = claims;
        wrong.states_root[0] ^= 1;
        assert!(check(&batch, &wrong, &proof).is_err());
        wrong = claims;
        wrong.index = batch.header.tx_count;
        assert!(check(&batch, &wrong, &proof).is_err());
        wrong = claims;
        wrong.tx_count = u32::MAX;
        assert!(check(&batch, &wrong, &proof).is_err());
    }
}

/// Changes bytes somehow.
fn mutate(rng: &mut ChaCha8Rng, proof: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.random_range(1..4) {
        let len = proof.len();
        if len == 0 {
            return;
        }
        let at = rng.random_range(0..len);
        match rng.random_range(0..10) {
            0..4 => proof[at] ^= 1 << rng.random_range(0..8),
            4 => proof[at] = rng.random(),
            5 => proof.truncate(at),
            6 => proof.insert(at, rng.random()),
            7 => {
                proof.remove(at);
            }
            8 => {
                // A piece of another proof in the same place.
                let end = (at + rng.random_range(1..200)).min(len).min(other.len());
                if at < end {
                    proof[at..end].copy_from_slice(&other[at..end]);
                }
            }
            _ => {
                // A hash from elsewhere.
                let from = rng.random_range(0..len);
                let n = 32.min(len - at).min(len - from);
                proof.copy_within(from..from + n, at);
            }
        }
    }
}

#[test]
fn no_change_of_a_proof_convicts_an_honest_asserter() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for batch in batches() {
        let all: Vec<_> = (0..batch.header.tx_count)
            .map(|index| {
                (
                    batch.claims(&batch.roots, index),
                    batch.prove(&batch.roots, index),
                )
            })
            .collect();
        // Of an asserter who says that everything is invalid from the first transaction on, too.
        let mut lie = batch.records.clone();
        lie[0].1.status = 200;
        let invalid = batch.with_records(lie);
        let absorbed = (1..batch.header.tx_count)
            .map(|i| {
                (
                    invalid.claims(&invalid.roots, i),
                    invalid.prove(&invalid.roots, i),
                )
            })
            .collect::<Vec<_>>();
        for _ in 0..cases(4_000) {
            let (batch, all) = match rng.random_range(0..8) {
                0 => (&invalid, &absorbed),
                _ => (&batch, &all),
            };
            let (claims, proof) = &all[rng.random_range(0..all.len())];
            let other = &all[rng.random_range(0..all.len())].1;
            let mut changed = proof.clone();
            mutate(&mut rng, &mut changed, other);
            assert_ne!(check_with(batch, claims, &changed, &mut Syscalls), Ok(true));
        }
        for (claims, proof) in &all {
            let some = proof.len().min(600);
            for end in (0..some).chain(proof.len() - some..proof.len()) {
                let cut = check_with(&batch, claims, &proof[..end], &mut Each);
                assert!(cut.is_err());
            }
        }
    }
}

#[test]
fn random_bytes_are_no_proof() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let batch = first().finish();
    for _ in 0..cases(20_000) {
        let mut bytes = vec![0; rng.random_range(0..6_000)];
        rng.fill(&mut bytes[..]);
        let index = rng.random_range(0..batch.header.tx_count + 2);
        let claims = batch.claims(&batch.roots, index % batch.header.tx_count);
        let claims = StateClaims { index, ..claims };
        assert!(check_with(&batch, &claims, &bytes, &mut Each).is_err());
    }
}
