//! Sizes and limits that are part of the program, not of a rollup's configuration.

use anchor_lang::prelude::Pubkey;
use assay_dispute::step::element::MAX_PROOF;
use assay_ledger::data::CHUNK;

/// Batches that the chain account remembers: the pending ones and the newest final ones.
pub const RING: usize = 60;
/// Most batches that may be pending at once. At least [`RING`] less as many final batches stay readable.
pub const MAX_PENDING: u64 = 32;
/// Messages of one inbox page.
pub const PAGE_ENTRIES: usize = 128;
/// Most chunks of a batch's data: what `seal_data` hashes within one transaction's compute limit.
pub const MAX_CHUNKS: u32 = 2_048;
/// Most bytes of a batch's data.
pub const MAX_DATA: u32 = MAX_CHUNKS * CHUNK as u32;
/// Bytes of the bitmap of the slots in which a batch's data is written. With it the header still fits a
/// legacy transaction.
pub const WRITE_SLOT_BYTES: usize = 256;
/// Slots, from the first write on, in which a batch's data may be written.
pub const WRITE_SLOTS: u64 = 8 * WRITE_SLOT_BYTES as u64;
/// Bytes of data that an inbox message takes at most in a batch of nothing else.
pub const INBOX_RECORD_BYTES: u64 = 32;
/// Most bytes of a buffer: the longest proof fits.
pub const MAX_BUFFER: u32 = 160 * 1024;
const _: () = assert!(MAX_PROOF <= MAX_BUFFER as usize);
/// Where burned lamports go: Solana destroys what this account holds at the end of each slot.
pub const INCINERATOR: Pubkey =
    Pubkey::from_str_const("1nc1nerator11111111111111111111111111111111");
/// Most seconds from now until a sequencer's lease runs out.
pub const MAX_LEASE: u32 = 3_600;
/// Basis points of a whole.
pub const BASIS_POINTS: u16 = 10_000;
/// Version of the batch codec that this program settles.
pub use assay_ledger::codec::VERSION as CODEC_VERSION;
/// Version of the layout of every account of this program.
pub const ACCOUNT_VERSION: u8 = 2;
