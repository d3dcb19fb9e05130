//! A feed: the newest output of a client's jobs, at one address.

use super::{Job, Output};
use crate::constants::NAME;
use crate::errors::EscrowError;
use anchor_lang::prelude::*;

/// `["feed", client, name]`: the newest output among the client's jobs that named this feed.
/// Other programs read it; they check `client`, `rollup` and
/// `program_root` (`model` alone may name another after a revert), and how old `requested_at` is.
/// Everything before the output's elements has a fixed place.
#[account]
#[derive(Debug)]
pub struct Feed {
    /// [`Feed::VERSION`].
    pub version: u8,
    /// Of this account's address.
    pub bump: u8,
    /// Who created it; only this client's jobs write to it.
    pub client: Pubkey,
    /// The rollup whose results it takes.
    pub rollup: Pubkey,
    /// Its name.
    pub name: [u8; NAME],
    /// Bytes of room for the output.
    pub capacity: u32,
    /// Open jobs that name it.
    pub pending: u32,
    /// Results so far; 0 means that the fields below say nothing yet.
    pub updates: u64,
    /// The job whose output this is.
    pub job: Pubkey,
    /// Index of its message in the inbox: a later message's result replaces this one, an earlier
    /// one's does not, in whichever order they are settled.
    pub message: u64,
    /// Index of the model that ran.
    pub model: u32,
    /// Its program.
    pub program_root: [u8; 32],
    /// Its version.
    pub model_version: u64,
    /// L1 slot in which the result was settled.
    pub slot: u64,
    /// `Clock::unix_timestamp` when the job was created: how old the result is, whenever it was settled.
    pub requested_at: i64,
    /// When the batch with the result was posted, at the latest.
    pub batch_at: i64,
    /// When it was settled.
    pub settled_at: i64,
    /// The output.
    pub output: Output,
}

impl Feed {
    /// Of this layout.
    pub const VERSION: u8 = 2;

    /// Bytes of the account of a feed with room for `capacity` bytes.
    pub const fn size(capacity: u32) -> usize {
        8  // discriminator
        + 1  // version
        + 1  // bump
        + 32 // client
        + 32 // rollup
        + NAME // name
        + 4  // capacity
        + 4  // pending
        + 8  // updates
        + 32 // job
        + 8  // message
        + 4  // model
        + 32 // program_root
        + 8  // model_version
        + 8  // slot
        + 8  // requested_at
        + 8  // batch_at
        + 8  // settled_at
        + Output::size(capacity) // output
    }

    /// Counts a job that will write to it.
    pub fn expect_job(&mut self) -> Result<()> {
        self.pending = self.pending.checked_add(1).ok_or(EscrowError::Overflow)?;
        Ok(())
    }

    /// A job that named it is not open any more.
    pub fn job_done(&mut self) -> Result<()> {
        self.pending = self.pending.checked_sub(1).ok_or(EscrowError::Overflow)?;
        Ok(())
    }

    /// Takes over the output of a job that has been settled, unless it has a newer one. Says
    /// whether it did.
    pub fn update(&mut self, address: Pubkey, job: &Job) -> Result<bool> {
        if self.updates > 0 && job.message <= self.message {
            return Ok(false);
        }
        self.updates = self.updates.checked_add(1).ok_or(EscrowError::Overflow)?;
        self.job = address;
        self.message = job.message;
        self.model = job.model;
        self.program_root = job.program_root;
        self.model_version = job.model_version;
        self.slot = job.done_slot;
        self.requested_at = job.created_at;
        self.batch_at = job.batch_at;
        self.settled_at = job.done_at;
        self.output = job.output.clone();
        Ok(true)
    }

    /// The output fits, and is there exactly after the first update.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.output.data.len() <= self.capacity as usize
                && (self.updates == 0) == self.output.data.is_empty(),
            EscrowError::FeedInvariant
        );
        Ok(())
    }
}
