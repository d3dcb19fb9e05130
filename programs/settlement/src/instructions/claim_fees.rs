//! Pays a sequencer the inbox fees that its final batches earned.

use crate::errors::SettlementError;
use crate::events::FeesClaimed;
use crate::seeds;
use crate::state::Sequencer;
use anchor_lang::prelude::*;

/// Accounts of `claim_fees`.
#[derive(Accounts)]
pub struct ClaimFees<'info> {
    /// The sequencer's key; is paid.
    #[account(mut)]
    pub key: Signer<'info>,
    /// Holds the fees.
    #[account(
        mut,
        has_one = key,
        seeds = [seeds::SEQUENCER, sequencer.rollup.as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
}

impl ClaimFees<'_> {
    fn validate(&self) -> Result<()> {
        require!(self.sequencer.earned > 0, SettlementError::NothingToClaim);
        Ok(())
    }

    /// See [`crate::settlement::claim_fees`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        let sequencer = &mut ctx.accounts.sequencer;
        let lamports = sequencer.earned;
        sequencer.earned = 0;
        sequencer.sub_lamports(lamports)?;
        ctx.accounts.key.add_lamports(lamports)?;
        sequencer.invariant()?;
        sequencer.solvent(sequencer.get_lamports())?;
        emit!(FeesClaimed {
            rollup: sequencer.rollup,
            sequencer: sequencer.key,
            lamports,
        });
        Ok(())
    }
}
