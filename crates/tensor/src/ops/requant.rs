//! Requantisation and the epilogue of matrix products and convolutions.

use super::{Ranges, count, dims, dtype, size};
use crate::check::{CheckError, chunks};
use crate::op::{Epilogue, OutputRange, Requant};
use crate::reads::Reads;
use crate::types::{DType, TensorType};

/// `clamp(value + zero_point, lo, hi)`.
fn to_range(value: i64, range: &OutputRange) -> i32 {
    // `max` and `min` rather than `clamp`, which panics where lo > hi.
    (value + i64::from(range.zero_point))
        .max(i64::from(range.lo))
        .min(i64::from(range.hi)) as i32
}

/// `(value + 2^(shift-1)) >> shift`, `shift` in `1..=62`; `|value|` below 2^62 cannot overflow.
fn round_shift(value: i64, shift: u8) -> i64 {
    value.wrapping_add(1 << (shift - 1)) >> shift
}

/// `clamp(((value + 2^(shift-1)) >> shift) + zero_point, lo, hi)` for a `value` whose magnitude
/// is at most 2^62.
pub fn shift_to_range(value: i64, shift: u8, range: &OutputRange) -> i32 {
    to_range(round_shift(value, shift.clamp(1, 62)), range)
}

/// [`Requant`] of `acc`, with the multiplier taken `& 0x7fff_ffff` and the shift clamped to
/// `1..=62`, which changes neither where they passed the check.
pub fn requant(acc: i32, multiplier: i32, shift: i32, range: &OutputRange) -> i32 {
    let product = i64::from(acc) * i64::from(multiplier & i32::MAX);
    shift_to_range(product, shift.clamp(1, 62) as u8, range)
}

/// That the clamp is not empty.
pub(crate) fn check_range(range: &OutputRange) -> Result<(), CheckError> {
    if range.lo <= range.hi {
        Ok(())
    } else {
        Err(CheckError::Clamp {
            lo: range.lo,
            hi: range.hi,
        })
    }
}

/// That `shift` is in `1..=62`.
pub(crate) fn check_shift(shift: u8) -> Result<(), CheckError> {
    if (1..=62).contains(&shift) {
        Ok(())
    } else {
        Err(CheckError::Shift(shift))
    }
}

/// That the multiplier, the shift and the clamp are in their ranges.
pub(crate) fn check(requant: &Requant) -> Result<(), CheckError> {
    if requant.multiplier < 0 {
        return Err(CheckError::Multiplier(requant.multiplier));
    }
    check_shift(requant.shift)?;
    check_range(&requant.range)
}

/// The bias and, with [`Epilogue::Requant`], the scales: operands 2 and 3.
/// Checks the number of operands too. Returns the result's element type and the chunks
/// that an element reads of these operands.
pub(crate) fn check_operands(
    epilogue: &Epilogue,
    operands: &[TensorType],
) -> Result<(DType, u64), CheckError> {
    match epilogue {
        Epilogue::Accumulate => {
            count(operands, 3)?;
            Ok((DType::I32, chunks(4)))
        }
        Epilogue::Requant(range) => {
            check_range(range)?;
            count(operands, 4)?;
            Ok((DType::I8, chunks(4) + chunks(8)))
        }
    }
}

/// That the bias and the scales have the right types for `channels` output channels.
pub(crate) fn check_channels(
    epilogue: &Epilogue,
    operands: &[TensorType],
    channels: u32,
) -> Result<(), CheckError> {
    dtype(operands, 2, DType::I32)?;
    dims::<1>(operands, 2)?;
    size(operands, 2, 0, u64::from(channels))?;
    if let Epilogue::Requant(_) = epilogue {
        dtype(operands, 3, DType::I32)?;
        dims::<2>(operands, 3)?;
        size(operands, 3, 0, u64::from(channels))?;
        size(operands, 3, 1, 2)?;
    }
    Ok(())
}

/// Reads channel `channel` of the bias and of the scales.
pub(crate) fn reads(epilogue: &Epilogue, channel: u64, reads: &mut Reads) -> Option<()> {
    reads.push(2, channel * 4, 4)?;
    match epilogue {
        Epilogue::Accumulate => Some(()),
        Epilogue::Requant(_) => reads.push(3, channel * 8, 8),
    }
}

/// The result for `sum`, the wrapping sum of products; `ranges` are what [`reads`] reads.
pub(crate) fn finish(epilogue: &Epilogue, sum: i32, ranges: &mut Ranges) -> Option<i32> {
    let acc = i32::from_le_bytes(*ranges.array()?).wrapping_add(sum);
    Some(match epilogue {
        Epilogue::Accumulate => acc,
        Epilogue::Requant(range) => {
            let [m0, m1, m2, m3, s0, s1, s2, s3] = *ranges.array()?;
            let multiplier = i32::from_le_bytes([m0, m1, m2, m3]);
            let shift = i32::from_le_bytes([s0, s1, s2, s3]);
            requant(acc, multiplier, shift, range)
        }
    })
}
