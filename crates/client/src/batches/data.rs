//! The data of a batch, from the calls that wrote it.

use super::{BatchError, MOST_PAGES, Posted, post};
use crate::history::{self, Blocks, Call, Entry, FEW_PAGES, SlotReader, WIDTH, Walk, Walked};
use crate::rpc::Rpc;
use anchor_lang::Discriminator;
use assay_ledger::Hash;
use assay_ledger::data::{CHUNK, chunk_count, data_root};
use futures::lock::Mutex as AsyncMutex;
use settlement::instruction::{OpenData, WriteChunks};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Batches whose data is found in part, of which is known.
const MOST_SEARCHES: usize = 64;

/// Reads the data of batches. What it has found it keeps until it has all of a batch, whatever error comes
/// between; clones share it.
#[derive(Clone, Debug, Default)]
pub struct DataReader {
    searches: Arc<Mutex<Searches>>,
}

/// By the transaction that posted the batch, and its hash.
type Searches = HashMap<(Signature, Hash), Arc<AsyncMutex<Search>>>;

/// How far the data of a batch is found.
#[derive(Debug)]
struct Search {
    found: Chunks,
    walk: Walk,
    slots: SlotReader,
    /// Slots of writes that were not gathered, oldest first.
    left: Vec<u64>,
    /// Entries of slots that were gathered and not read.
    gathered: Vec<Entry>,
    /// Whether the transaction that posted the batch was read, which may have written too.
    begun: bool,
    blocks: Blocks,
}

impl DataReader {
    /// The data of a batch.
    pub async fn read(&self, rpc: &Rpc, posted: &Posted) -> Result<Vec<u8>, BatchError> {
        let header = &posted.header;
        let key = (posted.signature, header.hash());
        let search = {
            let mut searches = self.searches();
            if searches.len() >= MOST_SEARCHES && !searches.contains_key(&key) {
                // Of batches that nobody asks for any more.
                searches.clear();
            }
            let search = searches.entry(key);
            search
                .or_insert_with(|| Arc::new(AsyncMutex::new(Search::new(posted))))
                .clone()
        };
        let mut search = search.lock().await;
        search.go_on(rpc, posted).await?;
        if search.blocks == Blocks::Used && !search.found.is(posted) {
            // Once more, without them.
            *search = Search::new(posted);
            search.blocks = Blocks::Useless;
            search.go_on(rpc, posted).await?;
        }
        self.searches().remove(&key);
        search.found.data(posted).ok_or_else(|| missing(posted))
    }

    fn searches(&self) -> MutexGuard<'_, Searches> {
        let locked = self.searches.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(posted: &Posted) -> BatchError {
    BatchError::Data {
        number: posted.header.number,
    }
}

impl Search {
    fn new(posted: &Posted) -> Self {
        Self {
            found: Chunks::new(posted.data, posted.header.data_len),
            walk: Walk::new(posted.data, Some(posted.signature)),
            slots: SlotReader::default(),
            left: posted.writes.iter().collect(),
            gathered: Vec::new(),
            begun: false,
            blocks: Blocks::Untried,
        }
    }

    /// Goes on until all is found, or the slots of all writes were read.
    async fn go_on(&mut self, rpc: &Rpc, posted: &Posted) -> Result<(), BatchError> {
        // Backwards from the call that posted it: what was written last is what was sealed.
        if !self.begun && self.left.last() == Some(&posted.slot) {
            let transaction = rpc.transaction(&posted.signature).await?;
            let transaction = transaction.ok_or_else(|| missing(posted))?;
            let rollup = Pubkey::new_from_array(posted.header.rollup);
            let mut calls = history::calls(&transaction);
            let posts =
                |call: &Call| post(call, &rollup).is_some_and(|p| p.header == posted.header);
            calls.truncate(calls.iter().position(posts).unwrap_or(0));
            self.found.add(&calls);
        }
        self.begun = true;
        let mut pages = MOST_PAGES;
        let account = self.found.account;
        let writes = |_: &Entry, transaction: &_| {
            let mut calls = history::calls(transaction);
            calls.retain(|call| names(call, &account));
            (!calls.is_empty()).then_some(calls)
        };
        while !self.found.done() {
            while let Some(slot) = self.left.last().copied()
                && self.gathered.len() < WIDTH
            {
                let budget = match self.blocks {
                    Blocks::Useless => &mut pages,
                    Blocks::Untried | Blocks::Used => &mut FEW_PAGES.clone(),
                };
                match self.walk.to(rpc, slot, budget).await? {
                    Walked::Done(entries) => self.gathered.extend(entries),
                    Walked::Busy if self.blocks == Blocks::Useless => {
                        let number = posted.header.number;
                        return Err(BatchError::Busy { number });
                    }
                    // What is newer is read first.
                    Walked::Busy if !self.gathered.is_empty() => break,
                    Walked::Busy => {
                        let Some(block) = self.slots.block(rpc, slot, writes).await? else {
                            self.blocks = Blocks::Useless;
                            continue;
                        };
                        self.blocks = Blocks::Used;
                        let posted = |entry: &Entry| entry.signature == posted.signature;
                        let post = block.iter().position(|(entry, _)| posted(entry));
                        // What comes after the post is of another life of the account.
                        let before = block.into_iter().skip(post.map_or(0, |at| at + 1));
                        for (_, calls) in before {
                            self.found.add(&calls);
                        }
                        if self.found.done() {
                            return Ok(());
                        }
                    }
                }
                self.left.pop();
            }
            if self.gathered.is_empty() {
                if self.left.is_empty() {
                    break;
                }
                continue;
            }
            let read = self.slots.read(rpc, &self.gathered, writes).await?;
            for (_, calls) in read.found {
                self.found.add(&calls);
            }
            if read.withheld && !self.found.done() {
                return Err(missing(posted));
            }
            self.gathered.clear();
        }
        Ok(())
    }
}

/// Whether a call may write to the data account, open it, or post a batch with it.
fn names(call: &Call, account: &Pubkey) -> bool {
    // The accounts of `write_chunks`: poster, data; of `open_data`: poster, rollup, data; the data is the
    // fifth of `post_batch`.
    call.program == settlement::ID && [1, 2, 4].iter().any(|at| call.account(*at) == *account)
}

/// The chunks of a batch's data, found from the last that was written back to the first.
#[derive(Debug)]
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

    /// The data that the batch's header names, if it is what was found.
    fn data(&self, posted: &Posted) -> Option<Vec<u8>> {
        let data: Vec<u8> = self.chunks.iter().flatten().flatten().copied().collect();
        let whole = data.len() as u64 == u64::from(posted.header.data_len);
        (whole && data_root(&data) == posted.header.data_root).then_some(data)
    }

    fn is(&self, posted: &Posted) -> bool {
        self.data(posted).is_some()
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
                && let Some(WriteChunks { first, bytes }) = call.arguments()
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
        let found: Vec<u8> = found.chunks.into_iter().flatten().flatten().collect();
        assert_eq!(found, data);

        let mut found = Chunks::new(account, data.len() as u32);
        found.add(&history[..2]);
        assert!(found.done() && found.missing == 3);
    }
}
