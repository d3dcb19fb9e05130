//! A sequencer that lies once: from when it is told to, in the next batch that it can lie about.

use super::Cheat;
use super::honest::{CheatError, Honest};
use super::lies::Lie;
use crate::engine::rebuild::restore;
use crate::l1::error::L1Error;
use crate::store::records::BatchRecord;
use crate::store::{Store, StoreError};
use assay_dispute::player::Library;
use assay_ledger::Hash;
use assay_ledger::header::Header;
use assay_ledger::state::StateComponents;
use assay_ledger::store::FullState;
use solana_keypair::Keypair;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// A lie that was told.
#[derive(Debug)]
pub struct Told {
    /// What was posted.
    pub lie: Lie,
    /// What would have been honest.
    pub honest: Header,
    /// The header of the batch before; none for batch 1.
    pub parent: Option<Header>,
    /// The state after the batch before, with the messages that the batch may consume.
    pub before: FullState,
}

/// A sequencer that lies once.
#[derive(Debug)]
pub struct Cheater {
    cheat: Cheat,
    key: Arc<Keypair>,
    /// The models of the batch that it will lie about; it is honest until it has them.
    library: Mutex<Option<Arc<Library>>>,
    told: watch::Sender<Option<Arc<Told>>>,
    seen: watch::Sender<bool>,
}

impl Cheater {
    /// One that will cheat in this way; `key` is the sequencer's.
    pub fn new(cheat: Cheat, key: Arc<Keypair>) -> Self {
        Self {
            cheat,
            key,
            library: Mutex::default(),
            told: watch::Sender::new(None),
            seen: watch::Sender::new(false),
        }
    }

    /// From now on it lies as soon as it can. `library` has the models that its batches run.
    pub fn arm(&self, library: Arc<Library>) {
        *self.library() = Some(library);
    }

    /// The lie, once it is told; whether it stands on L1 follows from [`Cheater::seen`].
    pub fn told(&self) -> Option<Arc<Told>> {
        self.told.borrow().clone()
    }

    /// Becomes true when the lie has been seen on L1.
    pub fn seen(&self) -> watch::Receiver<bool> {
        self.seen.subscribe()
    }

    /// Whether the lie is the batch of this number and hash on L1.
    pub(crate) fn posted(&self, number: u64, hash: &Hash) -> bool {
        let lie = self.told().is_some_and(|told| {
            let header = &told.lie.claims.header;
            header.number == number && header.hash() == *hash
        });
        if lie {
            self.seen.send_replace(true);
        }
        lie
    }

    /// What is posted for a closed batch. A lie that was on L1 and is so no more was reverted; it is
    /// not told again, and the batch goes there as it is.
    pub(crate) fn alter(
        &self,
        store: &Store,
        mut record: BatchRecord,
        data: Vec<u8>,
    ) -> Result<(BatchRecord, Vec<u8>), L1Error> {
        let number = record.header.number;
        let told = match self.told() {
            Some(told) => Some(told),
            None => self.tell(store, &record.header, &data)?,
        };
        let lie = told.filter(|told| told.honest.number == number && !*self.seen.borrow());
        let Some(told) = lie else {
            return Ok((record, data));
        };
        record.header = told.lie.claims.header;
        Ok((record, told.lie.data.clone()))
    }

    /// Makes the lie of an honest batch; `None` if it cannot lie yet, or not about this one.
    fn tell(
        &self,
        store: &Store,
        header: &Header,
        data: &[u8],
    ) -> Result<Option<Arc<Told>>, L1Error> {
        let Some(library) = self.library().clone() else {
            return Ok(None);
        };
        let parent = match header.number.checked_sub(1) {
            Some(0) | None => None,
            Some(number) => store.batch(number)?.map(|record| record.header),
        };
        let base = match &parent {
            Some(parent) => parent.state.next_batch(),
            None => StateComponents::genesis(),
        };
        let number = header.number.saturating_sub(1);
        let mut before = restore(store, number, &base)
            .map_err(|e| StoreError::Record(format!("batch {number}: {e}")))?;
        for message in store.messages(base.inbox.cursor)? {
            before.push_message(message);
        }
        let lie = Honest::new(*header, data, before.clone(), library)
            .and_then(|honest| Lie::new(self.cheat, &honest, &self.key));
        let lie = match lie {
            Ok(lie) => lie,
            Err(CheatError::Without(what)) => {
                tracing::info!(batch = header.number, "posted as it is: it has no {what}");
                return Ok(None);
            }
            Err(error) => return Err(StoreError::Record(error.to_string()).into()),
        };
        tracing::warn!(batch = header.number, cheat = %self.cheat, "a lie is posted");
        let told = Arc::new(Told {
            lie,
            honest: *header,
            parent,
            before,
        });
        self.told.send_replace(Some(told.clone()));
        Ok(Some(told))
    }

    fn library(&self) -> MutexGuard<'_, Option<Arc<Library>>> {
        self.library.lock().unwrap_or_else(|e| e.into_inner())
    }
}
