//! Which ranges of its operands one element of an operator is made of.

use crate::check::{MAX_READ_CHUNKS, check};
use crate::op::Op;
use crate::ops;
use crate::types::TensorType;
use alloc::vec::Vec;

/// A contiguous range of one operand's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which operand.
    pub operand: u8,
    /// Offset of the first byte.
    pub start: u64,
    /// Number of bytes, at least one.
    pub len: u32,
}

/// The ranges that one element reads, in the order in which [`crate::eval::eval`] takes
/// them: at most [`MAX_READ_CHUNKS`], as each lies in a chunk.
#[derive(Clone, Debug)]
pub struct Reads(Vec<Read>);

impl Reads {
    /// No ranges.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(MAX_READ_CHUNKS as usize))
    }

    /// Adds a range; `None` if it is too long.
    pub(crate) fn push(&mut self, operand: u8, start: u64, len: u64) -> Option<()> {
        self.0.push(Read {
            operand,
            start,
            len: u32::try_from(len).ok()?,
        });
        Some(())
    }

    /// How many are of this operand.
    pub fn of(&self, operand: u8) -> usize {
        let of_it = self.0.iter().filter(|read| read.operand == operand);
        of_it.count()
    }

    /// The ranges.
    pub fn as_slice(&self) -> &[Read] {
        &self.0
    }
}

/// The ranges of its operands that element `element` (row-major) of `op`'s result is made of.
///
/// `None` if `op` is not well-formed for operands of these types, or has no such element.
pub fn reads(op: &Op, operands: &[TensorType], element: u64) -> Option<Reads> {
    let checked = check(op, operands).ok()?;
    if element >= checked.result.shape.elements() {
        return None;
    }
    ops::reads(op, operands, &checked.result, element)
}
