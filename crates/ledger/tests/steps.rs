//! The states between a batch's transactions: as a step proof sees them, one by one.

mod common;

use assay_ledger::inbox::{Job, MessageKind};
use assay_ledger::request::Action;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Each;
use assay_ledger::state::INVALID;
use assay_ledger::steps::{Unknown, state_roots, witness_at};
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply, apply_root};
use assay_ledger::witness::{BadWitness, Witness};
use assay_ledger::{Hash, SOL};
use common::*;

struct Made {
    /// After the parent.
    state: FullState,
    env: Env,
    records: Vec<(Transaction, TxResult)>,
    after: Hash,
}

/// Batch 2 with a bit of everything; the parent's state has used units.
fn made() -> Made {
    let mut state = small();
    let env = env(2);
    let job = Job {
        job: [70; 32],
        model: 0,
        program_root: state.model(0).unwrap().program_root,
        max_price: 100,
        output_bytes: 40,
        input: vec![9; DIGITS],
    };
    let model = state.model(0).unwrap();
    let used = tx(
        &mut state,
        &common::env(2),
        &user(1),
        SOL,
        infer(0, &model, vec![1; DIGITS]),
    );
    apply(&mut state, &env, &used, [5; 32]).unwrap();
    assert_eq!(state.heads().units, 10);
    state.push_message(deposit(user(6).public(), SOL, 77));
    state.push_message(message(MessageKind::Job, &job));
    state.push_message(message(MessageKind::Job, &job));
    let mut end = state.clone();
    end.start_batch();
    let mut records = Vec::new();
    let mut put = |state: &mut FullState, tx: Transaction| {
        let result = apply(state, &env, &tx, [5; 32]).unwrap();
        records.push((tx, result));
    };
    put(&mut end, Transaction::Inbox);
    let transfer = |to, amount| Action::Transfer { to, amount };
    for action in [
        transfer(user(1).public(), 5),
        transfer(user(8).public(), 7),
        infer(0, &model, vec![2; DIGITS]),
        Action::Withdraw {
            recipient: [8; 32],
            amount: 11,
        },
        // Too much: it fails, and counts.
        transfer(user(1).public(), 1 << 40),
    ] {
        let tx = tx(&mut end, &env, &user(0), SOL, action);
        put(&mut end, tx);
    }
    put(&mut end, Transaction::Inbox);
    let update = Action::Update {
        model: 0,
        program_root: model.program_root,
        parameters_root: [50; 32],
        price: 3,
    };
    let update = tx(&mut end, &env, &user(3), SOL, update);
    put(&mut end, update);
    put(&mut end, Transaction::DeclineJob);
    let cursor = end.heads().inbox.cursor;
    Made {
        after: end.components().root(),
        state,
        env: Env {
            inbox_end: cursor,
            ..env
        },
        records,
    }
}

#[test]
fn roots_are_those_that_the_witnesses_lead_to() {
    let Made {
        mut state,
        env,
        records,
        after,
    } = made();
    let before = state.components();
    let roots = state_roots(&mut state, &env, &records).unwrap();
    assert_eq!(roots.len(), records.len() + 1);
    assert_eq!(roots[0], before.next_batch().root());
    assert_ne!(roots[0], before.root());
    assert_eq!(roots.last(), Some(&after));
    assert!(!roots.contains(&INVALID));
    for (i, (tx, result)) in records.iter().enumerate() {
        let witness = witness_at(&mut state, &env, &records, i as u32).unwrap();
        let mut partial = witness.unwrap().open(&roots[i]).unwrap();
        let root = apply_root(&mut partial, &env, tx, result, &mut Each);
        assert_eq!(root, Ok(roots[i + 1]), "transaction {i}");
    }
    // All of it left the state as it was.
    assert_eq!(state.components(), before);
    let index = records.len() as u32;
    let past = witness_at(&mut state, &env, &records, index);
    assert_eq!(past, Err(Unknown::Index(index)));
}

/// From the first transaction that is not as it should be, no state is one.
#[test]
fn a_wrong_transaction_or_result_is_invalid_from_there_on() {
    let honest = made();
    let roots = state_roots(&mut honest.state.clone(), &honest.env, &honest.records).unwrap();
    type Lie = (&'static str, usize, fn(&mut Transaction, &mut TxResult));
    let lies: &[Lie] = &[
        ("fee", 3, |_, r| r.fee += 1),
        ("status", 5, |_, r| r.status = 0),
        ("input root", 3, |_, r| r.input_root[0] ^= 1),
        ("an output of nothing", 1, |_, r| r.output_root = [5; 32]),
        ("amount", 1, |t, _| {
            let Transaction::Transfer { amount, .. } = t else {
                panic!()
            };
            *amount += 1;
        }),
        ("signature", 2, |t, _| {
            let Transaction::Transfer { signature, .. } = t else {
                panic!()
            };
            signature[40] ^= 1;
        }),
        ("no job to decline", 0, |t, _| *t = Transaction::DeclineJob),
    ];
    for (name, at, lie) in lies {
        let Made {
            mut state,
            env,
            mut records,
            ..
        } = made();
        let (tx, result) = &mut records[*at];
        lie(tx, result);
        let lied = state_roots(&mut state, &env, &records).unwrap();
        assert_eq!(lied[..=*at], roots[..=*at], "{name}");
        assert!(lied[at + 1..].iter().all(|r| *r == INVALID), "{name}");
        assert_eq!(lied.len(), roots.len());
        // The step to the first of them can be shown; after it there is no state to open.
        let witness = witness_at(&mut state, &env, &records, *at as u32).unwrap();
        let mut partial = witness.unwrap().open(&lied[*at]).unwrap();
        let (tx, result) = &records[*at];
        let root = apply_root(&mut partial, &env, tx, result, &mut Each);
        assert_eq!(root, Ok(INVALID), "{name}");
        // A bad signature, which another amount makes one, is not looked for again.
        if !["signature", "amount"].contains(name) {
            let next = witness_at(&mut state, &env, &records, *at as u32 + 1);
            assert_eq!(next, Ok(None), "{name}");
        }
    }
}

#[test]
fn an_output_root_is_taken_as_given() {
    let Made {
        mut state,
        env,
        mut records,
        ..
    } = made();
    let roots = state_roots(&mut state, &env, &records).unwrap();
    records[3].1.output_root = [6; 32];
    // Of an inference the state keeps nothing of it, of a job the outbox does.
    assert_eq!(state_roots(&mut state, &env, &records), Ok(roots.clone()));
    records[6].1.output_root = [6; 32];
    let other = state_roots(&mut state, &env, &records).unwrap();
    assert_eq!(other[..7], roots[..7]);
    assert!(other[7..].iter().zip(&roots[7..]).all(|(a, b)| a != b));
    assert!(!other.contains(&INVALID));
}

/// A message that is not known here is no reason to call a batch invalid; one past the batch's
/// end is.
#[test]
fn messages_must_be_known() {
    let Made {
        mut state,
        env,
        mut records,
        ..
    } = made();
    records.push((Transaction::Inbox, TxResult::default()));
    let roots = state_roots(&mut state, &env, &records).unwrap();
    assert_eq!(roots.last(), Some(&INVALID));
    assert_ne!(roots[records.len() - 1], INVALID);
    let longer = Env {
        inbox_end: env.inbox_end + 1,
        ..env
    };
    let unknown = Err(Unknown::Message(env.inbox_end));
    assert_eq!(state_roots(&mut state, &longer, &records), unknown);
    let witness = witness_at(&mut state, &longer, &records, 0);
    assert_eq!(witness, Err(Unknown::Message(env.inbox_end)));
}

/// Whoever only has a witness cannot say that L1 has sent no message.
#[test]
fn a_witness_without_its_message_says_nothing() {
    let Made {
        mut state,
        env,
        records,
        ..
    } = made();
    let roots = state_roots(&mut state, &env, &records).unwrap();
    for (i, (tx, result)) in records.iter().enumerate() {
        let witness = witness_at(&mut state, &env, &records, i as u32).unwrap();
        let without = Witness {
            message: None,
            ..witness.unwrap()
        };
        let mut partial = without.open(&roots[i]).unwrap();
        let root = apply_root(&mut partial, &env, tx, result, &mut Each);
        let consumes = matches!(tx, Transaction::Inbox | Transaction::DeclineJob);
        assert_eq!(root.is_err(), consumes, "transaction {i}");
    }
    let witness = witness_at(&mut state, &env, &records, 1).unwrap().unwrap();
    assert_eq!(witness.open(&roots[2]).err(), Some(BadWitness::Components));
}
