//! The vault of a rollup's lamports.

use crate::errors::BridgeError;
use anchor_lang::prelude::*;

/// `["vault", rollup]`: holds the deposited lamports beside its own rent.
#[account]
pub struct SolVault {
    /// [`SolVault::VERSION`].
    pub version: u8,
    /// Of this account's address.
    pub bump: u8,
    /// The rollup whose deposits these are.
    pub rollup: Pubkey,
    /// Lamports deposited and not yet paid out. Lamports that were sent to the address without a
    /// deposit are not among them and stay.
    pub locked: u64,
}

impl SolVault {
    /// Of this layout.
    pub const VERSION: u8 = 1;

    /// Bytes of the account.
    pub const fn size() -> usize {
        8  // discriminator
        + 1  // version
        + 1  // bump
        + 32 // rollup
        + 8 // locked
    }

    /// Fills in a new vault; of an old one, checks the version.
    pub fn open(&mut self, rollup: Pubkey, bump: u8) -> Result<()> {
        if self.version == 0 {
            self.version = Self::VERSION;
            self.bump = bump;
            self.rollup = rollup;
        }
        require_eq!(self.version, Self::VERSION, BridgeError::UnknownVersion);
        Ok(())
    }

    /// Takes up a deposit.
    pub fn lock(&mut self, amount: u64) -> Result<()> {
        self.locked = self
            .locked
            .checked_add(amount)
            .ok_or(BridgeError::Overflow)?;
        Ok(())
    }

    /// Lets a withdrawal go: never more than was deposited.
    pub fn release(&mut self, amount: u64) -> Result<()> {
        self.locked = self
            .locked
            .checked_sub(amount)
            .ok_or(BridgeError::VaultShort)?;
        Ok(())
    }

    /// The lamports beyond the rent of the account itself cover what is locked.
    /// `lamports` is its balance, `rent` the rent-exempt minimum of its size.
    pub fn invariant(&self, lamports: u64, rent: u64) -> Result<()> {
        require!(
            lamports
                .checked_sub(rent)
                .is_some_and(|free| free >= self.locked),
            BridgeError::VaultInvariant
        );
        Ok(())
    }
}
