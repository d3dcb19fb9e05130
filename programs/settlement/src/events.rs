//! Events: all that an indexer needs beside the instructions' own data.
//!
//! The payload of a message and the chunks of a batch are in the data of `enqueue` and
//! `write_chunks`. Logs can be truncated by whoever sends the transaction, so nothing that
//! correctness depends on is read from an event.

use crate::header::BatchHeader;
use crate::state::Config;
use anchor_lang::prelude::*;

/// A rollup was initialised.
#[event]
pub struct RollupInitialized {
    /// The rollup.
    pub rollup: Pubkey,
    /// What its address is derived from.
    pub id: u64,
    /// Who initialised it.
    pub authority: Pubkey,
    /// Its configuration.
    pub config: Config,
    /// The hash that stands for batch 0.
    pub genesis: [u8; 32],
}

/// A sequencer's bond changed: it registered, added, asked for or withdrew a part, or left.
#[event]
pub struct BondChanged {
    /// The rollup.
    pub rollup: Pubkey,
    /// The sequencer's key.
    pub sequencer: Pubkey,
    /// Lamports bonded now.
    pub bond: u64,
    /// Lamports of them being withdrawn.
    pub unbonding: u64,
    /// From this slot on they may be.
    pub unbond_slot: u64,
}

/// A sequencer was paid the inbox fees that it earned.
#[event]
pub struct FeesClaimed {
    /// The rollup.
    pub rollup: Pubkey,
    /// The sequencer's key.
    pub sequencer: Pubkey,
    /// How much.
    pub lamports: u64,
}

/// A batch's data is complete.
#[event]
pub struct DataSealed {
    /// The rollup.
    pub rollup: Pubkey,
    /// The account, in whose transactions the chunks are.
    pub data: Pubkey,
    /// Who wrote it.
    pub poster: Pubkey,
    /// Root over the chunks.
    pub root: [u8; 32],
    /// Bytes of data.
    pub len: u32,
}

/// A batch was posted.
#[event]
pub struct BatchPosted {
    /// The header's hash: the batch's name.
    pub hash: [u8; 32],
    /// L1 slot.
    pub slot: u64,
    /// The account in whose transactions the data is.
    pub data: Pubkey,
    /// The whole header.
    pub header: BatchHeader,
}

/// A batch became final.
#[event]
pub struct BatchFinalized {
    /// The rollup.
    pub rollup: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Who posted it.
    pub sequencer: Pubkey,
    /// Lamports of inbox fees that it earned.
    pub fees: u64,
    /// Messages in the outbox that may be proven now.
    pub outbox_count: u64,
    /// Root of that outbox.
    pub outbox_root: [u8; 32],
}

/// A message entered the inbox.
#[event]
pub struct MessageEnqueued {
    /// The rollup.
    pub rollup: Pubkey,
    /// From 0.
    pub index: u64,
    /// The number of its [`assay_ledger::inbox::MessageKind`].
    pub kind: u8,
    /// Who signed it.
    pub sender: Pubkey,
    /// Bytes of its payload.
    pub payload_len: u32,
    /// The chain's value after it.
    pub chain: [u8; 32],
    /// L1 slot.
    pub slot: u64,
    /// Lamports paid.
    pub fee: u64,
}

/// An inbox page was closed.
#[event]
pub struct InboxPageClosed {
    /// The rollup.
    pub rollup: Pubkey,
    /// The page.
    pub page: u64,
}
