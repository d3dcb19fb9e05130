//! What one element of an operator is.

use crate::check::check;
use crate::op::Op;
use crate::ops;
use crate::types::TensorType;

/// Element `element` (row-major) of `op`'s result, widened to `i32`; `bytes` are those of its
/// [`crate::reads::reads`], one range after the other.
///
/// `None` if `op` is not well-formed for operands of these types, has no such element, or if
/// `bytes` are not as many as it reads.
pub fn eval(op: &Op, operands: &[TensorType], element: u64, bytes: &[u8]) -> Option<i32> {
    let checked = check(op, operands).ok()?;
    if element >= checked.result.shape.elements() {
        return None;
    }
    ops::eval(op, operands, &checked.result, element, bytes)
}
