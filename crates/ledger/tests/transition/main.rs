//! What each kind of transaction does, and each way in which it can end.

mod bounds;
#[path = "../common/mod.rs"]
mod common;
mod messages;
mod models;
mod requests;
mod validity;

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
use assay_tensor::program::{MAX_BYTES, MAX_INPUTS, MAX_NODES, MAX_OUTPUTS, MAX_PARAMETERS};
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
