//! Back to an earlier batch. What a batch changed is kept until it is final, so that the batches
//! after it can be taken back.

use super::records::{TxRecord, decode};
use super::{Store, StoreError, tables};
use assay_ledger::Hash;
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::state::{Account, StateComponents};
use redb::{ReadableTable, Table, WriteTransaction};

impl Store {
    /// Forgets what was kept to take back the batches up to `batch`, which is final, and the
    /// messages before `cursor`, which it has consumed.
    pub fn forget(&self, batch: u64, cursor: u64) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut accounts = tx.open_table(tables::UNDO_ACCOUNTS)?;
            accounts.retain_in(..=(batch, u32::MAX), |_, _| false)?;
            let mut models = tx.open_table(tables::UNDO_MODELS)?;
            models.retain_in(..=(batch, u32::MAX), |_, _| false)?;
            let mut named = tx.open_table(tables::NAMED)?;
            named.retain_in(..=(batch, &[u8::MAX; 32]), |_, ()| false)?;
            let mut messages = tx.open_table(tables::MESSAGES)?;
            messages.retain_in(..cursor, |_, _| false)?;
            super::disputed::forget(&tx, batch)?;
            let mut lives = tx.open_table(tables::LIVES)?;
            lives.retain_in(..=batch, |_, _| false)?;
        }
        tx.commit()?;
        Ok(())
    }
}

/// Takes back everything after batch `batch`, after which the state was `state`. The messages that
/// were consumed stay: they will be again.
pub(super) fn take_back(
    tx: &WriteTransaction,
    batch: u64,
    state: &StateComponents,
) -> Result<(), StoreError> {
    let first = batch.saturating_add(1);
    let mut accounts = tx.open_table(tables::ACCOUNTS)?;
    restore(
        &mut accounts,
        &mut tx.open_table(tables::UNDO_ACCOUNTS)?,
        first,
    )?;
    let mut owners = tx.open_table(tables::OWNERS)?;
    for bytes in cut(&mut accounts, index(state.accounts.count)?)? {
        let account: Account = decode(&bytes)?;
        owners.remove((&account.owner, &account.mint))?;
    }
    let mut models = tx.open_table(tables::MODELS)?;
    restore(&mut models, &mut tx.open_table(tables::UNDO_MODELS)?, first)?;
    cut(&mut models, index(state.models.count)?)?;
    take_back_outbox(tx, state.outbox.count)?;

    tx.open_table(tables::NAMED)?
        .retain_in((first, &[0; 32]).., |_, ()| false)?;
    let mut removed = Vec::new();
    tx.open_table(tables::TRANSACTIONS)?
        .retain_in((first, 0).., |_, bytes| {
            removed.push(bytes.to_vec());
            false
        })?;
    let mut ids = tx.open_table(tables::IDS)?;
    for bytes in removed {
        if let Some(id) = decode::<TxRecord>(&bytes)?.id {
            ids.remove(&id as &Hash)?;
        }
    }
    tx.open_table(tables::BATCHES)?
        .retain_in(first.., |_, _| false)?;
    tx.open_table(tables::DATA)?
        .retain_in(first.., |_, _| false)?;
    Ok(())
}

fn take_back_outbox(tx: &WriteTransaction, count: u64) -> Result<(), StoreError> {
    let mut removed = Vec::new();
    tx.open_table(tables::OUTBOX)?
        .retain_in(count.., |index, (_, bytes)| {
            removed.push((index, bytes.to_vec()));
            false
        })?;
    let mut recipients = tx.open_multimap_table(tables::RECIPIENTS)?;
    let mut jobs = tx.open_table(tables::JOBS)?;
    for (index, bytes) in removed {
        match decode(&bytes)? {
            OutboxLeaf::Withdrawal { recipient, .. } => {
                recipients.remove(&recipient, index)?;
            }
            OutboxLeaf::JobResult { job, .. } => {
                jobs.remove(&job)?;
            }
        }
    }
    Ok(())
}

/// Puts back what batch `first` and those after it changed: the newest first, so that what was
/// there before all of them stays.
fn restore(
    now: &mut Table<u32, &[u8]>,
    before: &mut Table<(u64, u32), &[u8]>,
    first: u64,
) -> Result<(), StoreError> {
    for row in before.range((first, 0)..)?.rev() {
        let (key, old) = row?;
        now.insert(key.value().1, old.value())?;
    }
    before.retain_in((first, 0).., |_, _| false)?;
    Ok(())
}

/// Removes the rows from `count` on; their values.
fn cut(table: &mut Table<u32, &[u8]>, count: u32) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut removed = Vec::new();
    table.retain_in(count.., |_, bytes| {
        removed.push(bytes.to_vec());
        false
    })?;
    Ok(removed)
}

fn index(count: u64) -> Result<u32, StoreError> {
    u32::try_from(count).map_err(|_| StoreError::Record(format!("a state with {count} rows")))
}
