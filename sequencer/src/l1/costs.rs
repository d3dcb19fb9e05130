//! What a batch really cost on L1, found again there: transactions that landed while nobody
//! listened (a crash, a dead node) are in no answer of the sender, but the batch's data account
//! remembers all but the one that makes the batch final.
//!
//! Only the report of costs depends on it, so it has a task of its own, behind which nothing waits, and
//! a budget: strangers can name the account in as many transactions as they pay for.

use super::L1;
use super::error::L1Error;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::records::{L1Record, L1Step};
use anchor_lang::Discriminator;
use assay_client::{history, pda};
use settlement::instruction::{CloseData, OpenData, PostBatch, SealData, WriteChunks};
use solana_message::VersionedMessage;
use solana_signer::Signer;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Entries of the account's history that are read, the newest.
const MOST_ENTRIES: usize = 4_000;
/// Transactions that are fetched.
const MOST_FETCHED: usize = 1_000;
/// Batches that wait to be reported; those beyond are left incomplete.
const QUEUE: usize = 64;

/// Completes the costs of batches, one after the other, in the background. Dropping it ends it.
#[derive(Debug)]
pub struct Costs {
    queue: mpsc::Sender<u64>,
    _task: AbortOnDropHandle<()>,
}

impl Costs {
    /// Starts the task.
    pub fn start(l1: L1, store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        let (queue, mut wanted) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            while let Some(number) = wanted.recv().await {
                match complete(&l1, &store, number).await {
                    Ok((lamports, bytes)) => {
                        metrics.l1_lamports.inc_by(lamports);
                        metrics.l1_bytes.inc_by(bytes);
                    }
                    Err(error) => {
                        tracing::warn!(%error, batch = number, "its L1 costs are incomplete");
                    }
                }
            }
        });
        Self {
            queue,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Has the costs of batch `number` completed, sooner or later.
    pub fn want(&self, number: u64) {
        if self.queue.try_send(number).is_err() {
            tracing::debug!(batch = number, "its L1 costs may be incomplete");
        }
    }
}

/// Notes the L1 transactions of batch `number` that the store does not have. Lamports and bytes
/// of those that it had not.
async fn complete(l1: &L1, store: &Store, number: u64) -> Result<(u64, u64), L1Error> {
    let known: HashSet<[u8; 64]> = store.l1(number)?.into_iter().map(|(s, _)| s).collect();
    let address = pda::batch_data(&l1.key.pubkey(), number);
    // Failed ones too: they were paid.
    let entries = history::newest(l1.rpc(), &address, MOST_ENTRIES).await?;
    let mut found = (0u64, 0u64);
    // The newest first: with junk before them, at least the last steps are found.
    let unknown = entries.into_iter().map(|entry| entry.signature);
    let unknown = unknown.filter(|signature| !known.contains(signature.as_array()));
    for signature in unknown.take(MOST_FETCHED) {
        let Some(transaction) = l1.rpc().transaction(&signature).await? else {
            continue;
        };
        let (lamports, bytes) = history::cost(&transaction);
        let Some(decoded) = transaction.transaction.transaction.decode() else {
            continue;
        };
        let Some(step) = step(&decoded.message) else {
            // A stranger's transaction that names the account.
            continue;
        };
        let record = L1Record {
            order: 0,
            step,
            lamports,
            bytes,
        };
        found.0 = found.0.saturating_add(record.lamports);
        found.1 = found.1.saturating_add(record.bytes);
        store.note_l1(number, signature.as_array(), record)?;
    }
    Ok(found)
}

/// What a transaction of ours did for the batch.
fn step(message: &VersionedMessage) -> Option<L1Step> {
    let keys = message.static_account_keys();
    let ours = |discriminator: &[u8]| {
        message.instructions().iter().any(|i| {
            keys.get(usize::from(i.program_id_index)) == Some(&settlement::ID)
                && i.data.starts_with(discriminator)
        })
    };
    // Posting closes the data account too, creating opens it: the first that fits.
    [
        (PostBatch::DISCRIMINATOR, L1Step::Post),
        (OpenData::DISCRIMINATOR, L1Step::Create),
        (SealData::DISCRIMINATOR, L1Step::Seal),
        (WriteChunks::DISCRIMINATOR, L1Step::Write),
        (CloseData::DISCRIMINATOR, L1Step::Close),
    ]
    .into_iter()
    .find(|(discriminator, _)| ours(discriminator))
    .map(|(_, step)| step)
}
