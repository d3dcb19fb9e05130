//! Closes the account of a dispute that is over and paid out.

use crate::errors::SettlementError;
use crate::events::DisputeClosed;
use crate::state::Dispute;
use anchor_lang::prelude::*;

/// Accounts of `close_dispute`. Anybody may call it.
#[derive(Accounts)]
pub struct CloseDispute<'info> {
    /// Closed.
    #[account(mut, close = challenger, has_one = challenger @ SettlementError::NotAParty)]
    pub dispute: AccountLoader<'info, Dispute>,
    /// CHECK: who opened it; gets the rent.
    #[account(mut)]
    pub challenger: UncheckedAccount<'info>,
}

impl CloseDispute<'_> {
    /// See [`crate::settlement::close_dispute`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let dispute = ctx.accounts.dispute.load()?;
        require!(dispute.is_settled(), SettlementError::DisputeNotSettled);
        emit!(DisputeClosed {
            rollup: dispute.rollup,
            dispute: ctx.accounts.dispute.key(),
        });
        Ok(())
    }
}
