//! Which withdrawals have been paid.

use crate::errors::BridgeError;
use anchor_lang::prelude::*;

/// `["paid", rollup, page: u64 LE]`: one bit for each leaf of the outbox with an index of
/// `page * 4096 ..`. Made by whoever pays the page's first withdrawal; it stays for ever.
#[account]
pub struct PaidPage {
    /// [`PaidPage::VERSION`].
    pub version: u8,
    /// Of this account's address.
    pub bump: u8,
    /// The rollup whose outbox this is.
    pub rollup: Pubkey,
    /// The page's number.
    pub page: u64,
    /// Bits that are set.
    pub paid: u16,
    /// Bit `i % 8` of byte `i / 8` stands for leaf `page * 4096 + i`.
    pub bits: [u8; PaidPage::BITS as usize / 8],
}

impl PaidPage {
    /// Of this layout.
    pub const VERSION: u8 = 1;
    /// Leaves that a page has bits for.
    pub const BITS: u64 = 4096;

    /// Bytes of the account.
    pub const fn size() -> usize {
        8  // discriminator
        + 1  // version
        + 1  // bump
        + 32 // rollup
        + 8  // page
        + 2  // paid
        + Self::BITS as usize / 8 // bits
    }

    /// Number of the page that holds leaf `index`.
    pub const fn number(index: u64) -> u64 {
        index / Self::BITS
    }

    /// Fills in a new page; of an old one, checks the version.
    pub fn open(&mut self, rollup: Pubkey, page: u64, bump: u8) -> Result<()> {
        if self.version == 0 {
            self.version = Self::VERSION;
            self.bump = bump;
            self.rollup = rollup;
            self.page = page;
        }
        require_eq!(self.version, Self::VERSION, BridgeError::UnknownVersion);
        Ok(())
    }

    /// Marks leaf `index` as paid; an error if it is so already.
    pub fn mark(&mut self, index: u64) -> Result<()> {
        require_eq!(Self::number(index), self.page, BridgeError::OtherPage);
        let bit = index % Self::BITS;
        let byte = &mut self.bits[(bit / 8) as usize];
        let mask = 1u8 << (bit % 8);
        require!(*byte & mask == 0, BridgeError::AlreadyPaid);
        *byte |= mask;
        self.paid = self.paid.checked_add(1).ok_or(BridgeError::PageInvariant)?;
        Ok(())
    }

    /// Whether leaf `index` of this page has been paid.
    pub fn is_paid(&self, index: u64) -> bool {
        let bit = index % Self::BITS;
        Self::number(index) == self.page && self.bits[(bit / 8) as usize] & (1 << (bit % 8)) != 0
    }

    /// No more bits are counted than there are, and the count is that of the bits.
    pub fn invariant(&self) -> Result<()> {
        let set: u32 = self
            .bits
            .chunks_exact(8)
            .map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default()).count_ones())
            .sum();
        require_eq!(u32::from(self.paid), set, BridgeError::PageInvariant);
        Ok(())
    }
}
