//! How much room blobs take that no model names.
//!
//! Anybody may upload a blob, and only a deployment, which is signed and paid for, gives it a meaning.
//! What models name, those of batches that may be taken back included, is kept without a limit here. The
//! rest counts against a quota; where that is used up, the oldest give way, but none that was uploaded a
//! short time ago: its deployment may be on its way.

use super::blobs::BlobError;
use super::{Store, StoreError};
use assay_ledger::Hash;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

/// What a file takes at least, whatever it holds.
const LEAST: u64 = 4_096;

/// The quota of one directory.
#[derive(Debug)]
pub struct Quota {
    store: Arc<Store>,
    /// Bytes.
    most: u64,
    /// Younger blobs do not give way.
    age: Duration,
    /// A bound on what counts; none before the first look.
    used: Mutex<Option<u64>>,
}

struct Unnamed {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Quota {
    /// At most `most` bytes of blobs that no model of `store` names; those older than `age` may give
    /// way.
    pub fn new(store: Arc<Store>, most: u64, age: Duration) -> Self {
        Self {
            store,
            most,
            age,
            used: Mutex::new(None),
        }
    }

    /// Makes room in `dir` for a blob of so many bytes, which is written while this is held.
    pub(super) fn reserve(
        &self,
        dir: &Path,
        bytes: u64,
    ) -> Result<MutexGuard<'_, Option<u64>>, BlobError> {
        let bytes = bytes.max(LEAST);
        let mut used = self.used.lock().unwrap_or_else(|e| e.into_inner());
        let sum = match *used {
            Some(used) if used.saturating_add(bytes) <= self.most => used,
            _ => self.evict(dir, bytes)?,
        };
        *used = Some(sum);
        if sum.saturating_add(bytes) > self.most {
            return Err(BlobError::Quota {
                used: sum,
                most: self.most,
            });
        }
        *used = Some(sum + bytes);
        Ok(used)
    }

    /// Counts what no model names; where there is no room for `bytes`, removes the oldest of it. What
    /// then counts.
    fn evict(&self, dir: &Path, bytes: u64) -> Result<u64, BlobError> {
        let named = (self.store.named_blobs())
            .map_err(|e: StoreError| BlobError::Io(std::io::Error::other(e)))?;
        let mut unnamed = list(dir, &named)?;
        let mut sum = unnamed.iter().map(|blob| blob.bytes).sum::<u64>();
        if sum.saturating_add(bytes) <= self.most {
            return Ok(sum);
        }
        unnamed.sort_by_key(|blob| blob.modified);
        // Some more than is needed, so that not every upload looks at them all.
        let target = (self.most - self.most / 8).saturating_sub(bytes);
        let now = SystemTime::now();
        for blob in unnamed {
            let old = now.duration_since(blob.modified).unwrap_or_default() >= self.age;
            if sum <= target || !old {
                break;
            }
            // It may have been made the youngest meanwhile: a batch is about to name it.
            if std::fs::metadata(&blob.path)?.modified()? != blob.modified {
                continue;
            }
            std::fs::remove_file(&blob.path)?;
            tracing::info!(blob = %blob.path.display(), "a blob that no model names gives way");
            sum -= blob.bytes;
        }
        Ok(sum)
    }
}

/// The blobs in `dir` that are not `named`.
fn list(dir: &Path, named: &HashSet<Hash>) -> Result<Vec<Unnamed>, BlobError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let mut root = [0; 32];
        // Anything else there is a file being written.
        let is_blob = (entry.file_name().to_str())
            .is_some_and(|name| hex::decode_to_slice(name, &mut root).is_ok());
        if is_blob && !named.contains(&root) {
            let meta = entry.metadata()?;
            found.push(Unnamed {
                path: entry.path(),
                bytes: meta.len().max(LEAST),
                modified: meta.modified()?,
            });
        }
    }
    Ok(found)
}
