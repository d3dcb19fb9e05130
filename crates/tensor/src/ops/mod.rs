//! The rules of the operators, one file a kind: `facts` (is it well-formed, what does it
//! define, take and read), `reads` and `eval` of one element.
//!
//! [`reads`] and [`eval`] here are for operators that passed the check and elements that
//! exist: [`crate::reads::reads`] and [`crate::eval::eval`] see to that.

pub mod add;
pub mod arg_max;
pub mod conv2d;
pub mod lanes;
pub mod layout;
pub mod lookup;
pub mod mat_mul;
pub mod pool;
pub mod requant;
pub mod window;

use crate::check::CheckError;
use crate::op::Op;
use crate::reads::Reads;
use crate::types::{DType, TensorType};

/// What is known of an operator from its attributes and operand types alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The result's type.
    pub result: TensorType,
    /// Multiply-accumulates, comparisons or additions for one element.
    pub taps: u64,
    /// The most chunks that the ranges lie in which one element reads: [`crate::check::chunks`] of each.
    pub read_chunks: u64,
}

impl Op {
    /// The operator's name, as errors say it.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::MatMul(_) => "MatMul",
            Op::Conv2d { .. } => "Conv2d",
            Op::Add { .. } => "Add",
            Op::Lookup => "Lookup",
            Op::MaxPool2d(_) => "MaxPool2d",
            Op::AvgPool2d { .. } => "AvgPool2d",
            Op::Reshape(_) => "Reshape",
            Op::Transpose(_) => "Transpose",
            Op::ArgMax => "ArgMax",
        }
    }
}

pub(crate) fn facts(op: &Op, operands: &[TensorType]) -> Result<Facts, CheckError> {
    match op {
        Op::MatMul(epilogue) => mat_mul::facts(epilogue, operands),
        Op::Conv2d {
            window,
            groups,
            epilogue,
            ..
        } => conv2d::facts(window, *groups, epilogue, operands),
        Op::Add {
            offset,
            shift,
            range,
            ..
        } => add::facts(*offset, *shift, range, operands),
        Op::Lookup => lookup::facts(operands),
        Op::MaxPool2d(window) => pool::facts(window, operands),
        Op::AvgPool2d {
            window, requant, ..
        } => {
            requant::check(requant)?;
            pool::facts(window, operands)
        }
        Op::Reshape(shape) => layout::reshape_facts(shape, operands),
        Op::Transpose(permutation) => layout::transpose_facts(permutation, operands),
        Op::ArgMax => arg_max::facts(operands),
    }
}

pub(crate) fn reads(
    op: &Op,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
) -> Option<Reads> {
    let mut reads = Reads::new();
    match op {
        Op::MatMul(epilogue) => mat_mul::reads(epilogue, operands, element, &mut reads),
        Op::Conv2d {
            window,
            groups,
            epilogue,
            ..
        } => conv2d::reads(
            window, *groups, epilogue, operands, result, element, &mut reads,
        ),
        Op::Add { .. } => add::reads(operands, element, &mut reads),
        Op::Lookup => lookup::reads(element, &mut reads),
        Op::MaxPool2d(window) | Op::AvgPool2d { window, .. } => {
            pool::reads(window, operands, result, element, &mut reads)
        }
        Op::Reshape(_) => layout::reshape_reads(operands, element, &mut reads),
        Op::Transpose(permutation) => {
            layout::transpose_reads(permutation, operands, result, element, &mut reads)
        }
        Op::ArgMax => arg_max::reads(operands, element, &mut reads),
    }?;
    Some(reads)
}

pub(crate) fn eval(
    op: &Op,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    mut ranges: Ranges,
) -> Option<i32> {
    let value = match op {
        Op::MatMul(epilogue) => mat_mul::eval(epilogue, operands, &mut ranges),
        Op::Conv2d {
            window,
            groups,
            pad_value,
            epilogue,
        } => conv2d::eval(
            window,
            *groups,
            *pad_value,
            epilogue,
            operands,
            result,
            element,
            &mut ranges,
        ),
        Op::Add {
            multiplier_a,
            multiplier_b,
            offset,
            shift,
            range,
        } => add::eval(
            *multiplier_a,
            *multiplier_b,
            *offset,
            *shift,
            range,
            &mut ranges,
        ),
        Op::Lookup => lookup::eval(&mut ranges),
        Op::MaxPool2d(window) => pool::eval_max(window, operands, result, element, &mut ranges),
        Op::AvgPool2d {
            window,
            pad_value,
            offset,
            requant,
        } => pool::eval_average(
            window,
            *pad_value,
            *offset,
            requant,
            operands,
            result,
            element,
            &mut ranges,
        ),
        Op::Reshape(_) | Op::Transpose(_) => layout::eval(result, &mut ranges),
        Op::ArgMax => arg_max::eval(operands, &mut ranges),
    }?;
    ranges.end()?;
    Some(value)
}

/// That there are `expected` operands.
pub(crate) fn count(operands: &[TensorType], expected: usize) -> Result<(), CheckError> {
    if operands.len() == expected {
        Ok(())
    } else {
        Err(CheckError::OperandCount {
            expected,
            given: operands.len(),
        })
    }
}

/// That operand `operand` has the element type `expected`.
pub(crate) fn dtype(
    operands: &[TensorType],
    operand: usize,
    expected: DType,
) -> Result<(), CheckError> {
    let found = operands[operand].dtype;
    if found == expected {
        Ok(())
    } else {
        Err(CheckError::OperandType {
            operand,
            expected,
            found,
        })
    }
}

/// The dimensions of operand `operand` if it has exactly `N`.
pub(crate) fn dims<const N: usize>(
    operands: &[TensorType],
    operand: usize,
) -> Result<[u32; N], CheckError> {
    let shape = &operands[operand].shape;
    shape
        .dims()
        .try_into()
        .map_err(|_| CheckError::OperandRank {
            operand,
            expected: N,
            found: shape.rank(),
        })
}

/// That dimension `dimension` of operand `operand` has the size `expected`.
pub(crate) fn size(
    operands: &[TensorType],
    operand: usize,
    dimension: usize,
    expected: u64,
) -> Result<(), CheckError> {
    let found = operands[operand].shape.dims()[dimension];
    if u64::from(found) == expected {
        Ok(())
    } else {
        Err(CheckError::OperandShape {
            operand,
            dimension,
            expected,
            found,
        })
    }
}

/// The bytes of the ranges that an element reads, in order.
pub(crate) struct Ranges<'a>(pub &'a [&'a [u8]]);

impl<'a> Ranges<'a> {
    /// The next range, if it has `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (range, rest) = self.0.split_first()?;
        self.0 = rest;
        (range.len() == len).then_some(*range)
    }

    /// The next range, if it has `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
