//! A mint that can be deposited.

use crate::errors::BridgeError;
use anchor_lang::prelude::*;

/// `["mint", rollup, mint]`: a mint whose extensions were found harmless, and the account of its
/// vault, which it owns.
#[account]
pub struct RegisteredMint {
    /// [`RegisteredMint::VERSION`].
    pub version: u8,
    /// Of this account's address.
    pub bump: u8,
    /// The rollup whose deposits these are.
    pub rollup: Pubkey,
    /// The mint.
    pub mint: Pubkey,
    /// SPL Token or Token-2022, whichever owns the mint.
    pub token_program: Pubkey,
    /// The token account `["token_vault", rollup, mint]`.
    pub vault: Pubkey,
    /// Base units deposited and not yet paid out. Tokens that were sent to the vault without a
    /// deposit are not among them and stay.
    pub locked: u64,
}

impl RegisteredMint {
    /// Of this layout.
    pub const VERSION: u8 = 1;

    /// Bytes of the account.
    pub const fn size() -> usize {
        8  // discriminator
        + 1  // version
        + 1  // bump
        + 32 // rollup
        + 32 // mint
        + 32 // token_program
        + 32 // vault
        + 8 // locked
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

    /// The vault's tokens cover what is locked. `tokens` is the vault's balance.
    pub fn invariant(&self, tokens: u64) -> Result<()> {
        require_gte!(tokens, self.locked, BridgeError::VaultInvariant);
        Ok(())
    }
}
