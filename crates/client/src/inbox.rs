//! Reading the inbox: the messages' payloads from the instruction data of `enqueue`, checked
//! against the chain values that L1 keeps.
//!
//! Logs are not used: a stranger can fill them up. What `getTransaction` gives is only a set of
//! candidates; a message is taken when the chain's value with it is the one that L1 has. So a node
//! that lies, or forgets, can delay the reader but not mislead it.
//!
//! Anybody can name a page in transactions. A page says in which slot each of its messages was sent,
//! so no transaction of another slot is fetched; only of a page that is closed, because all its
//! messages are final, every slot is read, back to the first message that is wanted.

use crate::accounts;
use crate::history::{self, Blocks, Entry, FEW_PAGES, SlotReader, WIDTH, Walk, Walked};
use crate::pda;
use crate::rpc::{Rpc, RpcError, Severity};
use assay_ledger::Hash;
use assay_ledger::inbox::{Message, MessageKind, chain_next};
use assay_ledger::state::InboxHead;
use settlement::constants::PAGE_ENTRIES;
use settlement::instruction::Enqueue;
use settlement::state::Rollup;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta;
use std::collections::{BTreeMap, BTreeSet};

/// Pages of a list that are read in one call, so that a node whose lists do not end cannot hold up
/// its caller: 256,000 transactions.
const MOST_PAGES: usize = 256;
/// Looks in a row that find another inbox than the one that was read, until it is believed: a node that
/// lags, or is on a fork, shows one too.
const DIVERGED_LOOKS: u32 = 8;

/// A message as L1 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMessage {
    /// From 0.
    pub index: u64,
    /// Who sent it, and what.
    pub message: Message,
    /// The inbox chain's value after it.
    pub chain: Hash,
    /// The transaction that sent it, or one that sent an equal message on the same page.
    pub signature: Signature,
    /// The slot of that transaction.
    pub slot: u64,
}

/// Why the inbox cannot be read (now).
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// A read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// L1 has a message, and the node has not given its transaction (yet).
    #[error("inbox message {index} is on L1, but the node does not give its transaction")]
    Missing {
        /// The message.
        index: u64,
    },
    /// Other transactions stand before what is read; the next call goes on from there.
    #[error(
        "inbox message {index} is not found yet among the transactions that name its page: the search goes on"
    )]
    Busy {
        /// The message.
        index: u64,
    },
    /// The reader's position is not on this chain: L1 was rolled back, or the position is another
    /// rollup's.
    #[error("the inbox before message {index} is not the one that was read (look {looks})")]
    Diverged {
        /// The next message.
        index: u64,
        /// How many looks in a row have found so.
        looks: u32,
    },
}

impl InboxError {
    /// Whether to try again.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Rpc(e) => e.severity(),
            Self::Missing { .. } | Self::Busy { .. } => Severity::Temporary,
            Self::Diverged { looks, .. } if *looks < DIVERGED_LOOKS => Severity::Temporary,
            Self::Diverged { .. } => Severity::Permanent,
        }
    }
}

/// Reads a rollup's inbox in order.
#[derive(Clone, Debug)]
pub struct Reader {
    rollup: Pubkey,
    next: u64,
    chain: Hash,
    page: Page,
    blocks: Blocks,
    /// Looks in a row that found another inbox.
    diverged: u32,
}

/// What is known of the transactions that named the page being read.
#[derive(Clone, Debug, Default)]
struct Page {
    /// The search that is going on.
    search: Option<Search>,
    /// The messages of the slots that were read.
    found: BTreeMap<u64, Vec<Candidate>>,
    slots: SlotReader,
}

/// A search for the messages of some slots.
#[derive(Clone, Debug)]
struct Search {
    walk: Walk,
    wanted: Wanted,
    /// Entries of slots that were gathered and not read.
    gathered: Vec<Entry>,
    /// The wanted slots that were gathered.
    searched: Vec<u64>,
}

/// Where the messages are that are to be read.
#[derive(Clone, Debug)]
enum Wanted {
    /// In these slots, the last of which is read next.
    Slots(Vec<u64>),
    /// Somewhere: they are so many, the newest that there are.
    Newest(usize),
}

#[derive(Clone, Debug)]
struct Candidate {
    sender: Pubkey,
    payload: Vec<u8>,
    signature: Signature,
    slot: u64,
}

impl Reader {
    /// A reader of the messages after `from` ([`InboxHead`] `{ cursor: 0, chain: GENESIS }` for
    /// all of them).
    pub fn new(rollup: Pubkey, from: InboxHead) -> Self {
        Self {
            rollup,
            next: from.cursor,
            chain: from.chain,
            page: Page::default(),
            blocks: Blocks::Untried,
            diverged: 0,
        }
    }

    /// The next message's index.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How far the inbox was read.
    pub fn position(&self) -> InboxHead {
        InboxHead {
            cursor: self.next,
            chain: self.chain,
        }
    }

    /// Reads the messages that there are by now, in order; none if there are no new ones. What
    /// comes before an error is returned first, and the error at the next call.
    pub async fn read(&mut self, rpc: &Rpc) -> Result<Vec<InboxMessage>, InboxError> {
        let mut messages = Vec::new();
        let read = self.read_into(rpc, &mut messages).await;
        match &read {
            Ok(()) => self.diverged = 0,
            Err(InboxError::Diverged { .. }) => {
                self.diverged = self.diverged.saturating_add(1);
                self.page = Page::default();
            }
            // Perhaps it is listed late, behind what was listed before.
            Err(InboxError::Missing { .. }) => {
                self.page = Page::default();
                if self.blocks == Blocks::Used {
                    self.blocks = Blocks::Useless;
                }
            }
            Err(InboxError::Rpc(_) | InboxError::Busy { .. }) => {}
        }
        match read {
            Err(error) if messages.is_empty() => Err(error),
            _ => Ok(messages),
        }
    }

    fn diverged(&self) -> InboxError {
        InboxError::Diverged {
            index: self.next,
            looks: self.diverged.saturating_add(1),
        }
    }

    async fn read_into(
        &mut self,
        rpc: &Rpc,
        messages: &mut Vec<InboxMessage>,
    ) -> Result<(), InboxError> {
        let rollup = accounts::rollup(rpc, &self.rollup).await?;
        if rollup.inbox_count < self.next
            || rollup.inbox_count == self.next && rollup.inbox_chain != self.chain
        {
            return Err(self.diverged());
        }
        let mut pages = MOST_PAGES;
        while self.next < rollup.inbox_count {
            let page = self.next / PAGE_ENTRIES as u64;
            let values = self.values(rpc, &rollup, page).await?;
            self.gather(rpc, page, &values, &mut pages).await?;
            let before = self.next;
            self.take(&rollup, page, &values, messages)?;
            // The slot of the newest message may get more: it is read again then.
            self.page.found.clear();
            if self.next == before {
                // The page was read before its newest messages came.
                break;
            }
        }
        Ok(())
    }

    /// What L1 keeps of a page.
    async fn values(&self, rpc: &Rpc, rollup: &Rollup, page: u64) -> Result<Values, InboxError> {
        if let Some(page) = accounts::inbox_page(rpc, &self.rollup, page).await? {
            let count = usize::try_from(page.count).unwrap_or(usize::MAX);
            let entries = page.entries.iter().take(count);
            return Ok(Values::Each(entries.map(|e| (e.chain, e.slot)).collect()));
        }
        // Closed, because all its messages are final: what is known is the value after it.
        let last = rollup.inbox_count.saturating_sub(1) / PAGE_ENTRIES as u64;
        for later in page + 1..=last {
            if let Some(later_page) = accounts::inbox_page(rpc, &self.rollup, later).await? {
                return Ok(Values::Closed {
                    from: later * PAGE_ENTRIES as u64,
                    chain: later_page.chain_before,
                    end: (page + 1) * PAGE_ENTRIES as u64,
                });
            }
        }
        Ok(Values::Closed {
            from: rollup.inbox_count,
            chain: rollup.inbox_chain,
            end: rollup.inbox_count.min((page + 1) * PAGE_ENTRIES as u64),
        })
    }

    /// Finds the messages of the page that are to be read.
    async fn gather(
        &mut self,
        rpc: &Rpc,
        page: u64,
        values: &Values,
        pages: &mut usize,
    ) -> Result<(), InboxError> {
        let address = pda::inbox_page(&self.rollup, page);
        let (first, index) = (page * PAGE_ENTRIES as u64, self.next);
        let busy = || InboxError::Busy { index };
        loop {
            let wanted = match values {
                Values::Each(entries) => {
                    let unread = entries.iter().skip((index - first) as usize);
                    let slots: BTreeSet<u64> = unread.map(|(_, slot)| *slot).collect();
                    let new = |slot: &u64| !self.page.found.contains_key(slot);
                    Wanted::Slots(slots.into_iter().filter(new).collect())
                }
                Values::Closed { end, .. } => Wanted::Newest((end - index) as usize),
            };
            if self.page.search.is_none() {
                if wanted.is_empty() {
                    return Ok(());
                }
                if let Wanted::Newest(_) = wanted {
                    self.page.found.clear();
                }
            }
            // One that was begun is ended first: those after it would never be, if each message
            // that comes began it anew.
            let search = self.page.search.get_or_insert_with(|| Search {
                walk: Walk::new(address, None),
                wanted,
                gathered: Vec::new(),
                searched: Vec::new(),
            });
            loop {
                let rollup = &self.rollup;
                let sent = |entry: &Entry, transaction: &_| {
                    let found = enqueued(entry, transaction, rollup, &address);
                    (!found.is_empty()).then_some(found)
                };
                let (slots, blocks) = (&mut self.page.slots, &mut self.blocks);
                let read = match search.step(rpc, slots, blocks, pages, sent).await? {
                    Step::Found(read) => read,
                    Step::Busy => return Err(busy()),
                    Step::End => break,
                };
                // Oldest first.
                for (entry, found) in read.into_iter().rev() {
                    if let Wanted::Newest(left) = &mut search.wanted {
                        *left = left.saturating_sub(found.len());
                    }
                    self.page.found.entry(entry.slot).or_default().extend(found);
                }
            }
            let closed = matches!(search.wanted, Wanted::Newest(_));
            // A slot in which nothing was found was searched all the same.
            for slot in std::mem::take(&mut search.searched) {
                self.page.found.entry(slot).or_default();
            }
            self.page.search = None;
            if closed {
                return Ok(());
            }
        }
    }

    /// Takes the page's messages in order.
    fn take(
        &mut self,
        rollup: &Rollup,
        page: u64,
        values: &Values,
        messages: &mut Vec<InboxMessage>,
    ) -> Result<(), InboxError> {
        let first = page * PAGE_ENTRIES as u64;
        let end = rollup.inbox_count.min(first + PAGE_ENTRIES as u64);
        let mut taken = Vec::new();
        let (mut next, mut chain) = (self.next, self.chain);
        let mut left: Vec<Candidate> = self.page.found.values().flatten().cloned().collect();
        if let Values::Closed { .. } = values {
            // Without a value for each, the order in which the node lists them counts: those that
            // were read before the page was closed come first.
            let unread = (end - next) as usize;
            left.drain(..left.len().saturating_sub(unread));
        }
        while next < end {
            let place = (next - first) as usize;
            let expected = match values {
                Values::Each(entries) => match entries.get(place) {
                    Some((chain, _)) => Some(*chain),
                    // Sent after the page was read.
                    None => break,
                },
                Values::Closed { .. } => None,
            };
            let fits = |c: &Candidate| {
                expected.is_none_or(|e| {
                    e == chain_next(&chain, next, kind(rollup, &c.sender), &c.payload)
                })
            };
            let Some(at) = left.iter().position(fits) else {
                self.accept(next, chain, taken, messages);
                return Err(InboxError::Missing { index: next });
            };
            let found = left.remove(at);
            let kind = kind(rollup, &found.sender);
            chain = chain_next(&chain, next, kind, &found.payload);
            taken.push(InboxMessage {
                index: next,
                message: Message {
                    kind,
                    payload: found.payload,
                },
                chain,
                signature: found.signature,
                slot: found.slot,
            });
            next += 1;
        }
        if let Values::Closed {
            from, chain: after, ..
        } = values
            && next == *from
            && chain != *after
        {
            return Err(self.diverged());
        }
        self.accept(next, chain, taken, messages);
        Ok(())
    }

    fn accept(
        &mut self,
        next: u64,
        chain: Hash,
        taken: Vec<InboxMessage>,
        messages: &mut Vec<InboxMessage>,
    ) {
        self.next = next;
        self.chain = chain;
        messages.extend(taken);
    }
}

/// Where a step of a search has led.
enum Step<T> {
    /// What was found in some slots, newest first; perhaps nothing.
    Found(Vec<(Entry, T)>),
    /// Everything was searched.
    End,
    /// As far as the budget went.
    Busy,
}

impl Search {
    /// Searches some slots more.
    async fn step<T>(
        &mut self,
        rpc: &Rpc,
        slots: &mut SlotReader,
        blocks: &mut Blocks,
        pages: &mut usize,
        read: impl Fn(&Entry, &EncodedConfirmedTransactionWithStatusMeta) -> Option<T>,
    ) -> Result<Step<T>, RpcError> {
        let direct = self.next_slot().filter(|_| *blocks != Blocks::Useless);
        let mut budget = if direct.is_some() {
            FEW_PAGES.min(*pages)
        } else {
            *pages
        };
        *pages -= budget;
        let walked = self.gather(rpc, &mut budget).await?;
        *pages += budget;
        if !self.gathered.is_empty() {
            let read = slots.read(rpc, &self.gathered, read).await?;
            self.gathered.clear();
            return Ok(Step::Found(read.found));
        }
        if let Walked::Done(()) = walked {
            return Ok(Step::End);
        }
        let Some(slot) = direct else {
            return Ok(Step::Busy);
        };
        // What is far away in the list is read with its block.
        let block = slots.block(rpc, slot, read).await?;
        if block.is_some() {
            *blocks = Blocks::Used;
            self.pop();
        } else {
            *blocks = Blocks::Useless;
        }
        Ok(Step::Found(block.unwrap_or_default()))
    }

    /// Gathers entries of the next slots that are wanted.
    async fn gather(&mut self, rpc: &Rpc, pages: &mut usize) -> Result<Walked<()>, RpcError> {
        while self.gathered.len() < WIDTH {
            let slot = match &self.wanted {
                Wanted::Slots(slots) => slots.last().copied(),
                Wanted::Newest(0) => None,
                Wanted::Newest(_) => match self.walk.next_slot(rpc, pages).await? {
                    Walked::Done(slot) => slot,
                    Walked::Busy => return Ok(Walked::Busy),
                },
            };
            let Some(slot) = slot else {
                break;
            };
            match self.walk.to(rpc, slot, pages).await? {
                Walked::Done(entries) => self.gathered.extend(entries),
                Walked::Busy => return Ok(Walked::Busy),
            }
            self.pop();
        }
        Ok(Walked::Done(()))
    }

    /// The slot that is gathered next, where it is known.
    fn next_slot(&self) -> Option<u64> {
        match &self.wanted {
            Wanted::Slots(slots) => slots.last().copied(),
            Wanted::Newest(_) => None,
        }
    }

    /// The next slot was gathered.
    fn pop(&mut self) {
        if let Wanted::Slots(slots) = &mut self.wanted {
            self.searched.extend(slots.pop());
        }
    }
}

impl Wanted {
    fn is_empty(&self) -> bool {
        match self {
            Self::Slots(slots) => slots.is_empty(),
            Self::Newest(count) => *count == 0,
        }
    }
}

/// What L1 keeps of the messages of a page.
enum Values {
    /// The chain's value after each, and the slot in which it was sent.
    Each(Vec<(Hash, u64)>),
    /// Only the value before message `from`, which is past the page, whose messages end before `end`.
    Closed { from: u64, chain: Hash, end: u64 },
}

fn kind(rollup: &Rollup, sender: &Pubkey) -> MessageKind {
    if *sender == rollup.bridge_sender {
        MessageKind::Deposit
    } else if *sender == rollup.escrow_sender {
        MessageKind::Job
    } else {
        MessageKind::Forced
    }
}

/// The messages that a transaction put on the page, in order.
fn enqueued(
    entry: &Entry,
    transaction: &EncodedConfirmedTransactionWithStatusMeta,
    rollup: &Pubkey,
    page: &Pubkey,
) -> Vec<Candidate> {
    // The accounts of `enqueue`: payer, sender, rollup, page, system program.
    history::calls(transaction)
        .into_iter()
        .filter(|call| {
            call.program == settlement::ID && call.account(2) == *rollup && call.account(3) == *page
        })
        .filter_map(|call| {
            Some(Candidate {
                sender: call.account(1),
                payload: call.arguments::<Enqueue>()?.payload,
                signature: entry.signature,
                slot: entry.slot,
            })
        })
        .collect()
}
