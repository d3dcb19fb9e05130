//! What survives kill -9: the state, the transactions and the batches in one embedded database,
//! the blobs in files beside it.
//!
//! * [`tables`]: what is where
//! * [`records`]: how it is encoded
//! * [`commit`]: the one place that changes the ledger's tables, atomically and durably
//! * [`undo`]: the other way, back to an earlier batch
//! * [`read`]: what the API and a restart read
//! * [`programs`]: headers of programs; [`snapshot`]: a whole state, given and taken
//! * [`blobs`]: content-addressed files; [`quota`]: how many that no model names
//! * [`unverified`]: runs that a verifier could not re-execute
//! * [`leaves`]: programs by their leaves, malformed ones too; [`pieces`]: parts of models that L1 gave

pub mod blobs;
pub mod commit;
pub mod disputed;
pub mod leaves;
pub mod lives;
pub mod pieces;
pub mod programs;
pub mod quota;
pub mod read;
pub mod records;
pub mod snapshot;
pub mod tables;
pub mod undo;
pub mod unverified;

use assay_ledger::Key;
use redb::{Database, ReadableDatabase, ReadableTable};
use std::path::Path;

/// Version of the store's format.
const FORMAT: u32 = 3;

/// What can go wrong with the store. All of it is critical: nothing is answered that is not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be used.
    #[error(
        "the data directory {path} cannot be written ({cause}): make it writable, or set `data_dir` to another"
    )]
    Directory {
        /// Which.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "the store in {0} is in use by another process: stop that one, or set `data_dir` to another directory"
    )]
    InUse(String),
    /// The database failed: a full disk, a broken one.
    #[error(
        "the store failed ({0}): see that the disk is neither full nor broken, then start again; what was answered is safe"
    )]
    Database(redb::Error),
    /// A record does not decode.
    #[error(
        "a record of the store does not decode ({0}): the data directory was written by another version, or is damaged"
    )]
    Record(String),
    /// It belongs to something else.
    #[error(
        "the data directory holds {what} {found}, but the configuration says {expected}: set `data_dir` to another directory"
    )]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// In the store.
        found: String,
        /// In the configuration.
        expected: String,
    },
}

macro_rules! from_redb {
    ($($error:ty),*) => { $(impl From<$error> for StoreError {
        fn from(e: $error) -> Self {
            Self::Database(e.into())
        }
    })* };
}
from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::DatabaseError,
    redb::Error
);

/// The database.
#[derive(Debug)]
pub struct Store {
    db: Database,
}

impl Store {
    /// Opens the store in `dir`, making it where there is none. It belongs to one rollup and one
    /// sequencer key.
    pub fn open(dir: &Path, rollup: &Key, sequencer: &Key) -> Result<Self, StoreError> {
        let directory = |cause| StoreError::Directory {
            path: dir.display().to_string(),
            cause,
        };
        std::fs::create_dir_all(dir).map_err(directory)?;
        // The database reports a file that it cannot write in words about locks; ask first.
        tempfile::tempfile_in(dir).map_err(directory)?;
        let db = match Database::create(dir.join("state.redb")) {
            Ok(db) => db,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::InUse(dir.display().to_string()));
            }
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(cause))) => {
                return Err(directory(cause));
            }
            Err(e) => return Err(e.into()),
        };
        let store = Self { db };
        store.check_identity(rollup, sequencer)?;
        Ok(store)
    }

    fn check_identity(&self, rollup: &Key, sequencer: &Key) -> Result<(), StoreError> {
        let tx = self.db.begin_write()?;
        {
            // Tables exist from the first start on, so that readers need no special case.
            tables::create_all(&tx)?;
            commit::sum_l1(&tx)?;
            let mut meta = tx.open_table(tables::META)?;
            let text = |b: &[u8]| bs58::encode(b).into_string();
            for (key, value, what) in [
                ("format", &FORMAT.to_le_bytes()[..], "format version"),
                ("rollup", &rollup[..], "rollup"),
                ("sequencer", &sequencer[..], "sequencer key"),
            ] {
                let found: Option<Vec<u8>> = meta.get(key)?.map(|v| v.value().to_vec());
                match found {
                    None => {
                        meta.insert(key, value)?;
                    }
                    Some(found) if found == value => {}
                    Some(found) => {
                        return Err(StoreError::Mismatch {
                            what,
                            found: text(&found),
                            expected: text(value),
                        });
                    }
                }
            }
        }
        tx.commit()?;
        Ok(())
    }

    pub(crate) fn reader(&self) -> Result<redb::ReadTransaction, StoreError> {
        Ok(self.db.begin_read()?)
    }

    pub(crate) fn writer(&self) -> Result<redb::WriteTransaction, StoreError> {
        Ok(self.db.begin_write()?)
    }
}
