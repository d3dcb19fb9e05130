//! What L1 sends.

use super::*;

#[test]
fn the_inbox_is_folded_into_its_chain() {
    let (mut state, env) = (small(), env(2));
    let before = state.heads().inbox;
    let sent = deposit(user(5).public(), TOKEN, 40);
    let chain = chain_next(&before.chain, before.cursor, sent.kind, &sent.payload);
    assert!(inbox(&mut state, &env, sent).done());
    let after = InboxHead {
        cursor: before.cursor + 1,
        chain,
    };
    assert_eq!(state.heads().inbox, after);
    assert_eq!(balance(&state, 5, TOKEN), 40);
}

#[test]
fn a_message_that_does_not_decode_is_consumed() {
    let (mut state, env) = (small(), env(2));
    for kind in [MessageKind::Deposit, MessageKind::Job, MessageKind::Forced] {
        for payload in [vec![], vec![9; 7], vec![0; 500]] {
            let cursor = state.heads().inbox.cursor;
            let result = inbox(&mut state, &env, Message { kind, payload });
            assert_eq!(result, TxResult::plain(Status::BadMessage));
            assert_eq!(state.heads().inbox.cursor, cursor + 1);
        }
    }
    assert_eq!(state.heads().outbox, 0);
}

#[test]
fn an_owner_forces_from_l1() {
    let (mut state, env) = (small(), env(2));
    let forced = |f: Forced| message(MessageKind::Forced, &f);
    let transfer = |owner: u8, to: u8, amount| Forced::Transfer {
        owner: user(owner).public(),
        mint: SOL,
        to: user(to).public(),
        amount,
    };
    let withdraw = |owner: u8, amount| Forced::Withdraw {
        owner: user(owner).public(),
        mint: SOL,
        recipient: [6; 32],
        amount,
    };
    assert!(inbox(&mut state, &env, forced(transfer(0, 8, 300))).done());
    assert!(inbox(&mut state, &env, forced(withdraw(0, 200))).done());
    assert_eq!(
        (balance(&state, 0, SOL), balance(&state, 8, SOL)),
        (500, 300)
    );
    // The inbox is what prevents a replay.
    assert_eq!(nonce(&state, 0, SOL), 0);
    assert_eq!(state.heads().outbox, 1);
    let failed = |status| TxResult::plain(status);
    for message in [transfer(0, 1, 0), transfer(0, 9, 0), withdraw(0, 0)] {
        let result = inbox(&mut state, &env, forced(message));
        assert_eq!(result, failed(Status::ZeroAmount));
    }
    assert!(state.find(&user(9).public(), &SOL).is_none());
    assert_eq!(state.heads().outbox, 1);
    for message in [transfer(0, 8, 501), withdraw(0, 501)] {
        let result = inbox(&mut state, &env, forced(message));
        assert_eq!(result, failed(Status::InsufficientBalance));
    }
    for message in [transfer(7, 8, 1), withdraw(7, 1)] {
        let result = inbox(&mut state, &env, forced(message));
        assert_eq!(result, failed(Status::NoAccount));
    }
}

/// After a revert the index of the model that the client chose can be another's: his program is not
/// run, and he is not paid.
#[test]
fn a_job_runs_no_other_program_than_its_own() {
    let (mut state, env) = (small(), env(2));
    let job = Job {
        job: [77; 32],
        model: 0,
        program_root: program(10, DIGITS as u64, 41).root(),
        max_price: 100,
        output_bytes: 41,
        input: vec![1; DIGITS],
    };
    let result = inbox(&mut state, &env, message(MessageKind::Job, &job));
    assert_eq!(result, TxResult::plain(Status::NoSuchModel));
    assert!(matches!(
        state.outbox_leaf(0),
        Some(OutboxLeaf::JobResult {
            done: false,
            price: 0,
            ..
        })
    ));
}

#[test]
fn a_job_always_gets_an_answer() {
    let (mut state, env) = (small(), env(2));
    let before = state.components();
    let done = inbox(&mut state, &env, job(0, 100, 40, DIGITS));
    assert_eq!((done.status, done.fee, done.output_root), (0, 100, [5; 32]));
    assert_eq!(done.input_root, input_root(&[1; DIGITS]));
    let leaf = OutboxLeaf::JobResult {
        job: [77; 32],
        done: true,
        price: 100,
        sequencer_share: 20,
        sequencer: env.sequencer,
        publisher: user(3).public(),
        version: 1,
        output_root: [5; 32],
    };
    assert_eq!(state.outbox_leaf(0), Some(leaf));
    // L1 pays: no account changed.
    assert_eq!(state.components().accounts, before.accounts);
    assert_eq!(state.heads().units, 10);

    let declined = OutboxLeaf::JobResult {
        job: [77; 32],
        done: false,
        price: 0,
        sequencer_share: 0,
        sequencer: env.sequencer,
        publisher: [0; 32],
        version: 0,
        output_root: [0; 32],
    };
    let cases = [
        (job(2, 100, 40, DIGITS), Status::NoSuchModel),
        (job(1, 100, 40, DIGITS), Status::WrongMint),
        (job(0, 99, 40, DIGITS), Status::PriceLimit),
        (job(0, 100, 39, DIGITS), Status::OutputSize),
        (job(0, 100, 40, DIGITS - 1), Status::InputSize),
    ];
    for (message, status) in cases {
        assert_eq!(inbox(&mut state, &env, message), TxResult::plain(status));
        assert_eq!(state.outbox_leaf(state.heads().outbox - 1), Some(declined));
    }
    let early = inbox(&mut state, &common::env(1), job(0, 100, 40, DIGITS));
    assert_eq!(early, TxResult::plain(Status::NotCallable));
    state.push_message(job(0, 100, 40, DIGITS));
    let result = apply(&mut state, &env, &Transaction::DeclineJob, [5; 32]).unwrap();
    assert_eq!(result, TxResult::plain(Status::Declined));
    assert_eq!(state.outbox_leaf(state.heads().outbox - 1), Some(declined));
    assert_eq!(state.heads().units, 10);
}
