//! Makes the oldest pending batch final.

use crate::errors::SettlementError;
use crate::events::BatchFinalized;
use crate::seeds;
use crate::state::{Chain, Rollup, Sequencer};
use anchor_lang::prelude::*;

/// Accounts of `finalize_batch`. Anybody may call it.
#[derive(Accounts)]
pub struct FinalizeBatch<'info> {
    /// Holds the inbox fees.
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
    /// The account of who posted the batch; is paid its inbox fees.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), &seeds::opaque(sequencer.key.to_bytes())],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
}

impl FinalizeBatch<'_> {
    /// See [`crate::settlement::finalize_batch`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let (batch, fees) = {
            let mut chain = ctx.accounts.chain.load_mut()?;
            let done = chain.finalize_next(Clock::get()?.slot)?;
            chain.invariant()?;
            done
        };
        let rollup = &ctx.accounts.rollup;
        let sequencer = &mut ctx.accounts.sequencer;
        require_keys_eq!(
            sequencer.key,
            batch.sequencer,
            SettlementError::WrongSequencer
        );
        // To the program's own account, not to a wallet: a recipient that cannot be paid must
        // not hold finality back.
        rollup.sub_lamports(fees)?;
        sequencer.add_lamports(fees)?;
        sequencer.earned = sequencer
            .earned
            .checked_add(fees)
            .ok_or(SettlementError::Overflow)?;
        sequencer.invariant()?;
        sequencer.solvent(sequencer.get_lamports())?;
        emit!(BatchFinalized {
            rollup: rollup.key(),
            number: batch.number,
            hash: batch.hash,
            sequencer: batch.sequencer,
            fees,
            outbox_count: batch.outbox_count,
            outbox_root: batch.outbox_root,
        });
        Ok(())
    }
}
