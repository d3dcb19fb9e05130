//! Events: all that an indexer needs to follow the jobs.

use anchor_lang::prelude::*;

/// A job was paid for and put into the inbox.
#[event]
pub struct JobCreated {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// The job's address.
    pub job: Pubkey,
    /// Whose it is.
    pub client: Pubkey,
    /// Which of the client's.
    pub nonce: u64,
    /// Index of the message in the inbox.
    pub message: u64,
    /// Index of the model.
    pub model: u32,
    /// Its program.
    pub program_root: [u8; 32],
    /// The most that may be charged, in lamports.
    pub max_price: u64,
    /// The last slot before a refund is possible.
    pub deadline: u64,
}

/// A job ran, and was paid for.
#[event]
pub struct JobSettled {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// The job's address.
    pub job: Pubkey,
    /// Number of the final batch that it was proven against.
    pub batch: u64,
    /// What was charged, in lamports.
    pub price: u64,
    /// Who ran it.
    pub sequencer: Pubkey,
    /// Its share of the price, in lamports.
    pub sequencer_share: u64,
    /// Whose model it is; paid the rest of the price.
    pub publisher: Pubkey,
    /// The model's version.
    pub version: u64,
    /// Which output was delivered.
    pub output_index: u32,
    /// Its bytes.
    pub output: Vec<u8>,
}

/// A job was declined on L2, and refunded.
#[event]
pub struct JobDeclined {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// The job's address.
    pub job: Pubkey,
    /// Number of the final batch that it was proven against.
    pub batch: u64,
    /// What went back, in lamports.
    pub refund: u64,
}

/// A job was not consumed before its deadline, or not settled long after it, and refunded.
#[event]
pub struct JobRefunded {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// The job's address.
    pub job: Pubkey,
    /// What went back, in lamports.
    pub refund: u64,
}

/// A payment that had waited in the job was made.
#[event]
pub struct PaymentClaimed {
    /// The job's address.
    pub job: Pubkey,
    /// Who was paid.
    pub recipient: Pubkey,
    /// In lamports.
    pub amount: u64,
}

/// A job's account was closed.
#[event]
pub struct JobClosed {
    /// The job's address.
    pub job: Pubkey,
    /// Who got its lamports.
    pub client: Pubkey,
    /// In lamports.
    pub lamports: u64,
}

/// A feed was created.
#[event]
pub struct FeedCreated {
    /// The feed's address.
    pub feed: Pubkey,
    /// Whose it is.
    pub client: Pubkey,
    /// The rollup whose results it takes.
    pub rollup: Pubkey,
    /// Its name.
    pub name: [u8; 32],
}

/// A feed has a newer result.
#[event]
pub struct FeedUpdated {
    /// The feed's address.
    pub feed: Pubkey,
    /// The job whose output it is.
    pub job: Pubkey,
    /// Results so far.
    pub updates: u64,
}

/// A feed's account was closed.
#[event]
pub struct FeedClosed {
    /// The feed's address.
    pub feed: Pubkey,
}
