//! The batch being built: what it holds, when it is closed, and what closing makes of it.

use crate::config::BatchLimits;
use crate::store::StoreError;
use crate::store::records::{BatchRecord, Progress, Totals, TxRecord};
use assay_ledger::Hash;
use assay_ledger::batch;
use assay_ledger::codec::Encoder;
use assay_ledger::header::genesis_hash;
use assay_ledger::result::TxResult;
use assay_ledger::state::StateComponents;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::Env;
use std::time::Instant;

/// Bytes that a record may take in the batch's data beyond its own encoding, and what the data
/// takes without records: bounds, so that a batch never exceeds the rollup's cap.
const RECORD_OVERHEAD: usize = 16;
const DATA_OVERHEAD: usize = 1_024;

/// What is kept free in a batch for messages that it must consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Messages.
    pub messages: u32,
    /// Work units of the jobs among them.
    pub units: u64,
}

/// The batch being built.
#[derive(Debug)]
pub struct OpenBatch {
    env: Env,
    parent: Hash,
    limits: BatchLimits,
    leaves: Vec<Hash>,
    encoder: Encoder,
    inferences: u32,
    /// A bound on the data's bytes; made exact when it comes near the cap.
    bytes: usize,
    since: Option<Instant>,
    totals: Totals,
}

impl OpenBatch {
    /// The first batch of a rollup.
    pub fn genesis(env: Env, limits: BatchLimits) -> Self {
        let parent = genesis_hash(&env.rollup);
        Self {
            env: Env { number: 1, ..env },
            parent,
            limits,
            leaves: Vec::new(),
            encoder: Encoder::default(),
            inferences: 0,
            bytes: DATA_OVERHEAD,
            since: None,
            totals: Totals::default(),
        }
    }

    /// The batch as the store has it.
    pub fn restore(
        env: Env,
        limits: BatchLimits,
        progress: &Progress,
        records: Vec<TxRecord>,
    ) -> Result<Self, StoreError> {
        if records.len() != progress.transactions as usize {
            return Err(StoreError::Record(format!(
                "batch {} should hold {} transactions and holds {}",
                progress.number,
                progress.transactions,
                records.len()
            )));
        }
        let mut open = Self {
            env: Env {
                number: progress.number,
                params: progress.params,
                ..env
            },
            parent: progress.parent,
            ..Self::genesis(env, limits)
        };
        for record in records {
            open.push(&record.transaction, &record.result);
        }
        open.totals = progress.totals;
        Ok(open)
    }

    /// Batch `number`, empty, under the same limits: `parent` is the hash of the one before, up to
    /// which `totals` count.
    pub fn restart(&self, number: u64, parent: Hash, totals: Totals) -> Self {
        let env = self.env;
        Self {
            env: Env { number, ..env },
            parent,
            totals,
            ..Self::genesis(env, self.limits.clone())
        }
    }

    /// What it fixes for its transactions.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// When it is closed, and what is executed together.
    pub fn limits(&self) -> &BatchLimits {
        &self.limits
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.env.number
    }

    /// Transactions in it so far: the next one's position.
    pub fn len(&self) -> u32 {
        self.leaves.len() as u32
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Counts since genesis.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Counts refused requests.
    pub fn refused(&mut self, count: u64) {
        self.totals.refused = self.totals.refused.saturating_add(count);
    }

    /// Whether a transaction has room beside what is there: `used` work units, and its own.
    pub fn has_room(&mut self, tx: &Transaction, used: u64, units: u64) -> bool {
        self.has_room_beside(tx, used, units, Reserve::default())
    }

    /// The same, with `kept` free for messages. They count against the rollup's caps only: that
    /// they must be in this batch is worth more than the limits of this configuration.
    pub fn has_room_beside(
        &mut self,
        tx: &Transaction,
        used: u64,
        units: u64,
        kept: Reserve,
    ) -> bool {
        let (params, limits) = (self.env.params, &self.limits);
        let own = encoded(tx);
        let messages = kept.messages as usize * encoded(&Transaction::Inbox);
        let fits = |bytes: usize| {
            bytes + own <= limits.bytes.min(params.max_data) as usize
                && bytes + own + messages <= params.max_data as usize
        };
        if !fits(self.bytes) {
            self.bytes = self.encoder.size() + DATA_OVERHEAD;
        }
        let units = used.saturating_add(units);
        let len = self.len();
        fits(self.bytes)
            && len < limits.transactions.min(params.max_records)
            && len.saturating_add(kept.messages) < params.max_records
            && units <= limits.units.min(params.max_units)
            && units.saturating_add(kept.units) <= params.max_units
    }

    /// Whether not even an empty batch would have room for it.
    pub fn never_fits(&self, tx: &Transaction) -> Option<(u64, u64)> {
        let need = DATA_OVERHEAD + encoded(tx);
        let cap = self.limits.bytes.min(self.env.params.max_data) as usize;
        (need > cap).then_some((need as u64, cap as u64))
    }

    /// Appends a transaction that was applied.
    pub fn push(&mut self, tx: &Transaction, result: &TxResult) {
        self.bytes += encoded(tx);
        self.since.get_or_insert_with(Instant::now);
        self.totals.transactions += 1;
        if result.program_root != [0; 32] {
            self.inferences += 1;
            self.totals.inferences += 1;
        }
        self.leaves.push(batch::tx_leaf(tx, result));
        self.encoder.push(tx.clone());
    }

    /// When it is to be closed for its age; none while it is empty.
    pub fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.limits.age())
    }

    /// Whether one of its limits but its age is reached.
    pub fn is_full(&self) -> bool {
        let params = &self.env.params;
        self.len() >= self.limits.transactions.min(params.max_records)
    }

    /// Closes it in this state: its record and data. What remains is the next batch, empty.
    pub fn close(&mut self, components: StateComponents) -> (BatchRecord, Vec<u8>) {
        let data = std::mem::take(&mut self.encoder).finish();
        let header = batch::seal(&self.env, self.parent, components, &self.leaves, &data);
        self.leaves.clear();
        let record = BatchRecord {
            header,
            inferences: self.inferences,
        };
        self.parent = header.hash();
        self.env.number += 1;
        self.inferences = 0;
        self.bytes = DATA_OVERHEAD;
        self.since = None;
        (record, data)
    }

    /// What the store is told with every commit.
    pub fn progress(&self, components: StateComponents) -> Progress {
        Progress {
            number: self.env.number,
            parent: self.parent,
            transactions: self.len(),
            components,
            params: self.env.params,
            totals: self.totals,
        }
    }
}

/// A bound on the bytes of a transaction in the data.
fn encoded(tx: &Transaction) -> usize {
    // Counting bytes cannot fail.
    borsh::object_length(tx).unwrap_or(usize::MAX / 2) + RECORD_OVERHEAD
}
