//! Events: all that an indexer needs beside the instructions' own data.
//!
//! The payload of a message and the chunks of a batch are in the data of `enqueue` and
//! `write_chunks`; what a move of a dispute reveals, claims or proves, and what answers a demand, is in the
//! data of its instruction, or in that of the `write_buffer`s to the buffer that the event names. Logs
//! can be truncated by whoever sends the transaction, so nothing that correctness depends on is read from
//! an event.

use crate::demand::Pieces;
use crate::game::{MoveKind, Party, ProgramHead, Reason, StageKind};
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

/// A dispute was opened: it is in its first stage, and the challenger's turn.
#[event]
pub struct DisputeOpened {
    /// The rollup.
    pub rollup: Pubkey,
    /// The dispute's account.
    pub dispute: Pubkey,
    /// Who opened it.
    pub challenger: Pubkey,
    /// The batch's sequencer.
    pub asserter: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Lamports that the challenger has at stake.
    pub bond: u64,
    /// The last slot in which the challenger may move.
    pub deadline: u64,
    /// Name of the game's state, for the next move.
    pub state: u64,
}

/// A move was made in a dispute.
#[event]
pub struct DisputeMoved {
    /// The rollup.
    pub rollup: Pubkey,
    /// The dispute's account.
    pub dispute: Pubkey,
    /// The batch.
    pub number: u64,
    /// Number of the move, from 1.
    pub moves: u32,
    /// Who made it.
    pub side: Party,
    /// What kind of move.
    pub kind: MoveKind,
    /// The buffer whose contents are the move; none if it is in the instruction's data.
    pub buffer: Option<Pubkey>,
    /// The stage now.
    pub stage: StageKind,
    /// Whose turn it is now.
    pub turn: Party,
    /// The last slot in which that side may move.
    pub deadline: u64,
    /// Name of the game's state, for the next move.
    pub state: u64,
}

/// A dispute was decided.
#[event]
pub struct DisputeDecided {
    /// The rollup.
    pub rollup: Pubkey,
    /// The dispute's account.
    pub dispute: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Who won.
    pub winner: Party,
    /// By what.
    pub reason: Reason,
    /// The buffer whose contents are the proof; none if there was none, or it is in the
    /// instruction's data.
    pub buffer: Option<Pubkey>,
    /// Lamports that the winner may claim: the challenger's bond, and a part of what was slashed.
    pub payout: u64,
}

/// A dispute over a dead batch was given up; the challenger may claim its bond.
#[event]
pub struct DisputeResolved {
    /// The rollup.
    pub rollup: Pubkey,
    /// The dispute's account.
    pub dispute: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Lamports that the challenger may claim.
    pub payout: u64,
}

/// A batch was reverted, and all that followed it.
#[event]
pub struct BatchReverted {
    /// The rollup.
    pub rollup: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Who posted it.
    pub sequencer: Pubkey,
    /// The account of the dispute or demand that it lost.
    pub by: Pubkey,
    /// L1 slot.
    pub slot: u64,
    /// The tip now: the batch's parent.
    pub tip_hash: [u8; 32],
    /// Inbox messages that it has consumed.
    pub inbox_cursor: u64,
    /// Lamports taken from the sequencer's bond.
    pub slashed: u64,
    /// Lamports of them that were burned; the rest is the winner's.
    pub burned: u64,
}

/// What somebody had won or put at stake was paid out.
#[event]
pub struct PayoutClaimed {
    /// The rollup.
    pub rollup: Pubkey,
    /// The account that held it.
    pub from: Pubkey,
    /// Who was paid.
    pub to: Pubkey,
    /// How much.
    pub lamports: u64,
}

/// A dispute's account was closed.
#[event]
pub struct DisputeClosed {
    /// The rollup.
    pub rollup: Pubkey,
    /// The dispute's account.
    pub dispute: Pubkey,
}

/// Pieces of a blob that a batch names were demanded.
#[event]
pub struct DemandOpened {
    /// The rollup.
    pub rollup: Pubkey,
    /// The demand's account.
    pub demand: Pubkey,
    /// Who opened it.
    pub demander: Pubkey,
    /// The batch's sequencer.
    pub asserter: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// The program that it names, or that its parameters are for.
    pub program: ProgramHead,
    /// Root of the parameters that it names.
    pub parameters_root: [u8; 32],
    /// What is demanded.
    pub pieces: Pieces,
    /// Lamports that the demander put down.
    pub bond: u64,
    /// Lamports of them that each answer costs.
    pub fee: u64,
    /// The first slot in which nothing may be answered any more.
    pub answer_end: u64,
}

/// A piece of a demand was answered.
#[event]
pub struct PieceAnswered {
    /// The rollup.
    pub rollup: Pubkey,
    /// The demand's account.
    pub demand: Pubkey,
    /// Which of the pieces, from 0.
    pub place: u8,
    /// Who answered.
    pub answerer: Pubkey,
    /// The buffer whose contents are the answer; none if it is in the instruction's data.
    pub buffer: Option<Pubkey>,
    /// Lamports earned.
    pub fee: u64,
    /// A bit for each piece that is not answered; at 0 the demand is over.
    pub left: u64,
}

/// A demand ended without an answer, or its batch was dead.
#[event]
pub struct DemandSettled {
    /// The rollup.
    pub rollup: Pubkey,
    /// The demand's account.
    pub demand: Pubkey,
    /// The batch.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Whether the batch was lost by it; if not, it was dead already.
    pub unanswered: bool,
    /// Lamports that are the demander's now.
    pub payout: u64,
}

/// A demand's account was closed.
#[event]
pub struct DemandClosed {
    /// The rollup.
    pub rollup: Pubkey,
    /// The demand's account.
    pub demand: Pubkey,
    /// Lamports that its demander was paid, beside the rent.
    pub payout: u64,
}
