//! Reading the batches of a rollup: their headers from the instruction data of `post_batch`, their
//! data from that of `write_chunks`.
//!
//! The chain account has the newest batches' hashes; a header is taken when it has the hash that
//! L1, or the header after it, names, and data when it has the header's data root. So a node that
//! lies, or forgets, can delay the reader but not mislead it.
//!
//! Anybody can name the accounts of a batch in transactions of his own. L1 says in which slots the newest
//! batches were posted, so whoever follows L1 fetches only what is in those. Of older batches and of the data
//! it says no such thing: a stranger's transaction costs him a fee, and the reader one call. Nothing is fetched
//! twice because of an error.

mod data;

pub use data::DataReader;

use crate::history::{self, Call, Entry};
use crate::rpc::{Rpc, RpcError, Severity};
use crate::{accounts, pda};
use assay_ledger::Hash;
use assay_ledger::header::{Header, genesis_hash};
use futures::{StreamExt, TryStreamExt};
use settlement::instruction::PostBatch;
use settlement::state::Chain;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta;
use std::collections::{HashMap, HashSet};

/// Transactions fetched at a time.
const WIDTH: usize = 16;
/// Transactions of a page after which is noted how far it was looked at.
const PART: usize = 64;
/// Pages that are looked at in one call, so that a node whose lists do not end cannot hold up its caller.
const MOST_PAGES: usize = 50;
/// Transactions that are listed and not given, of which is known.
const MOST_LATE: usize = 10_000;

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

/// Reads a rollup's headers. What it has looked at it does not look at again, whatever error comes between.
#[derive(Clone, Debug)]
pub struct Reader {
    rollup: Pubkey,
    /// Batches that were posted, by hash; those before the newest final one are forgotten.
    posts: HashMap<Hash, Posted>,
    /// Nothing up to this transaction of the chain account is to be read.
    base: Option<Signature>,
    /// The newest one that was looked at.
    newest: Option<Signature>,
    /// What was not looked at between these two, the newest last.
    gaps: Vec<Gap>,
    /// Transactions that the node lists and did not give.
    late: Vec<Entry>,
    /// Those that it gave, where its list is read again.
    given: HashSet<Signature>,
    /// Slots of a window.
    window: Option<u64>,
    data: DataReader,
}

/// Transactions before the one and after the other.
#[derive(Clone, Copy, Debug)]
struct Gap {
    before: Option<Signature>,
    until: Option<Signature>,
    /// Whether it begins with the newest of all, and none of it was looked at.
    fresh: bool,
}

/// In which slots the newest batches were posted: those that L1 still has in its ring.
#[derive(Debug, Default)]
struct Slots {
    known: HashSet<u64>,
}

impl Slots {
    fn new(chain: &Chain, window: u64) -> Self {
        // Places after the tip's are of batches that were reverted.
        let kept = chain.slots.iter();
        let kept = kept.filter(|slot| (1..=chain.tip_number).contains(&slot.number));
        let posted = kept.map(|slot| slot.window_end.saturating_sub(window));
        Self {
            known: posted.collect(),
        }
    }

    /// Whether a batch that L1 has was posted in this slot, as far as L1 says so: of older ones it does not.
    fn may_be(&self, slot: u64) -> bool {
        let oldest = self.known.iter().min();
        self.known.contains(&slot) || oldest.is_none_or(|oldest| slot < *oldest)
    }

    /// Whether a slot is after all that L1 was asked about: what is in it may be a batch, later.
    fn is_later(&self, slot: u64) -> bool {
        let newest = self.known.iter().max();
        newest.is_some_and(|newest| slot > *newest)
    }
}

impl Reader {
    /// A reader of the batches that were posted after transaction `until`; of all for `None`.
    pub fn new(rollup: Pubkey, until: Option<Signature>) -> Self {
        Self {
            rollup,
            posts: HashMap::new(),
            base: until,
            newest: until,
            gaps: Vec::new(),
            late: Vec::new(),
            given: HashSet::new(),
            window: None,
            data: DataReader::default(),
        }
    }

    /// What reads the data of its batches.
    pub fn data(&self) -> DataReader {
        self.data.clone()
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
        let mut pages = 0;
        while known(number) != Some(hash) {
            if number == 0 {
                return Err(BatchError::Diverged { number: 1 });
            }
            let Some(posted) = self.posts.get(&hash) else {
                if pages == 0 {
                    self.begin(rpc).await?;
                }
                let slots = Slots::new(chain, self.window.unwrap_or(u64::MAX));
                pages += 1;
                if pages > MOST_PAGES {
                    return Err(BatchError::Missing { number });
                }
                if !self.look(rpc, &slots).await? {
                    // Perhaps it is listed late, behind what was listed before.
                    self.newest = self.base;
                    return Err(BatchError::Missing { number });
                }
                continue;
            };
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
        let mut all = self.posts.values();
        if let Some(posted) = all.find(|posted| posted.header.number == number) {
            self.base = Some(posted.signature);
        }
        self.posts.retain(|_, posted| posted.header.number > number);
    }

    /// Begins with what has come since the last time, and with what the node did not give then.
    async fn begin(&mut self, rpc: &Rpc) -> Result<(), BatchError> {
        if self.window.is_none() {
            let rollup = accounts::rollup(rpc, &self.rollup).await?;
            self.window = Some(rollup.config.params.window);
        }
        self.gaps.pop_if(|gap| gap.fresh);
        self.gaps.push(Gap {
            before: None,
            until: self.newest,
            fresh: true,
        });
        let late = std::mem::take(&mut self.late);
        for (at, part) in (0..).step_by(PART).zip(late.chunks(PART)) {
            if let Err(error) = self.take(rpc, part).await {
                self.late.extend_from_slice(&late[at..]);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Looks at a page of what is left. Whether there was one.
    async fn look(&mut self, rpc: &Rpc, slots: &Slots) -> Result<bool, BatchError> {
        let chain = pda::chain(&self.rollup);
        let Some(gap) = self.gaps.last().copied() else {
            return Ok(false);
        };
        let page = history::page(rpc, &chain, gap.before, gap.until).await?;
        if page.is_empty() {
            self.gaps.pop();
            return Ok(true);
        }
        // What comes after all that L1 was asked about is looked at when L1 says more.
        let newer = page.iter().take_while(|entry| slots.is_later(entry.slot));
        let (newer, page) = page.split_at(newer.count());
        self.pass(newer.last());
        let mut first = page.first().filter(|_| gap.fresh);
        for part in page.chunks(PART) {
            let wanted = part.iter().filter(|entry| !entry.failed);
            let wanted = wanted.filter(|entry| slots.may_be(entry.slot));
            let wanted = wanted.filter(|entry| !self.given.contains(&entry.signature));
            let wanted: Vec<Entry> = wanted.copied().collect();
            self.take(rpc, &wanted).await?;
            self.pass(part.last());
            if let Some(first) = first.take() {
                self.newest = Some(first.signature);
                if let Some(gap) = self.gaps.last_mut() {
                    gap.fresh = false;
                }
            }
        }
        Ok(true)
    }

    /// The newest gap begins after this transaction.
    fn pass(&mut self, entry: Option<&Entry>) {
        if let (Some(gap), Some(entry)) = (self.gaps.last_mut(), entry) {
            gap.before = Some(entry.signature);
        }
    }

    /// Fetches transactions and adds what they posted.
    async fn take(&mut self, rpc: &Rpc, entries: &[Entry]) -> Result<(), BatchError> {
        let mut transactions = fetch(rpc, entries.iter().copied());
        while let Some((entry, transaction)) = transactions.try_next().await? {
            let Some(transaction) = transaction else {
                if self.late.len() < MOST_LATE {
                    self.late.push(entry);
                }
                continue;
            };
            if self.given.len() >= history::MOST {
                self.given.clear();
            }
            self.given.insert(entry.signature);
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
                    // Of two lives of the same batch the newer one counts.
                    let known = self.posts.entry(header.hash()).or_insert(posted);
                    if known.slot < posted.slot {
                        *known = posted;
                    }
                }
            }
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
    let PostBatch { header } = call.arguments()?;
    Some((header.to_ledger().ok()?, call.account(4)))
}
