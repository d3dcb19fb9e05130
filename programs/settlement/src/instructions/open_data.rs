//! Takes a client-created account into use for a batch's data.

use crate::constants::ACCOUNT_VERSION;
use crate::errors::SettlementError;
use crate::seeds;
use crate::state::{BatchData, Rollup};
use anchor_lang::prelude::*;

/// Accounts of `open_data`.
#[derive(Accounts)]
pub struct OpenData<'info> {
    /// Who will write the data, may post a batch with it, and gets the rent back.
    pub poster: Signer<'info>,
    /// The rollup.
    #[account(seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()], bump = rollup.bump)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// Owned by this program, of [`BatchData::size`] bytes, all zero.
    #[account(zero)]
    pub data: AccountLoader<'info, BatchData>,
}

impl OpenData<'_> {
    fn validate(&self, len: u32) -> Result<()> {
        require!(
            (1..=self.rollup.config.params.max_data).contains(&len),
            SettlementError::DataLength
        );
        let bytes = self.data.as_ref().try_borrow_data()?;
        require_eq!(
            bytes.len(),
            BatchData::size(len),
            SettlementError::DataAccountSize
        );
        Ok(())
    }

    /// See [`crate::settlement::open_data`].
    pub fn handler(ctx: Context<Self>, len: u32) -> Result<()> {
        ctx.accounts.validate(len)?;
        let mut data = ctx.accounts.data.load_init()?;
        data.rollup = ctx.accounts.rollup.key();
        data.poster = ctx.accounts.poster.key();
        data.len = len;
        data.version = ACCOUNT_VERSION;
        data.invariant()
    }
}
