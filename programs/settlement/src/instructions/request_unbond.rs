//! Starts the delay after which a part of the bond may be withdrawn.

use crate::errors::SettlementError;
use crate::events::BondChanged;
use crate::seeds;
use crate::state::{Rollup, Sequencer};
use anchor_lang::prelude::*;

/// Accounts of `request_unbond`.
#[derive(Accounts)]
pub struct RequestUnbond<'info> {
    /// The sequencer's key.
    pub key: Signer<'info>,
    /// The rollup.
    #[account(seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()], bump = rollup.bump)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// Its bond.
    #[account(
        mut,
        has_one = key,
        has_one = rollup,
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
}

impl RequestUnbond<'_> {
    fn validate(&self, amount: u64) -> Result<()> {
        require_gte!(self.sequencer.bond, amount, SettlementError::BondExceeded);
        Ok(())
    }

    /// See [`crate::settlement::request_unbond`].
    pub fn handler(ctx: Context<Self>, amount: u64) -> Result<()> {
        ctx.accounts.validate(amount)?;
        let delay = ctx.accounts.rollup.config.unbond_delay;
        let sequencer = &mut ctx.accounts.sequencer;
        sequencer.unbonding = amount;
        sequencer.unbond_slot = Clock::get()?
            .slot
            .checked_add(delay)
            .ok_or(SettlementError::Overflow)?;
        sequencer.invariant()?;
        emit!(BondChanged {
            rollup: sequencer.rollup,
            sequencer: sequencer.key,
            bond: sequencer.bond,
            unbonding: sequencer.unbonding,
            unbond_slot: sequencer.unbond_slot,
        });
        Ok(())
    }
}
