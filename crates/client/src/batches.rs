//! Reading the batches of a rollup: their headers from the instruction data of `post_batch`, their
//! data from that of `write_chunks`.
//!
//! The chain account has the newest batches' hashes; a header is taken when it has the hash that
//! L1, or the header after it, names, and data when it has the header's data root. So a node that
//! lies, or forgets, can delay the reader but not mislead it.
//!
//! Who names the accounts of a batch in transactions of his own makes a reader fetch those too. It
//! costs him a fee for each, and the reader one call.

use crate::history::{self, Call, Entry};
use crate::pda;
use crate::rpc::{Rpc, RpcError, Severity};
use anchor_lang::Discriminator;
use assay_ledger::Hash;
use assay_ledger::data::{CHUNK, chunk_count, data_root};
use assay_ledger::header::{Header, genesis_hash};
use futures::{StreamExt, TryStreamExt};
use settlement::header::BatchHeader;
use settlement::instruction::{OpenData, PostBatch, WriteChunks};
use settlement::state::Chain;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta;
use std::collections::HashMap;

/// Transactions fetched at a time.
const WIDTH: usize = 16;

/// A batch as it was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its header.
    pub header: Header,
    /// The account in whose transactions its data is.
    pub data: Pubkey,
    /// The transaction that posted it.
    pub signature: Signature,
    /// The slot of that transaction.
    pub slot: u64,
    /// The fee that was paid for it.
    pub lamports: u64,
    /// Its bytes on the wire.
    pub bytes: u64,
}

/// Why batches cannot be read (now).
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// A read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// L1 has a batch, and the node has not given the transaction that posted it (yet).
    #[error("batch {number} is on L1, but the node does not give the transaction that posted it")]
    Missing {
        /// The batch.
        number: u64,
    },
    /// The node does not give all transactions with the batch's data (yet).
    #[error("the data of batch {number} is on L1, but the node does not give all of it")]
    Data {
        /// The batch.
        number: u64,
    },
    /// What the reader has is final on L1 in another form: it is another rollup's, or another
    /// chain's.
    #[error("batch {number}, which is final on L1, is not the one that was read")]
    Diverged {
        /// The batch.
        number: u64,
    },
}

impl BatchError {
    /// Whether to try again.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Rpc(e) => e.severity(),
            Self::Missing { .. } | Self::Data { .. } => Severity::Temporary,
            Self::Diverged { .. } => Severity::Permanent,
        }
    }
}

/// How L1's batches differ from those that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The newest batch that both have; those after it that were known are reverted. 0 is genesis.
    pub common: u64,
    /// L1's batches after it, oldest first.
    pub batches: Vec<Posted>,
}

/// Reads a rollup's headers.
#[derive(Clone, Debug)]
pub struct Reader {
    rollup: Pubkey,
    /// Batches that were posted, by hash; those before the newest final one are forgotten.
    posts: HashMap<Hash, Posted>,
    /// The newest transaction of the chain account that was looked at.
    until: Option<Signature>,
}

impl Reader {
    /// A reader of the batches that were posted after transaction `until`; of all for `None`.
    pub fn new(rollup: Pubkey, until: Option<Signature>) -> Self {
        Self {
            rollup,
            posts: HashMap::new(),
            until,
        }
    }

    /// Compares L1's batches with the known ones: `known` gives the hash of the known batch with
    /// a number, `None` past the newest one. What is known must have been posted before the
    /// transaction that the reader began after.
    pub async fn read(
        &mut self,
        rpc: &Rpc,
        chain: &Chain,
        known: impl Fn(u64) -> Option<Hash>,
    ) -> Result<Ahead, BatchError> {
        let genesis = genesis_hash(&self.rollup.to_bytes());
        let known = |number| match number {
            0 => Some(genesis),
            _ => known(number),
        };
        let tip = chain.tip();
        let (mut number, mut hash) = match tip.number {
            0 => (0, genesis),
            number => (number, tip.hash),
        };
        let mut batches = Vec::new();
        while known(number) != Some(hash) {
            if number == 0 {
                return Err(BatchError::Diverged { number: 1 });
            }
            if !self.posts.contains_key(&hash) {
                self.scan(rpc).await?;
            }
            let posted = self.posts.get(&hash);
            let posted = posted.ok_or(BatchError::Missing { number })?;
            batches.push(*posted);
            hash = posted.header.parent;
            number -= 1;
        }
        if number < chain.final_number && known(number + 1).is_some() {
            return Err(BatchError::Diverged { number: number + 1 });
        }
        batches.reverse();
        Ok(Ahead {
            common: number,
            batches,
        })
    }

    /// Forgets the batches up to `number`, which is final and known.
    pub fn forget(&mut self, number: u64) {
        self.posts.retain(|_, posted| posted.header.number > number);
    }

    /// Adds what was posted since the last time.
    async fn scan(&mut self, rpc: &Rpc) -> Result<(), BatchError> {
        let chain = pda::chain(&self.rollup);
        let entries = history::all(rpc, &chain, self.until).await?;
        let newest = entries.first().map(|entry| entry.signature);
        let succeeded = entries.into_iter().filter(|entry| !entry.failed);
        let mut transactions = fetch(rpc, succeeded);
        let mut complete = true;
        while let Some((entry, transaction)) = transactions.try_next().await? {
            let Some(transaction) = transaction else {
                complete = false;
                continue;
            };
            for call in history::calls(&transaction) {
                if let Some((header, data)) = post(&call, &self.rollup) {
                    let (lamports, bytes) = history::cost(&transaction);
                    let posted = Posted {
                        header,
                        data,
                        signature: entry.signature,
                        slot: entry.slot,
                        lamports,
                        bytes,
                    };
                    self.posts.insert(header.hash(), posted);
                }
            }
        }
        if complete && newest.is_some() {
            self.until = newest;
        }
        Ok(())
    }
}

/// The transactions of these entries, in order; `None` for one that the node does not have (yet).
fn fetch(
    rpc: &Rpc,
    entries: impl IntoIterator<Item = Entry>,
) -> impl futures::TryStream<
    Ok = (Entry, Option<EncodedConfirmedTransactionWithStatusMeta>),
    Error = RpcError,
> + Unpin {
    let fetched = futures::stream::iter(entries)
        .map(async move |entry: Entry| Ok((entry, rpc.transaction(&entry.signature).await?)))
        .buffered(WIDTH);
    Box::pin(fetched)
}

/// The header that a call posts to `rollup`, and the account of its data.
fn post(call: &Call, rollup: &Pubkey) -> Option<(Header, Pubkey)> {
    // The accounts of `post_batch`: key, rollup, chain, sequencer, data, page.
    if call.program != settlement::ID || call.account(1) != *rollup {
        return None;
    }
    let arguments = call.data.strip_prefix(PostBatch::DISCRIMINATOR)?;
    let header: BatchHeader = borsh::from_slice(arguments).ok()?;
    Some((header.to_ledger().ok()?, call.account(4)))
}

/// The data of a batch.
pub async fn data(rpc: &Rpc, posted: &Posted) -> Result<Vec<u8>, BatchError> {
    let header = &posted.header;
    let missing = BatchError::Data {
        number: header.number,
    };
    let mut found = Chunks::new(posted.data, header.data_len);
    // Backwards from the call that posted it: what was written last is what was sealed.
    let Some(transaction) = rpc.transaction(&posted.signature).await? else {
        return Err(missing);
    };
    let rollup = Pubkey::new_from_array(header.rollup);
    let mut calls = history::calls(&transaction);
    let posts = |call: &Call| post(call, &rollup).is_some_and(|(h, _)| h == *header);
    calls.truncate(calls.iter().position(posts).unwrap_or(0));
    found.add(&calls);
    let mut before = posted.signature;
    while !found.done() {
        let entries = history::page(rpc, &posted.data, Some(before), None).await?;
        let Some(last) = entries.last() else {
            return Err(missing);
        };
        before = last.signature;
        let succeeded = entries.into_iter().filter(|entry| !entry.failed);
        let mut transactions = fetch(rpc, succeeded);
        while let Some((_, transaction)) = transactions.try_next().await? {
            let Some(transaction) = transaction else {
                return Err(missing);
            };
            found.add(&history::calls(&transaction));
            if found.done() {
                break;
            }
        }
    }
    let data = found.bytes();
    let whole = data.len() as u64 == u64::from(header.data_len);
    match whole && data_root(&data) == header.data_root {
        true => Ok(data),
        false => Err(missing),
    }
}

/// The chunks of a batch's data, found from the last that was written back to the first.
struct Chunks {
    account: Pubkey,
    len: u64,
    chunks: Vec<Option<Vec<u8>>>,
    missing: usize,
    /// The account's opening was met: there is nothing of this data before it.
    opened: bool,
}

impl Chunks {
    fn new(account: Pubkey, len: u32) -> Self {
        let count = chunk_count(len) as usize;
        Self {
            account,
            len: u64::from(len),
            chunks: vec![None; count],
            missing: count,
            opened: false,
        }
    }

    fn done(&self) -> bool {
        self.missing == 0 || self.opened
    }

    /// Adds what these calls of a transaction wrote, unless it was overwritten later.
    fn add(&mut self, calls: &[Call]) {
        for call in calls.iter().rev() {
            if self.done() || call.program != settlement::ID {
                continue;
            }
            // The accounts of `open_data`: poster, rollup, data; of `write_chunks`: poster, data.
            if call.data.starts_with(OpenData::DISCRIMINATOR) && call.account(2) == self.account {
                self.opened = true;
            }
            if call.account(1) == self.account
                && let Some(arguments) = call.data.strip_prefix(WriteChunks::DISCRIMINATOR)
                && let Ok((first, bytes)) = borsh::from_slice::<(u32, Vec<u8>)>(arguments)
            {
                self.write(first, &bytes);
            }
        }
    }

    fn write(&mut self, first: u32, bytes: &[u8]) {
        for (index, chunk) in (u64::from(first)..).zip(bytes.chunks(CHUNK)) {
            let left = self.len.saturating_sub(index.saturating_mul(CHUNK as u64));
            let place = usize::try_from(index).ok();
            let place = place.and_then(|place| self.chunks.get_mut(place));
            if let Some(place @ None) = place
                && chunk.len() as u64 == left.min(CHUNK as u64)
            {
                *place = Some(chunk.to_vec());
                self.missing -= 1;
            }
        }
    }

    /// The chunks that were found, one after the other.
    fn bytes(self) -> Vec<u8> {
        self.chunks.into_iter().flatten().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(account: Pubkey, first: u32, bytes: &[u8]) -> Call {
        let mut data = WriteChunks::DISCRIMINATOR.to_vec();
        data.extend(borsh::to_vec(&(first, bytes.to_vec())).unwrap());
        Call {
            program: settlement::ID,
            accounts: vec![Pubkey::new_from_array([9; 32]), account],
            data,
        }
    }

    fn open(account: Pubkey) -> Call {
        let key = Pubkey::new_from_array([9; 32]);
        Call {
            program: settlement::ID,
            accounts: vec![key, key, account],
            data: OpenData::DISCRIMINATOR.to_vec(),
        }
    }

    #[test]
    fn the_last_that_was_written_counts_and_nothing_before_the_opening() {
        let account = Pubkey::new_from_array([1; 32]);
        let other = Pubkey::new_from_array([2; 32]);
        let data: Vec<u8> = (0..2 * CHUNK + 5).map(|i| i as u8).collect();
        let wrong = vec![7; 2 * CHUNK + 5];
        let history = [
            call(account, 2, &data[2 * CHUNK..]),
            open(account),
            call(account, 0, &wrong),
            call(account, 2, &data[2 * CHUNK..]),
            // Not a chunk's length; out of range; of another account.
            call(account, 2, &wrong[..4]),
            call(account, u32::MAX, &wrong),
            call(other, 2, &wrong[2 * CHUNK..]),
            open(other),
            call(account, 0, &data[..2 * CHUNK]),
        ];
        let mut found = Chunks::new(account, data.len() as u32);
        found.add(&history);
        assert!(found.done() && !found.opened);
        assert_eq!(found.bytes(), data);

        let mut found = Chunks::new(account, data.len() as u32);
        found.add(&history[..2]);
        assert!(found.done() && found.missing == 3);
    }
}
