//! [`crate::op::Op::Lookup`].

use super::{Facts, Ranges, count, dims, dtype, size};
use crate::check::{CheckError, chunks};
use crate::reads::Reads;
use crate::types::{DType, TensorType};

/// Entries of a table.
const ENTRIES: u64 = 256;

pub(crate) fn facts(operands: &[TensorType]) -> Result<Facts, CheckError> {
    count(operands, 2)?;
    dtype(operands, 0, DType::I8)?;
    dtype(operands, 1, DType::I8)?;
    dims::<1>(operands, 1)?;
    size(operands, 1, 0, ENTRIES)?;
    Ok(Facts {
        result: operands[0],
        taps: 1,
        read_chunks: chunks(1) + chunks(ENTRIES),
    })
}

/// The element and the whole table: which entry it is follows from the element's value.
pub(crate) fn reads(element: u64, reads: &mut Reads) -> Option<()> {
    reads.push(0, element, 1)?;
    reads.push(1, 0, ENTRIES)
}

pub(crate) fn eval(ranges: &mut Ranges) -> Option<i32> {
    let [x] = ranges.array()?;
    let table = ranges.array::<{ ENTRIES as usize }>()?;
    // `x + 128` of a signed byte is its bits with the sign flipped.
    let entry = table.get(usize::from(x ^ 0x80))?;
    Some(i32::from(*entry as i8))
}
