//! What the escrow remembers of a client.

use crate::errors::EscrowError;
use anchor_lang::prelude::*;

/// `["client", rollup, client]`: which nonces are left. It stays for ever, so that the address of
/// a job is never used twice: results are proven by the job's address, and an old result must
/// not settle a new job.
#[account]
pub struct Client {
    /// [`Client::VERSION`].
    pub version: u8,
    /// Of this account's address.
    pub bump: u8,
    /// The rollup.
    pub rollup: Pubkey,
    /// Whose jobs are counted.
    pub client: Pubkey,
    /// The lowest nonce that a new job may have.
    pub next_nonce: u64,
}

impl Client {
    /// Of this layout.
    pub const VERSION: u8 = 1;

    /// Bytes of the account.
    pub const fn size() -> usize {
        8  // discriminator
        + 1  // version
        + 1  // bump
        + 32 // rollup
        + 32 // client
        + 8 // next_nonce
    }

    /// Fills in a new account; of an old one, checks the version.
    pub fn open(&mut self, rollup: Pubkey, client: Pubkey, bump: u8) -> Result<()> {
        if self.version == 0 {
            self.version = Self::VERSION;
            self.bump = bump;
            self.rollup = rollup;
            self.client = client;
        }
        require_eq!(self.version, Self::VERSION, EscrowError::UnknownVersion);
        Ok(())
    }

    /// Uses up `nonce` and all below it.
    pub fn use_nonce(&mut self, nonce: u64) -> Result<()> {
        require_gte!(nonce, self.next_nonce, EscrowError::NonceUsed);
        self.next_nonce = nonce.checked_add(1).ok_or(EscrowError::Overflow)?;
        Ok(())
    }
}
