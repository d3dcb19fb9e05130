//! Takes a client-created account into use as a buffer.

use super::top_level;
use crate::constants::{ACCOUNT_VERSION, MAX_BUFFER};
use crate::errors::SettlementError;
use crate::state::Buffer;
use anchor_lang::prelude::*;

/// Accounts of `open_buffer`.
#[derive(Accounts)]
pub struct OpenBuffer<'info> {
    /// Who will write the buffer, may use it, and gets the rent back.
    pub owner: Signer<'info>,
    /// Owned by this program, of [`Buffer::size`] bytes, all zero.
    #[account(zero)]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl OpenBuffer<'_> {
    fn validate(&self, len: u32) -> Result<()> {
        let account = self.buffer.as_ref().data_len();
        require!(
            (1..=MAX_BUFFER).contains(&len) && account == Buffer::size(len),
            SettlementError::BufferSize
        );
        Ok(())
    }

    /// See [`crate::settlement::open_buffer`].
    pub fn handler(ctx: Context<Self>, len: u32) -> Result<()> {
        // What is in a buffer follows from how it was opened and written: see `write_buffer`.
        top_level()?;
        ctx.accounts.validate(len)?;
        let mut buffer = ctx.accounts.buffer.load_init()?;
        buffer.owner = ctx.accounts.owner.key();
        buffer.len = len;
        buffer.version = ACCOUNT_VERSION;
        buffer.invariant(Buffer::size(len))
    }
}
