//! The one local check of an operator.

use crate::commit::CHUNK;
use crate::op::Op;
use crate::ops::{self, Facts};
use crate::types::{DType, TensorType};

/// Chunks that what one element of an operator reads may lie in, all operands together and wherever each range
/// begins ([`chunks`]): a step proof opens that many at most, with a sibling for each on each level at most.
///
/// Two rows of 32,769 bytes, a bias and scales fit; so does a row of 68,097.
pub const MAX_READ_CHUNKS: u64 = 134;
/// The longest sum of `i8` products that cannot leave `i32`.
pub const MAX_INNER: u64 = 131_071;
/// The most operands that an operator has.
pub const MAX_OPERANDS: usize = 4;

/// The most chunks that a range of `len` bytes, at least one, lies in: as many as if it began with a chunk's last
/// byte. A single byte lies in one, two bytes to 513 in two, and each 512 more in one more.
pub const fn chunks(len: u64) -> u64 {
    let chunk = CHUNK as u64;
    // At most 2^35 bytes: no overflow.
    (len + chunk - 2) / chunk + 1
}

/// What [`check`] finds of a well-formed operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The type of the value that it defines.
    pub result: TensorType,
    /// Its cost in work units: for each element of the result one for moving it, and one for
    /// each multiply-accumulate, comparison or addition of a tap that it takes, padding
    /// included (a matrix product's inner size, a window's area, a row's length).
    pub units: u64,
}

/// Why an operator is not well-formed for the types of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Another number of operands than the operator has.
    #[error("takes {expected} operands and is given {given}")]
    OperandCount {
        /// What the operator takes.
        expected: usize,
        /// What it was given.
        given: usize,
    },
    /// An operand's element type is not the operator's.
    #[error("operand {operand} is {found:?}, where {expected:?} is needed")]
    OperandType {
        /// Which operand.
        operand: usize,
        /// What the operator takes.
        expected: DType,
        /// What it was given.
        found: DType,
    },
    /// An operand's rank is not the operator's.
    #[error("operand {operand} has rank {found}, where {expected} is needed")]
    OperandRank {
        /// Which operand.
        operand: usize,
        /// The rank that the operator takes, or the least it takes.
        expected: usize,
        /// What it was given.
        found: usize,
    },
    /// An operand's shape does not go with the other operands' or the attributes.
    #[error(
        "operand {operand} has size {found} in dimension {dimension}, where {expected} is needed"
    )]
    OperandShape {
        /// Which operand.
        operand: usize,
        /// Which dimension of it.
        dimension: usize,
        /// The size that goes with the rest.
        expected: u64,
        /// What it was given.
        found: u32,
    },
    /// A reshape to another number of elements.
    #[error("reshapes {from} elements to {to}")]
    ReshapeElements {
        /// Elements of the operand.
        from: u64,
        /// Elements of the result.
        to: u64,
    },
    /// Not a permutation of the operand's dimensions with zeros behind.
    #[error("is not a permutation of the operand's dimensions, with zeros behind")]
    Permutation,
    /// A requantisation multiplier that is negative.
    #[error("has a multiplier of {0}, which is not in 0..2^31")]
    Multiplier(i32),
    /// A shift outside of `1..=62`.
    #[error("has a shift of {0}, which is not in 1..=62")]
    Shift(u8),
    /// A clamp whose lower bound is above its upper one.
    #[error("clamps to {lo}..={hi}, which is empty")]
    Clamp {
        /// The lower bound.
        lo: i8,
        /// The upper bound.
        hi: i8,
    },
    /// An offset with a magnitude of 2^48 or more.
    #[error("has an offset of {0}, whose magnitude is not under 2^48")]
    Offset(i64),
    /// A kernel, stride or dilation of zero.
    #[error("has a window with a zero in its kernel, strides or dilations")]
    EmptyWindow,
    /// The window is larger than the padded image.
    #[error("has a window of {window} over a padded image of {image} in dimension {dimension}")]
    WindowTooLarge {
        /// 1 for the height, 2 for the width.
        dimension: usize,
        /// The window's extent, dilation included.
        window: u64,
        /// The image's extent, padding included.
        image: u64,
    },
    /// The number of groups is zero or does not divide the channels.
    #[error("has {groups} groups, which do not divide {channels} channels")]
    Groups {
        /// The groups.
        groups: u32,
        /// The input's or the output's channels.
        channels: u32,
    },
    /// The result has too many elements or too large a dimension.
    #[error("has a result with too many elements")]
    ResultTooLarge,
    /// A sum of more than [`MAX_INNER`] products.
    #[error("sums {0} products an element, more than 131,071")]
    InnerTooLarge(u64),
    /// What an element reads may lie in more than [`MAX_READ_CHUNKS`].
    #[error("reads up to {0} chunks for one element, more than {MAX_READ_CHUNKS}")]
    ReadsTooManyChunks(u64),
}

/// Whether `op` is well-formed for operands of these types, what it defines and what it
/// costs. Looks at nothing else, so that one opened leaf of a program shows any flaw.
///
/// An operator that passes has a defined result for any operands of these types, each
/// element of which reads at most [`MAX_READ_CHUNKS`] chunks.
pub fn check(op: &Op, operands: &[TensorType]) -> Result<Checked, CheckError> {
    let Facts {
        result,
        taps,
        read_chunks,
    } = ops::facts(op, operands)?;
    if taps > MAX_INNER {
        return Err(CheckError::InnerTooLarge(taps));
    }
    if read_chunks > MAX_READ_CHUNKS {
        return Err(CheckError::ReadsTooManyChunks(read_chunks));
    }
    // At most 2^31 elements of 2^17 taps: no overflow.
    let units = result.shape.elements() * (taps + 1);
    Ok(Checked { result, units })
}
