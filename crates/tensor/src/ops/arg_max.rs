//! [`crate::op::Op::ArgMax`].

use super::{Facts, count};
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

pub(crate) fn eval(operands: &[TensorType], bytes: &[u8]) -> Option<i32> {
    let (row, size) = sizes(operands)?;
    if bytes.len() as u64 != row {
        return None;
    }
    let value = |element: &[u8]| match element {
        [a, b, c, d] => i32::from_le_bytes([*a, *b, *c, *d]),
        [a] => i32::from(*a as i8),
        _ => 0,
    };
    let mut best = (0, i32::MIN);
    for (index, element) in bytes.chunks_exact(size).enumerate() {
        let value = value(element);
        if value > best.1 {
            best = (index, value);
        }
    }
    i32::try_from(best.0).ok()
}
