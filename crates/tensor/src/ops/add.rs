//! [`crate::op::Op::Add`].

use super::requant::{check_range, check_shift, shift_to_range};
use super::{Facts, Ranges, count, dtype, size};
use crate::check::{CheckError, chunks};
use crate::op::OutputRange;
use crate::reads::Reads;
use crate::types::{DType, TensorType};

/// What the magnitude of an offset is below.
const OFFSET_LIMIT: u64 = 1 << 48;

pub(crate) fn facts(
    offset: i64,
    shift: u8,
    range: &OutputRange,
    operands: &[TensorType],
) -> Result<Facts, CheckError> {
    if offset.unsigned_abs() >= OFFSET_LIMIT {
        return Err(CheckError::Offset(offset));
    }
    check_shift(shift)?;
    check_range(range)?;
    count(operands, 2)?;
    dtype(operands, 0, DType::I8)?;
    dtype(operands, 1, DType::I8)?;
    let (a, b) = (operands[0].shape, operands[1].shape);
    let Some(skip) = a.rank().checked_sub(b.rank()) else {
        return Err(CheckError::OperandRank {
            operand: 0,
            expected: b.rank(),
            found: a.rank(),
        });
    };
    for (dimension, expected) in a.dims()[skip..].iter().enumerate() {
        size(operands, 1, dimension, u64::from(*expected))?;
    }
    Ok(Facts {
        result: operands[0],
        taps: 2,
        read_chunks: 2 * chunks(1),
    })
}

pub(crate) fn reads(operands: &[TensorType], element: u64, reads: &mut Reads) -> Option<()> {
    reads.push(0, element, 1)?;
    // `b` repeats along the leading dimensions that it lacks.
    reads.push(1, element % operands.get(1)?.shape.elements(), 1)
}

pub(crate) fn eval(
    multiplier_a: i32,
    multiplier_b: i32,
    offset: i64,
    shift: u8,
    range: &OutputRange,
    ranges: &mut Ranges,
) -> Option<i32> {
    let ([a], [b]) = (ranges.array()?, ranges.array()?);
    let scaled = |value: u8, multiplier: i32| i64::from(value as i8) * i64::from(multiplier);
    // At most 2^38 + 2^38 + 2^48.
    let sum = scaled(*a, multiplier_a) + scaled(*b, multiplier_b) + offset;
    Some(shift_to_range(sum, shift, range))
}
