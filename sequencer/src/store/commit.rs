//! The one place that changes the ledger's tables: a micro-batch, whole or not at all.

use super::programs::{self, deployed};
use super::records::{BatchRecord, L1Record, L1Totals, Progress, TxRecord, decode, encode};
use super::{Store, StoreError, tables, undo};
use assay_ledger::inbox::Message;
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::state::{Account, Model, StateComponents};
use assay_ledger::transaction::Transaction;
use assay_ledger::{Hash, ProgramHeader};
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
    /// Programs that were deployed, besides those of `transactions`.
    pub programs: Vec<ProgramHeader>,
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
                let mut meta = tx.open_table(tables::META)?;
                let totals = meta.get("l1")?.map(|t| decode::<L1Totals>(t.value()));
                let totals = totals.transpose()?.unwrap_or_default().with(&record);
                meta.insert("l1", encode(&totals)?.as_slice())?;
            }
        }
        tx.commit()?;
        Ok(())
    }
}

/// Sums up the table of L1 transactions, once: a store of before the sums were kept has none.
pub(super) fn sum_l1(tx: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = tx.open_table(tables::META)?;
    if meta.get("l1")?.is_some() {
        return Ok(());
    }
    let mut totals = L1Totals::default();
    for row in tx.open_table(tables::L1)?.iter()? {
        totals = totals.with(&decode(row?.1.value())?);
    }
    meta.insert("l1", encode(&totals)?.as_slice())?;
    Ok(())
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
        let mut named = tx.open_table(tables::NAMED)?;
        for (batch, position, record) in &commit.transactions {
            for root in names(&record.transaction) {
                named.insert((*batch, &root), ())?;
            }
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
        let told = commit.transactions.iter();
        let told = told.filter_map(|(_, _, tx)| deployed(&tx.transaction, &tx.result));
        programs::note(tx, told.chain(commit.programs.iter().copied()))?;
        let mut meta = tx.open_table(tables::META)?;
        meta.insert("progress", encode(progress)?.as_slice())?;
    }
    Ok(())
}

/// Roots of the blobs that a transaction makes a model of.
fn names(tx: &Transaction) -> Vec<Hash> {
    match tx {
        Transaction::Deploy {
            program,
            parameters_root,
            ..
        } => vec![program.root(), *parameters_root],
        Transaction::Update {
            parameters_root, ..
        } => vec![*parameters_root],
        _ => Vec::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::L1Step;

    #[test]
    fn what_l1_costs_is_summed_as_it_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path(), &[1; 32], &[2; 32]).unwrap();
        let store = open();
        assert_eq!(store.l1_totals().unwrap(), L1Totals::default());
        let record = |lamports| L1Record {
            order: 0,
            step: L1Step::Write,
            lamports,
            bytes: 10 * lamports,
        };
        for (batch, name, lamports) in [(1, 1, 5), (1, 2, 7), (1, 1, 5), (2, 1, 11)] {
            store.note_l1(batch, &[name; 64], record(lamports)).unwrap();
        }
        let sum = L1Totals {
            lamports: 23,
            bytes: 230,
        };
        assert_eq!(store.l1_totals().unwrap(), sum);
        // A store that kept no sum has one from its next start on.
        let tx = store.writer().unwrap();
        tx.open_table(tables::META).unwrap().remove("l1").unwrap();
        tx.commit().unwrap();
        assert_eq!(store.l1_totals().unwrap(), L1Totals::default());
        drop(store);
        assert_eq!(open().l1_totals().unwrap(), sum);
    }
}
