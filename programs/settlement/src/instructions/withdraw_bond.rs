//! Pays out the part of a bond whose delay has passed.

use crate::errors::SettlementError;
use crate::events::BondChanged;
use crate::seeds;
use crate::state::{Chain, Rollup, Sequencer};
use anchor_lang::prelude::*;

/// Accounts of `withdraw_bond`.
#[derive(Accounts)]
pub struct WithdrawBond<'info> {
    /// The sequencer's key; is paid.
    #[account(mut)]
    pub key: Signer<'info>,
    /// The rollup.
    #[account(seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()], bump = rollup.bump)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// Says which part of the bond is locked.
    #[account(
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The bond.
    #[account(
        mut,
        has_one = key,
        has_one = rollup,
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
}

impl WithdrawBond<'_> {
    fn validate(&self, now: u64) -> Result<()> {
        let sequencer = &self.sequencer;
        require!(sequencer.unbonding > 0, SettlementError::NotUnbonding);
        require_gte!(now, sequencer.unbond_slot, SettlementError::UnbondTooEarly);
        let locked = self.chain.load()?.locked_bond(&sequencer.key)?;
        let left = sequencer.bond.checked_sub(sequencer.unbonding);
        require!(
            left.is_some_and(|left| left >= locked),
            SettlementError::BondLocked
        );
        Ok(())
    }

    /// See [`crate::settlement::withdraw_bond`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate(Clock::get()?.slot)?;
        let sequencer = &mut ctx.accounts.sequencer;
        let amount = sequencer.unbonding;
        sequencer.bond = sequencer
            .bond
            .checked_sub(amount)
            .ok_or(SettlementError::Overflow)?;
        sequencer.unbonding = 0;
        sequencer.unbond_slot = 0;
        sequencer.sub_lamports(amount)?;
        ctx.accounts.key.add_lamports(amount)?;
        sequencer.invariant()?;
        sequencer.solvent(sequencer.get_lamports())?;
        emit!(BondChanged {
            rollup: sequencer.rollup,
            sequencer: sequencer.key,
            bond: sequencer.bond,
            unbonding: 0,
            unbond_slot: 0,
        });
        Ok(())
    }
}
