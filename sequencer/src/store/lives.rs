//! Which batches were sent to L1: what is reverted there is not posted again as if nothing had happened.

use super::{Store, StoreError, tables};
use assay_ledger::Hash;

impl Store {
    /// The hash with which batch `number` was last sent to L1, and the rollup's count of reverts then.
    pub fn life(&self, number: u64) -> Result<Option<(Hash, u32)>, StoreError> {
        let tx = self.reader()?;
        let lives = tx.open_table(tables::LIVES)?;
        let found = lives.get(number)?;
        Ok(found.map(|found| {
            let (hash, life) = found.value();
            (*hash, life)
        }))
    }

    /// Notes that batch `number` is sent to L1, which has counted so many reverts.
    pub fn note_life(&self, number: u64, hash: &Hash, life: u32) -> Result<(), StoreError> {
        let tx = self.writer()?;
        tx.open_table(tables::LIVES)?.insert(number, (hash, life))?;
        tx.commit()?;
        Ok(())
    }
}
