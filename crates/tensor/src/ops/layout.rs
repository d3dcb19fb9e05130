//! [`crate::op::Op::Reshape`] and [`crate::op::Op::Transpose`].

use super::{Facts, Ranges, count};
use crate::check::{CheckError, chunks};
use crate::reads::Reads;
use crate::types::{DType, MAX_RANK, Shape, TensorType};

fn moved(result: TensorType) -> Facts {
    Facts {
        result,
        taps: 0,
        read_chunks: chunks(result.dtype.size() as u64),
    }
}

pub(crate) fn reshape_facts(shape: &Shape, operands: &[TensorType]) -> Result<Facts, CheckError> {
    count(operands, 1)?;
    let x = operands[0];
    let (from, to) = (x.shape.elements(), shape.elements());
    if from != to {
        return Err(CheckError::ReshapeElements { from, to });
    }
    Ok(moved(TensorType {
        dtype: x.dtype,
        shape: *shape,
    }))
}

pub(crate) fn transpose_facts(
    permutation: &[u8; MAX_RANK],
    operands: &[TensorType],
) -> Result<Facts, CheckError> {
    count(operands, 1)?;
    let x = operands[0];
    let (used, rest) = permutation.split_at(x.shape.rank());
    let mut seen = [false; MAX_RANK];
    let mut dims = [0; MAX_RANK];
    for (to, from) in used.iter().enumerate() {
        let from = usize::from(*from);
        let size = x.shape.dims().get(from).ok_or(CheckError::Permutation)?;
        if core::mem::replace(&mut seen[from], true) {
            return Err(CheckError::Permutation);
        }
        dims[to] = *size;
    }
    if rest.iter().any(|entry| *entry != 0) {
        return Err(CheckError::Permutation);
    }
    let result = TensorType::new(x.dtype, &dims[..x.shape.rank()]);
    Ok(moved(result.ok_or(CheckError::ResultTooLarge)?))
}

pub(crate) fn reshape_reads(
    operands: &[TensorType],
    element: u64,
    reads: &mut Reads,
) -> Option<()> {
    let size = operands.first()?.dtype.size() as u64;
    reads.push(0, element * size, size)
}

pub(crate) fn transpose_reads(
    permutation: &[u8; MAX_RANK],
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    reads: &mut Reads,
) -> Option<()> {
    let x = operands.first()?;
    // Elements of `x` from one index to the next of each of its dimensions.
    let mut strides = [0u64; MAX_RANK];
    let mut stride = 1u64;
    for (at, size) in strides.iter_mut().zip(x.shape.dims()).rev() {
        *at = stride;
        stride *= u64::from(*size);
    }
    let mut rest = element;
    let mut from = 0u64;
    for (size, dimension) in result.shape.dims().iter().zip(permutation).rev() {
        let size = u64::from(*size);
        from += rest % size * strides.get(usize::from(*dimension))?;
        rest /= size;
    }
    let size = x.dtype.size() as u64;
    reads.push(0, from * size, size)
}

/// The element as it is.
pub(crate) fn eval(result: &TensorType, ranges: &mut Ranges) -> Option<i32> {
    match result.dtype {
        DType::I8 => ranges.array().map(|[value]| i32::from(*value as i8)),
        DType::I32 => ranges.array().map(|value| i32::from_le_bytes(*value)),
    }
}
