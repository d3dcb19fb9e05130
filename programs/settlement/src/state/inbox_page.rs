//! A page of the inbox: what L1 keeps of each message until it is final.

use crate::constants::{ACCOUNT_VERSION, PAGE_ENTRIES};
use crate::errors::SettlementError;
use anchor_lang::prelude::*;

/// What is kept of a message. Its payload is in the data of the `enqueue` instruction, and the
/// chain's value binds it.
#[zero_copy]
#[derive(Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// The chain's value after the message.
    pub chain: [u8; 32],
    /// L1 slot in which it was sent.
    pub slot: u64,
    /// Lamports that this and all earlier messages paid.
    pub fees: u64,
}

/// The inbox's state before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxPoint {
    /// The chain's value.
    pub chain: [u8; 32],
    /// Lamports that all messages so far paid.
    pub fees: u64,
}

/// A page of the inbox. Opened by the first message in it, at the cost of its sender; closed,
/// and its rent returned, when all its messages are final.
#[account(zero_copy)]
#[derive(Debug)]
pub struct InboxPage {
    /// The rollup.
    pub rollup: Pubkey,
    /// Who opened it, and gets the rent back.
    pub payer: Pubkey,
    /// From 0; the page holds the messages from `number * PAGE_ENTRIES` on.
    pub number: u64,
    /// Messages in it.
    pub count: u64,
    /// The chain's value before the first of them.
    pub chain_before: [u8; 32],
    /// Lamports that all messages before them paid.
    pub fees_before: u64,
    /// Layout of this account.
    pub version: u8,
    /// Of its address.
    pub bump: u8,
    /// Zero.
    pub padding: [u8; 6],
    /// The messages.
    pub entries: [InboxEntry; PAGE_ENTRIES],
}

impl InboxPage {
    /// Bytes of the account.
    pub const fn size() -> usize {
        8 // discriminator
        + 32 // rollup
        + 32 // payer
        + 8 // number
        + 8 // count
        + 32 // chain_before
        + 8 // fees_before
        + 1 // version
        + 1 // bump
        + 6 // padding
        + PAGE_ENTRIES * (
            32 // chain
            + 8 // slot
            + 8 // fees
        )
    }

    /// The page that message `index` is on.
    pub fn page_of(index: u64) -> u64 {
        index / PAGE_ENTRIES as u64
    }

    /// Message `index`, if it is on this page.
    pub fn entry(&self, index: u64) -> Option<&InboxEntry> {
        let place = (index % PAGE_ENTRIES as u64) as usize;
        (Self::page_of(index) == self.number && (place as u64) < self.count)
            .then(|| &self.entries[place])
    }

    /// The inbox's state before message `index`, if that is on this page.
    pub fn before(&self, index: u64) -> Option<InboxPoint> {
        self.entry(index)?;
        Some(match (index % PAGE_ENTRIES as u64) as usize {
            0 => InboxPoint {
                chain: self.chain_before,
                fees: self.fees_before,
            },
            place => InboxPoint {
                chain: self.entries[place - 1].chain,
                fees: self.entries[place - 1].fees,
            },
        })
    }

    /// Appends a message.
    pub fn push(&mut self, entry: InboxEntry) -> Result<()> {
        let place = usize::try_from(self.count).map_err(|_| SettlementError::Overflow)?;
        *self
            .entries
            .get_mut(place)
            .ok_or(SettlementError::Invariant)? = entry;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The first message index after this page.
    pub fn end(&self) -> Result<u64> {
        self.number
            .checked_add(1)
            .and_then(|next| next.checked_mul(PAGE_ENTRIES as u64))
            .ok_or_else(|| error!(SettlementError::Overflow))
    }

    /// Checks what must hold after every instruction: `inbox_count` is the rollup's.
    pub fn invariant(&self, inbox_count: u64) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        require!(self.count >= 1, SettlementError::Invariant);
        let end = self
            .number
            .checked_mul(PAGE_ENTRIES as u64)
            .and_then(|start| start.checked_add(self.count))
            .ok_or(SettlementError::Overflow)?;
        require!(
            self.count <= PAGE_ENTRIES as u64 && end <= inbox_count,
            SettlementError::Invariant
        );
        Ok(())
    }
}

const _: () =
    assert!(size_of::<InboxPage>() + 8 == InboxPage::size() && InboxPage::size() <= 10_240);
