//! Takes a batch down of whose blobs a piece was demanded and not answered.

use super::court::{Condemned, convict};
use crate::constants::INCINERATOR;
use crate::errors::SettlementError;
use crate::events::DemandSettled;
use crate::seeds;
use crate::state::demand::DemandClass;
use crate::state::{Chain, Demand, Rollup, Sequencer};
use anchor_lang::prelude::*;

/// Accounts of `time_out_demand`. Anybody may call it.
#[derive(Accounts)]
pub struct TimeOutDemand<'info> {
    /// Its copy of the inbox cursor goes back with the revert.
    #[account(
        mut,
        seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()],
        bump = rollup.bump
    )]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The batches.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The bond of the batch's sequencer.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), &seeds::opaque(sequencer.key.to_bytes())],
        bump = sequencer.bump,
        constraint = sequencer.key == demand.asserter @ SettlementError::WrongSequencer
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
    /// The demand.
    #[account(
        mut,
        has_one = rollup @ SettlementError::ForeignDemand,
        seeds = [
            seeds::DEMAND,
            rollup.key().as_ref(),
            demand.demander.as_ref(),
            &demand.id.to_le_bytes()
        ],
        bump = demand.bump
    )]
    pub demand: Box<Account<'info, Demand>>,
    /// CHECK: the address under which Solana destroys lamports.
    #[account(mut, address = INCINERATOR)]
    pub incinerator: UncheckedAccount<'info>,
}

impl TimeOutDemand<'_> {
    fn validate(&self) -> Result<()> {
        match self.demand.class(&*self.chain.load()?, Clock::get()?.slot) {
            DemandClass::Expired => Ok(()),
            DemandClass::Over => err!(SettlementError::DemandOver),
            DemandClass::Moot => err!(SettlementError::DemandMoot),
            DemandClass::Open(_) => err!(SettlementError::ClockRuns),
        }
    }

    /// See [`crate::settlement::time_out_demand`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        let accounts = ctx.accounts;
        let info = accounts.demand.to_account_info();
        let reward = convict(
            Condemned {
                rollup: &mut accounts.rollup,
                chain: &accounts.chain,
                sequencer: &mut accounts.sequencer,
                incinerator: &accounts.incinerator,
            },
            accounts.demand.number,
            &info,
        )?;
        let demand = &mut accounts.demand;
        demand.over = true;
        demand.bond = demand
            .bond
            .checked_add(reward)
            .ok_or(SettlementError::Overflow)?;
        let len = demand.to_account_info().data_len();
        demand.invariant(demand.get_lamports(), len)?;
        emit!(DemandSettled {
            rollup: demand.rollup,
            demand: demand.key(),
            number: demand.number,
            hash: demand.hash,
            unanswered: true,
            payout: demand.bond,
        });
        Ok(())
    }
}
