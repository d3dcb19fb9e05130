//! What a batch really cost on L1, found again there: transactions that landed while nobody
//! listened (a crash, a dead node) are in no answer of the sender, but the batch's data account
//! remembers all but the one that makes the batch final.

use super::L1;
use super::error::L1Error;
use crate::store::Store;
use crate::store::records::{L1Record, L1Step};
use anchor_lang::Discriminator;
use assay_client::{history, pda};
use settlement::instruction::{CloseData, OpenData, PostBatch, SealData, WriteChunks};
use solana_message::VersionedMessage;
use solana_signer::Signer;
use std::collections::HashSet;

/// Notes the L1 transactions of batch `number` that the store does not have. Lamports and bytes
/// of those that it had not.
pub async fn complete(l1: &L1, store: &Store, number: u64) -> Result<(u64, u64), L1Error> {
    let known: HashSet<[u8; 64]> = store.l1(number)?.into_iter().map(|(s, _)| s).collect();
    let address = pda::batch_data(&l1.key.pubkey(), number);
    // Failed ones too: they were paid.
    let entries = history::all(l1.rpc(), &address, None).await?;
    let mut found = (0u64, 0u64);
    for signature in entries.into_iter().rev().map(|entry| entry.signature) {
        if known.contains(signature.as_array()) {
            continue;
        }
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
