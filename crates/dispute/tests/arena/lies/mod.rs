//! Batches that are wrong, and what their asserters say of them.

mod data;
pub mod runs;
mod states;

pub use data::wrong_data;
pub use runs::{run, wrong_element, wrong_runs, wrong_values};
pub use states::{other_states, wrong_results, wrong_states};

use super::world::*;
use assay_dispute::Hash;
use assay_dispute::game::Reason;
use assay_dispute::player::Claims;
use assay_ledger::codec;
use assay_ledger::data::data_root;
use assay_ledger::header::Header;
use assay_ledger::signature::Assumed;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply_with};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};

/// A wrong batch.
#[derive(Clone)]
pub struct Lie {
    pub name: String,
    pub header: Header,
    pub data: Vec<u8>,
    /// Ways to stand by it.
    pub claims: Vec<Claims>,
    /// What convicts the first of them; none where that depends.
    pub reason: Option<Reason>,
}

/// A batch made again with something changed: what its asserter claims, and the states between the
/// transactions.
pub struct Remade {
    pub claims: Claims,
    pub data: Vec<u8>,
}

/// Changes a state.
type ChangeState = dyn Fn(&mut FullState);

/// What is changed where.
#[derive(Default)]
pub struct Change<'a> {
    /// Output roots of runs.
    pub outputs: HashMap<u32, Hash>,
    /// The state before.
    pub before: Option<FullState>,
    /// After a transaction, the state.
    pub state: Option<(u32, &'a ChangeState)>,
}

/// Does the batch with these transactions instead, all signatures taken as good. `None` if one of them
/// cannot be applied all the same.
pub fn remake(batch: &Batch, transactions: &[Transaction], change: &Change) -> Option<Remade> {
    let before = change.before.as_ref().unwrap_or(&batch.before);
    let mut state = before.clone();
    state.start_batch();
    let mut env = Env::from(&batch.header);
    env.inbox_end = batch.chain.len() as u64 - 1;
    let mut results = Vec::new();
    let mut states = vec![state.components().root()];
    for (index, tx) in (0u32..).zip(transactions) {
        let known = batch.records.get(index as usize);
        let output = change.outputs.get(&index).copied();
        let output = output
            .or(known.map(|(_, r)| r.output_root))
            .unwrap_or([0; 32]);
        results.push(apply_with(&mut state, &env, tx, output, &mut Assumed).ok()?);
        if let Some((at, change)) = change.state
            && at == index
        {
            change(&mut state);
        }
        states.push(state.components().root());
    }
    let data = codec::encode(transactions);
    let mut claims = Claims {
        header: Header {
            state: state.components(),
            tx_count: transactions.len() as u32,
            data_root: data_root(&data),
            data_len: data.len() as u32,
            ..batch.header
        },
        transactions: transactions.to_vec(),
        results,
        leaves: Vec::new(),
        states,
        inputs: batch.inputs.clone(),
        runs: BTreeMap::new(),
    };
    claims.seal();
    Some(Remade { claims, data })
}

impl Remade {
    pub fn lie(self, name: impl Into<String>, reason: Option<Reason>) -> Lie {
        Lie {
            name: name.into(),
            header: self.claims.header,
            data: self.data,
            claims: vec![self.claims],
            reason,
        }
    }
}

/// The batch as it is.
pub fn honest(batch: &Batch) -> Remade {
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let remade = remake(batch, &transactions, &Change::default()).unwrap();
    assert_eq!(
        (remade.claims.header, &remade.data),
        (batch.header, &batch.data)
    );
    remade
}

pub fn kind(tx: &Transaction) -> &'static str {
    match tx {
        Transaction::Inbox => "inbox",
        Transaction::DeclineJob => "decline",
        Transaction::Transfer { .. } => "transfer",
        Transaction::Withdraw { .. } => "withdraw",
        Transaction::Deploy { .. } => "deploy",
        Transaction::Update { .. } => "update",
        Transaction::Infer { .. } => "infer",
    }
}

/// A lie of some kind.
pub fn random_lie(batch: &Batch, rng: &mut ChaCha8Rng) -> Lie {
    loop {
        let index = rng.random_range(0..batch.records.len()) as u32;
        let runs: Vec<u32> = batch.inputs.keys().copied().collect();
        let ran = batch.records.iter().map(|(_, r)| r.program_root != [0; 32]);
        let ran: Vec<bool> = ran.collect();
        let runs: Vec<u32> = runs.into_iter().filter(|i| ran[*i as usize]).collect();
        let mut lies = match rng.random_range(0..5) {
            0 if !runs.is_empty() => {
                let index = runs[rng.random_range(0..runs.len())];
                let operators = run(batch, index).roots().count() as u32;
                match rng.random_range(0..3) {
                    0 => wrong_values(batch, index, rng.random_range(0..operators)),
                    _ => wrong_runs(batch, index, rng),
                }
            }
            1 if !runs.is_empty() => {
                let index = runs[rng.random_range(0..runs.len())];
                let run = run(batch, index);
                let types = run.model().program().value_types();
                let operator = rng.random_range(0..types.len());
                let elements = types[operator].shape.elements() as usize;
                let element = rng.random_range(0..elements);
                wrong_element(batch, index, operator as u32, element)
                    .into_iter()
                    .collect()
            }
            2 => wrong_results(batch, index, rng),
            3 => wrong_states(batch, index, rng),
            _ => wrong_data(batch, rng),
        };
        if !lies.is_empty() {
            return lies.swap_remove(rng.random_range(0..lies.len()));
        }
    }
}
