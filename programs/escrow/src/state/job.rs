//! A job that is paid on L1.

use super::Output;
use crate::constants::CLAIM_SLOTS;
use crate::errors::EscrowError;
use anchor_lang::prelude::*;

/// What has become of a job. It leaves `Open` once.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Waits for its result, or for its deadline.
    Open,
    /// Ran; the output is in the account, the price was paid.
    Settled,
    /// Did not run on L2; refunded.
    Declined,
    /// Was not consumed before its deadline, or not settled long after it; refunded.
    Refunded,
}

/// `["job", rollup, client, nonce]`: a job, the lamports locked for it, and its result.
#[account]
#[derive(Debug)]
pub struct Job {
    /// [`Job::VERSION`].
    pub version: u8,
    /// Of this account's address.
    pub bump: u8,
    /// What has become of it.
    pub status: JobStatus,
    /// The rollup.
    pub rollup: Pubkey,
    /// Whose it is: gets refunds, the rest of the price, and the rent.
    pub client: Pubkey,
    /// Which of the client's.
    pub nonce: u64,
    /// Index of its message in the inbox.
    pub message: u64,
    /// Index of the model.
    pub model: u32,
    /// The model's program; nothing else runs for this job.
    pub program_root: [u8; 32],
    /// The most that may be charged, in lamports.
    pub max_price: u64,
    /// The last slot before a refund is possible.
    pub deadline: u64,
    /// Which output is delivered; an index past the last delivers the last.
    pub output_index: u32,
    /// Bytes of room for the output.
    pub output_bytes: u32,
    /// The feed that gets the output too; the zero key for none.
    pub feed: Pubkey,
    /// Slot of settlement or refund; 0 while open.
    pub done_slot: u64,
    /// `Clock::unix_timestamp` when it was created: nothing that the result depends on is newer.
    pub created_at: i64,
    /// When the batch with the result was posted, at the latest (see
    /// [`settlement::state::Chain::outbox_batch`]); 0 unless settled.
    pub batch_at: i64,
    /// When it was settled or refunded; 0 while open.
    pub done_at: i64,
    /// What was charged, in lamports.
    pub price: u64,
    /// The model's version that ran.
    pub model_version: u64,
    /// Who ran it.
    pub sequencer: Pubkey,
    /// Lamports that the sequencer still has to get.
    pub sequencer_due: u64,
    /// Whose model ran.
    pub publisher: Pubkey,
    /// Lamports that the publisher still has to get.
    pub publisher_due: u64,
    /// Root over the outputs' roots.
    pub output_root: [u8; 32],
    /// The output, once settled.
    pub output: Output,
}

impl Job {
    /// Of this layout.
    pub const VERSION: u8 = 2;

    /// Bytes of the account of a job with room for `output_bytes`.
    pub const fn size(output_bytes: u32) -> usize {
        8  // discriminator
        + 1  // version
        + 1  // bump
        + 1  // status
        + 32 // rollup
        + 32 // client
        + 8  // nonce
        + 8  // message
        + 4  // model
        + 32 // program_root
        + 8  // max_price
        + 8  // deadline
        + 4  // output_index
        + 4  // output_bytes
        + 32 // feed
        + 8  // done_slot
        + 8  // created_at
        + 8  // batch_at
        + 8  // done_at
        + 8  // price
        + 8  // model_version
        + 32 // sequencer
        + 8  // sequencer_due
        + 32 // publisher
        + 8  // publisher_due
        + 32 // output_root
        + Output::size(output_bytes) // output
    }

    /// Leaves `Open`, once.
    pub fn finish(&mut self, status: JobStatus, now: &Clock) -> Result<()> {
        require!(self.status == JobStatus::Open, EscrowError::JobNotOpen);
        self.status = status;
        self.done_slot = now.slot;
        self.done_at = now.unix_timestamp;
        Ok(())
    }

    /// Lamports that are spoken for, apart from the rent: the price while open, then what the
    /// sequencer and the publisher still have to get.
    pub fn owed(&self) -> Result<u64> {
        match self.status {
            JobStatus::Open => Ok(self.max_price),
            _ => self
                .sequencer_due
                .checked_add(self.publisher_due)
                .ok_or(error!(EscrowError::Overflow)),
        }
    }

    /// Whether the client may close the account at `slot`.
    pub fn check_closable(&self, slot: u64) -> Result<()> {
        require!(self.status != JobStatus::Open, EscrowError::JobOpen);
        require!(
            self.owed()? == 0 || slot > self.done_slot.saturating_add(CLAIM_SLOTS),
            EscrowError::PaymentWaiting
        );
        Ok(())
    }

    /// The account holds its rent and what it owes; money is due only after settling, and never
    /// more than the price, which is never more than the limit; there is an output exactly when
    /// settled. `lamports` is its balance, `rent` the rent-exempt minimum of its size.
    pub fn invariant(&self, lamports: u64, rent: u64) -> Result<()> {
        let owed = self.owed()?;
        let settled = self.status == JobStatus::Settled;
        require!(
            lamports.checked_sub(rent).is_some_and(|free| free >= owed)
                && self.price <= self.max_price
                && (self.status == JobStatus::Open || owed <= self.price)
                && (settled || self.price == 0)
                && settled != self.output.data.is_empty()
                && self.output.data.len() <= self.output_bytes as usize,
            EscrowError::JobInvariant
        );
        Ok(())
    }
}
