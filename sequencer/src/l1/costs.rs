//! What a batch really cost on L1, found again there: transactions that landed while nobody
//! listened (a crash, a dead node) are in no answer of the sender, but the batch's data account
//! remembers all but the one that makes the batch final.

use super::L1;
use super::error::L1Error;
use crate::store::Store;
use crate::store::records::{L1Record, L1Step};
use anchor_lang::Discriminator;
use assay_client::{pda, wire};
use settlement::instruction::{CloseData, OpenData, PostBatch, SealData, WriteChunks};
use solana_client::rpc_client::GetConfirmedSignaturesForAddress2Config;
use solana_message::VersionedMessage;
use solana_signature::Signature;
use solana_signer::Signer;
use std::collections::HashSet;

/// Signatures that a node gives at a time.
const SIGNATURES: usize = 1_000;

/// Notes the L1 transactions of batch `number` that the store does not have. Lamports and bytes
/// of those that it had not.
pub async fn complete(l1: &L1, store: &Store, number: u64) -> Result<(u64, u64), L1Error> {
    let known: HashSet<[u8; 64]> = store.l1(number)?.into_iter().map(|(s, _)| s).collect();
    let mut missing = signatures(l1, number).await?;
    missing.retain(|signature| !known.contains(signature.as_array()));
    let mut found = (0u64, 0u64);
    for signature in missing {
        let Some(transaction) = l1.rpc().transaction(&signature).await? else {
            continue;
        };
        let decoded = transaction.transaction.transaction.decode();
        let (Some(decoded), Some(meta)) = (decoded, transaction.transaction.meta) else {
            continue;
        };
        let Some(step) = step(&decoded.message) else {
            // A stranger's transaction that names the account.
            continue;
        };
        let record = L1Record {
            order: 0,
            step,
            lamports: meta.fee,
            bytes: wire::bytes_of(&decoded.message) as u64,
        };
        found.0 = found.0.saturating_add(record.lamports);
        found.1 = found.1.saturating_add(record.bytes);
        store.note_l1(number, signature.as_array(), record)?;
    }
    Ok(found)
}

/// The signatures of all transactions that named the batch's data account, failed ones too: they
/// were paid. Oldest first.
async fn signatures(l1: &L1, number: u64) -> Result<Vec<Signature>, L1Error> {
    let address = pda::batch_data(&l1.key.pubkey(), number);
    let rpc = l1.rpc();
    let mut all = Vec::new();
    loop {
        let part = rpc
            .retry(|| {
                rpc.client().get_signatures_for_address_with_config(
                    &address,
                    GetConfirmedSignaturesForAddress2Config {
                        before: all.last().copied(),
                        until: None,
                        limit: Some(SIGNATURES),
                        commitment: Some(rpc.client().commitment()),
                    },
                )
            })
            .await?;
        let count = part.len();
        all.extend(
            part.iter()
                .filter_map(|s| s.signature.parse::<Signature>().ok()),
        );
        if count < SIGNATURES {
            break;
        }
    }
    all.reverse();
    Ok(all)
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
