//! [`crate::op::Op::ArgMax`].

use super::lanes::{max, position};
use super::{Facts, Ranges, count};
use crate::check::{CheckError, chunks};
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
        read_chunks: chunks(u64::from(row) * x.dtype.size() as u64),
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
    // First the largest, then where it is: on chain that takes half as much as both at once.
    let index = match size {
        1 => position(row, max(i8::MIN, row) as u8),
        _ => {
            let row = row.as_chunks().0;
            let values = row.iter().map(|value| i32::from_le_bytes(*value));
            let largest = values.fold(i32::MIN, i32::max).to_le_bytes();
            row.iter().position(|value| *value == largest)
        }
    };
    i32::try_from(index?).ok()
}
