//! Writes bytes into a buffer.

use super::top_level;
use crate::errors::SettlementError;
use crate::state::Buffer;
use anchor_lang::prelude::*;

/// Accounts of `write_buffer`.
#[derive(Accounts)]
pub struct WriteBuffer<'info> {
    /// Who opened the buffer.
    pub owner: Signer<'info>,
    /// The buffer.
    #[account(mut, has_one = owner @ SettlementError::ForeignBuffer)]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl WriteBuffer<'_> {
    /// See [`crate::settlement::write_buffer`].
    pub fn handler(ctx: Context<Self>, offset: u32, bytes: Vec<u8>) -> Result<()> {
        // What a buffer's move or answer says, the other side must be able to read.
        top_level()?;
        let mut account = ctx.accounts.buffer.as_ref().try_borrow_mut_data()?;
        let place = Buffer::bytes_mut(&mut account)?
            .get_mut(offset as usize..)
            .and_then(|rest| rest.get_mut(..bytes.len()))
            .ok_or(SettlementError::BufferRange)?;
        place.copy_from_slice(&bytes);
        Ok(())
    }
}
