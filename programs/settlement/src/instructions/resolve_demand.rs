//! Gives up a demand on a dead batch.

use crate::errors::SettlementError;
use crate::events::DemandSettled;
use crate::seeds;
use crate::state::demand::DemandClass;
use crate::state::{Chain, Demand};
use anchor_lang::prelude::*;

/// Accounts of `resolve_demand`. Anybody may call it.
#[derive(Accounts)]
pub struct ResolveDemand<'info> {
    /// Says that the batch is dead.
    #[account(constraint = chain.load()?.rollup == demand.rollup @ SettlementError::ForeignDemand)]
    pub chain: AccountLoader<'info, Chain>,
    /// The demand.
    #[account(
        mut,
        seeds = [
            seeds::DEMAND,
            demand.rollup.as_ref(),
            demand.demander.as_ref(),
            &demand.id.to_le_bytes()
        ],
        bump = demand.bump
    )]
    pub demand: Box<Account<'info, Demand>>,
}

impl ResolveDemand<'_> {
    fn validate(&self) -> Result<()> {
        match self.demand.class(&*self.chain.load()?, Clock::get()?.slot) {
            DemandClass::Moot => Ok(()),
            DemandClass::Over => err!(SettlementError::DemandOver),
            DemandClass::Expired | DemandClass::Open(_) => err!(SettlementError::NotMoot),
        }
    }

    /// See [`crate::settlement::resolve_demand`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        let demand = &mut ctx.accounts.demand;
        // The batch's slot may hold another batch by now: its counter is not this demand's.
        demand.over = true;
        let len = demand.to_account_info().data_len();
        demand.invariant(demand.get_lamports(), len)?;
        emit!(DemandSettled {
            rollup: demand.rollup,
            demand: demand.key(),
            number: demand.number,
            hash: demand.hash,
            unanswered: false,
            payout: demand.bond,
        });
        Ok(())
    }
}
