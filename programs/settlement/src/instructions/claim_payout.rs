//! Pays a party of a dispute what it may claim.

use crate::errors::SettlementError;
use crate::events::PayoutClaimed;
use crate::state::Dispute;
use anchor_lang::prelude::*;

/// Accounts of `claim_payout`. Anybody may call it.
#[derive(Accounts)]
pub struct ClaimPayout<'info> {
    /// The dispute, which holds the lamports.
    #[account(mut)]
    pub dispute: AccountLoader<'info, Dispute>,
    /// CHECK: the wallet of one of the two parties, which `validate` compares; is paid.
    #[account(mut)]
    pub recipient: UncheckedAccount<'info>,
}

impl ClaimPayout<'_> {
    fn validate(&self) -> Result<()> {
        let dispute = self.dispute.load()?;
        let key = self.recipient.key();
        require!(
            key == dispute.challenger || key == dispute.asserter,
            SettlementError::NotAParty
        );
        Ok(())
    }

    /// See [`crate::settlement::claim_payout`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        let ClaimPayout { dispute, recipient } = ctx.accounts;
        let info = dispute.to_account_info();
        let mut dispute = dispute.load_mut()?;
        let lamports = dispute.take_due(recipient.key)?;
        info.sub_lamports(lamports)?;
        recipient.add_lamports(lamports)?;
        dispute.invariant(info.lamports())?;
        emit!(PayoutClaimed {
            rollup: dispute.rollup,
            from: info.key(),
            to: recipient.key(),
            lamports,
        });
        Ok(())
    }
}
