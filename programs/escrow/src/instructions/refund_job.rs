//! `refund_job`: gives the payment back after the deadline.

use crate::constants::CLAIM_SLOTS;
use crate::errors::EscrowError;
use crate::events::JobRefunded;
use crate::payout::pay;
use crate::seeds;
use crate::state::{Feed, Job, JobStatus};
use anchor_lang::prelude::*;
use settlement::state::{Chain, Rollup};

/// Gives the payment back to the client of a job that no batch has consumed, or that nobody has
/// settled in a long time. Anybody may.
///
/// A batch that consumes the message later finds the job refunded and is not paid for it. A job
/// that was consumed can be without anybody who could settle it: its output must be shown, and
/// whoever has it may keep it to himself. So after its deadline and [`CLAIM_SLOTS`] more it is
/// refunded as well, and never settled then. Until then settling is open to all who are paid by it.
///
/// # Requirements
/// * the job is open
/// * its deadline has passed
/// * no pending or final batch has consumed its message, or [`CLAIM_SLOTS`] have passed since the
///   deadline
/// * the feed is the one that the job names
///
/// # Steps
/// 1. mark the job as refunded
/// 2. pay the client; if it cannot be paid now, the lamports come with `close_job`
#[derive(Accounts)]
pub struct RefundJob<'info> {
    /// The job.
    #[account(
        mut,
        seeds = [
            seeds::JOB,
            rollup.key().as_ref(),
            job.client.as_ref(),
            &job.nonce.to_le_bytes()
        ],
        bump = job.bump,
        has_one = rollup @ EscrowError::OtherRollup,
        has_one = client @ EscrowError::OtherClient,
        constraint = job.version == Job::VERSION @ EscrowError::UnknownVersion,
        constraint = job.status == JobStatus::Open @ EscrowError::JobNotOpen,
        constraint = job.feed == feed.as_ref().map(|f| f.key()).unwrap_or_default()
            @ EscrowError::OtherFeed
    )]
    pub job: Box<Account<'info, Job>>,
    /// CHECK: the job's client.
    #[account(mut)]
    pub client: UncheckedAccount<'info>,
    /// The job's feed.
    #[account(mut, constraint = feed.version == Feed::VERSION @ EscrowError::UnknownVersion)]
    pub feed: Option<Box<Account<'info, Feed>>>,
    /// The rollup.
    pub rollup: Box<Account<'info, Rollup>>,
    /// Its batches.
    #[account(
        seeds = [settlement::seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump,
        seeds::program = settlement::ID
    )]
    pub chain: AccountLoader<'info, Chain>,
}

impl RefundJob<'_> {
    fn validate(&self, slot: u64) -> Result<()> {
        require_gt!(slot, self.job.deadline, EscrowError::TooEarly);
        let consumed = self.job.message < self.chain.load()?.tip_inbox_cursor();
        let given_up = slot > self.job.deadline.saturating_add(CLAIM_SLOTS);
        require!(!consumed || given_up, EscrowError::Consumed);
        Ok(())
    }

    /// See [`RefundJob`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let now = Clock::get()?;
        ctx.accounts.validate(now.slot)?;
        let accounts = ctx.accounts;
        accounts.job.finish(JobStatus::Refunded, &now)?;
        let refund = accounts.job.max_price;
        pay(&accounts.job.to_account_info(), &accounts.client, refund)?;
        if let Some(feed) = &mut accounts.feed {
            feed.job_done()?;
            feed.invariant()?;
        }
        emit!(JobRefunded {
            rollup: accounts.job.rollup,
            job: accounts.job.key(),
            refund,
        });
        accounts.job.invariant(
            accounts.job.get_lamports(),
            Rent::get()?.minimum_balance(Job::size(accounts.job.output_bytes)),
        )
    }
}
