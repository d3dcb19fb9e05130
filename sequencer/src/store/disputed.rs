//! The batches that a challenger has disputed. L1 forgets a dispute when its account is closed, and anybody
//! may close it; whoever has lost one would open it again, and lose a bond each time. A dispute that L1 has rolled
//! back was not lost: a batch is noted once L1 has the dispute for good.

use super::{Store, StoreError, tables};
use assay_ledger::{Hash, Key};
use redb::WriteTransaction;

/// A batch on L1, in one of its lives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Life {
    /// Its number.
    pub number: u64,
    /// Its header's hash.
    pub hash: Hash,
    /// How many reverts there had been when it was posted.
    pub life: u32,
}

impl Store {
    /// Notes that a challenger has disputed a batch.
    pub fn note_disputed(&self, batch: &Life, challenger: &Key) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut table = tx.open_table(tables::DISPUTED)?;
            table.insert((batch.number, &batch.hash, batch.life, challenger), ())?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Whether a challenger has disputed a batch.
    pub fn disputed(&self, batch: &Life, challenger: &Key) -> Result<bool, StoreError> {
        let table = self.reader()?.open_table(tables::DISPUTED)?;
        let key = (batch.number, &batch.hash, batch.life, challenger);
        Ok(redb::ReadableTable::get(&table, key)?.is_some())
    }
}

/// Forgets the batches up to number `batch`, which is final.
pub(super) fn forget(tx: &WriteTransaction, batch: u64) -> Result<(), StoreError> {
    const LAST: [u8; 32] = [u8::MAX; 32];
    let mut table = tx.open_table(tables::DISPUTED)?;
    table.retain_in(..=(batch, &LAST, u32::MAX, &LAST), |_, ()| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_disputed_is_known_after_a_restart_until_it_is_final() {
        let dir = tempfile::tempdir().unwrap();
        let batch = Life {
            number: 7,
            hash: [7; 32],
            life: 2,
        };
        let other = Life { life: 3, ..batch };
        let next = Life { number: 8, ..batch };
        let store = Store::open(dir.path(), &[1; 32], &[0; 32]).unwrap();
        assert!(!store.disputed(&batch, &[5; 32]).unwrap());
        store.note_disputed(&batch, &[5; 32]).unwrap();
        store.note_disputed(&next, &[5; 32]).unwrap();
        drop(store);
        let store = Store::open(dir.path(), &[1; 32], &[0; 32]).unwrap();
        assert!(store.disputed(&batch, &[5; 32]).unwrap());
        // Posted again after a revert it is disputed anew; and another key has not disputed it.
        assert!(!store.disputed(&other, &[5; 32]).unwrap());
        assert!(!store.disputed(&batch, &[6; 32]).unwrap());
        store.forget(7, 0).unwrap();
        assert!(!store.disputed(&batch, &[5; 32]).unwrap());
        assert!(store.disputed(&next, &[5; 32]).unwrap());
    }
}
