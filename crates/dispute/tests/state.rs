//! Proofs of a state: every kind of transaction, against what is true, every lie about it, and any change of
//! the proof.

#[path = "common/batch.rs"]
mod batch;

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

/// Whatever the asserter says the state is, unless it is right.
#[test]
fn another_state_is_wrong() {
    for batch in batches() {
        let (first, last) = (batch.roots[0], batch.header.state.root());
        for index in 0..batch.header.tx_count {
            let kind = batch.kinds[index as usize];
            let right = batch.roots[index as usize + 1];
            let mut others = vec![INVALID, [9; 32], first, last, batch.roots[index as usize]];
            others.extend(richer(&batch, index));
            let mut near = right;
            near[31] ^= 1;
            others.push(near);
            for other in others.into_iter().filter(|other| *other != right) {
                let roots = lied(&batch, index, other);
                assert_eq!(verdict(&batch, &roots, index), Ok(true), "{kind}");
            }
        }
    }
}

/// The states after transaction `index` in which one thing is another: an account's balance, nonce or
/// successor, the units, the cursor, the outbox.
fn richer(batch: &Batch, index: u32) -> Vec<Hash> {
    let mut state = batch.state.clone();
    state.start_batch();
    for (tx, result) in &batch.records[..=index as usize] {
        apply(&mut state, &batch.env(), tx, result.output_root).unwrap();
    }
    let mut others = Vec::new();
    for account in 0..state.accounts().len() as u32 {
        let mut other = state.clone();
        let mut changed = other.read_account(account).unwrap();
        match account % 3 {
            0 => changed.balance += 1,
            1 => changed.nonce += 1,
            _ => changed.next ^= 1,
        }
        other.write_account(account, changed).unwrap();
        others.push(other.components().root());
    }
    let mut components = state.components();
    components.units += 1;
    others.push(components.root());
    components = state.components();
    components.inbox.cursor += 1;
    others.push(components.root());
    components = state.components();
    components.outbox.count += 1;
    others.push(components.root());
    others
}

/// The batch in which transaction `index` is another, and the honest roots up to there.
fn with(batch: &Batch, index: u32, lie: impl FnOnce(&mut Transaction, &mut TxResult)) -> Batch {
    let mut records = batch.records.clone();
    let (tx, result) = &mut records[index as usize];
    lie(tx, result);
    batch.with_records(records)
}

/// Asserts that the batch's transaction `index` may not be there, and that an asserter loses who says that it
/// may, and wins who says that it may not.
#[track_caller]
fn may_not_be_there(batch: &Batch, honest: &Batch, index: u32, what: &str) {
    let at = index as usize;
    let kind = batch.kinds[at];
    assert_eq!(batch.roots[..=at], honest.roots[..=at], "{kind}: {what}");
    assert_eq!(batch.roots[at + 1], INVALID, "{kind}: {what}");
    assert_eq!(
        verdict(batch, &batch.roots, index),
        Ok(false),
        "{kind}: {what}"
    );
    let claimed = verdict(batch, &honest.roots, index);
    assert_eq!(claimed, Ok(true), "{kind}: {what}");
    // What comes after it is as invalid.
    for index in (index + 1..batch.header.tx_count).take(1) {
        assert_eq!(verdict(batch, &batch.roots, index), Ok(false));
        let roots = lied(batch, index, honest.roots[index as usize + 1]);
        assert_eq!(verdict(batch, &roots, index), Ok(true));
    }
}

#[test]
fn a_wrong_result_is_wrong() {
    type Lie = (&'static str, fn(&mut TxResult));
    let lies: [Lie; 8] = [
        ("status", |r| r.status ^= 1),
        ("a status that is none", |r| r.status = 200),
        ("fee up", |r| r.fee += 1),
        ("fee", |r| r.fee = r.fee.wrapping_sub(1)),
        ("program", |r| r.program_root[0] ^= 1),
        ("parameters", |r| r.parameters_root[31] ^= 1),
        ("input", |r| r.input_root[7] ^= 1),
        ("an output of nothing", |r| r.output_root = [1; 32]),
    ];
    for honest in batches() {
        for index in 0..honest.header.tx_count {
            let ran = honest.records[index as usize].1.program_root != [0; 32];
            for (what, lie) in lies {
                if ran && what.starts_with("an output") {
                    continue;
                }
                let batch = with(&honest, index, |_, result| lie(result));
                may_not_be_there(&batch, &honest, index, what);
            }
        }
    }
}

/// The output root of a run is not for this proof to judge: it is taken as given, whatever it is.
#[test]
fn another_output_is_another_claim() {
    let honest = every_kind();
    for index in 0..honest.header.tx_count {
        let at = index as usize;
        if honest.records[at].1.program_root == [0; 32] {
            continue;
        }
        let batch = with(&honest, index, |_, result| result.output_root[3] ^= 1);
        assert_ne!(batch.roots[at + 1], INVALID);
        assert_eq!(verdict(&batch, &batch.roots, index), Ok(false));
        // A job's is in the outbox, an inference's nowhere in the state.
        let in_state = honest.kinds[at] == "job";
        let kind = honest.kinds[at];
        assert_eq!(
            verdict(&batch, &honest.roots, index),
            Ok(in_state),
            "{kind}"
        );
    }
}

#[test]
fn a_wrong_signature_is_wrong() {
    for honest in batches() {
        let mut state = honest.state.clone();
        state.start_batch();
        for index in 0..honest.header.tx_count {
            let (tx, result) = &honest.records[index as usize];
            let signed = expand(&mut state, &honest.env(), tx).unwrap();
            apply(&mut state, &honest.env(), tx, result.output_root).unwrap();
            let Some(signed) = signed else { continue };
            let owner = (0..50).map(user).find(|u| u.public() == signed.terms.owner);
            let owner = owner.unwrap();
            let resigned = |pair: &assay_ledger::signature::Keypair, f: &dyn Fn(&mut _)| {
                let mut terms = signed.terms;
                f(&mut terms);
                pair.sign(&terms.signing_bytes())
            };
            let good = resigned(&owner, &|_| {});
            let (mut r, mut s, mut over) = (good, good, good);
            r[3] ^= 1;
            s[40] ^= 1;
            over[63] |= 0xf0;
            let wrong = [
                (
                    "nonce before",
                    resigned(&owner, &|t| t.nonce = t.nonce.wrapping_sub(1)),
                ),
                ("nonce after", resigned(&owner, &|t| t.nonce += 1)),
                ("rollup", resigned(&owner, &|t| t.rollup[0] ^= 1)),
                ("mint", resigned(&owner, &|t| t.mint[0] ^= 1)),
                ("somebody else's", resigned(&user(30), &|_| {})),
                ("R", r),
                ("s", s),
                ("s past the order", over),
                ("none", [0; 64]),
            ];
            for (what, signature) in wrong {
                let batch = with(&honest, index, |tx, _| {
                    *signature_of(tx).unwrap() = signature
                });
                may_not_be_there(&batch, &honest, index, what);
            }
        }
    }
}

/// Transactions that name what is not there, or are not what was signed.
#[test]
fn a_wrong_transaction_is_wrong() {
    let honest = every_kind();
    let accounts = honest.header.state.accounts.count as u32;
    for index in 0..honest.header.tx_count {
        type Lie<'a> = (&'static str, Box<dyn Fn(&mut Transaction) -> bool + 'a>);
        let lies: Vec<Lie<'_>> = vec![
            (
                "an account that is not",
                Box::new(|tx| match tx {
                    Transaction::Transfer { from, .. }
                    | Transaction::Withdraw { from, .. }
                    | Transaction::Deploy { from, .. }
                    | Transaction::Infer { from, .. } => {
                        *from = accounts;
                        true
                    }
                    Transaction::Update { model, .. } => {
                        *model = 99;
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "another destination",
                Box::new(|tx| match tx {
                    Transaction::Transfer { to, .. } => {
                        *to = match to {
                            // In another mint.
                            Destination::Account(_) => Destination::Account(2),
                            Destination::New(_) => Destination::New(user(0).public()),
                        };
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "more",
                Box::new(|tx| match tx {
                    Transaction::Transfer { amount, .. } | Transaction::Withdraw { amount, .. } => {
                        *amount += 1;
                        true
                    }
                    Transaction::Update { price, .. } | Transaction::Deploy { price, .. } => {
                        *price += 1;
                        true
                    }
                    Transaction::Infer { input, .. } => {
                        input[0] ^= 1;
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "pinned",
                Box::new(|tx| match tx {
                    Transaction::Infer { pinned, .. } => {
                        *pinned ^= true;
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "too long an input",
                Box::new(|tx| match tx {
                    Transaction::Infer { input, .. } => {
                        input.resize(16_385, 0);
                        true
                    }
                    _ => false,
                }),
            ),
        ];
        for (what, lie) in &lies {
            let mut applies = false;
            let batch = with(&honest, index, |tx, _| applies = lie(tx));
            if applies {
                may_not_be_there(&batch, &honest, index, what);
            }
        }
        // A message that is no job cannot be declined.
        let kind = honest.kinds[index as usize];
        if honest.records[index as usize].0 == Transaction::Inbox && !kind.starts_with("job") {
            let batch = with(&honest, index, |tx, _| *tx = Transaction::DeclineJob);
            may_not_be_there(&batch, &honest, index, "declined");
        }
    }
}

/// A batch that consumes more messages than its header says is invalid from there on, whatever L1 has sent.
#[test]
fn a_message_past_the_end_is_wrong() {
    let honest = every_kind();
    let consuming = |(tx, _): &(Transaction, TxResult)| tx.consumes_message();
    let last = honest.records.iter().rposition(consuming).unwrap() as u32;
    let mut batch = honest.clone();
    batch.header.state.inbox.cursor -= 1;
    let batch = batch.with_records(honest.records.clone());
    may_not_be_there(&batch, &honest, last, "past the end");
    // Nobody needs to show the message, and nobody may.
    let mut witness = batch.witness(last).unwrap();
    assert_eq!(witness.message, None);
    witness.message = honest.witness(last).unwrap().message;
    assert!(witness.message.is_some());
    let proof = batch.prove_with(&honest.roots, last, Some(&witness));
    let claims = batch.claims(&honest.roots, last);
    let refused = Err(ProofError::Opening("the message"));
    assert_eq!(check(&batch, &claims, &proof), refused);
}

/// Messages are not in the state: only L1's own convince.
#[test]
fn a_forged_message_proves_nothing() {
    let batch = every_kind();
    let refused = Err(ProofError::Opening("the message"));
    for index in 0..batch.header.tx_count {
        let witness = batch.witness(index).unwrap();
        let claims = batch.claims(&batch.roots, index);
        let Some(message) = witness.message.clone() else {
            let mut with = witness;
            with.message = Some(job(0, 1));
            let proof = batch.prove_with(&batch.roots, index, Some(&with));
            assert_eq!(check(&batch, &claims, &proof), refused);
            continue;
        };
        let mut longer = message.clone();
        longer.payload.push(0);
        let mut changed = message.clone();
        changed.payload[3] ^= 1;
        let mut empty = message.clone();
        empty.payload.clear();
        let others = (0..batch.header.tx_count).filter_map(|i| batch.witness(i)?.message);
        let kinds = [deposit([1; 32], [0; 32], 1), job(0, 100)].map(|m| m.kind);
        let kinds = kinds.map(|kind| assay_ledger::inbox::Message {
            kind,
            payload: message.payload.clone(),
        });
        let forged = [longer, changed, empty]
            .into_iter()
            .chain(kinds)
            .chain(others);
        for forged in forged.filter(|forged| *forged != message) {
            let witness = Witness {
                message: Some(forged),
                ..witness.clone()
            };
            let proof = batch.prove_with(&batch.roots, index, Some(&witness));
            assert_eq!(check(&batch, &claims, &proof), refused);
        }
        let without = Witness {
            message: None,
            ..witness
        };
        let proof = batch.prove_with(&batch.roots, index, Some(&without));
        assert!(check(&batch, &claims, &proof).is_err());
        // One that is L1's, where nobody has shown L1's value.
        let proof = batch.prove(&batch.roots, index);
        let unknown = check_state(&claims, &proof, &|_| None, &mut Each);
        assert_eq!(unknown, refused);
    }
}

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
