//! Which ranges of its operands one element of an operator is made of.

use crate::check::{MAX_READ_RANGES, check};
use crate::op::Op;
use crate::ops;
use crate::types::TensorType;

/// A contiguous range of one operand's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Which operand.
    pub operand: u8,
    /// Offset of the first byte.
    pub start: u64,
    /// Number of bytes, at least one.
    pub len: u32,
}

/// The ranges that one element reads, in the order in which [`crate::eval::eval`] takes
/// them. About a kilobyte, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    count: u8,
    ranges: [Read; MAX_READ_RANGES as usize],
}

impl Reads {
    /// No ranges.
    pub(crate) fn new() -> Self {
        Self {
            count: 0,
            ranges: [Read::default(); MAX_READ_RANGES as usize],
        }
    }

    /// Adds a range; `None` if there are too many.
    pub(crate) fn push(&mut self, operand: u8, start: u64, len: u64) -> Option<()> {
        *self.ranges.get_mut(usize::from(self.count))? = Read {
            operand,
            start,
            len: u32::try_from(len).ok()?,
        };
        self.count += 1;
        Some(())
    }

    /// The ranges.
    pub fn as_slice(&self) -> &[Read] {
        self.ranges.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// Bytes of all ranges together.
    pub fn bytes(&self) -> u64 {
        self.as_slice().iter().map(|r| u64::from(r.len)).sum()
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
