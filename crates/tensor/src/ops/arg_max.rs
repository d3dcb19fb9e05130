//! [`crate::op::Op::ArgMax`].

use super::{Facts, Ranges, count};
use crate::check::CheckError;
use crate::reads::Reads;
use crate::types::{DType, TensorType};

pub(crate) fn facts(operands: &[TensorType]) -> Result<Facts, CheckError> {
    count(operands, 1)?;
    let x = operands[0];
    let Some((&row, rest)) = x.shape.dims().split_last() else {
        return Err(CheckError::OperandRank {
            operand: 0,
            expected: 1,
            found: 0,
        });
    };
    Ok(Facts {
        result: TensorType::new(DType::I32, rest).ok_or(CheckError::ResultTooLarge)?,
        taps: u64::from(row),
        read_bytes: u64::from(row) * x.dtype.size() as u64,
        read_ranges: 1,
    })
}

/// Bytes of a row and of an element.
fn sizes(operands: &[TensorType]) -> Option<(u64, usize)> {
    let x = operands.first()?;
    let size = x.dtype.size();
    Some((u64::from(*x.shape.dims().last()?) * size as u64, size))
}

pub(crate) fn reads(operands: &[TensorType], element: u64, reads: &mut Reads) -> Option<()> {
    let (row, _) = sizes(operands)?;
    reads.push(0, element * row, row)
}

pub(crate) fn eval(operands: &[TensorType], ranges: &mut Ranges) -> Option<i32> {
    let (row, size) = sizes(operands)?;
    let row = ranges.take(usize::try_from(row).ok()?)?;
    match size {
        1 => first_largest(row.iter().map(|v| i32::from(*v as i8))),
        _ => first_largest(row.as_chunks().0.iter().map(|v| i32::from_le_bytes(*v))),
    }
}

/// The index of the first of the largest values.
fn first_largest(values: impl Iterator<Item = i32>) -> Option<i32> {
    // All values are at least the first best.
    let mut best = (0, i32::MIN);
    for (index, value) in (0i32..).zip(values) {
        if value > best.1 {
            best = (index, value);
        }
    }
    Some(best.0)
}
