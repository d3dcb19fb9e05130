//! Closes a data account.

use crate::errors::SettlementError;
use crate::state::BatchData;
use anchor_lang::prelude::*;

/// Accounts of `close_data`.
#[derive(Accounts)]
pub struct CloseData<'info> {
    /// Who opened the account; gets the rent.
    #[account(mut)]
    pub poster: Signer<'info>,
    /// The data account, sealed or given up; closed.
    #[account(mut, close = poster, has_one = poster @ SettlementError::ForeignData)]
    pub data: AccountLoader<'info, BatchData>,
}

impl CloseData<'_> {
    /// See [`crate::settlement::close_data`].
    pub fn handler(_ctx: Context<Self>) -> Result<()> {
        Ok(())
    }
}
