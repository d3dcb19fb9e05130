//! Adds to the bond of the sequencer that signs.

use crate::errors::SettlementError;
use crate::events::BondChanged;
use crate::seeds;
use crate::state::Sequencer;
use anchor_lang::prelude::*;
use anchor_lang::system_program;

/// Accounts of `add_bond`.
#[derive(Accounts)]
pub struct AddBond<'info> {
    /// The sequencer's key; pays. If strangers could add, they could keep it from closing its account: what they
    /// add has to wait for the unbonding delay anew.
    #[account(mut)]
    pub key: Signer<'info>,
    /// Its bond.
    #[account(
        mut,
        has_one = key,
        seeds = [seeds::SEQUENCER, sequencer.rollup.as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
    /// Moves the lamports.
    pub system_program: Program<'info, System>,
}

impl AddBond<'_> {
    /// See [`crate::settlement::add_bond`].
    pub fn handler(ctx: Context<Self>, amount: u64) -> Result<()> {
        let sequencer = &mut ctx.accounts.sequencer;
        deposit(&ctx.accounts.key, sequencer, amount)?;
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

/// Moves `amount` lamports from `payer` to the sequencer's account and bonds them.
pub(super) fn deposit<'info>(
    payer: &Signer<'info>,
    sequencer: &mut Account<'info, Sequencer>,
    amount: u64,
) -> Result<()> {
    system_program::transfer(
        CpiContext::new(
            system_program::ID,
            system_program::Transfer {
                from: payer.to_account_info(),
                to: sequencer.to_account_info(),
            },
        ),
        amount,
    )?;
    sequencer.bond = sequencer
        .bond
        .checked_add(amount)
        .ok_or(SettlementError::Overflow)?;
    sequencer.invariant()?;
    sequencer.solvent(sequencer.get_lamports())
}
