//! [`crate::op::Op::MatMul`].

use super::lanes::dot;
use super::{Facts, Ranges, dims, dtype, requant, size};
use crate::check::{CheckError, chunks};
use crate::op::Epilogue;
use crate::reads::Reads;
use crate::types::{DType, MAX_RANK, TensorType};

pub(crate) fn facts(epilogue: &Epilogue, operands: &[TensorType]) -> Result<Facts, CheckError> {
    let (out, of_epilogue) = requant::check_operands(epilogue, operands)?;
    dtype(operands, 0, DType::I8)?;
    dtype(operands, 1, DType::I8)?;
    let a = operands[0].shape;
    let Some((&inner, _)) = a.dims().split_last() else {
        return Err(CheckError::OperandRank {
            operand: 0,
            expected: 1,
            found: 0,
        });
    };
    let [columns, _] = dims::<2>(operands, 1)?;
    let inner = u64::from(inner);
    size(operands, 1, 1, inner)?;
    requant::check_channels(epilogue, operands, columns)?;

    let mut result = [0; MAX_RANK];
    result[..a.rank()].copy_from_slice(a.dims());
    result[a.rank() - 1] = columns;
    Ok(Facts {
        result: TensorType::new(out, &result[..a.rank()]).ok_or(CheckError::ResultTooLarge)?,
        taps: inner,
        read_chunks: 2 * chunks(inner) + of_epilogue,
    })
}

/// The inner size and the number of columns.
fn sizes(operands: &[TensorType]) -> Option<(u64, u64)> {
    match operands.get(1)?.shape.dims() {
        [columns, inner] => Some((u64::from(*inner), u64::from(*columns))),
        _ => None,
    }
}

/// One row of `a`, one of `b`, the column's bias and scale.
pub(crate) fn reads(
    epilogue: &Epilogue,
    operands: &[TensorType],
    element: u64,
    reads: &mut Reads,
) -> Option<()> {
    let (inner, columns) = sizes(operands)?;
    let (row, column) = (element / columns, element % columns);
    reads.push(0, row * inner, inner)?;
    reads.push(1, column * inner, inner)?;
    requant::reads(epilogue, column, reads)
}

pub(crate) fn eval(
    epilogue: &Epilogue,
    operands: &[TensorType],
    ranges: &mut Ranges,
) -> Option<i32> {
    let (inner, _) = sizes(operands)?;
    let inner = usize::try_from(inner).ok()?;
    let a = ranges.take(inner)?;
    let b = ranges.take(inner)?;
    requant::finish(epilogue, dot(a, b), ranges)
}
