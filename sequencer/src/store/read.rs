//! What the API and a restart read: always a committed state.

use super::records::{BatchRecord, L1Record, L1Totals, Progress, TxRecord, decode};
use super::{Store, StoreError, tables};
use assay_ledger::inbox::Message;
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::state::{Account, Model};
use assay_ledger::{Hash, Key};
use redb::ReadableTable;
use std::collections::HashSet;

/// Everything that the ledger keeps in memory.
#[derive(Debug, Default)]
pub struct LedgerTables {
    /// All accounts in the order of their indices.
    pub accounts: Vec<Account>,
    /// All models.
    pub models: Vec<Model>,
    /// All leaves of the outbox.
    pub outbox: Vec<OutboxLeaf>,
}

impl Store {
    /// Where the ledger is; none before the first commit.
    pub fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let tx = self.reader()?;
        let meta = tx.open_table(tables::META)?;
        let bytes = meta.get("progress")?;
        bytes.map(|b| decode(b.value())).transpose()
    }

    /// Everything that the ledger keeps in memory.
    pub fn ledger(&self) -> Result<LedgerTables, StoreError> {
        ledger(&self.reader()?)
    }

    /// The same as it was after batch `batch`, which is not before the newest final one; past that
    /// state's counts there is more.
    pub fn ledger_after(&self, batch: u64) -> Result<LedgerTables, StoreError> {
        // What is read at one time belongs together.
        let tx = self.reader()?;
        let mut all = ledger(&tx)?;
        let since = (batch.saturating_add(1), 0)..;
        for row in tx
            .open_table(tables::UNDO_ACCOUNTS)?
            .range(since.clone())?
            .rev()
        {
            let (key, old) = row?;
            if let Some(account) = all.accounts.get_mut(key.value().1 as usize) {
                *account = decode(old.value())?;
            }
        }
        for row in tx.open_table(tables::UNDO_MODELS)?.range(since)?.rev() {
            let (key, old) = row?;
            if let Some(model) = all.models.get_mut(key.value().1 as usize) {
                *model = decode(old.value())?;
            }
        }
        Ok(all)
    }

    /// The messages that were consumed, from index `first` on.
    pub fn messages(&self, first: u64) -> Result<Vec<Message>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::MESSAGES)?;
        table
            .range(first..)?
            .map(|row| decode(row?.1.value()))
            .collect()
    }

    /// The transactions of a batch, in order.
    pub fn transactions(&self, batch: u64) -> Result<Vec<TxRecord>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::TRANSACTIONS)?;
        table
            .range((batch, 0)..=(batch, u32::MAX))?
            .map(|row| decode(row?.1.value()))
            .collect()
    }

    /// A transaction by its place.
    pub fn transaction(&self, batch: u64, position: u32) -> Result<Option<TxRecord>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::TRANSACTIONS)?;
        let bytes = table.get((batch, position))?;
        bytes.map(|b| decode(b.value())).transpose()
    }

    /// A transaction by its request's id, with its batch and position.
    pub fn find_transaction(&self, id: &Hash) -> Result<Option<(u64, u32, TxRecord)>, StoreError> {
        let place = {
            let tx = self.reader()?;
            let ids = tx.open_table(tables::IDS)?;
            ids.get(id)?.map(|p| p.value())
        };
        let Some((batch, position)) = place else {
            return Ok(None);
        };
        Ok(self
            .transaction(batch, position)?
            .map(|record| (batch, position, record)))
    }

    /// An owner's accounts in all mints, with their indices.
    pub fn accounts_of(&self, owner: &Key) -> Result<Vec<(u32, Account)>, StoreError> {
        let tx = self.reader()?;
        let accounts = tx.open_table(tables::ACCOUNTS)?;
        let owners = tx.open_table(tables::OWNERS)?;
        let mut found = Vec::new();
        for row in owners.range((owner, &[0; 32])..=(owner, &[0xff; 32]))? {
            let index = row?.1.value();
            if let Some(bytes) = accounts.get(index)? {
                found.push((index, decode(bytes.value())?));
            }
        }
        Ok(found)
    }

    /// An account by index.
    pub fn account(&self, index: u32) -> Result<Option<Account>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::ACCOUNTS)?;
        let bytes = table.get(index)?;
        bytes.map(|b| decode(b.value())).transpose()
    }

    /// A model by index.
    pub fn model(&self, index: u32) -> Result<Option<Model>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::MODELS)?;
        let bytes = table.get(index)?;
        bytes.map(|b| decode(b.value())).transpose()
    }

    /// All models, with their indices.
    pub fn models(&self) -> Result<Vec<(u32, Model)>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::MODELS)?;
        table
            .iter()?
            .map(|row| {
                let (index, bytes) = row?;
                Ok((index.value(), decode(bytes.value())?))
            })
            .collect()
    }

    /// A closed batch.
    pub fn batch(&self, number: u64) -> Result<Option<BatchRecord>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::BATCHES)?;
        let bytes = table.get(number)?;
        bytes.map(|b| decode(b.value())).transpose()
    }

    /// The newest `limit` closed batches before number `before`, newest first.
    pub fn batches(&self, before: u64, limit: usize) -> Result<Vec<BatchRecord>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::BATCHES)?;
        table
            .range(..before)?
            .rev()
            .take(limit)
            .map(|row| decode(row?.1.value()))
            .collect()
    }

    /// A closed batch's data.
    pub fn data(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::DATA)?;
        Ok(table.get(number)?.map(|b| b.value().to_vec()))
    }

    /// A batch's L1 transactions, in the order in which they were confirmed.
    pub fn l1(&self, batch: u64) -> Result<Vec<([u8; 64], L1Record)>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::L1)?;
        let mut found: Vec<([u8; 64], L1Record)> = table
            .range((batch, &[0; 64])..=(batch, &[0xff; 64]))?
            .map(|row| {
                let (key, bytes) = row?;
                Ok((*key.value().1, decode(bytes.value())?))
            })
            .collect::<Result<_, StoreError>>()?;
        found.sort_by_key(|(_, record)| record.order);
        Ok(found)
    }

    /// Lamports and bytes of all L1 transactions.
    pub fn l1_totals(&self) -> Result<L1Totals, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::META)?;
        match table.get("l1")? {
            Some(totals) => decode(totals.value()),
            None => Ok(L1Totals::default()),
        }
    }

    /// Roots of the blobs that models name: as they are, as they were before the batches that may
    /// have to be taken back, and as they were in those.
    pub fn named_blobs(&self) -> Result<HashSet<Hash>, StoreError> {
        let tx = self.reader()?;
        let mut named = HashSet::new();
        let mut name = |bytes: &[u8]| -> Result<(), StoreError> {
            let model: Model = decode(bytes)?;
            named.extend([model.program_root, model.parameters_root]);
            Ok(())
        };
        for row in tx.open_table(tables::MODELS)?.iter()? {
            name(row?.1.value())?;
        }
        for row in tx.open_table(tables::UNDO_MODELS)?.iter()? {
            name(row?.1.value())?;
        }
        for row in tx.open_table(tables::NAMED)?.iter()? {
            named.insert(*row?.0.value().1);
        }
        Ok(named)
    }

    /// A leaf of the outbox and its batch.
    pub fn outbox_leaf(&self, index: u64) -> Result<Option<(u64, OutboxLeaf)>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::OUTBOX)?;
        let row = table.get(index)?;
        row.map(|row| {
            let (batch, bytes) = row.value();
            Ok((batch, decode(bytes)?))
        })
        .transpose()
    }

    /// Outbox indices of the withdrawals to an L1 recipient.
    pub fn withdrawals_to(&self, recipient: &Key) -> Result<Vec<u64>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_multimap_table(tables::RECIPIENTS)?;
        table
            .get(recipient)?
            .map(|index| Ok(index?.value()))
            .collect()
    }

    /// Outbox index, batch and position of an L1 job's result.
    pub fn job(&self, job: &Key) -> Result<Option<(u64, u64, u32)>, StoreError> {
        let tx = self.reader()?;
        let table = tx.open_table(tables::JOBS)?;
        Ok(table.get(job)?.map(|row| row.value()))
    }
}

/// Everything that the ledger keeps in memory, at one time.
fn ledger(tx: &redb::ReadTransaction) -> Result<LedgerTables, StoreError> {
    let mut all = LedgerTables::default();
    for row in tx.open_table(tables::ACCOUNTS)?.iter()? {
        all.accounts.push(decode(row?.1.value())?);
    }
    for row in tx.open_table(tables::MODELS)?.iter()? {
        all.models.push(decode(row?.1.value())?);
    }
    for row in tx.open_table(tables::OUTBOX)?.iter()? {
        all.outbox.push(decode(row?.1.value().1)?);
    }
    Ok(all)
}
