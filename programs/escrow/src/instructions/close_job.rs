//! `close_job`: returns a finished job's rent.

use crate::errors::EscrowError;
use crate::events::JobClosed;
use crate::seeds;
use crate::state::Job;
use anchor_lang::prelude::*;

/// Closes the account of a finished job. Its output goes with it; a feed keeps its own.
///
/// # Accounts
/// `client` signs and gets the lamports.
///
/// # Requirements
/// * the job is settled, declined or refunded
/// * no payment waits in it, or has for 6,480,000 slots; then it goes to the client as well
///
/// # Steps
/// 1. close the account to the client
#[derive(Accounts)]
pub struct CloseJob<'info> {
    /// The job.
    #[account(
        mut,
        seeds = [
            seeds::JOB,
            job.rollup.as_ref(),
            client.key().as_ref(),
            &job.nonce.to_le_bytes()
        ],
        bump = job.bump,
        has_one = client @ EscrowError::OtherClient,
        constraint = job.version == Job::VERSION @ EscrowError::UnknownVersion,
        close = client
    )]
    pub job: Box<Account<'info, Job>>,
    /// The job's client.
    #[account(mut)]
    pub client: Signer<'info>,
}

impl CloseJob<'_> {
    /// See [`CloseJob`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let job = &ctx.accounts.job;
        job.check_closable(Clock::get()?.slot)?;
        emit!(JobClosed {
            job: job.key(),
            client: ctx.accounts.client.key(),
            lamports: job.get_lamports(),
        });
        Ok(())
    }
}
