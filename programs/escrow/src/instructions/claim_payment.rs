//! `claim_payment`: makes a payment that could not be made when the job was settled.

use crate::errors::EscrowError;
use crate::events::PaymentClaimed;
use crate::payout::pay;
use crate::seeds;
use crate::state::Job;
use anchor_lang::prelude::*;

/// Pays the sequencer or the publisher of a settled job what waits for it. Anybody may.
///
/// # Requirements
/// * something is due to `recipient`
/// * it can take it now: it would have the rent-exempt minimum, and is no program
///
/// # Steps
/// 1. move the lamports
/// 2. mark them as paid
#[derive(Accounts)]
pub struct ClaimPayment<'info> {
    /// The job.
    #[account(
        mut,
        seeds = [
            seeds::JOB,
            job.rollup.as_ref(),
            job.client.as_ref(),
            &job.nonce.to_le_bytes()
        ],
        bump = job.bump,
        constraint = job.version == Job::VERSION @ EscrowError::UnknownVersion
    )]
    pub job: Box<Account<'info, Job>>,
    /// CHECK: the job's sequencer or publisher.
    #[account(mut)]
    pub recipient: UncheckedAccount<'info>,
}

impl ClaimPayment<'_> {
    /// What is due to the recipient, as sequencer and as publisher together.
    fn due(&self) -> Result<u64> {
        let recipient = self.recipient.key();
        let part = |key: Pubkey, due: u64| if key == recipient { due } else { 0 };
        part(self.job.sequencer, self.job.sequencer_due)
            .checked_add(part(self.job.publisher, self.job.publisher_due))
            .ok_or(error!(EscrowError::Overflow))
    }

    /// See [`ClaimPayment`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let accounts = ctx.accounts;
        let amount = accounts.due()?;
        require_gt!(amount, 0, EscrowError::NothingDue);
        require!(
            pay(&accounts.job.to_account_info(), &accounts.recipient, amount)?,
            EscrowError::CannotBePaid
        );
        let recipient = accounts.recipient.key();
        if accounts.job.sequencer == recipient {
            accounts.job.sequencer_due = 0;
        }
        if accounts.job.publisher == recipient {
            accounts.job.publisher_due = 0;
        }
        emit!(PaymentClaimed {
            job: accounts.job.key(),
            recipient,
            amount,
        });
        accounts.job.invariant(
            accounts.job.get_lamports(),
            Rent::get()?.minimum_balance(Job::size(accounts.job.output_bytes)),
        )
    }
}
