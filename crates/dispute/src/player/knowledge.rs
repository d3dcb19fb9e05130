//! What follows from a batch's data and the state before it.

use crate::Hash;
use assay_ledger::batch::{Derived, Run, derive, tx_leaf, tx_root};
use assay_ledger::codec;
use assay_ledger::data::data_root;
use assay_ledger::header::{Header, genesis_hash};
use assay_ledger::result::TxResult;
use assay_ledger::state::{INVALID, StateComponents};
use assay_ledger::steps::{state_roots, witness_at};
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, Fault};
use assay_ledger::witness::Witness;

/// What somebody knows of a batch who has done it again.
#[derive(Clone, Debug)]
pub struct Knowledge {
    header: Header,
    parent: Option<Header>,
    data: Vec<u8>,
    /// The state after the parent.
    before: FullState,
    /// The record that is malformed, if one is: then nothing else follows from the data.
    malformed: Option<u32>,
    transactions: Vec<Transaction>,
    derived: Derived,
    /// The leaves of the derived results; those of outputs that are not known mean nothing.
    leaves: Vec<Hash>,
    /// The state roots that were asked for last.
    states: Option<(Option<Claimed>, Vec<Hash>)>,
}

/// A result that somebody claims a transaction to have, and the transaction's index.
pub type Claimed = (u32, TxResult);

/// Why nothing is known of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The parent's header or the state after it is another's.
    #[error("this is not the header of the batch's parent, or not the state after it")]
    Parent,
    /// The data is not what the header commits to.
    #[error("this is not the data of the batch")]
    Data,
    /// A message that the batch may consume is missing.
    #[error("message {0} of the inbox is not known")]
    Message(u64),
}

impl Knowledge {
    /// Does the batch of `header` again.
    ///
    /// `parent` is its parent's header, none for batch 1. `before` is the state after the parent, to
    /// which the messages up to the header's cursor have been [added](FullState::push_message). `outputs`
    /// runs the models: for all runs of the batch at once, one output root each, in order, or none where a
    /// run cannot be done. That hides nothing but its output.
    ///
    /// # Errors
    /// [`Missing`] says nothing about the batch.
    pub fn new(
        header: Header,
        parent: Option<Header>,
        mut before: FullState,
        data: Vec<u8>,
        outputs: impl FnOnce(&[Run]) -> Vec<Option<Hash>>,
    ) -> Result<Self, Missing> {
        let (hash, state) = match &parent {
            Some(parent) => (parent.hash(), parent.state),
            None => (genesis_hash(&header.rollup), StateComponents::genesis()),
        };
        if hash != header.parent || before.components().next_batch() != state.next_batch() {
            return Err(Missing::Parent);
        }
        if data.len() as u64 != u64::from(header.data_len) || data_root(&data) != header.data_root {
            return Err(Missing::Data);
        }
        if before.next_push() < header.state.inbox.cursor {
            return Err(Missing::Message(before.next_push()));
        }
        let (transactions, malformed) = match decode(&data, header.tx_count) {
            Ok(transactions) => (transactions, None),
            Err(index) => (Vec::new(), Some(index)),
        };
        let derived = derive(&mut before, &header, &transactions, outputs);
        let leaves = leaves_of(&transactions, &derived.results);
        Ok(Self {
            header,
            parent,
            data,
            before,
            malformed,
            transactions,
            derived,
            leaves,
            states: None,
        })
    }

    /// Takes somebody's word for the outputs that are not known: output roots of all runs, in order. It is good
    /// only if with them the transaction root is the header's; then these are what the batch says, be that
    /// right or not, and everything else can be compared. Whether it was taken.
    pub fn take_word(&mut self, roots: &[Hash]) -> bool {
        if roots.len() != self.derived.runs.len() || !self.is_whole() {
            return false;
        }
        let mut results = self.derived.results.clone();
        for (run, root) in self.derived.runs.iter().zip(roots) {
            if self.is_unknown(run.index)
                && let Some(result) = results.get_mut(run.index as usize)
            {
                result.output_root = *root;
            }
        }
        let leaves = leaves_of(&self.transactions, &results);
        let good = tx_root(&leaves) == self.header.tx_root;
        if good {
            self.leaves = leaves;
            self.derived.results = results;
            self.derived.unknown.clear();
            self.states = None;
        }
        good
    }

    /// The batch's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its parent's; none for batch 1.
    pub fn parent(&self) -> Option<&Header> {
        self.parent.as_ref()
    }

    /// Its data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The first record that is malformed, if one is.
    pub fn malformed(&self) -> Option<u32> {
        self.malformed
    }

    /// The transactions of its data; none if a record is malformed.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// Their results, up to the first that may not be there, with zero for outputs that are not known.
    pub fn results(&self) -> &[TxResult] {
        &self.derived.results
    }

    /// The models' runs among these.
    pub fn runs(&self) -> &[Run] {
        &self.derived.runs
    }

    /// The transactions whose outputs are not known, ascending.
    pub fn unknown(&self) -> &[u32] {
        &self.derived.unknown
    }

    /// Whether the outputs of this transaction are not known.
    pub fn is_unknown(&self, index: u32) -> bool {
        self.derived.unknown.binary_search(&index).is_ok()
    }

    /// Why the next transaction may not be there, if there is one.
    pub fn fault(&self) -> Option<Fault> {
        self.derived.fault
    }

    /// The leaves of the results. Of outputs that are not known they mean nothing.
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    /// Whether all transactions may be there, so that each has a result.
    pub fn is_whole(&self) -> bool {
        self.malformed.is_none() && self.leaves.len() as u64 == u64::from(self.header.tx_count)
    }

    /// Whether the batch ends in another state than its header's, whatever the outputs are that are not known.
    pub fn ends_elsewhere(&mut self) -> bool {
        if !self.derived.unknown.is_empty() {
            return !self.derived.ends_as(&self.header, &self.transactions);
        }
        let end = self.header.state.root();
        self.states(None)
            .and_then(|states| states.last().copied())
            .is_some_and(|last| last != end)
    }

    /// The first job whose outputs are not known, if transaction `claimed.0` has a result that is: the states
    /// after it are not known either.
    pub fn unknown_job(&self, claimed: Option<Claimed>) -> Option<u32> {
        let of = |index: u32| self.transactions.get(index as usize);
        let mut unknown = self.derived.unknown.iter().copied();
        unknown.find(|index| {
            of(*index).is_some_and(Transaction::consumes_message)
                && claimed.is_none_or(|(known, _)| known != *index)
        })
    }

    /// Whether a job runs a model: its outputs are part of the states after it.
    pub fn runs_jobs(&self) -> bool {
        let of = |run: &Run| self.transactions.get(run.index as usize);
        let mut of = self.derived.runs.iter().filter_map(of);
        of.any(Transaction::consumes_message)
    }

    /// The state roots before, between and after the transactions, if transaction `claimed.0` has the
    /// result `claimed.1` and those before it the ones derived; only the first of them where the
    /// others follow from outputs that are not known. `None` if the state cannot be read.
    pub fn states(&mut self, claimed: Option<Claimed>) -> Option<&[Hash]> {
        if self.states.as_ref().is_none_or(|(of, _)| *of != claimed) {
            let records = self.records(claimed);
            let env = Env::from(&self.header);
            let mut roots = state_roots(&mut self.before, &env, &records).ok()?;
            if let Some(job) = self.unknown_job(claimed)
                && roots
                    .get(job as usize)
                    .is_some_and(|before| *before != INVALID)
            {
                roots.truncate(job as usize + 1);
            }
            self.states = Some((claimed, roots));
        }
        self.states.as_ref().map(|(_, roots)| &roots[..])
    }

    /// What transaction `index` touches of the state before it, if the results up to it are as in
    /// [`Knowledge::states`]. `None` if one before it may not be there, or that state is not known.
    pub fn witness(&mut self, claimed: Option<Claimed>, index: u32) -> Option<Witness> {
        if self.unknown_job(claimed).is_some_and(|job| job < index) {
            return None;
        }
        let records = self.records(claimed);
        let env = Env::from(&self.header);
        witness_at(&mut self.before, &env, &records, index).ok()?
    }

    /// The transactions with their results. What is not derived is not looked at: a transaction
    /// that may not be there, or has another result than derived, comes before it.
    fn records(&self, claimed: Option<Claimed>) -> Vec<(Transaction, TxResult)> {
        let results = self.derived.results.iter().copied();
        let results = results.chain(std::iter::repeat(TxResult::default()));
        let mut records: Vec<_> = self.transactions.iter().cloned().zip(results).collect();
        if let Some((index, result)) = claimed
            && let Some(record) = records.get_mut(index as usize)
        {
            record.1 = result;
        }
        records
    }
}

fn leaves_of(transactions: &[Transaction], results: &[TxResult]) -> Vec<Hash> {
    let records = transactions.iter().zip(results);
    records.map(|(tx, result)| tx_leaf(tx, result)).collect()
}

/// All records, or the index of the first that is malformed.
fn decode(data: &[u8], count: u32) -> Result<Vec<Transaction>, u32> {
    if codec::check(&data, count).is_ok()
        && let Ok(transactions) = codec::decode_all(data)
    {
        return Ok(transactions);
    }
    let malformed = |index: &u32| codec::decode_from(&data, count, *index).is_err();
    // That one of them is malformed is why not all could be decoded.
    Err((0..count).find(malformed).unwrap_or(0))
}
