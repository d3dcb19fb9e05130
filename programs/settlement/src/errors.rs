//! What the program refuses, and what to do about it.

use anchor_lang::prelude::*;
use assay_dispute::demand::{NoAnswer, NoDemand};
use assay_dispute::descent::DescentError;
use assay_dispute::game::Refused;
use assay_dispute::prove::NotProven;
use assay_dispute::step::ProofError;

/// Errors of the settlement program.
#[error_code]
pub enum SettlementError {
    // Configuration
    /// A parameter is out of its range.
    #[msg("A configuration value is out of range: see Config::validate for the bounds")]
    BadConfig,
    /// The account has a layout that this program does not know.
    #[msg("The account's version is unknown: use the program version that wrote it")]
    UnknownVersion,
    /// An amount overflows.
    #[msg("Arithmetic overflow: the amounts or slots are too large")]
    Overflow,
    /// A state's invariant does not hold.
    #[msg("The account's invariant does not hold: report this as a bug")]
    Invariant,

    // Bonds
    /// Somebody else than the rollup's authority.
    #[msg(
        "Not the rollup's authority: until turns rotate, it co-signs every sequencer's registration"
    )]
    NotAuthority,
    /// The bond would be below one slice.
    #[msg("The bond is below one slice: bond at least the rollup's bond_slice")]
    BondTooSmall,
    /// More is asked than is bonded.
    #[msg("More than the bond is asked for: ask for at most the bonded lamports")]
    BondExceeded,
    /// Nothing was requested.
    #[msg("No withdrawal was requested: call request_unbond first")]
    NotUnbonding,
    /// The delay has not passed.
    #[msg("The unbonding delay has not passed: wait until the slot in the sequencer's account")]
    UnbondTooEarly,
    /// Pending batches lock the bond.
    #[msg("Pending batches lock this part of the bond: wait until they are final")]
    BondLocked,
    /// No slice is free for another batch.
    #[msg("No free slice of the bond is left: add bond, or wait until a pending batch is final")]
    NoFreeSlice,
    /// The account still holds a bond or fees.
    #[msg("The sequencer still holds a bond or fees: withdraw them first")]
    SequencerNotEmpty,
    /// Nothing to pay.
    #[msg("There are no fees to claim: wait until a batch that consumed messages is final")]
    NothingToClaim,

    // Data
    /// The data is empty or too long.
    #[msg("The data is empty or longer than max_data: split the batch")]
    DataLength,
    /// The account's size does not fit the data's length.
    #[msg("The data account has the wrong size: create it with BatchData::size(length) bytes")]
    DataAccountSize,
    /// The account is sealed already.
    #[msg("The data is sealed: it cannot be written any more")]
    DataSealed,
    /// The account is not sealed yet.
    #[msg("The data is not sealed: write all chunks and call seal_data")]
    DataNotSealed,
    /// A chunk is past the end, or has the wrong length.
    #[msg("The chunks do not fit: each is 928 bytes but the data's last, none past the end")]
    ChunkOutOfRange,
    /// Called by another program.
    #[msg("This must be an instruction of the transaction itself, not called by a program")]
    InnerInstruction,
    /// A chunk was not written.
    #[msg("A chunk is missing: write every chunk before sealing")]
    ChunkMissing,
    /// Another's data account.
    #[msg("The data account belongs to another poster or rollup: use your own")]
    ForeignData,
    /// The header names other data.
    #[msg("The header's data root or length is not the sealed account's")]
    DataMismatch,

    // Batches
    /// The header is for another rollup or sequencer.
    #[msg("The header names another rollup or sequencer than the accounts")]
    HeaderMismatch,
    /// The header's rules or codec are not those in force.
    #[msg("The batch was made under other rules or another codec: rebuild it under those in force")]
    WrongRules,
    /// The lane does not exist.
    #[msg("Unknown data lane: only lane 0 (L1) exists")]
    UnknownLane,
    /// The header's parameters are not those in force.
    #[msg("The header's parameters are not those in force: rebuild the batch")]
    WrongParams,
    /// Not the next number.
    #[msg("The batch's number is not the tip's plus one: rebuild it on the tip")]
    WrongNumber,
    /// Not the tip's child.
    #[msg("The batch's parent is not the tip: rebuild it on the tip")]
    WrongParent,
    /// Too many pending batches.
    #[msg("Too many batches are pending: wait until the oldest is final")]
    TooManyPending,
    /// Without transactions.
    #[msg("The batch has no transactions: an empty batch settles nothing")]
    EmptyBatch,
    /// Over a cap.
    #[msg("A count of the batch is over its cap: split the batch")]
    OverCap,
    /// The absorbing root.
    #[msg("The state root is INVALID: a transaction in the batch may not be there")]
    InvalidState,
    /// The outbox shrank.
    #[msg("The outbox has fewer messages than the parent's: it only grows")]
    OutboxShrank,
    /// The window is open.
    #[msg("The challenge window is open: wait until it has passed")]
    WindowOpen,
    /// Nothing is pending.
    #[msg("No batch is pending")]
    NothingPending,
    /// Not the sequencer of the batch.
    #[msg("The account is not that of the batch's sequencer")]
    WrongSequencer,
    /// The batch is not final, or not remembered.
    #[msg("The batch is not final, or too old to be remembered: prove against a newer final batch")]
    NotFinal,

    // Inbox
    /// The cursor went back or past the end.
    #[msg("The inbox cursor is behind the parent's or past the last message")]
    InboxCursor,
    /// Another chain value than L1's.
    #[msg("The inbox chain is not L1's at the cursor: consume the messages of L1 in order")]
    InboxChain,
    /// Overdue messages were left out.
    #[msg("Messages are overdue: consume all of them, or at least inbox_batch")]
    InboxOverdue,
    /// The page that holds the first unconsumed message is needed.
    #[msg("Pass the inbox page that holds the message at the batch's cursor")]
    InboxPageNeeded,
    /// The payload is too long, or not what its kind demands.
    #[msg("The message is malformed: see assay_ledger::inbox for the payload of each kind")]
    BadMessage,
    /// A stranger's message for another's accounts.
    #[msg("A forced transaction must be signed by the owner that it names")]
    NotOwner,
    /// The page still has messages that are not final.
    #[msg("The page is not full or not all of its messages are final yet")]
    PageInUse,
    /// The rent goes to who opened the page.
    #[msg("The rent goes to the account that opened the page: pass that one")]
    WrongPayer,
    // Disputes
    /// Something is open over the batch.
    #[msg("A dispute over the batch or a demand for its blobs is open: wait until it is over")]
    Disputed,
    /// The batch is not pending any more, or never was.
    #[msg("The batch is not pending: it is final, was reverted, or the header is another one")]
    NotLive,
    /// The window has passed.
    #[msg("The challenge window has passed: the batch can no longer be disputed")]
    WindowClosed,
    /// Another's dispute, or of another rollup.
    #[msg("The dispute is over a batch of another rollup")]
    ForeignDispute,
    /// Not the key of the side whose move it is.
    #[msg("This key plays neither side, or not the one that makes such moves")]
    WrongPlayer,
    /// The game has moved on.
    #[msg("The move is for another state of the game: read the dispute again")]
    OtherState,
    /// It is decided.
    #[msg("The dispute is decided")]
    DisputeOver,
    /// The batch is dead.
    #[msg("The batch was reverted by another dispute: resolve this one to get the bond back")]
    DisputeMoot,
    /// The batch lives.
    #[msg("The batch is pending: the dispute must be played")]
    NotMoot,
    /// Too late for a move.
    #[msg("The clock of the side whose turn it is has run out")]
    ClockExpired,
    /// Too early for a time-out.
    #[msg("The clock of the side whose turn it is has not run out")]
    ClockRuns,
    /// Not this side's turn.
    #[msg("It is the other side's turn")]
    WrongTurn,
    /// Not a move of this stage.
    #[msg("The dispute is not in the stage for this move")]
    WrongStage,
    /// A tree of no size.
    #[msg("The tree has a number of leaves that none of ours has")]
    TreeCount,
    /// Too few or too many nodes.
    #[msg("A reveal has 16 to 64 nodes, or all leaves that are left: a power of two")]
    TreeLevels,
    /// The nodes are others.
    #[msg("The nodes do not hash to the node above them")]
    TreeNodes,
    /// No such child.
    #[msg("There is no such child among the nodes revealed")]
    TreeChild,
    /// Another parent.
    #[msg("This is not the header of the batch's parent")]
    NotTheParent,
    /// A run without a program, or the other way round.
    #[msg("A run goes with a result that names a program, and with no other")]
    NoRun,
    /// Another program.
    #[msg("This is not the program of the leaf, or no program")]
    OtherProgram,
    /// Other outputs.
    #[msg("The outputs are not those of the leaf")]
    OtherOutputs,
    /// Another operator.
    #[msg("The operator does not open in the program")]
    OtherOperator,
    /// Another tensor.
    #[msg("The value's type and data do not have the root that was revealed")]
    OtherTensor,
    /// Another chunk.
    #[msg("The chunk has another length or hash than the one revealed")]
    OtherChunk,
    /// Not a party.
    #[msg("The recipient is neither the challenger nor the sequencer of the batch")]
    NotAParty,
    /// Something is not paid out.
    #[msg("The dispute is not over, or not everything is paid out: call claim_payout first")]
    DisputeNotSettled,

    // Buffers
    /// Empty or too long, or the account does not fit.
    #[msg("The buffer is empty, over 160 KiB, or its account has not Buffer::size(len) bytes")]
    BufferSize,
    /// Past the end.
    #[msg("The bytes go past the buffer's end")]
    BufferRange,
    /// Another's buffer.
    #[msg("The buffer belongs to another key: use your own")]
    ForeignBuffer,
    /// Not a move.
    #[msg("The buffer does not hold the borsh encoding of a move and nothing else")]
    NotAMove,

    // Proofs
    /// It does not parse.
    #[msg("The proof is malformed: it ends early, goes on too long, or holds a value out of range")]
    ProofMalformed,
    /// It does not open.
    #[msg(
        "The proof does not open what it is about, or a message is not L1's: pass its inbox page"
    )]
    ProofOpening,
    /// It shows nothing.
    #[msg("The proof shows that the asserter is right")]
    NothingWrong,
    /// Another rollup's page.
    #[msg("The inbox page is another rollup's")]
    ForeignPage,

    // Demands
    /// The time for such demands is over.
    #[msg(
        "The batch is too old: leaves are demanded in the first sixth of its window, chunks in the first half"
    )]
    DemandTooLate,
    /// Not what the argument should be.
    #[msg("This is not the borsh encoding of assay_dispute::demand::Named")]
    NotNamed,
    /// Not the batch's.
    #[msg("The transaction does not open in the batch")]
    DemandTransaction,
    /// Without blobs.
    #[msg("The transaction deploys or updates no model, or failed")]
    NamesNothing,
    /// Another model.
    #[msg("The updated model does not open in the state after the batch, or has another program")]
    DemandModel,
    /// No such pieces.
    #[msg("There are no such pieces, or none or more than 64 at once")]
    NoSuchPieces,
    /// Another rollup's demand.
    #[msg("The demand is on a batch of another rollup")]
    ForeignDemand,
    /// It is answered, or settled.
    #[msg("The demand is over")]
    DemandOver,
    /// The batch is dead.
    #[msg("The batch was reverted: resolve the demand to get what was put down back")]
    DemandMoot,
    /// The time for answers is over.
    #[msg(
        "The batch is too old: leaves are answered in the first third of its window, chunks in the first two"
    )]
    AnswerTooLate,
    /// Not what the argument should be.
    #[msg("This is not the borsh encoding of assay_dispute::demand::Answer")]
    NotAnAnswer,
    /// Not that piece.
    #[msg("The piece was not demanded, or has been answered")]
    PieceNotWanted,
    /// Another kind of piece.
    #[msg("The answer is for another kind of piece")]
    OtherPiece,
    /// It does not open.
    #[msg("The piece does not open in what the batch names")]
    PieceOpening,
    /// Somebody else.
    #[msg("What is left of a demand goes to who opened it: pass that account")]
    NotTheDemander,
    /// It is not over.
    #[msg("The demand is not over: it must be answered, timed out or resolved first")]
    DemandOpen,
    /// It might be too long to be shown malformed.
    #[msg("The leaf is longer than any of a well-formed program")]
    PieceTooLong,
    /// A data account is written for longer than [`crate::constants::WRITE_SLOTS`].
    #[msg("The first write to the data account is too many slots ago: close it and open another")]
    DataTooOld,
    /// Readers would look for the parent in vain.
    #[msg("The parent was posted in another slot: read the chain account and try again")]
    WrongParentSlot,
    /// Readers would look for the data in vain.
    #[msg("The data account was written in other slots: read it and try again")]
    WrongWriteSlots,
    /// Whoever copies an answer would earn its fee.
    #[msg("Until later in the time for answers only the batch's sequencer may answer")]
    AnswerReserved,
    /// Another process of the key is at work.
    #[msg("Another process of this key holds the lease")]
    Leased,
    /// A lease is longer than [`crate::constants::MAX_LEASE`].
    #[msg("A lease may not be so long")]
    LeaseTooLong,
    /// The number of the process is zero.
    #[msg("An instance is not zero")]
    NoInstance,
}

impl From<NotProven> for SettlementError {
    fn from(not: NotProven) -> Self {
        match not {
            NotProven::Refused(refused) => refused.into(),
            NotProven::Proof(ProofError::Malformed) => Self::ProofMalformed,
            NotProven::Proof(ProofError::Opening(_)) => Self::ProofOpening,
            NotProven::Right => Self::NothingWrong,
        }
    }
}

impl From<NoDemand> for SettlementError {
    fn from(no: NoDemand) -> Self {
        match no {
            NoDemand::Transaction => Self::DemandTransaction,
            NoDemand::NamesNothing => Self::NamesNothing,
            NoDemand::Model => Self::DemandModel,
            NoDemand::Pieces => Self::NoSuchPieces,
        }
    }
}

impl From<NoAnswer> for SettlementError {
    fn from(no: NoAnswer) -> Self {
        match no {
            NoAnswer::NotWanted => Self::PieceNotWanted,
            NoAnswer::Kind => Self::OtherPiece,
            NoAnswer::Opening => Self::PieceOpening,
            NoAnswer::TooLong => Self::PieceTooLong,
        }
    }
}

impl From<Refused> for SettlementError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Over => Self::DisputeOver,
            Refused::Moot => Self::DisputeMoot,
            Refused::Late => Self::ClockExpired,
            Refused::InTime => Self::ClockRuns,
            Refused::Turn => Self::WrongTurn,
            Refused::Stage | Refused::Descent(DescentError::Turn) => Self::WrongStage,
            Refused::Descent(DescentError::Count) => Self::TreeCount,
            Refused::Descent(DescentError::Levels) => Self::TreeLevels,
            Refused::Descent(DescentError::Nodes) => Self::TreeNodes,
            Refused::Descent(DescentError::Child) => Self::TreeChild,
            Refused::Parent => Self::NotTheParent,
            Refused::NoRun => Self::NoRun,
            Refused::Program => Self::OtherProgram,
            Refused::Outputs => Self::OtherOutputs,
            Refused::Operator => Self::OtherOperator,
            Refused::Tensor => Self::OtherTensor,
            Refused::Chunk => Self::OtherChunk,
        }
    }
}
