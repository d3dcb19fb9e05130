//! What each kind of transaction does, and each way in which it can end.

mod common;

use assay_ledger::inbox::{Forced, Job, Message, MessageKind, chain_next};
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::request::{Action, MAX_INPUT};
use assay_ledger::result::{Status, TxResult};
use assay_ledger::signature::{Each, Known};
use assay_ledger::state::{
    ACCOUNT_DEPTH, Account, INVALID, InboxHead, MODEL_DEPTH, Model, StateComponents,
};
use assay_ledger::store::FullState;
use assay_ledger::transaction::{Destination, Transaction};
use assay_ledger::transition::{
    Env, Fault, Heads, Invalid, NoAccess, Refused, StateAccess, apply, apply_root, apply_with,
    job_run, ship,
};
use assay_ledger::{Key, ProgramHeader, SOL};
use assay_tensor::commit::{input_root, parameters_root};
use assay_tensor::merkle::EMPTY_LEAF;
use assay_tensor::program::{MAX_INPUTS, MAX_NODES, MAX_OUTPUTS, MAX_PARAMETERS};
use common::*;

fn balance(state: &FullState, i: u8, mint: Key) -> u64 {
    state
        .find(&user(i).public(), &mint)
        .map_or(0, |(_, a)| a.balance)
}

fn nonce(state: &FullState, i: u8, mint: Key) -> u64 {
    state.find(&user(i).public(), &mint).unwrap().1.nonce
}

fn inbox(state: &mut FullState, env: &Env, message: Message) -> TxResult {
    let units = state.heads().units;
    let run = job_run(&mut state.clone(), env, units, &message).unwrap();
    state.push_message(message);
    let result = apply(state, env, &Transaction::Inbox, [5; 32]).unwrap();
    // What is said before is what happens.
    let ran = run.map(|run| (run.model.program_root, input_root(&run.input)));
    let did = result.program_root != [0; 32];
    assert_eq!(ran, did.then_some((result.program_root, result.input_root)));
    result
}

fn job(model: u32, max_price: u64, output_bytes: u32, input: usize) -> Message {
    let job = Job {
        job: [77; 32],
        model,
        program_root: program(10, DIGITS as u64, 40).root(),
        max_price,
        output_bytes,
        input: vec![1; input],
    };
    message(MessageKind::Job, &job)
}

#[test]
fn a_transfer_moves_and_creates() {
    let (mut state, env) = (small(), env(2));
    let to = Action::Transfer {
        to: user(1).public(),
        amount: 300,
    };
    assert_eq!(
        act(&mut state, &env, &user(0), SOL, to),
        TxResult::plain(Status::Done)
    );
    assert_eq!(
        (balance(&state, 0, SOL), balance(&state, 1, SOL)),
        (700, 1_300)
    );
    let before = state.heads().accounts;
    let new = Action::Transfer {
        to: user(8).public(),
        amount: 700,
    };
    assert!(act(&mut state, &env, &user(0), SOL, new).done());
    assert_eq!((balance(&state, 0, SOL), balance(&state, 8, SOL)), (0, 700));
    assert_eq!(state.heads().accounts, before + 1);
    assert_eq!(nonce(&state, 0, SOL), 2);
    // To oneself: nothing but the nonce changes.
    let own = Action::Transfer {
        to: user(8).public(),
        amount: 700,
    };
    assert!(act(&mut state, &env, &user(8), SOL, own).done());
    assert_eq!((balance(&state, 8, SOL), nonce(&state, 8, SOL)), (700, 1));
}

#[test]
fn too_little_balance_fails_and_uses_the_nonce() {
    let (mut state, env) = (small(), env(2));
    for (i, action) in [
        Action::Transfer {
            to: user(1).public(),
            amount: 1_001,
        },
        Action::Transfer {
            to: user(8).public(),
            amount: 1_001,
        },
        Action::Withdraw {
            recipient: [1; 32],
            amount: 1_001,
        },
    ]
    .into_iter()
    .enumerate()
    {
        let result = act(&mut state, &env, &user(0), SOL, action);
        assert_eq!(result, TxResult::plain(Status::InsufficientBalance));
        assert_eq!(
            (balance(&state, 0, SOL), nonce(&state, 0, SOL)),
            (1_000, i as u64 + 1)
        );
    }
    assert!(state.find(&user(8).public(), &SOL).is_none());
    assert_eq!(state.heads().outbox, 0);
}

#[test]
fn a_withdrawal_is_a_leaf_of_the_outbox() {
    let (mut state, env) = (small(), env(2));
    let action = Action::Withdraw {
        recipient: [9; 32],
        amount: 120,
    };
    assert!(act(&mut state, &env, &user(2), TOKEN, action).done());
    assert_eq!(balance(&state, 2, TOKEN), 380);
    let leaf = OutboxLeaf::Withdrawal {
        recipient: [9; 32],
        mint: TOKEN,
        amount: 120,
    };
    assert_eq!(state.outbox_leaf(0), Some(leaf));
}

#[test]
fn running_a_model_pays_sequencer_and_publisher() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let result = act(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let expected = TxResult {
        status: 0,
        fee: 100,
        program_root: model.program_root,
        parameters_root: [21; 32],
        input_root: input_root(&[0; DIGITS]),
        output_root: [5; 32],
    };
    assert_eq!(result, expected);
    // The sequencer had no account before.
    assert_eq!(balance(&state, 9, SOL), 20);
    assert_eq!(
        (balance(&state, 0, SOL), balance(&state, 3, SOL)),
        (900, 80)
    );
    assert_eq!(state.heads().units, 10);
    let model = state.model(1).unwrap();
    assert!(
        act(
            &mut state,
            &env,
            &user(1),
            TOKEN,
            infer(1, &model, vec![0; DIGITS])
        )
        .done()
    );
    assert_eq!(
        (balance(&state, 9, TOKEN), balance(&state, 4, TOKEN)),
        (10, 40)
    );
}

#[test]
fn payer_publisher_and_sequencer_may_be_one() {
    let mut state = small();
    let mut env = env(2);
    let model = state.model(0).unwrap();
    env.sequencer = user(3).public();
    fund(&mut state, &env, user(3).public(), SOL, 100);
    assert!(
        act(
            &mut state,
            &env,
            &user(3),
            SOL,
            infer(0, &model, vec![0; DIGITS])
        )
        .done()
    );
    assert_eq!((balance(&state, 3, SOL), nonce(&state, 3, SOL)), (100, 2));
}

#[test]
fn a_model_that_cannot_run_fails() {
    let mut state = small();
    let model = state.model(0).unwrap();
    let run = |input| infer(0, &model, vec![0; input]);
    let failed = |status| TxResult::plain(status);
    let first = act(&mut state, &env(1), &user(0), SOL, run(DIGITS));
    assert_eq!(first, failed(Status::NotCallable));
    let env = env(2);
    for wrong in [0, DIGITS - 1, DIGITS + 1, MAX_INPUT] {
        let result = act(&mut state, &env, &user(0), SOL, run(wrong));
        assert_eq!(result, failed(Status::InputSize));
    }
    let token = act(&mut state, &env, &user(0), TOKEN, run(DIGITS));
    assert_eq!(token, failed(Status::WrongMint));
    let poor = Action::Transfer {
        to: user(1).public(),
        amount: 950,
    };
    assert!(act(&mut state, &env, &user(0), SOL, poor).done());
    let result = act(&mut state, &env, &user(0), SOL, run(DIGITS));
    assert_eq!(result, failed(Status::InsufficientBalance));
    assert_eq!(nonce(&state, 0, SOL), 7);
    assert_eq!((balance(&state, 0, SOL), state.heads().units), (50, 0));
}

#[test]
fn a_batch_has_so_many_units_and_no_more() {
    let (mut state, mut env) = (small(), env(2));
    env.params.max_units = 15;
    let model = state.model(0).unwrap();
    assert!(
        act(
            &mut state,
            &env,
            &user(0),
            SOL,
            infer(0, &model, vec![0; DIGITS])
        )
        .done()
    );
    let over = tx(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let before = state.components();
    let fault = apply(&mut state, &env, &over, [5; 32]);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::Units)));
    assert_eq!(state.components(), before);
    // A job must not stop the chain: it is declined instead.
    let result = inbox(&mut state, &env, job(0, 100, 40, DIGITS));
    assert_eq!(result, TxResult::plain(Status::OverUnits));
    // All of them can be used.
    env.params.max_units = 20;
    let mut full = state.clone();
    assert!(apply(&mut full, &env, &over, [5; 32]).unwrap().done());
    assert_eq!(full.heads().units, 20);
    assert!(inbox(&mut state.clone(), &env, job(0, 100, 40, DIGITS)).done());
    state.start_batch();
    assert!(apply(&mut state, &env, &over, [5; 32]).unwrap().done());
}

#[test]
fn deploying_and_updating() {
    let (mut state, env) = (small(), env(5));
    let header = program(9, 3, 4);
    let deploy = Action::Deploy {
        program: header,
        parameters_root: [31; 32],
        price: 9,
    };
    assert!(act(&mut state, &env, &user(2), TOKEN, deploy).done());
    let (publisher, _) = state.find(&user(2).public(), &TOKEN).unwrap();
    let model = Model {
        publisher,
        program_root: header.root(),
        parameters_root: [31; 32],
        price: 9,
        units: 9,
        input_bytes: 3,
        output_bytes: 4,
        version: 1,
        callable_from: 6,
    };
    assert_eq!(state.model(2), Some(model));
    let update = Action::Update {
        model: 2,
        program_root: header.root(),
        parameters_root: [32; 32],
        price: 10,
    };
    let stranger = sign(&state, &env, &user(1), TOKEN, update.clone());
    assert_eq!(
        ship(&mut state, &env, &stranger),
        Err(Refused::NotPublisher)
    );
    let later = common::env(8);
    assert!(act(&mut state, &later, &user(2), TOKEN, update).done());
    let updated = Model {
        parameters_root: [32; 32],
        price: 10,
        version: 2,
        callable_from: 9,
        ..model
    };
    assert_eq!(state.model(2), Some(updated));
}

/// What the header alone shows is no program, or none that could ever run.
#[test]
fn a_program_out_of_bounds_is_not_deployed() {
    let (mut state, env) = (small(), env(2));
    let good = program(9, 64, 4);
    let most = ProgramHeader {
        inputs: MAX_INPUTS as u32,
        parameters: MAX_PARAMETERS as u32,
        operators: 1_000,
        outputs: MAX_OUTPUTS as u32,
        units: env.params.max_units,
        input_bytes: u64::from(u32::MAX),
        output_bytes: u64::from(u32::MAX),
        ..good
    };
    let none = |header: ProgramHeader| ProgramHeader {
        inputs: 0,
        parameters: 0,
        input_bytes: 0,
        inputs_root: EMPTY_LEAF,
        parameters_root: EMPTY_LEAF,
        ..header
    };
    let mut deploy_with = |program, parameters_root| {
        let action = Action::Deploy {
            program,
            parameters_root,
            price: 9,
        };
        let models = state.heads().models;
        let result = act(&mut state, &env, &user(2), TOKEN, action);
        assert_eq!(state.heads().models - models, u64::from(result.done()));
        result
    };
    // Parameters are named exactly where the program takes some: of others no piece could be demanded.
    let empty = parameters_root(&[]);
    assert!(deploy_with(none(good), empty).done());
    let bad = TxResult::plain(Status::BadProgram);
    for (program, root) in [
        (none(good), [31; 32]),
        (none(good), EMPTY_LEAF),
        (good, empty),
    ] {
        assert_eq!(deploy_with(program, root), bad);
    }
    let mut deploy = |program| deploy_with(program, [31; 32]);
    for program in [good, most] {
        assert!(deploy(program).done(), "{program:?}");
    }
    let bad: [fn(&mut ProgramHeader); 16] = [
        |h| h.inputs = MAX_INPUTS as u32 + 1,
        |h| h.parameters = MAX_PARAMETERS as u32 + 1,
        |h| (h.operators, h.units) = (MAX_NODES as u32 + 1, u64::MAX),
        |h| h.outputs = MAX_OUTPUTS as u32 + 1,
        |h| h.operators = 0,
        |h| h.outputs = 0,
        |h| h.units = 0,
        |h| h.units = u64::from(h.operators) - 1,
        |h| h.units = 1_001,
        |h| h.units = u64::MAX,
        |h| h.input_bytes = 0,
        |h| h.input_bytes = 1 << 32,
        |h| h.output_bytes = 0,
        |h| h.output_bytes = 1 << 32,
        |h| (h.inputs, h.input_bytes) = (0, 0),
        |h| h.parameters = 0,
    ];
    for (i, spoil) in bad.into_iter().enumerate() {
        let mut program = good;
        spoil(&mut program);
        let result = deploy(program);
        assert_eq!(result, TxResult::plain(Status::BadProgram), "{i}");
    }
}

/// An update leaves the program as it was, and whether it takes parameters.
#[test]
fn an_update_names_parameters_where_the_program_takes_some() {
    let (mut state, mut env) = (small(), env(1));
    env.params.max_units = 1_000;
    let empty = parameters_root(&[]);
    let header = |parameters: u32| ProgramHeader {
        inputs: 0,
        parameters,
        operators: 1,
        outputs: 1,
        units: 1,
        input_bytes: 0,
        output_bytes: 1,
        operators_root: [1; 32],
        parameters_root: [(parameters != 0) as u8; 32],
        inputs_root: EMPTY_LEAF,
        outputs_root: [1; 32],
    };
    for (parameters, good, bad) in [(0, empty, [5; 32]), (1, [5; 32], empty)] {
        let program = header(parameters);
        let model = state.heads().models as u32;
        let deploy = Action::Deploy {
            program,
            parameters_root: good,
            price: 9,
        };
        assert!(act(&mut state, &env, &user(2), TOKEN, deploy).done());
        let update = |parameters_root| Action::Update {
            model,
            program_root: program.root(),
            parameters_root,
            price: 8,
        };
        let before = state.model(model).unwrap();
        let refused = act(&mut state, &env, &user(2), TOKEN, update(bad));
        assert_eq!(refused, TxResult::plain(Status::BadProgram));
        assert_eq!(state.model(model).unwrap(), before);
        assert!(act(&mut state, &env, &user(2), TOKEN, update(good)).done());
        assert_eq!(state.model(model).unwrap().price, 8);
    }
}

/// Whatever the state fills in was signed: any of it being another makes the signature a bad one.
#[test]
fn what_is_not_shipped_is_signed() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let good = Action::Infer {
        model: 0,
        program_root: model.program_root,
        price: 100,
        version: Some(1),
        input: vec![0; DIGITS],
    };
    let signed = sign(&state, &env, &user(0), SOL, good);
    let mut wrong = Vec::new();
    let mut spoil = |f: &dyn Fn(&mut assay_ledger::request::Request)| {
        let mut request = signed.request.clone();
        f(&mut request);
        wrong.push(user(0).sign(&request.signing_bytes()));
    };
    spoil(&|r| r.rollup[0] ^= 1);
    spoil(&|r| r.owner = user(1).public());
    spoil(&|r| r.mint = TOKEN);
    spoil(&|r| r.nonce += 1);
    let action = |f: fn(&mut u32, &mut [u8; 32], &mut u64, &mut Option<u64>, &mut Vec<u8>)| {
        move |r: &mut assay_ledger::request::Request| {
            let Action::Infer {
                model,
                program_root,
                price,
                version,
                input,
            } = &mut r.action
            else {
                unreachable!()
            };
            f(model, program_root, price, version, input);
        }
    };
    spoil(&action(|model, _, _, _, _| *model = 1));
    spoil(&action(|_, root, _, _, _| root[0] ^= 1));
    spoil(&action(|_, _, price, _, _| *price += 1));
    spoil(&action(|_, _, _, version, _| *version = None));
    spoil(&action(|_, _, _, version, _| *version = Some(2)));
    spoil(&action(|_, _, _, _, input| input[0] = 1));
    wrong.push(user(1).sign(&signed.request.signing_bytes()));
    let before = state.components();
    for (i, signature) in wrong.into_iter().enumerate() {
        let tx = Transaction::Infer {
            from: 1,
            model: 0,
            pinned: true,
            input: vec![0; DIGITS],
            signature,
        };
        let fault = apply(&mut state, &env, &tx, [0; 32]);
        assert_eq!(fault, Err(Fault::Invalid(Invalid::Signature)), "{i}");
        assert_eq!(state.components(), before);
        let claimed = TxResult::plain(Status::Done);
        let root = apply_root(&mut state, &env, &tx, &claimed, &mut Each);
        assert_eq!(root, Ok(INVALID));
    }
    // A replay has the wrong nonce.
    let tx = ship(&mut state, &env, &signed).unwrap();
    assert!(apply(&mut state, &env, &tx, [0; 32]).unwrap().done());
    let fault = apply(&mut state, &env, &tx, [0; 32]);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::Signature)));
}

#[test]
fn what_is_shipped_wrongly_may_not_be_there() {
    let (mut state, env) = (small(), env(2));
    let signature = [1; 64];
    let transfer = |from, to| Transaction::Transfer {
        from,
        to,
        amount: 1,
        signature,
    };
    let run = |from, model, input: usize| Transaction::Infer {
        from,
        model,
        pinned: false,
        input: vec![0; input],
        signature,
    };
    let (token, _) = state.find(&user(1).public(), &TOKEN).unwrap();
    let update = Transaction::Update {
        model: 2,
        parameters_root: [0; 32],
        price: 0,
        signature,
    };
    let cases = [
        (
            transfer(99, Destination::Account(1)),
            Invalid::NoSuchAccount(99),
        ),
        (
            transfer(1, Destination::Account(99)),
            Invalid::NoSuchAccount(99),
        ),
        (
            transfer(1, Destination::Account(token)),
            Invalid::Destination,
        ),
        (
            transfer(1, Destination::New(user(1).public())),
            Invalid::Destination,
        ),
        (transfer(1, Destination::Account(2)), Invalid::Destination),
        (transfer(1, Destination::Account(3)), Invalid::Signature),
        // Nobody signs for the sentinel: its key has small order.
        (transfer(0, Destination::Account(1)), Invalid::Signature),
        (run(99, 0, DIGITS), Invalid::NoSuchAccount(99)),
        (run(1, 2, DIGITS), Invalid::NoSuchModel(2)),
        (run(1, 0, MAX_INPUT + 1), Invalid::InputTooLong),
        (update, Invalid::NoSuchModel(2)),
        (Transaction::Inbox, Invalid::NoMessage),
        (Transaction::DeclineJob, Invalid::NoMessage),
    ];
    let before = state.components();
    for (tx, invalid) in cases {
        let fault = apply(&mut state, &env, &tx, [0; 32]);
        assert_eq!(fault, Err(Fault::Invalid(invalid)), "{tx:?}");
        assert_eq!(state.components(), before);
    }
    state.push_message(deposit([1; 32], SOL, 1));
    let fault = apply(&mut state, &env, &Transaction::DeclineJob, [0; 32]);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::NotAJob)));
}

#[test]
fn a_request_that_does_not_fit_the_state_is_refused_with_its_reason() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let signed = sign(
        &state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let refused = |state: &mut FullState, f: &dyn Fn(&mut assay_ledger::request::Request)| {
        let mut signed = signed.clone();
        f(&mut signed.request);
        ship(state, &env, &signed).unwrap_err()
    };
    assert_eq!(refused(&mut state, &|r| r.rollup[0] ^= 1), Refused::Rollup);
    assert_eq!(
        refused(&mut state, &|r| r.owner[0] ^= 1),
        Refused::NoAccount
    );
    let nonce = Refused::Nonce {
        expected: 0,
        got: 4,
    };
    assert_eq!(refused(&mut state, &|r| r.nonce = 4), nonce);
    let with = |f: &dyn Fn(&mut Action)| {
        let mut state = state.clone();
        refused(&mut state, &|r| f(&mut r.action))
    };
    let set = |program: [u8; 32], at: u32, paid: u64, pin: Option<u64>, len: usize| Action::Infer {
        model: at,
        program_root: program,
        price: paid,
        version: pin,
        input: vec![0; len],
    };
    let root = model.program_root;
    let price = Refused::Price {
        expected: 100,
        got: 99,
    };
    let version = Refused::Version {
        expected: 1,
        got: 3,
    };
    assert_eq!(
        with(&|a| *a = set(root, 7, 100, None, 64)),
        Refused::NoSuchModel(7)
    );
    assert_eq!(
        with(&|a| *a = set([0; 32], 0, 100, None, 64)),
        Refused::Program
    );
    assert_eq!(with(&|a| *a = set(root, 0, 99, None, 64)), price);
    assert_eq!(with(&|a| *a = set(root, 0, 100, Some(3), 64)), version);
    let long = Refused::InputTooLong;
    assert_eq!(with(&|a| *a = set(root, 0, 100, None, MAX_INPUT + 1)), long);
}

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

/// A state that says that it is full, or where an account is.
struct Crowded(FullState, fn(&mut Heads), Option<u32>);

impl StateAccess for Crowded {
    fn heads(&self) -> Heads {
        let mut heads = self.0.heads();
        self.1(&mut heads);
        heads
    }
    fn read_account(&mut self, index: u32) -> Result<Account, NoAccess> {
        self.0.read_account(index)
    }
    fn neighbour(&mut self, owner: &Key, mint: &Key) -> Result<u32, NoAccess> {
        match self.2 {
            Some(hint) => Ok(hint),
            None => self.0.neighbour(owner, mint),
        }
    }
    fn write_account(&mut self, index: u32, account: Account) -> Result<(), NoAccess> {
        self.0.write_account(index, account)
    }
    fn read_model(&mut self, index: u32) -> Result<Model, NoAccess> {
        self.0.read_model(index)
    }
    fn write_model(&mut self, index: u32, model: Model) -> Result<(), NoAccess> {
        self.0.write_model(index, model)
    }
    fn read_message(&mut self) -> Result<Option<Message>, NoAccess> {
        self.0.read_message()
    }
    fn write_inbox(&mut self, inbox: InboxHead) -> Result<(), NoAccess> {
        self.0.write_inbox(inbox)
    }
    fn push_outbox(&mut self, leaf: OutboxLeaf) -> Result<(), NoAccess> {
        self.0.push_outbox(leaf)
    }
    fn write_units(&mut self, units: u64) -> Result<(), NoAccess> {
        self.0.write_units(units)
    }
    fn read_components(&mut self) -> Result<StateComponents, NoAccess> {
        self.0.read_components()
    }
}

#[test]
fn a_full_state_fails_and_loses_nothing() {
    let env = env(2);
    let mut state = small();
    let new = Action::Transfer {
        to: user(8).public(),
        amount: 1,
    };
    let model = state.model(0).unwrap();
    let transfer = tx(&mut state, &env, &user(0), SOL, new);
    let run = tx(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let withdraw = Action::Withdraw {
        recipient: [1; 32],
        amount: 1,
    };
    let withdraw = tx(&mut state, &env, &user(0), SOL, withdraw);
    let deploy = Action::Deploy {
        program: program(9, 1, 1),
        parameters_root: [0; 32],
        price: 0,
    };
    let deploy = tx(&mut state, &env, &user(0), SOL, deploy);
    state.push_message(deposit(user(8).public(), SOL, 55));

    let accounts: fn(&mut Heads) = |h| h.accounts = 1 << ACCOUNT_DEPTH;
    let models: fn(&mut Heads) = |h| h.models = 1 << MODEL_DEPTH;
    let outbox: fn(&mut Heads) = |h| h.outbox = 1 << 32;
    let cases = [
        (accounts, transfer, Status::AccountsFull),
        // The sequencer has no account yet.
        (accounts, run, Status::AccountsFull),
        (models, deploy, Status::ModelsFull),
        (outbox, withdraw, Status::OutboxFull),
        (accounts, Transaction::Inbox, Status::AccountsFull),
    ];
    for (full, tx, status) in cases {
        let mut crowded = Crowded(state.clone(), full, None);
        let result = apply(&mut crowded, &env, &tx, [5; 32]).unwrap();
        assert_eq!(result, TxResult::plain(status), "{tx:?}");
        assert_eq!(crowded.0.total(&SOL), state.total(&SOL));
        if tx == Transaction::Inbox {
            let back = OutboxLeaf::Withdrawal {
                recipient: user(8).public(),
                mint: SOL,
                amount: 55,
            };
            assert_eq!(crowded.0.outbox_leaf(0), Some(back));
        } else {
            assert_eq!(crowded.0.heads().outbox, 0);
            assert_eq!(nonce(&crowded.0, 0, SOL), 1);
        }
    }
    // A job that cannot be answered is consumed; L1 refunds it, long after its deadline.
    let mut crowded = Crowded(small(), outbox, None);
    crowded.0.push_message(job(0, 100, 40, DIGITS));
    let message = crowded.read_message().unwrap().unwrap();
    assert_eq!(job_run(&mut crowded, &env, 0, &message), Ok(None));
    let result = apply(&mut crowded, &env, &Transaction::Inbox, [5; 32]).unwrap();
    assert_eq!(result, TxResult::plain(Status::OutboxFull));
}

/// Where an account is, or that there is none, is a claim that has to show itself: a wrong one
/// gives no answer, and never another one.
#[test]
fn a_wrong_hint_changes_nothing() {
    let env = env(2);
    let mut state = small();
    let to = |i: u8| Action::Transfer {
        to: user(i).public(),
        amount: 1,
    };
    let model = state.model(0).unwrap();
    let mut cases = vec![Transaction::Inbox];
    for action in [to(8), to(1), infer(0, &model, vec![0; DIGITS])] {
        cases.push(tx(&mut state, &env, &user(0), SOL, action));
    }
    // Shipped as if the receiver had no account.
    let signature = sign(&state, &env, &user(0), SOL, to(1)).signature;
    cases.push(Transaction::Transfer {
        from: 1,
        to: Destination::New(user(1).public()),
        amount: 1,
        signature,
    });
    let messages = [
        deposit(user(8).public(), SOL, 5),
        deposit(user(1).public(), SOL, 5),
        deposit([0xff; 32], TOKEN, 5),
        deposit([0; 32], SOL, 5),
    ];
    let count = state.heads().accounts as u32;
    let mut no_access = 0;
    for message in messages {
        for case in &cases {
            let mut state = state.clone();
            state.push_message(message.clone());
            let mut honest = state.clone();
            let expected = apply(&mut honest, &env, case, [5; 32]);
            for hint in 0..count + 2 {
                let mut lying = Crowded(state.clone(), |_| (), Some(hint));
                match apply(&mut lying, &env, case, [5; 32]) {
                    Err(Fault::NoAccess(_)) => no_access += 1,
                    other => {
                        assert_eq!(other, expected, "{case:?} with {hint}");
                        assert_eq!(lying.0.components(), honest.components());
                    }
                }
            }
        }
    }
    // Of all hints for something to be found, one is right.
    assert!(no_access > 0 && no_access % (count + 1) == 0, "{no_access}");
}

#[test]
fn a_balance_cannot_overflow() {
    let (mut state, env) = (small(), env(2));
    let more = deposit(user(0).public(), SOL, u64::MAX);
    assert_eq!(
        inbox(&mut state, &env, more),
        TxResult::plain(Status::Overflow)
    );
    let back = OutboxLeaf::Withdrawal {
        recipient: user(0).public(),
        mint: SOL,
        amount: u64::MAX,
    };
    assert_eq!(state.outbox_leaf(0), Some(back));
    fund(&mut state, &env, user(8).public(), SOL, u64::MAX);
    let to = Action::Transfer {
        to: user(8).public(),
        amount: 1,
    };
    let result = act(&mut state, &env, &user(0), SOL, to);
    assert_eq!(result, TxResult::plain(Status::Overflow));
    assert_eq!(balance(&state, 0, SOL), 1_000);
}

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
