//! A whole batch: its transactions' tree, its header, and doing it again.

use crate::data::data_root;
use crate::header::{Header, Lane};
use crate::result::TxResult;
use crate::state::StateComponents;
use crate::transaction::Transaction;
use crate::transition::Env;
use crate::{Hash, RULES_VERSION, codec, merkle};
use alloc::vec::Vec;

const TX_TAG: &[u8] = b"assay:leaf:1";

/// Leaf of the transaction tree: the length of the shipped form's borsh encoding (4 bytes), that
/// encoding, and the result's.
pub fn tx_leaf(tx: &Transaction, result: &TxResult) -> Hash {
    let (head, input, tail) = tx.encoding();
    let length = (head.len() + input.len() + tail.len()) as u32;
    // Writing to a vector cannot fail.
    let result = borsh::to_vec(result).unwrap_or_default();
    merkle::leaf(
        TX_TAG,
        &[&length.to_le_bytes(), &head, input, tail, &result],
    )
}

/// Root of the transaction tree over its leaves.
pub fn tx_root(leaves: &[Hash]) -> Hash {
    merkle::root(leaves)
}

impl From<&Header> for Env {
    fn from(header: &Header) -> Self {
        Self {
            rollup: header.rollup,
            number: header.number,
            sequencer: header.sequencer,
            params: header.params,
            inbox_end: header.state.inbox.cursor,
        }
    }
}

/// The header of a batch on top of `parent` (its header's hash), with the `state` after it, the
/// leaves of its transactions and their `data`.
pub fn seal(
    env: &Env,
    parent: Hash,
    state: StateComponents,
    leaves: &[Hash],
    data: &[u8],
) -> Header {
    Header {
        rollup: env.rollup,
        rules: RULES_VERSION,
        codec: codec::VERSION,
        lane: Lane::L1,
        number: env.number,
        parent,
        sequencer: env.sequencer,
        state,
        tx_root: tx_root(leaves),
        tx_count: leaves.len() as u32,
        data_root: data_root(data),
        data_len: data.len() as u32,
        params: env.params,
    }
}

/// Header and data of a batch of these transactions with their results.
pub fn assemble(
    env: &Env,
    parent: Hash,
    state: StateComponents,
    records: &[(Transaction, TxResult)],
) -> (Header, Vec<u8>) {
    let leaves: Vec<Hash> = records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
    let mut encoder = codec::Encoder::default();
    for (tx, _) in records {
        encoder.push(tx.clone());
    }
    let data = encoder.finish();
    (seal(env, parent, state, &leaves, &data), data)
}

#[cfg(feature = "std")]
pub use replay::{Difference, Replayed, Run, replay};

#[cfg(feature = "std")]
mod replay {
    use super::*;
    use crate::inbox::{Job, MessageKind};
    use crate::signature::{Assumed, Collect, Each, Verify};
    use crate::store::FullState;
    use crate::transition::{Fault, apply_with};
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
    }

    /// Where a batch differs from what its data and its parent say it is.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum Difference<E> {
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
        /// The models could not be run.
        #[error("the models could not be run: {0}")]
        Outputs(E),
        /// The models' runs did not give one output root each.
        #[error("there is not one output root for each run")]
        OutputCount,
    }

    /// Does the batch of `header` again on `state`, the state after its parent, to which the
    /// messages it consumes have been [added](FullState::push_message). `outputs` runs the models:
    /// for all runs of the batch at once, one output root each, in order.
    ///
    /// If everything is as the header says, `state` is the one after the batch; otherwise it stays
    /// as it was.
    pub fn replay<E>(
        state: &mut FullState,
        parent: &Hash,
        header: &Header,
        data: &[u8],
        outputs: impl FnOnce(&[Run]) -> Result<Vec<Hash>, E>,
    ) -> Result<Replayed, Difference<E>> {
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
        let runs = runs(state, header, &transactions)
            .map_err(|(index, fault)| Difference::Transaction { index, fault })?;
        let roots = outputs(&runs).map_err(Difference::Outputs)?;
        if roots.len() != runs.len() {
            return Err(Difference::OutputCount);
        }
        let roots = runs.iter().map(|run| run.index).zip(roots).collect();

        let checkpoint = state.checkpoint();
        // The signatures have been verified over the same bytes.
        match walk(state, header, &transactions, &roots, &mut Assumed) {
            Ok(results) => {
                let records: Vec<_> = transactions.into_iter().zip(results).collect();
                let leaves: Vec<Hash> = records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
                let difference = if tx_root(&leaves) != header.tx_root {
                    Some(Difference::TxRoot)
                } else if state.components() != header.state {
                    Some(Difference::State)
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
                        Ok(Replayed { records, leaves })
                    }
                }
            }
            Err((index, fault)) => {
                state.rollback(checkpoint);
                Err(Difference::Transaction { index, fault })
            }
        }
    }

    /// The models' runs of a batch, all signatures verified. Which models run does not depend on
    /// what they give, so that they can all run together.
    fn runs(
        state: &mut FullState,
        header: &Header,
        transactions: &[Transaction],
    ) -> Result<Vec<Run>, (u32, Fault)> {
        let none = HashMap::new();
        let mut inputs = HashMap::new();
        let cursor = state.heads().inbox.cursor;
        let consumed = transactions
            .iter()
            .enumerate()
            .filter(|(_, tx)| matches!(tx, Transaction::Inbox | Transaction::DeclineJob));
        for (at, (i, _)) in consumed.enumerate() {
            let message = state.message(cursor.saturating_add(at as u64));
            let job = message.filter(|m| m.kind == MessageKind::Job);
            if let Some(Ok(job)) = job.map(|m| Job::try_from_slice(&m.payload)) {
                inputs.insert(i, job.input);
            }
        }

        let checkpoint = state.checkpoint();
        let mut signatures = Collect::default();
        let first = walk(state, header, transactions, &none, &mut signatures);
        state.rollback(checkpoint);
        let results = match first {
            Ok(results) if signatures.all_good() => results,
            // Which one it is, is found one by one.
            _ => {
                let checkpoint = state.checkpoint();
                let results = walk(state, header, transactions, &none, &mut Each);
                state.rollback(checkpoint);
                results?
            }
        };
        let ran = transactions.iter().zip(results).enumerate();
        Ok(ran
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
            .collect())
    }

    /// Applies the transactions to `state`; the first that may not be there ends it.
    fn walk(
        state: &mut FullState,
        header: &Header,
        transactions: &[Transaction],
        outputs: &HashMap<u32, Hash>,
        verify: &mut impl Verify,
    ) -> Result<Vec<TxResult>, (u32, Fault)> {
        let env = Env::from(header);
        state.start_batch();
        let mut results = Vec::with_capacity(transactions.len());
        for (i, tx) in (0u32..).zip(transactions) {
            let output_root = outputs.get(&i).copied().unwrap_or_default();
            let result = apply_with(state, &env, tx, output_root, verify);
            results.push(result.map_err(|fault| (i, fault))?);
        }
        Ok(results)
    }
}
