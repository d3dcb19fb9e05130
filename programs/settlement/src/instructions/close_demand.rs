//! Closes a demand that is over, and pays its demander.

use crate::errors::SettlementError;
use crate::events::DemandClosed;
use crate::seeds;
use crate::state::Demand;
use anchor_lang::prelude::*;

/// Accounts of `close_demand`.
#[derive(Accounts)]
pub struct CloseDemand<'info> {
    /// Closed.
    #[account(
        mut,
        close = demander,
        has_one = demander @ SettlementError::NotTheDemander,
        seeds = [
            seeds::DEMAND,
            demand.rollup.as_ref(),
            demand.demander.as_ref(),
            &demand.id.to_le_bytes()
        ],
        bump = demand.bump
    )]
    pub demand: Box<Account<'info, Demand>>,
    /// Who opened it; gets the rent, what is left of its lamports and what it has won. Signs, as the
    /// answers that it may not have read yet are lost with the account.
    #[account(mut)]
    pub demander: Signer<'info>,
}

impl CloseDemand<'_> {
    /// See [`crate::settlement::close_demand`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let demand = &ctx.accounts.demand;
        require!(demand.over, SettlementError::DemandOpen);
        emit!(DemandClosed {
            rollup: demand.rollup,
            demand: demand.key(),
            payout: demand.bond,
        });
        Ok(())
    }
}
