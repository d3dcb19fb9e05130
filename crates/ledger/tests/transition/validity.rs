//! What is recomputed, and what may not be there.

use super::*;

#[test]
fn a_result_is_as_recomputed_or_the_state_is_invalid() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let tx = tx(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let mut after = state.clone();
    let good = apply(&mut after, &env, &tx, [5; 32]).unwrap();
    let root = apply_root(&mut state.clone(), &env, &tx, &good, &mut Each).unwrap();
    assert_eq!(root, after.components().root());
    let lies = [
        TxResult { status: 1, ..good },
        TxResult { status: 99, ..good },
        TxResult { fee: 99, ..good },
        TxResult {
            program_root: [1; 32],
            ..good
        },
        TxResult {
            parameters_root: [1; 32],
            ..good
        },
        TxResult {
            input_root: input_root(&[]),
            ..good
        },
    ];
    for lie in lies {
        let root = apply_root(&mut state.clone(), &env, &tx, &lie, &mut Each);
        assert_eq!(root, Ok(INVALID));
    }
    // What ran no model has no output root.
    let failed = TxResult {
        output_root: [5; 32],
        ..TxResult::plain(Status::NotCallable)
    };
    let root = apply_root(&mut state.clone(), &common::env(1), &tx, &failed, &mut Each);
    assert_eq!(root, Ok(INVALID));
}

#[test]
fn a_message_past_the_end_of_the_batch_is_not_there() {
    let mut state = small();
    let cursor = state.heads().inbox.cursor;
    state.push_message(job(0, 100, 40, DIGITS));
    state.push_message(job(0, 100, 40, DIGITS));
    let env = Env {
        inbox_end: cursor + 1,
        ..env(2)
    };
    assert!(
        apply(&mut state, &env, &Transaction::Inbox, [5; 32])
            .unwrap()
            .done()
    );
    for tx in [Transaction::Inbox, Transaction::DeclineJob] {
        let fault = apply(&mut state, &env, &tx, [5; 32]);
        assert_eq!(fault, Err(Fault::Invalid(Invalid::NoMessage)));
    }
}

#[test]
fn a_signature_verified_before_is_taken_for_its_message_alone() {
    let (mut state, env) = (small(), env(2));
    let to = |amount| Action::Transfer {
        to: user(1).public(),
        amount,
    };
    let signed = sign(&state, &env, &user(0), SOL, to(1));
    let other = tx(&mut state, &env, &user(0), SOL, to(2));
    let tx = ship(&mut state, &env, &signed).unwrap();
    let mut known = Known {
        id: signed.request.id(),
        signature: signed.signature,
    };
    let fault = apply_with(&mut state, &env, &other, [0; 32], &mut known);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::Signature)));
    assert!(
        apply_with(&mut state, &env, &tx, [0; 32], &mut known)
            .unwrap()
            .done()
    );
}
