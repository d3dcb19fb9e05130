//! Reading the batches of a rollup: their headers from the instruction data of `post_batch`, their
//! data from that of `write_chunks`.
//!
//! The chain account has the newest batches' hashes; a header is taken when it has the hash that
//! L1, or the header after it, names, and data when it has the header's data root. So a node that
//! lies, or forgets, can delay the reader but not mislead it.
//!
//! Anybody can name the accounts of a batch in transactions. L1 says in which slot the tip was
//! posted, and each post says, checked by the program, in which slot its parent was posted and in
//! which slots its data was written. So only transactions of these slots are fetched.

mod data;

pub use data::DataReader;

use crate::history::{self, Call, FEW_PAGES, SlotReader, Walk, Walked};
use crate::rpc::{Rpc, RpcError, Severity};
use crate::{accounts, pda};
use assay_ledger::Hash;
use assay_ledger::header::{Header, genesis_hash};
use settlement::instruction::PostBatch;
use settlement::state::{Chain, WriteSlots};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta;
use std::collections::HashMap;

/// Pages that are listed in one call, so that a node whose lists do not end cannot hold up its
/// caller: 256,000 transactions.
const MOST_PAGES: usize = 256;
/// Walks that are kept: those towards batches that nobody asks for any more are dropped.
const MOST_WALKS: usize = 16;

/// A batch as it was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its header.
    pub header: Header,
    /// The account in whose transactions its data is.
    pub data: Pubkey,
    /// The transaction that posted it.
    pub signature: Signature,
    /// The slot of that transaction.
    pub slot: u64,
    /// The slot in which its parent was posted; 0 where that is genesis.
    pub parent_slot: u64,
    /// The slots in which its data was written.
    pub writes: WriteSlots,
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
    /// Other transactions stand before what is read; the next call goes on from there.
    #[error(
        "batch {number} is not found yet among the transactions that name its accounts: the search goes on"
    )]
    Busy {
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
            Self::Missing { .. } | Self::Data { .. } | Self::Busy { .. } => Severity::Temporary,
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

/// Reads a rollup's headers. What it has listed it does not list again, whatever error comes between.
#[derive(Clone, Debug)]
pub struct Reader {
    rollup: Pubkey,
    /// Batches that were posted, by hash; those before the newest final one are forgotten.
    posts: HashMap<Hash, Posted>,
    /// The searches for batches that were not found yet, by the hash of what is looked for.
    walks: HashMap<Hash, Walk>,
    slots: SlotReader,
    /// The batch that the node's block does not have, if it was asked for one.
    no_block: Option<Hash>,
    /// Slots of a window.
    window: Option<u64>,
    data: DataReader,
}

impl Reader {
    /// A reader of the batches of a rollup.
    pub fn new(rollup: Pubkey) -> Self {
        Self {
            rollup,
            posts: HashMap::new(),
            walks: HashMap::new(),
            slots: SlotReader::default(),
            no_block: None,
            window: None,
            data: DataReader::default(),
        }
    }

    /// What reads the data of its batches.
    pub fn data(&self) -> DataReader {
        self.data.clone()
    }

    /// Compares L1's batches with the known ones: `known` gives the hash of the known batch with
    /// a number, `None` past the newest one.
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
        let mut batches: Vec<Posted> = Vec::new();
        let mut pages = MOST_PAGES;
        while known(number) != Some(hash) {
            if number == 0 {
                return Err(BatchError::Diverged { number: 1 });
            }
            let posted = match self.posts.get(&hash) {
                Some(posted) => posted.clone(),
                None => {
                    let slot = match batches.last() {
                        Some(child) => child.parent_slot,
                        None => tip.posted_slot(self.window(rpc).await?),
                    };
                    let before = batches.last().map(|child| child.signature);
                    self.find(rpc, (number, hash), slot, before, &mut pages)
                        .await?
                }
            };
            hash = posted.header.parent;
            number -= 1;
            batches.push(posted);
        }
        if number < chain.final_number && known(number + 1).is_some() {
            return Err(BatchError::Diverged { number: number + 1 });
        }
        self.walks.clear();
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

    /// Slots of the rollup's window.
    async fn window(&mut self, rpc: &Rpc) -> Result<u64, BatchError> {
        if let Some(window) = self.window {
            return Ok(window);
        }
        let rollup = accounts::rollup(rpc, &self.rollup).await?;
        Ok(*self.window.insert(rollup.config.params.window))
    }

    /// Finds the batch of this number and hash, which was posted in `slot` and before the
    /// transaction `before`.
    async fn find(
        &mut self,
        rpc: &Rpc,
        (number, hash): (u64, Hash),
        slot: u64,
        before: Option<Signature>,
        pages: &mut usize,
    ) -> Result<Posted, BatchError> {
        let chain = pda::chain(&self.rollup);
        if self.walks.len() >= MOST_WALKS && !self.walks.contains_key(&hash) {
            self.walks.clear();
        }
        let walk = self.walks.entry(hash);
        let walk = walk.or_insert_with(|| Walk::new(chain, before));
        let rollup = &self.rollup;
        let posts = |entry: &history::Entry, transaction: &_| {
            let found = posts(entry, transaction, rollup);
            (!found.is_empty()).then_some(found)
        };
        let mut few = FEW_PAGES.min(*pages);
        *pages -= few;
        let far = matches!(walk.to(rpc, slot, &mut few).await?, Walked::Busy);
        *pages += few;
        let mut found = Vec::new();
        if far && self.no_block != Some(hash) {
            found = self
                .slots
                .block(rpc, slot, posts)
                .await?
                .unwrap_or_default();
            let mut all = found.iter().flat_map(|(_, posts)| posts);
            if !all.any(|posted| posted.header.hash() == hash) {
                self.no_block = Some(hash);
                found.clear();
            }
        }
        if found.is_empty() {
            let entries = match walk.to(rpc, slot, pages).await? {
                Walked::Done(entries) => entries,
                Walked::Busy => return Err(BatchError::Busy { number }),
            };
            found = self.slots.read(rpc, entries, posts).await?.found;
        }
        for posted in found.into_iter().flat_map(|(_, posts)| posts) {
            // Of two lives of the same batch the newer one counts.
            let known = self.posts.entry(posted.header.hash());
            let known = known.or_insert_with(|| posted.clone());
            if known.slot < posted.slot {
                *known = posted;
            }
        }
        let Some(posted) = self.posts.get(&hash).cloned() else {
            // Perhaps it is listed late, behind what was listed before.
            self.walks.remove(&hash);
            return Err(BatchError::Missing { number });
        };
        // The walk to a batch goes on to its parent.
        if let Some(walk) = self.walks.remove(&hash) {
            self.walks.insert(posted.header.parent, walk);
        }
        Ok(posted)
    }
}

/// The batches that a transaction posted.
fn posts(
    entry: &history::Entry,
    transaction: &EncodedConfirmedTransactionWithStatusMeta,
    rollup: &Pubkey,
) -> Vec<Posted> {
    let calls = history::calls(transaction);
    let posts = calls.iter().filter_map(|call| post(call, rollup));
    let (lamports, bytes) = history::cost(transaction);
    let posted = posts.map(|post| Posted {
        header: post.header,
        data: post.data,
        signature: entry.signature,
        slot: entry.slot,
        parent_slot: post.parent_slot,
        writes: post.writes,
        lamports,
        bytes,
    });
    posted.collect()
}

/// What a call of `post_batch` says.
struct Post {
    header: Header,
    data: Pubkey,
    parent_slot: u64,
    writes: WriteSlots,
}

/// What a call posts to `rollup`.
fn post(call: &Call, rollup: &Pubkey) -> Option<Post> {
    // The accounts of `post_batch`: key, rollup, chain, sequencer, data, page.
    if call.program != settlement::ID || call.account(1) != *rollup {
        return None;
    }
    let PostBatch {
        header,
        parent_slot,
        writes,
    } = call.arguments()?;
    Some(Post {
        header: header.to_ledger().ok()?,
        data: call.account(4),
        parent_slot,
        writes,
    })
}
