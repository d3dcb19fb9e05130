//! What the tests share: a small rollup with a few users.
#![allow(dead_code)]

use assay_ledger::header::{Header, Params};
use assay_ledger::inbox::{Deposit, Message, MessageKind};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair;
use assay_ledger::snapshot::Snapshot;
use assay_ledger::state::Model;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply, ship};
use assay_ledger::{Key, ProgramHeader, SOL};
use proptest::test_runner::{Config, RngSeed};

/// A mint that is not SOL.
pub const TOKEN: Key = [7; 32];
/// Bytes of the digits model's input.
pub const DIGITS: usize = 64;

/// `n` cases, always the same ones; with `PROPTEST_CASES`, as many as that says, always others.
pub fn cases(n: u32) -> Config {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return Config::default();
    }
    Config {
        cases: n,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    }
}

/// User `i`.
pub fn user(i: u8) -> Keypair {
    Keypair::from_seed([i + 1; 32])
}

pub fn params() -> Params {
    Params {
        window: 50,
        bond_slice: 1_000_000_000,
        max_units: 1_000,
        max_records: 4_096,
        max_data: 1 << 20,
        model_delay: 1,
        sequencer_share: 2_000,
        clock: 150,
        extension: 20,
        dispute_bond: 50_000_000,
    }
}

/// Batch `number`; the sequencer is user 9.
pub fn env(number: u64) -> Env {
    Env {
        rollup: [3; 32],
        number,
        sequencer: user(9).public(),
        params: params(),
        inbox_end: u64::MAX,
    }
}

pub fn program(units: u64, input_bytes: u64, output_bytes: u64) -> ProgramHeader {
    ProgramHeader {
        inputs: 1,
        parameters: 4,
        operators: 9,
        outputs: 1,
        units,
        input_bytes,
        parameter_bytes: 400,
        value_bytes: 900,
        output_bytes,
        operators_root: [11; 32],
        parameters_root: [12; 32],
        inputs_root: [13; 32],
        outputs_root: [14; 32],
    }
}

pub fn message(kind: MessageKind, payload: &impl borsh::BorshSerialize) -> Message {
    Message {
        kind,
        payload: borsh::to_vec(payload).unwrap(),
    }
}

pub fn deposit(owner: Key, mint: Key, amount: u64) -> Message {
    message(
        MessageKind::Deposit,
        &Deposit {
            owner,
            mint,
            amount,
        },
    )
}

/// The request of `pair` for `action` with the next nonce, signed.
pub fn sign(
    state: &FullState,
    env: &Env,
    pair: &Keypair,
    mint: Key,
    action: Action,
) -> SignedRequest {
    let nonce = state
        .find(&pair.public(), &mint)
        .map_or(0, |(_, a)| a.nonce);
    let request = Request {
        rollup: env.rollup,
        owner: pair.public(),
        mint,
        nonce,
        action,
    };
    SignedRequest {
        signature: pair.sign(&request.signing_bytes()),
        request,
    }
}

/// Signs, ships.
pub fn tx(
    state: &mut FullState,
    env: &Env,
    pair: &Keypair,
    mint: Key,
    action: Action,
) -> Transaction {
    let request = sign(state, env, pair, mint, action);
    ship(state, env, &request).unwrap()
}

/// Signs, ships, applies.
pub fn act(
    state: &mut FullState,
    env: &Env,
    pair: &Keypair,
    mint: Key,
    action: Action,
) -> TxResult {
    let tx = tx(state, env, pair, mint, action);
    apply(state, env, &tx, [5; 32]).unwrap()
}

/// Deposits and has it credited.
pub fn fund(state: &mut FullState, env: &Env, owner: Key, mint: Key, amount: u64) {
    state.push_message(deposit(owner, mint, amount));
    assert!(
        apply(state, env, &Transaction::Inbox, [0; 32])
            .unwrap()
            .done()
    );
}

/// What `model` is asked with this input.
pub fn infer(index: u32, model: &Model, input: Vec<u8>) -> Action {
    Action::Infer {
        model: index,
        program_root: model.program_root,
        price: model.price,
        version: None,
        input,
    }
}

/// A state with users 0 to 2 holding 1,000 SOL-units and 500 tokens each, and models 0 (priced
/// 100 in SOL, published by user 3) and 1 (priced 50 in the token, by user 4), both of the digits'
/// shape and 10 units; callable in batch 2.
pub fn small() -> FullState {
    let mut state = FullState::genesis();
    let env = env(1);
    for i in 0..3 {
        fund(&mut state, &env, user(i).public(), SOL, 1_000);
        fund(&mut state, &env, user(i).public(), TOKEN, 500);
    }
    for (i, mint, price) in [(3, SOL, 100), (4, TOKEN, 50)] {
        fund(&mut state, &env, user(i).public(), mint, 0);
        let deploy = Action::Deploy {
            program: program(10, DIGITS as u64, 40),
            parameters_root: [21; 32],
            price,
        };
        assert!(act(&mut state, &env, &user(i), mint, deploy).done());
    }
    state.start_batch();
    state
}

/// This state as that after the batch of a header.
pub fn snapshot(mut state: FullState, header: Header) -> Snapshot {
    let header = Header {
        state: state.components(),
        ..header
    };
    let outbox = 0..header.state.outbox.count;
    Snapshot {
        header,
        accounts: state.accounts().to_vec(),
        models: state.models().to_vec(),
        outbox: outbox
            .filter_map(|index| state.outbox_leaf(index))
            .collect(),
        programs: vec![program(10, DIGITS as u64, 40)],
    }
}
