//! Errors: each says what is wrong and what to do.

use anchor_lang::prelude::*;

/// What the escrow refuses, and what to do about it.
#[error_code]
pub enum EscrowError {
    /// The rollup names another escrow.
    #[msg("this rollup has another escrow: use a rollup whose `escrow` is this program")]
    OtherEscrow,
    /// A state account of another version.
    #[msg(
        "the account has a version that this program does not know: update the client or the program"
    )]
    UnknownVersion,

    // create_job
    /// The nonce may name an earlier job.
    #[msg("the nonce was used or passed over: use the client account's next_nonce or a higher one")]
    NonceUsed,
    /// Longer than a message can carry.
    #[msg("the input is longer than a job carries inline: at most 512 bytes")]
    InputTooLong,
    /// No room, or more than a transaction can fill.
    #[msg(
        "the output capacity must be 1 to 2,048 bytes and hold all outputs of the model together"
    )]
    BadOutputBytes,
    /// Too early.
    #[msg(
        "the deadline is too early: leave the rollup's inbox grace, its challenge window and 150 slots"
    )]
    DeadlineTooEarly,
    /// What is in a buffer does not decode.
    #[msg(
        "the buffer does not hold the arguments of settle_job: write them as borsh, and nothing behind them"
    )]
    BadBuffer,
    /// The deadline leaves more time than [`crate::constants::DEADLINE_SLOTS`].
    #[msg("the deadline is too late: at most 6,480,000 slots after the earliest one")]
    DeadlineTooLate,
    /// The feed of somebody else, or of another rollup.
    #[msg("the feed is not the client's own in this rollup: create one with create_feed")]
    ForeignFeed,
    /// The feed cannot hold the output.
    #[msg(
        "the feed has less room than the job's output: create a larger feed or lower output_bytes"
    )]
    FeedTooSmall,

    // settle_job, refund_job, claim_payment, close_job
    /// Settled or refunded before.
    #[msg("the job is not open: it has been settled, declined or refunded")]
    JobNotOpen,
    /// Still open.
    #[msg("the job is open: settle it, or refund it after its deadline")]
    JobOpen,
    /// The rollup of another job.
    #[msg("the job belongs to another rollup: pass the job's")]
    OtherRollup,
    /// The client of another job.
    #[msg("the account is not the job's client")]
    OtherClient,
    /// The feed of another job.
    #[msg("pass the feed that the job names, or none if it names none")]
    OtherFeed,
    /// The path does not lead to the root.
    #[msg(
        "the proof does not show this result in that batch's outbox: take result, index and siblings from one state of the outbox"
    )]
    WrongProof,
    /// More than the client agreed to.
    #[msg("the result charges more than the job's price limit: the batch that made it is wrong")]
    PriceOverLimit,
    /// The shares do not add up.
    #[msg("the sequencer's share is more than the price: the batch that made it is wrong")]
    ShareOverPrice,
    /// A result that ran has outputs.
    #[msg("the result ran: pass the output's bytes and their proof")]
    OutputMissing,
    /// A result that was declined has none.
    #[msg("the result was declined: pass no output")]
    OutputUnexpected,
    /// Not a tensor.
    #[msg(
        "the output's type is not a tensor type: dtype 0 or 1, dimensions of at least 1, zeros after the rank"
    )]
    BadTensorType,
    /// The bytes are not the output's.
    #[msg("the output's bytes or siblings do not lead to the result's output root")]
    WrongOutput,
    /// Larger than the job's room.
    #[msg("the output is larger than the job has room for: the batch that ran it is wrong")]
    OutputTooLong,
    /// The deadline has not passed.
    #[msg("the deadline has not passed: wait until the slot after it")]
    TooEarly,
    /// A batch has it.
    #[msg(
        "a batch has consumed the job: wait until it is final, then settle; if nobody can, refund it 6,480,000 slots after its deadline"
    )]
    Consumed,
    /// Nothing is due to the recipient.
    #[msg("nothing is due to this recipient")]
    NothingDue,
    /// Still not payable.
    #[msg(
        "the recipient would be below the rent-exempt minimum, or is a program: send it lamports first"
    )]
    CannotBePaid,
    /// A payment waits for its recipient.
    #[msg(
        "a payment waits for its recipient: claim it, or close the job 6,480,000 slots after its settlement"
    )]
    PaymentWaiting,

    // Feeds
    /// The feed's room.
    #[msg("a feed's capacity is 1 to 2,048 bytes")]
    BadCapacity,
    /// Jobs still write to it.
    #[msg("jobs that are open write to this feed: settle or refund them first")]
    FeedInUse,

    /// Sums beyond 64 bits.
    #[msg("the amounts do not fit 64 bits")]
    Overflow,
    /// A state's invariant does not hold.
    #[msg("internal: the job holds less than it owes, or its fields contradict each other")]
    JobInvariant,
    /// A state's invariant does not hold.
    #[msg("internal: the feed's fields contradict each other")]
    FeedInvariant,
}
