//! The one place that changes the ledger's tables: a micro-batch, whole or not at all.

use super::records::{BatchRecord, L1Record, Progress, TxRecord, encode};
use super::{Store, StoreError, tables};
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::state::{Account, Model};
use redb::ReadableTable;

/// What a micro-batch changes.
#[derive(Debug, Default)]
pub struct Commit {
    /// Accounts as they are now; the last one of an index counts.
    pub accounts: Vec<(u32, Account)>,
    /// Models as they are now.
    pub models: Vec<(u32, Model)>,
    /// New leaves of the outbox.
    pub outbox: Vec<NewLeaf>,
    /// New transactions with their places.
    pub transactions: Vec<(u64, u32, TxRecord)>,
    /// Batches that were closed, with their data.
    pub closed: Vec<(BatchRecord, Vec<u8>)>,
}

/// A new leaf of the outbox and the transaction that sent it.
#[derive(Clone, Copy, Debug)]
pub struct NewLeaf {
    /// Its index.
    pub index: u64,
    /// Its batch.
    pub batch: u64,
    /// The transaction's place there.
    pub position: u32,
    /// The leaf.
    pub leaf: OutboxLeaf,
}

impl Store {
    /// Makes `commit` durable: when this returns, a crash loses nothing of it.
    pub fn commit(&self, commit: &Commit, progress: &Progress) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut accounts = tx.open_table(tables::ACCOUNTS)?;
            let mut owners = tx.open_table(tables::OWNERS)?;
            for (index, account) in &commit.accounts {
                let old = accounts.insert(index, encode(account)?.as_slice())?;
                if old.is_none() {
                    owners.insert((&account.owner, &account.mint), index)?;
                }
            }
            let mut models = tx.open_table(tables::MODELS)?;
            for (index, model) in &commit.models {
                models.insert(index, encode(model)?.as_slice())?;
            }
            let mut outbox = tx.open_table(tables::OUTBOX)?;
            let mut recipients = tx.open_multimap_table(tables::RECIPIENTS)?;
            let mut jobs = tx.open_table(tables::JOBS)?;
            for new in &commit.outbox {
                outbox.insert(new.index, (new.batch, encode(&new.leaf)?.as_slice()))?;
                match &new.leaf {
                    OutboxLeaf::Withdrawal { recipient, .. } => {
                        recipients.insert(recipient, new.index)?;
                    }
                    OutboxLeaf::JobResult { job, .. } => {
                        jobs.insert(job, (new.index, new.batch, new.position))?;
                    }
                }
            }
            let mut transactions = tx.open_table(tables::TRANSACTIONS)?;
            let mut ids = tx.open_table(tables::IDS)?;
            for (batch, position, record) in &commit.transactions {
                transactions.insert((*batch, *position), encode(record)?.as_slice())?;
                if let Some(id) = &record.id {
                    ids.insert(id, (*batch, *position))?;
                }
            }
            let mut batches = tx.open_table(tables::BATCHES)?;
            let mut data = tx.open_table(tables::DATA)?;
            for (record, bytes) in &commit.closed {
                let number = record.header.number;
                batches.insert(number, encode(record)?.as_slice())?;
                data.insert(number, bytes.as_slice())?;
            }
            let mut meta = tx.open_table(tables::META)?;
            meta.insert("progress", encode(progress)?.as_slice())?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Notes a confirmed L1 transaction of a batch, once however often it is told.
    pub fn note_l1(
        &self,
        batch: u64,
        signature: &[u8; 64],
        mut record: L1Record,
    ) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut l1 = tx.open_table(tables::L1)?;
            let known = l1.get((batch, signature))?.is_some();
            if !known {
                let (from, to) = ((batch, &[0; 64]), (batch, &[0xff; 64]));
                record.order = l1.range(from..=to)?.count() as u32;
                l1.insert((batch, signature), encode(&record)?.as_slice())?;
            }
        }
        tx.commit()?;
        Ok(())
    }
}
