//! Closes the account of a sequencer that has withdrawn everything.

use crate::errors::SettlementError;
use crate::events::BondChanged;
use crate::seeds;
use crate::state::Sequencer;
use anchor_lang::prelude::*;

/// Accounts of `close_sequencer`.
#[derive(Accounts)]
pub struct CloseSequencer<'info> {
    /// The sequencer's key; gets the rent.
    #[account(mut)]
    pub key: Signer<'info>,
    /// Closed.
    #[account(
        mut,
        close = key,
        has_one = key,
        seeds = [seeds::SEQUENCER, sequencer.rollup.as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
}

impl CloseSequencer<'_> {
    fn validate(&self) -> Result<()> {
        // Without a bond no live batch is this sequencer's: a slice is never zero, and no
        // withdrawal goes below the locked ones.
        require!(
            self.sequencer.bond == 0 && self.sequencer.earned == 0,
            SettlementError::SequencerNotEmpty
        );
        Ok(())
    }

    /// See [`crate::settlement::close_sequencer`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        emit!(BondChanged {
            rollup: ctx.accounts.sequencer.rollup,
            sequencer: ctx.accounts.key.key(),
            bond: 0,
            unbonding: 0,
            unbond_slot: 0,
        });
        Ok(())
    }
}
