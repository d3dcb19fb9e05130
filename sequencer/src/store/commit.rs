//! The one place that changes the ledger's tables: a micro-batch, whole or not at all.

use super::records::{BatchRecord, L1Record, Progress, TxRecord, encode};
use super::{Store, StoreError, tables, undo};
use assay_ledger::inbox::Message;
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::state::{Account, Model, StateComponents};
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::BTreeMap;

/// What a micro-batch changes.
#[derive(Debug, Default)]
pub struct Commit {
    /// Accounts by batch and index, as that batch leaves them; the last one counts.
    pub accounts: Vec<(u64, u32, Account)>,
    /// Models likewise.
    pub models: Vec<(u64, u32, Model)>,
    /// Messages consumed from the inbox, by index.
    pub messages: Vec<(u64, Message)>,
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
        write(&tx, commit, progress)?;
        tx.commit()?;
        Ok(())
    }

    /// Puts `commit` in the place of everything after batch `batch`, after which the state was
    /// `state`: all of it or nothing.
    pub fn replace(
        &self,
        batch: u64,
        state: &StateComponents,
        commit: &Commit,
        progress: &Progress,
    ) -> Result<(), StoreError> {
        let tx = self.writer()?;
        undo::take_back(&tx, batch, state)?;
        write(&tx, commit, progress)?;
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

fn write(tx: &WriteTransaction, commit: &Commit, progress: &Progress) -> Result<(), StoreError> {
    {
        let mut accounts = tx.open_table(tables::ACCOUNTS)?;
        let mut owners = tx.open_table(tables::OWNERS)?;
        let mut before = tx.open_table(tables::UNDO_ACCOUNTS)?;
        for ((batch, index), account) in last(&commit.accounts) {
            let old = accounts.insert(index, encode(account)?.as_slice())?;
            match old {
                Some(old) => keep_first(&mut before, (batch, index), old.value())?,
                None => {
                    owners.insert((&account.owner, &account.mint), index)?;
                }
            }
        }
        let mut models = tx.open_table(tables::MODELS)?;
        let mut before = tx.open_table(tables::UNDO_MODELS)?;
        for ((batch, index), model) in last(&commit.models) {
            if let Some(old) = models.insert(index, encode(model)?.as_slice())? {
                keep_first(&mut before, (batch, index), old.value())?;
            }
        }
        let mut messages = tx.open_table(tables::MESSAGES)?;
        for (index, message) in &commit.messages {
            messages.insert(index, encode(message)?.as_slice())?;
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
    Ok(())
}

/// What each batch makes of each index, in order: the last change counts.
fn last<T>(changes: &[(u64, u32, T)]) -> BTreeMap<(u64, u32), &T> {
    changes
        .iter()
        .map(|(batch, index, now)| ((*batch, *index), now))
        .collect()
}

/// Keeps what was there before a batch: the first that is told.
fn keep_first(
    before: &mut Table<(u64, u32), &[u8]>,
    key: (u64, u32),
    old: &[u8],
) -> Result<(), StoreError> {
    if before.get(key)?.is_none() {
        before.insert(key, old)?;
    }
    Ok(())
}
