//! Makes a sequencer of who bonds, with the authority's leave.

use super::add_bond::deposit;
use crate::constants::ACCOUNT_VERSION;
use crate::errors::SettlementError;
use crate::events::BondChanged;
use crate::seeds;
use crate::state::{Rollup, Sequencer};
use anchor_lang::prelude::*;

/// Accounts of `register_sequencer`.
#[derive(Accounts)]
pub struct RegisterSequencer<'info> {
    /// The sequencer's key; pays the rent and the bond.
    #[account(mut)]
    pub key: Signer<'info>,
    /// The rollup's authority: while turns do not rotate, a stranger's batch on the tip would fork
    /// the chain of the sequencer that is at work.
    pub authority: Signer<'info>,
    /// The rollup.
    #[account(
        seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()],
        bump = rollup.bump,
        has_one = authority @ SettlementError::NotAuthority
    )]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The bond's account, created.
    #[account(
        init,
        payer = key,
        space = Sequencer::size(),
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), key.key().as_ref()],
        bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
    /// Creates the account and moves the bond.
    pub system_program: Program<'info, System>,
}

impl RegisterSequencer<'_> {
    fn validate(&self, bond: u64) -> Result<()> {
        require_gte!(
            bond,
            self.rollup.config.params.bond_slice,
            SettlementError::BondTooSmall
        );
        Ok(())
    }

    /// See [`crate::settlement::register_sequencer`].
    pub fn handler(ctx: Context<Self>, bond: u64) -> Result<()> {
        ctx.accounts.validate(bond)?;
        let rollup = ctx.accounts.rollup.key();
        let key = ctx.accounts.key.key();
        let sequencer = &mut ctx.accounts.sequencer;
        sequencer.version = ACCOUNT_VERSION;
        sequencer.bump = ctx.bumps.sequencer;
        sequencer.rollup = rollup;
        sequencer.key = key;
        deposit(&ctx.accounts.key, sequencer, bond)?;
        emit!(BondChanged {
            rollup,
            sequencer: key,
            bond: sequencer.bond,
            unbonding: sequencer.unbonding,
            unbond_slot: sequencer.unbond_slot,
        });
        Ok(())
    }
}
