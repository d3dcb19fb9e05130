//! A batch's data: its transactions in columns, compact by structure and not by compression.
//!
//! ```text
//! data   := version u8 = 1, count u32, ends u32 * blocks, block * blocks
//! blocks  = count / 16, rounded up
//! ends[b] = bytes of blocks 0..=b
//! ```
//!
//! A block holds [`BLOCK_RECORDS`] records, the last one what is left, and depends on no other
//! block; [`block`] says what is in it. So [`decode_from`] reads a bounded part of the data: the
//! header, two ends, the head of one block, and the record's own bytes. It is total: any bytes are
//! either a transaction or [`Malformed`], and [`decode_all`] succeeds exactly where [`check`] and all
//! records do.
//!
//! What can be checked without reading more is canonical: widths, minima, padding bits, lengths,
//! trailing bytes. The one freedom left to an encoder is to pack the inputs of a block wider than
//! needed.

pub mod block;
mod column;
mod source;

pub use source::{Chunks, NotSupplied, Source};

use crate::transaction::Transaction;
use alloc::vec::Vec;
use block::Block;

/// Version of the codec, in a batch's header and in the data's first byte.
pub const VERSION: u8 = 1;
/// Records of a block.
pub const BLOCK_RECORDS: usize = 16;
/// Bytes before the table of ends.
pub const HEADER: u32 = 5;

/// The bytes are no batch data, or not where this record should be: whoever posted them is
/// convicted by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch's data is malformed")]
pub struct Malformed;

/// Why there is no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The data is malformed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The source lacks a part that is needed: nothing is known about the data.
    #[error(transparent)]
    NotSupplied(#[from] NotSupplied),
}

/// The data of `transactions`, each of which was applied, so that it is within the bounds of a
/// record.
pub fn encode(transactions: &[Transaction]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for block in transactions.chunks(BLOCK_RECORDS) {
        encoder.push_block(block);
    }
    encoder.finish()
}

/// Encodes a batch as it grows.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    count: u32,
    ends: Vec<u8>,
    blocks: Vec<u8>,
    /// Records of the block that is not full yet.
    pending: Vec<Transaction>,
}

impl Encoder {
    /// Adds a transaction.
    pub fn push(&mut self, transaction: Transaction) {
        self.pending.push(transaction);
        if self.pending.len() == BLOCK_RECORDS {
            let block = core::mem::take(&mut self.pending);
            self.push_block(&block);
        }
    }

    /// Number of transactions.
    pub fn count(&self) -> u32 {
        self.count + self.pending.len() as u32
    }

    /// Bytes of the data as it would be now.
    pub fn size(&self) -> usize {
        let pending = if self.pending.is_empty() {
            0
        } else {
            4 + block::encode(&self.pending).len()
        };
        HEADER as usize + self.ends.len() + self.blocks.len() + pending
    }

    /// The data.
    pub fn finish(mut self) -> Vec<u8> {
        let block = core::mem::take(&mut self.pending);
        if !block.is_empty() {
            self.push_block(&block);
        }
        let mut out = Vec::with_capacity(HEADER as usize + self.ends.len() + self.blocks.len());
        out.push(VERSION);
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.ends);
        out.extend_from_slice(&self.blocks);
        out
    }

    fn push_block(&mut self, block: &[Transaction]) {
        self.blocks.extend_from_slice(&block::encode(block));
        self.ends
            .extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        self.count += block.len() as u32;
    }
}

/// The number of records that the data says it has.
pub fn count(source: &impl Source) -> Result<u32, DecodeError> {
    if source.len() < HEADER {
        return Err(Malformed.into());
    }
    let mut header = [0; HEADER as usize];
    source.read(0, &mut header)?;
    let [version, count @ ..] = header;
    if version != VERSION {
        return Err(Malformed.into());
    }
    Ok(u32::from_le_bytes(count))
}

/// What can be said of data without looking at a record: its version, its count, which must be
/// the `expected` one of the batch's header so that no record can hide behind it, and that data
/// without records ends there.
pub fn check(source: &impl Source, expected: u32) -> Result<(), DecodeError> {
    if count(source)? != expected || (expected == 0 && source.len() != HEADER) {
        return Err(Malformed.into());
    }
    Ok(())
}

/// Record `index` of the data of a batch whose header says `expected` transactions; malformed
/// where [`check`] says so.
#[inline(never)]
pub fn decode_from(
    source: &impl Source,
    expected: u32,
    index: u32,
) -> Result<Transaction, DecodeError> {
    check(source, expected)?;
    if index >= expected {
        return Err(Malformed.into());
    }
    let at = index / BLOCK_RECORDS as u32;
    open_block(source, expected, at)?.record(source, index as usize % BLOCK_RECORDS)
}

/// Opens block `at` of data with `count` records.
fn open_block(source: &impl Source, count: u32, at: u32) -> Result<Block, DecodeError> {
    let blocks = count.div_ceil(BLOCK_RECORDS as u32);
    // In 64 bits nothing here can overflow.
    let base = u64::from(HEADER) + 4 * u64::from(blocks);
    let len = u64::from(source.len());
    if base > len {
        return Err(Malformed.into());
    }
    let end_of = |block: u32| {
        let mut end = [0; 4];
        source.read(HEADER + 4 * block, &mut end)?;
        Ok::<u64, NotSupplied>(base + u64::from(u32::from_le_bytes(end)))
    };
    let start = match at.checked_sub(1) {
        Some(before) => end_of(before)?,
        None => base,
    };
    let end = end_of(at)?;
    let last = at + 1 == blocks;
    if start > end || end > len || (last && end != len) {
        return Err(Malformed.into());
    }
    let first = at * BLOCK_RECORDS as u32;
    let records = (count - first).min(BLOCK_RECORDS as u32) as usize;
    // Both are at most `len`, a u32.
    Block::open(source, start as u32, end as u32, records)
}

/// Record `index` of `data`.
pub fn decode(data: &[u8], index: u32) -> Result<Transaction, Malformed> {
    supplied(count(&data).and_then(|count| decode_from(&data, count, index)))
}

/// All records of `data`.
pub fn decode_all(data: &[u8]) -> Result<Vec<Transaction>, Malformed> {
    let count = supplied(count(&data))?;
    supplied(check(&data, count))?;
    let mut out = Vec::new();
    for at in 0..count.div_ceil(BLOCK_RECORDS as u32) {
        let block = supplied(open_block(&data, count, at))?;
        for i in 0..block.records() {
            out.push(supplied(block.record(&data, i))?);
        }
    }
    Ok(out)
}

/// A slice supplies everything up to 4 GiB; what is longer is no batch data.
fn supplied<T>(result: Result<T, DecodeError>) -> Result<T, Malformed> {
    result.map_err(|_| Malformed)
}
