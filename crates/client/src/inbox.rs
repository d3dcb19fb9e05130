//! Reading the inbox: the messages' payloads from the instruction data of `enqueue`, checked
//! against the chain values that L1 keeps.
//!
//! Logs are not used: a stranger can fill them up. What `getTransaction` gives is only a set of
//! candidates; a message is taken when the chain's value with it is the one that L1 has. So a node
//! that lies, or forgets, can delay the reader but not mislead it.

use crate::accounts;
use crate::history;
use crate::pda;
use crate::rpc::{Rpc, RpcError, Severity};
use anchor_lang::Discriminator;
use assay_ledger::Hash;
use assay_ledger::inbox::{Message, MessageKind, chain_next};
use assay_ledger::state::InboxHead;
use settlement::constants::PAGE_ENTRIES;
use settlement::state::Rollup;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta;
use std::collections::HashSet;

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
    #[error("the inbox before message {index} is not the one that was read")]
    Diverged {
        /// The next message.
        index: u64,
    },
}

impl InboxError {
    /// Whether to try again.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Rpc(e) => e.severity(),
            Self::Missing { .. } => Severity::Temporary,
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
    /// Transactions of the page being read whose messages are in `candidates`.
    seen: HashSet<Signature>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    page: Pubkey,
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
            seen: HashSet::new(),
            candidates: Vec::new(),
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
        match self.read_into(rpc, &mut messages).await {
            Err(error) if messages.is_empty() => Err(error),
            _ => Ok(messages),
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
            return Err(InboxError::Diverged { index: self.next });
        }
        while self.next < rollup.inbox_count {
            let page = self.next / PAGE_ENTRIES as u64;
            let values = self.values(rpc, &rollup, page).await?;
            self.gather(rpc, page).await?;
            let (before, taken) = (self.next, self.take(&rollup, page, &values, messages)?);
            if taken == PAGE_ENTRIES as u64 {
                self.candidates.clear();
                self.seen.clear();
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
            return Ok(Values::Each(entries.map(|e| e.chain).collect()));
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

    /// Adds the messages of all new transactions that touched the page.
    async fn gather(&mut self, rpc: &Rpc, page: u64) -> Result<(), InboxError> {
        let address = pda::inbox_page(&self.rollup, page);
        let entries = history::all(rpc, &address, None).await?;
        // Oldest first.
        for entry in entries.into_iter().rev() {
            let signature = entry.signature;
            if entry.failed || self.seen.contains(&signature) {
                continue;
            }
            if let Some(transaction) = rpc.transaction(&signature).await? {
                let found = enqueued(&transaction, &self.rollup, &address);
                let slot = transaction.slot;
                self.candidates
                    .extend(found.into_iter().map(|(sender, payload)| Candidate {
                        page: address,
                        sender,
                        payload,
                        signature,
                        slot,
                    }));
                self.seen.insert(signature);
            }
        }
        Ok(())
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
        let address = pda::inbox_page(&self.rollup, page);
        let mut taken = Vec::new();
        let (mut next, mut chain) = (self.next, self.chain);
        let mut left: Vec<Candidate> = self.candidates.clone();
        if let Values::Closed { .. } = values {
            // Without a value for each, the order in which the node lists them counts: those that
            // were read before the page was closed come first.
            let unread = (end - next) as usize;
            left.drain(..left.len().saturating_sub(unread));
        }
        while next < end {
            let place = (next - first) as usize;
            let expected = match values {
                Values::Each(chains) => match chains.get(place) {
                    Some(chain) => Some(*chain),
                    // Sent after the page was read.
                    None => break,
                },
                Values::Closed { .. } => None,
            };
            let fits = |c: &Candidate| {
                c.page == address
                    && expected.is_none_or(|e| {
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
            return Err(InboxError::Diverged { index: self.next });
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
        self.candidates = left;
        messages.extend(taken);
    }
}

/// What L1 keeps of the messages of a page.
enum Values {
    /// The chain's value after each.
    Each(Vec<Hash>),
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
        .filter_map(|call| Some((call.account(1), payload(&call.data)?)))
        .collect()
}

/// The payload in the data of an `enqueue` instruction.
fn payload(data: &[u8]) -> Option<Vec<u8>> {
    let arguments = data.strip_prefix(settlement::instruction::Enqueue::DISCRIMINATOR)?;
    borsh::from_slice(arguments).ok()
}
