//! Closes a buffer.

use crate::errors::SettlementError;
use crate::state::Buffer;
use anchor_lang::prelude::*;

/// Accounts of `close_buffer`.
#[derive(Accounts)]
pub struct CloseBuffer<'info> {
    /// Who opened the buffer; gets the rent.
    #[account(mut)]
    pub owner: Signer<'info>,
    /// Closed.
    #[account(mut, close = owner, has_one = owner @ SettlementError::ForeignBuffer)]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl CloseBuffer<'_> {
    /// See [`crate::settlement::close_buffer`].
    pub fn handler(_ctx: Context<Self>) -> Result<()> {
        Ok(())
    }
}
