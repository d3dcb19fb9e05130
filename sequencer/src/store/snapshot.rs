//! The state after a batch, whole: to be given to others, and to begin with.

use super::commit::{Commit, NewLeaf};
use super::records::{BatchRecord, Progress, Totals};
use super::{Store, StoreError};
use assay_ledger::snapshot::{NoSnapshot, Snapshot};

impl Store {
    /// The state after batch `batch`, which is not before the newest final one; `None` if there is no such batch. Has to be
    /// checked, as what was changed after it is forgotten once a later one is final.
    pub fn snapshot(&self, batch: u64) -> Result<Option<Snapshot>, StoreError> {
        let Some(BatchRecord { header, .. }) = self.batch(batch)? else {
            return Ok(None);
        };
        let mut all = self.ledger_after(batch)?;
        // Not more than there is memory for.
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        all.accounts.truncate(count(header.state.accounts.count));
        all.models.truncate(count(header.state.models.count));
        all.outbox.truncate(count(header.state.outbox.count));
        let mut snapshot = Snapshot {
            header,
            accounts: all.accounts,
            models: all.models,
            outbox: all.outbox,
            programs: Vec::new(),
        };
        let roots = snapshot.models.iter().map(|model| model.program_root);
        let roots: std::collections::BTreeSet<_> = roots.collect();
        for root in roots {
            snapshot.programs.extend(self.program_header(&root)?);
        }
        Ok(Some(snapshot))
    }

    /// Begins a new store with a state, in the place of genesis.
    ///
    /// # Errors
    /// [`NoBeginning::Snapshot`] if it is not the one after its batch.
    pub fn begin(&self, snapshot: &Snapshot) -> Result<(), NoBeginning> {
        let header = snapshot.header;
        // Checks that all of it follows from the header.
        let state = snapshot.state()?;
        let number = header.number;
        let leaves = snapshot.outbox.iter().copied();
        let leaves = (0..header.state.outbox.count)
            .zip(leaves)
            .map(|(index, leaf)| {
                NewLeaf {
                    index,
                    // Which one sent it, and where, is not known.
                    batch: number,
                    position: 0,
                    leaf,
                }
            });
        let accounts = (0u32..).zip(state.accounts());
        let models = (0u32..).zip(state.models());
        let record = BatchRecord {
            header,
            inferences: 0,
        };
        let commit = Commit {
            accounts: accounts.map(|(i, a)| (number, i, *a)).collect(),
            models: models.map(|(i, m)| (number, i, *m)).collect(),
            outbox: leaves.collect(),
            closed: vec![(record, Vec::new())],
            programs: snapshot.programs()?.into_values().collect(),
            ..Commit::default()
        };
        let progress = Progress {
            number: number.saturating_add(1),
            parent: header.hash(),
            transactions: 0,
            components: header.state.next_batch(),
            params: header.params,
            totals: Totals::default(),
        };
        Ok(self.commit(&commit, &progress)?)
    }
}

/// Why a store does not begin with a state.
#[derive(Debug, thiserror::Error)]
pub enum NoBeginning {
    /// It is not the state after its batch.
    #[error(transparent)]
    Snapshot(#[from] NoSnapshot),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
