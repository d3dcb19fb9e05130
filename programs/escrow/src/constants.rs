//! Limits of the program.

/// The most bytes that a job's output or a feed may have: what fits a version-1 transaction
/// (4,096 bytes) together with its two proofs. In a legacy transaction (1,232 bytes) about 100
/// bytes do.
pub const MAX_OUTPUT: u32 = 2_048;

/// Slots that a job's deadline must leave beyond the rollup's inbox grace and challenge window:
/// about a minute.
pub const DEADLINE_MARGIN: u64 = 150;

/// Slots that a job's deadline may lie beyond the earliest one, about 30 days: a result that comes later is of
/// little use, and the client's lamports wait for it.
pub const DEADLINE_SLOTS: u64 = 6_480_000;

/// Slots during which money waits for who has earned it, about 30 days: a payment that could not be
/// made, from settlement on; the settlement of a job that a batch has consumed, from its deadline
/// on. After them it goes back to the client.
pub const CLAIM_SLOTS: u64 = 6_480_000;

/// Bytes of a feed's name.
pub const NAME: usize = 32;
