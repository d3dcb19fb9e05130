//! What one element of an operator is.

use crate::check::check;
use crate::op::Op;
use crate::ops::{self, Ranges};
use crate::types::TensorType;

/// Element `element` (row-major) of `op`'s result, widened to `i32`; `ranges` are the bytes of its
/// [`crate::reads::reads`], a slice for each. Nothing is copied or allocated.
///
/// `None` if `op` is not well-formed for operands of these types, has no such element, or if
/// `ranges` are not as many or not as long as what it reads.
pub fn eval(op: &Op, operands: &[TensorType], element: u64, ranges: &[&[u8]]) -> Option<i32> {
    let checked = check(op, operands).ok()?;
    if element >= checked.result.shape.elements() {
        return None;
    }
    ops::eval(op, operands, &checked.result, element, Ranges(ranges))
}
