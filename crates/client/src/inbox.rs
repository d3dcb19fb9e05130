//! Reading the inbox: the messages' payloads from the instruction data of `enqueue`, checked
//! against the chain values that L1 keeps.
//!
//! Logs are not used: a stranger can fill them up. What `getTransaction` gives is only a set of
//! candidates; a message is taken when the chain's value with it is the one that L1 has. So a node
//! that lies, or forgets, can delay the reader but not mislead it.
//!
//! Anybody can name a page in transactions of his own. A page says in which slot each of its messages
//! was sent, so no transaction of another slot is fetched; only of a page that is closed, because all
//! its messages are final, every transaction is.

use crate::accounts;
use crate::history::{self, Entry};
use crate::pda;
use crate::rpc::{Rpc, RpcError, Severity};
use assay_ledger::Hash;
use assay_ledger::inbox::{Message, MessageKind, chain_next};
use assay_ledger::state::InboxHead;
use futures::StreamExt;
use settlement::constants::PAGE_ENTRIES;
use settlement::instruction::Enqueue;
use settlement::state::Rollup;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta;
use std::collections::{BTreeMap, HashSet};

/// Transactions fetched at a time.
const WIDTH: usize = 16;
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
            Self::Missing { .. } => Severity::Temporary,
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
    /// Looks in a row that found another inbox.
    diverged: u32,
}

/// What is known of the transactions that named the page being read.
#[derive(Clone, Debug, Default)]
struct Page {
    /// The newest one listed; `None` to list them all.
    newest: Option<Signature>,
    /// All that were listed and did not fail.
    listed: HashSet<Signature>,
    /// Those that were not fetched, in their order, as far as that is known.
    unread: BTreeMap<u64, Entry>,
    /// The messages of those that were.
    candidates: Vec<Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    /// Of its transaction.
    order: u64,
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
            Err(InboxError::Missing { .. }) => self.page.newest = None,
            Err(InboxError::Rpc(_)) => {}
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
        while self.next < rollup.inbox_count {
            let page = self.next / PAGE_ENTRIES as u64;
            let values = self.values(rpc, &rollup, page).await?;
            self.gather(rpc, page, &values).await?;
            let (before, taken) = (self.next, self.take(&rollup, page, &values, messages)?);
            if taken == PAGE_ENTRIES as u64 {
                self.page = Page::default();
            }
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
                });
            }
        }
        Ok(Values::Closed {
            from: rollup.inbox_count,
            chain: rollup.inbox_chain,
        })
    }

    /// Adds the messages of the page's transactions that can have sent what is to be read.
    async fn gather(&mut self, rpc: &Rpc, page: u64, values: &Values) -> Result<(), InboxError> {
        let address = pda::inbox_page(&self.rollup, page);
        let place = (self.next - page * PAGE_ENTRIES as u64) as usize;
        let slots: Option<HashSet<u64>> = match values {
            Values::Each(entries) => {
                let unread = entries.iter().skip(place);
                Some(unread.map(|(_, slot)| *slot).collect())
            }
            Values::Closed { .. } => None,
        };
        let oldest = slots.iter().flatten().min().copied().unwrap_or(0);
        self.page.list(rpc, &address, oldest).await?;
        let wanted = |entry: &Entry| slots.as_ref().is_none_or(|s| s.contains(&entry.slot));
        self.page.fetch(rpc, &self.rollup, &address, wanted).await
    }

    /// Takes the page's messages in order; returns how many of the page are read.
    fn take(
        &mut self,
        rollup: &Rollup,
        page: u64,
        values: &Values,
        messages: &mut Vec<InboxMessage>,
    ) -> Result<u64, InboxError> {
        let first = page * PAGE_ENTRIES as u64;
        let end = rollup.inbox_count.min(first + PAGE_ENTRIES as u64);
        let mut taken = Vec::new();
        let (mut next, mut chain) = (self.next, self.chain);
        let mut left: Vec<Candidate> = self.page.candidates.clone();
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
                self.accept(next, chain, taken, left, messages);
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
        if let Values::Closed { from, chain: after } = values
            && next == *from
            && chain != *after
        {
            return Err(self.diverged());
        }
        self.accept(next, chain, taken, left, messages);
        Ok(next - first)
    }

    fn accept(
        &mut self,
        next: u64,
        chain: Hash,
        taken: Vec<InboxMessage>,
        left: Vec<Candidate>,
        messages: &mut Vec<InboxMessage>,
    ) {
        self.next = next;
        self.chain = chain;
        self.page.candidates = left;
        messages.extend(taken);
    }
}

impl Page {
    /// Lists the transactions that have come since, back to slot `oldest`: nothing of an earlier one
    /// is to be read any more.
    async fn list(&mut self, rpc: &Rpc, address: &Pubkey, oldest: u64) -> Result<(), InboxError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let before = entries.last().map(|e| e.signature);
            let part = history::page(rpc, address, before, self.newest).await?;
            let done = part.last().is_none_or(|e| e.slot < oldest);
            entries.extend(part);
            if done {
                break;
            }
        }
        self.newest = entries.first().map(|e| e.signature).or(self.newest);
        for entry in entries.into_iter().rev() {
            let order = self.listed.len() as u64;
            if !entry.failed && entry.slot >= oldest && self.listed.insert(entry.signature) {
                self.unread.insert(order, entry);
            }
        }
        Ok(())
    }

    /// Fetches those of the transactions that are `wanted` and that the node gives, many at a time.
    /// What was fetched is kept, whatever comes after it.
    async fn fetch(
        &mut self,
        rpc: &Rpc,
        rollup: &Pubkey,
        address: &Pubkey,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<(), InboxError> {
        let all = self.unread.iter().map(|(order, entry)| (*order, *entry));
        let wanted: Vec<(u64, Entry)> = all.filter(|(_, entry)| wanted(entry)).collect();
        let mut fetched = futures::stream::iter(wanted)
            .map(|(order, entry)| async move {
                let transaction = rpc.transaction(&entry.signature).await;
                (order, entry, transaction)
            })
            .buffered(WIDTH);
        while let Some((order, entry, transaction)) = fetched.next().await {
            let Some(transaction) = transaction? else {
                // Not yet.
                continue;
            };
            let found = enqueued(&transaction, rollup, address).into_iter();
            self.candidates
                .extend(found.map(|(sender, payload)| Candidate {
                    order,
                    sender,
                    payload,
                    signature: entry.signature,
                    slot: entry.slot,
                }));
            self.unread.remove(&order);
        }
        // Late ones may have come before others. The sort is stable: the messages of one transaction
        // stay in their order.
        self.candidates.sort_by_key(|c| (c.slot, c.order));
        Ok(())
    }
}

/// What L1 keeps of the messages of a page.
enum Values {
    /// The chain's value after each, and the slot in which it was sent.
    Each(Vec<(Hash, u64)>),
    /// Only the value before message `from`, which is past the page.
    Closed { from: u64, chain: Hash },
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

/// Senders and payloads of the messages that a transaction put on the page, in order.
fn enqueued(
    transaction: &EncodedConfirmedTransactionWithStatusMeta,
    rollup: &Pubkey,
    page: &Pubkey,
) -> Vec<(Pubkey, Vec<u8>)> {
    // The accounts of `enqueue`: payer, sender, rollup, page, system program.
    history::calls(transaction)
        .into_iter()
        .filter(|call| {
            call.program == settlement::ID && call.account(2) == *rollup && call.account(3) == *page
        })
        .filter_map(|call| Some((call.account(1), call.arguments::<Enqueue>()?.payload)))
        .collect()
}
