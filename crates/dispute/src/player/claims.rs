//! What an asserter says of its batch. Honest claims follow from doing the batch; a test or a demonstration
//! changes some of them to make a liar who then plays on as well as it can.

use super::knowledge::Knowledge;
use super::models::Model;
use crate::Hash;
use assay_ledger::batch::{tx_leaf, tx_root};
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::transaction::Transaction;
use assay_tensor::commit::{chunk_hashes, list_root_of, tensor_root_of};
use assay_tensor::merkle::Levels;
use assay_tensor::trace::Trace;
use assay_tensor::types::TensorType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an asserter says of its batch.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The header that it posted.
    pub header: Header,
    /// The transactions.
    pub transactions: Vec<Transaction>,
    /// Their results.
    pub results: Vec<TxResult>,
    /// The leaves of the transaction tree.
    pub leaves: Vec<Hash>,
    /// The state roots before, between and after the transactions.
    pub states: Vec<Hash>,
    /// The bytes of the inputs of the models' runs, by transaction.
    pub inputs: BTreeMap<u32, Vec<u8>>,
    /// Runs of which something else is said than what the models give.
    pub runs: BTreeMap<u32, RunClaims>,
}

impl Claims {
    /// What is true of the batch; `None` if it is not one that could be posted: its data is malformed,
    /// or a transaction may not be there; or if some outputs are not known.
    pub fn honest(knowledge: &mut Knowledge) -> Option<Self> {
        let states = knowledge.states(None)?.to_vec();
        let results = knowledge.results();
        let transactions = knowledge.transactions();
        let whole = results.len() == transactions.len() && knowledge.unknown().is_empty();
        if transactions.is_empty() || !whole {
            return None;
        }
        let runs = knowledge.runs().iter();
        Some(Self {
            header: *knowledge.header(),
            transactions: transactions.to_vec(),
            results: results.to_vec(),
            leaves: knowledge.leaves().to_vec(),
            states,
            inputs: runs.map(|run| (run.index, run.input.clone())).collect(),
            runs: BTreeMap::new(),
        })
    }

    /// Makes the leaves and the header's transaction root those of the transactions and results.
    pub fn seal(&mut self) {
        let records = self.transactions.iter().zip(&self.results);
        self.leaves = records.map(|(tx, result)| tx_leaf(tx, result)).collect();
        self.header.tx_root = tx_root(&self.leaves);
    }
}

/// What an asserter says of one run of a model.
#[derive(Clone, Debug)]
pub struct RunClaims {
    model: Arc<Model>,
    trace: Arc<Trace>,
    /// Values that are not the trace's.
    values: BTreeMap<u32, ValueClaim>,
    roots: Levels,
    outputs: Levels,
}

#[derive(Clone, Debug)]
struct ValueClaim {
    data: Vec<u8>,
    chunks: Levels,
}

impl RunClaims {
    /// What is true.
    pub fn honest(model: Arc<Model>, trace: Arc<Trace>) -> Self {
        Self {
            roots: trace.trees().roots().clone(),
            outputs: model.outputs(&trace),
            values: BTreeMap::new(),
            model,
            trace,
        }
    }

    /// Says that the value of `operator` has another type or other bytes, and that so do the outputs
    /// that it is. Bytes that are not of the type are committed to all the same.
    pub fn set_value(&mut self, operator: u32, ty: &TensorType, data: Vec<u8>) {
        self.set_values([(operator, *ty, data)]);
    }

    /// The same of several operators at once.
    pub fn set_values(&mut self, values: impl IntoIterator<Item = (u32, TensorType, Vec<u8>)>) {
        let mut roots = leaves(&self.roots);
        for (operator, ty, data) in values {
            let chunks = Levels::new(chunk_hashes(&data));
            if let Some(place) = roots.get_mut(operator as usize) {
                *place = tensor_root_of(&ty, &chunks.root());
            }
            self.values.insert(operator, ValueClaim { data, chunks });
        }
        self.roots = Levels::new(roots);
        let outputs = self.model.program().program().outputs.iter();
        let root = |value: u32| self.roots.node(0, value.into());
        self.outputs = Levels::new(outputs.map(|output| root(output.value)).collect());
    }

    /// Says that output `index` has another root, whatever the values are.
    pub fn set_output(&mut self, index: u32, root: Hash) {
        let mut outputs = leaves(&self.outputs);
        if let Some(place) = outputs.get_mut(index as usize) {
            *place = root;
        }
        self.outputs = Levels::new(outputs);
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The tree over the values' roots.
    pub fn roots(&self) -> &Levels {
        &self.roots
    }

    /// The tree over the outputs' roots.
    pub fn outputs(&self) -> &Levels {
        &self.outputs
    }

    /// What the transaction's result says of the outputs.
    pub fn output_root(&self) -> Hash {
        list_root_of(self.outputs.count(), &self.outputs.root())
    }

    /// The tree over the chunks of a value.
    pub fn chunks(&self, operator: u32) -> Option<&Levels> {
        match self.values.get(&operator) {
            Some(value) => Some(&value.chunks),
            None => self.trace.trees().data(operator),
        }
    }

    /// The bytes of a value.
    pub fn data(&self, operator: u32) -> Option<&[u8]> {
        match self.values.get(&operator) {
            Some(value) => Some(&value.data),
            None => Some(self.trace.values().get(operator as usize)?.data()),
        }
    }
}

fn leaves(tree: &Levels) -> Vec<Hash> {
    (0..tree.count()).map(|index| tree.node(0, index)).collect()
}
