//! Closes an inbox page whose messages are all final.

use crate::errors::SettlementError;
use crate::events::InboxPageClosed;
use crate::seeds;
use crate::state::{Chain, InboxPage, Rollup};
use anchor_lang::prelude::*;

/// Accounts of `close_inbox_page`. Anybody may call it.
#[derive(Accounts)]
pub struct CloseInboxPage<'info> {
    /// The rollup.
    #[account(seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()], bump = rollup.bump)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// Says which messages are final.
    #[account(
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// Closed.
    #[account(mut, close = payer, has_one = rollup)]
    pub page: AccountLoader<'info, InboxPage>,
    /// CHECK: who opened the page, which `validate` compares; gets the rent.
    #[account(mut)]
    pub payer: UncheckedAccount<'info>,
}

impl CloseInboxPage<'_> {
    fn validate(&self) -> Result<()> {
        let page = self.page.load()?;
        require_keys_eq!(page.payer, self.payer.key(), SettlementError::WrongPayer);
        // No batch from here on can have its cursor on this page: cursors only grow, and no
        // revert goes behind the last final batch.
        let final_cursor = self.chain.load()?.last_final().inbox_cursor;
        require_gte!(final_cursor, page.end()?, SettlementError::PageInUse);
        Ok(())
    }

    /// See [`crate::settlement::close_inbox_page`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        emit!(InboxPageClosed {
            rollup: ctx.accounts.rollup.key(),
            page: ctx.accounts.page.load()?.number,
        });
        Ok(())
    }
}
