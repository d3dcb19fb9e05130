//! Doing a batch again.

use super::*;
use crate::Key;
use crate::inbox::{Job, MessageKind};
use crate::signature::{Assumed, Collect, Each, Signature, Verify};
use crate::store::FullState;
use crate::transition::{Fault, apply_with};
use assay_tensor::hash::hashv;
use borsh::BorshDeserialize;
use std::collections::HashMap;

/// A run of a model whose outputs a batch's replay needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index of the transaction in the batch.
    pub index: u32,
    /// The program.
    pub program_root: Hash,
    /// The parameters.
    pub parameters_root: Hash,
    /// The bytes of all inputs.
    pub input: Vec<u8>,
}

/// What a batch's replay gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The transactions with their results, in order.
    pub records: Vec<(Transaction, TxResult)>,
    /// Their leaves.
    pub leaves: Vec<Hash>,
    /// The ids of the requests that they came from; none for messages from L1.
    pub ids: Vec<Option<Hash>>,
    /// Leaves in the outbox after each.
    pub outbox: Vec<u64>,
}

impl Replayed {
    /// Index of the transaction that sent leaf `index` of the outbox, if one of these did.
    pub fn sender(&self, index: u64) -> u32 {
        // At most the header's count.
        self.outbox.partition_point(|count| *count <= index) as u32
    }
}

/// Where a batch differs from what its data and its parent say it is, or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// It was made on top of another batch.
    #[error("the batch's parent is another")]
    Parent,
    /// It was made under other rules, or with another codec.
    #[error("the batch is of another version")]
    Version,
    /// It has more records or bytes than its parameters allow.
    #[error("the batch is larger than its parameters allow")]
    Limits,
    /// The data given is not what the header commits to: other data is needed.
    #[error("this is not the data of the batch")]
    NotItsData,
    /// The data is malformed.
    #[error("the batch's data is malformed")]
    Malformed,
    /// A transaction may not be there, or the state does not know a message.
    #[error("transaction {index} may not be there: {fault}")]
    Transaction {
        /// Its index.
        index: u32,
        /// Why.
        fault: Fault,
    },
    /// The transaction root is another: a result differs.
    #[error("the batch's transaction root is not that of its transactions and their results")]
    TxRoot,
    /// The state after it is another.
    #[error("the batch's state is not the one after its transactions")]
    State,
    /// Some outputs are not known, and with them the transaction root; a job's are part of the state besides.
    /// All else is as the header says.
    #[error("the outputs of {} runs are not known", .0.len())]
    Outputs(
        /// The indices of their transactions.
        Vec<u32>,
    ),
}

/// Does the batch of `header` again on `state`, the state after its parent, to which the
/// messages it consumes have been [added](FullState::push_message). `outputs` runs the models:
/// for all runs of the batch at once, one output root each, in order, or none where a run cannot be done.
///
/// If everything is as the header says, `state` is the one after the batch; otherwise it stays
/// as it was.
pub fn replay(
    state: &mut FullState,
    parent: &Hash,
    header: &Header,
    data: &[u8],
    outputs: impl FnOnce(&[Run]) -> Vec<Option<Hash>>,
) -> Result<Replayed, Difference> {
    if header.parent != *parent {
        return Err(Difference::Parent);
    }
    if header.rules != RULES_VERSION || header.codec != codec::VERSION {
        return Err(Difference::Version);
    }
    let params = &header.params;
    if header.tx_count > params.max_records || header.data_len > params.max_data {
        return Err(Difference::Limits);
    }
    if data.len() as u64 != u64::from(header.data_len) || data_root(data) != header.data_root {
        return Err(Difference::NotItsData);
    }
    let transactions = codec::decode_all(data).map_err(|_| Difference::Malformed)?;
    if transactions.len() as u64 != u64::from(header.tx_count) {
        return Err(Difference::Malformed);
    }
    let (runs, count, fault) = runs(state, header, &transactions);
    if let Some(fault) = fault {
        let index = count as u32;
        return Err(Difference::Transaction { index, fault });
    }
    let roots = outputs_of(&runs, outputs);
    let unknown = unknown(&runs, &roots);
    let jobs = has_job(&transactions, &unknown);

    let checkpoint = state.checkpoint();
    // The signatures have been verified over the same bytes.
    let mut named = Named::default();
    let walked = walk(state, header, &transactions, &roots, &mut named);
    let Walked {
        results,
        outbox,
        fault,
    } = walked;
    let index = results.len() as u32;
    let mut ids = named.0.into_iter();
    let ids = transactions.iter().map(|tx| {
        // Each signature was asked about once.
        tx.signature().and_then(|_| ids.next())
    });
    let ids = ids.collect();
    let records: Vec<_> = transactions.into_iter().zip(results).collect();
    let leaves: Vec<Hash> = records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
    let difference = if let Some(fault) = fault {
        Some(Difference::Transaction { index, fault })
    } else if unknown.is_empty() && tx_root(&leaves) != header.tx_root {
        Some(Difference::TxRoot)
    } else if !ends_as(&state.components(), &header.state, jobs) {
        Some(Difference::State)
    } else if !unknown.is_empty() {
        Some(Difference::Outputs(unknown))
    } else {
        None
    };
    match difference {
        Some(difference) => {
            state.rollback(checkpoint);
            Err(difference)
        }
        None => {
            state.release(checkpoint);
            Ok(Replayed {
                records,
                leaves,
                ids,
                outbox,
            })
        }
    }
}

/// What follows from a batch's transactions and the state before them, whatever its header says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The results of the transactions, up to the first that may not be there.
    pub results: Vec<TxResult>,
    /// The models' runs among these.
    pub runs: Vec<Run>,
    /// The indices of the transactions whose outputs are not known; their results have zero for them.
    pub unknown: Vec<u32>,
    /// The state after these, but for what follows from outputs that are not known.
    pub after: StateComponents,
    /// Why the next one may not be there, if there is one.
    pub fault: Option<Fault>,
}

impl Derived {
    /// Whether the state after the batch is as its header says, as far as is known.
    pub fn ends_as(&self, header: &Header, transactions: &[Transaction]) -> bool {
        let jobs = has_job(transactions, &self.unknown);
        ends_as(&self.after, &header.state, jobs)
    }
}

/// Derives what the batch of `header` should have said of its `transactions`, as far as they may be there.
/// `state` is the one after its parent, to which the messages that it consumes have been
/// [added](FullState::push_message), and stays as it is. `outputs` runs the models, as for [`replay`].
pub fn derive(
    state: &mut FullState,
    header: &Header,
    transactions: &[Transaction],
    outputs: impl FnOnce(&[Run]) -> Vec<Option<Hash>>,
) -> Derived {
    let (runs, count, fault) = runs(state, header, transactions);
    let roots = outputs_of(&runs, outputs);
    let checkpoint = state.checkpoint();
    let good = transactions.get(..count).unwrap_or_default();
    let walked = walk(state, header, good, &roots, &mut Assumed);
    let after = state.components();
    state.rollback(checkpoint);
    Derived {
        results: walked.results,
        unknown: unknown(&runs, &roots),
        runs,
        after,
        fault,
    }
}

/// The output roots that are known, by their transactions' indices.
fn outputs_of(
    runs: &[Run],
    outputs: impl FnOnce(&[Run]) -> Vec<Option<Hash>>,
) -> HashMap<u32, Hash> {
    let roots = runs.iter().zip(outputs(runs));
    roots
        .filter_map(|(run, root)| Some((run.index, root?)))
        .collect()
}

/// The indices of the transactions whose outputs are not known.
fn unknown(runs: &[Run], roots: &HashMap<u32, Hash>) -> Vec<u32> {
    let indices = runs.iter().map(|run| run.index);
    indices.filter(|index| !roots.contains_key(index)).collect()
}

/// Whether one of these is a job: its outputs go to the outbox. No other output is part of a state.
fn has_job(transactions: &[Transaction], indices: &[u32]) -> bool {
    let of = |index: &u32| transactions.get(*index as usize);
    let mut of = indices.iter().filter_map(of);
    of.any(Transaction::consumes_message)
}

/// Whether a state is the one `expected`, but for what is in the outbox if a job's outputs are not known.
fn ends_as(own: &StateComponents, expected: &StateComponents, job_unknown: bool) -> bool {
    let mut own = *own;
    if job_unknown {
        own.outbox.root = expected.outbox.root;
    }
    own == *expected
}

/// The models' runs of a batch up to the first transaction that may not be there, that one's index (or
/// their number), and why. All signatures have been verified. Which models run does not depend on what they
/// give, so that they can all run together.
fn runs(
    state: &mut FullState,
    header: &Header,
    transactions: &[Transaction],
) -> (Vec<Run>, usize, Option<Fault>) {
    let none = HashMap::new();
    let mut inputs = HashMap::new();
    let cursor = state.heads().inbox.cursor;
    let consumed = transactions
        .iter()
        .enumerate()
        .filter(|(_, tx)| tx.consumes_message());
    for (at, (i, _)) in consumed.enumerate() {
        let message = state.message(cursor.saturating_add(at as u64));
        let job = message.filter(|m| m.kind == MessageKind::Job);
        if let Some(Ok(job)) = job.map(|m| Job::try_from_slice(&m.payload)) {
            inputs.insert(i, job.input);
        }
    }

    let mut signatures = Collect::default();
    let checkpoint = state.checkpoint();
    let mut walked = walk(state, header, transactions, &none, &mut signatures);
    state.rollback(checkpoint);
    if !signatures.all_good() {
        // Which one it is, is found one by one.
        let checkpoint = state.checkpoint();
        walked = walk(state, header, transactions, &none, &mut Each);
        state.rollback(checkpoint);
    }
    let Walked { results, fault, .. } = walked;
    let ran = transactions.iter().zip(&results).enumerate();
    let runs = ran
        .filter(|(_, (_, result))| result.program_root != [0; 32])
        .map(|(i, (tx, result))| Run {
            index: i as u32,
            program_root: result.program_root,
            parameters_root: result.parameters_root,
            input: match tx {
                Transaction::Infer { input, .. } => input.clone(),
                _ => inputs.remove(&i).unwrap_or_default(),
            },
        })
        .collect();
    (runs, results.len(), fault)
}

/// Takes every signature, which a first walk has verified, and keeps the id of what was signed.
#[derive(Default)]
struct Named(Vec<Hash>);

impl Verify for Named {
    fn verify(&mut self, _: &Key, message: &[u8], _: &Signature) -> bool {
        self.0.push(hashv(&[message]));
        true
    }
}

/// What applying transactions gave.
struct Walked {
    results: Vec<TxResult>,
    /// Leaves in the outbox after each.
    outbox: Vec<u64>,
    /// Why the next one may not be there.
    fault: Option<Fault>,
}

/// Applies the transactions to `state`, up to the first that may not be there.
fn walk(
    state: &mut FullState,
    header: &Header,
    transactions: &[Transaction],
    outputs: &HashMap<u32, Hash>,
    verify: &mut impl Verify,
) -> Walked {
    let env = Env::from(header);
    state.start_batch();
    let mut walked = Walked {
        results: Vec::with_capacity(transactions.len()),
        outbox: Vec::with_capacity(transactions.len()),
        fault: None,
    };
    for (i, tx) in (0u32..).zip(transactions) {
        let output_root = outputs.get(&i).copied().unwrap_or_default();
        match apply_with(state, &env, tx, output_root, verify) {
            Ok(result) => walked.results.push(result),
            Err(fault) => {
                walked.fault = Some(fault);
                break;
            }
        }
        walked.outbox.push(state.heads().outbox);
    }
    walked
}
