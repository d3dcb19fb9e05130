//! A column: up to sixteen integers as their minimum and the differences to it, bit-packed.
//!
//! ```text
//! column := width u8, minimum varint, differences
//! ```
//! Each difference has `width` bits, the first in the lowest bits of the first byte; the bits
//! left over in the last byte are zero. The width is what the largest difference needs, and the
//! smallest is zero. A varint has seven bits a byte, low ones first, the high bit set in all bytes
//! but the last, and no last byte of zero but in zero itself.

use super::{BLOCK_RECORDS, DecodeError, Malformed, Source};
use alloc::vec::Vec;

/// Reads on through a part of the data, never past its end.
pub(super) struct Cursor<'a, S> {
    pub(super) source: &'a S,
    pub(super) at: u32,
    pub(super) end: u32,
}

impl<S: Source> Cursor<'_, S> {
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<(), DecodeError> {
        // No read is longer than a block.
        let n = into.len() as u32;
        if self.end - self.at < n {
            return Err(Malformed.into());
        }
        self.source.read(self.at, into)?;
        self.at += n;
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let mut byte = [0];
        self.read(&mut byte)?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * i);
            if byte & 0x80 == 0 {
                if byte == 0 && i > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(Malformed.into())
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bits that `value` needs.
fn bits(value: u64) -> u8 {
    (u64::BITS - value.leading_zeros()) as u8
}

/// A column, decoded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Column {
    values: [u64; BLOCK_RECORDS],
    len: usize,
}

impl Column {
    pub(super) fn push(&mut self, value: u64) {
        self.values[self.len] = value;
        self.len += 1;
    }

    pub(super) fn values(&self) -> &[u64] {
        &self.values[..self.len]
    }

    /// Appends the column to `out`; nothing if it is empty.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let Some(min) = self.values().iter().min().copied() else {
            return;
        };
        let max = self.values().iter().max().copied().unwrap_or(min);
        let width = bits(max - min);
        out.push(width);
        push_varint(out, min);
        let mut acc = 0u128;
        let mut filled = 0u32;
        for value in self.values() {
            acc |= u128::from(value - min) << filled;
            filled += u32::from(width);
            while filled >= 8 {
                out.push(acc as u8);
                acc >>= 8;
                filled -= 8;
            }
        }
        if filled > 0 {
            out.push(acc as u8);
        }
    }

    /// Reads a column of `len` values, each at most `max`; nothing if `len` is zero.
    pub(super) fn decode<S: Source>(
        cursor: &mut Cursor<'_, S>,
        len: usize,
        max: u64,
    ) -> Result<Self, DecodeError> {
        let mut column = Self::default();
        if len == 0 {
            return Ok(column);
        }
        let width = cursor.byte()?;
        if width > 64 {
            return Err(Malformed.into());
        }
        let min = cursor.varint()?;
        let mut packed = [0; BLOCK_RECORDS * 8];
        let bytes = (len * usize::from(width)).div_ceil(8);
        cursor.read(&mut packed[..bytes])?;
        let mut rest = packed[..bytes].iter();
        let mask = (1u128 << width) - 1;
        let (mut acc, mut filled) = (0u128, 0u32);
        let (mut least, mut widest) = (u64::MAX, 0);
        for _ in 0..len {
            while filled < u32::from(width) {
                acc |= u128::from(*rest.next().ok_or(Malformed)?) << filled;
                filled += 8;
            }
            let difference = (acc & mask) as u64;
            acc >>= width;
            filled -= u32::from(width);
            least = least.min(difference);
            widest = widest.max(difference);
            let value = min.checked_add(difference).filter(|v| *v <= max);
            column.push(value.ok_or(Malformed)?);
        }
        if acc != 0 || least != 0 || bits(widest) != width {
            return Err(Malformed.into());
        }
        Ok(column)
    }
}
