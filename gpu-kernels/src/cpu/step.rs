//! What a prepared operator is: a step over a batch.

use super::kernel::Kernel;
use assay_tensor::types::TensorType;

/// One operand of a step for a whole batch: each request's bytes one after the other, or a
/// parameter, which all requests share.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// All of it.
    pub data: &'a [u8],
    /// Bytes of one request.
    pub bytes: usize,
    /// Whether all requests share it.
    pub shared: bool,
}

impl<'a> Batch<'a> {
    /// The bytes of request `request`.
    pub(crate) fn of(&self, request: usize) -> &'a [u8] {
        let start = if self.shared { 0 } else { request * self.bytes };
        &self.data[start..][..self.bytes]
    }
}

/// An operator, prepared for its operands' types and, where they are known, the operands.
pub(crate) trait Step: Send + Sync {
    /// Computes the operator for a batch of requests. `out` is as long as their results, which
    /// it takes one after the other; what is in it before means nothing, and so for `scratch`.
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], scratch: &mut Vec<u8>);
}

/// What is known of an operator when it is prepared.
pub(crate) struct Site<'a> {
    pub kernel: Kernel,
    /// The operands' types.
    pub types: &'a [TensorType],
    /// The operands that are parameters.
    pub known: &'a [Option<&'a [u8]>],
    /// The result's type.
    pub result: TensorType,
}

impl Site<'_> {
    /// The dimensions of operand `operand`.
    pub(crate) fn dims(&self, operand: usize) -> Vec<usize> {
        dims(&self.types[operand])
    }

    /// The operands from `first` on, if all of them are parameters.
    pub(crate) fn known_from(&self, first: usize) -> Option<Vec<&[u8]>> {
        self.known[first..].iter().copied().collect()
    }
}

/// The dimensions of a type.
pub(crate) fn dims(ty: &TensorType) -> Vec<usize> {
    ty.shape.dims().iter().map(|d| *d as usize).collect()
}

/// A buffer of exactly `len` bytes with any contents, of what `scratch` holds or more.
pub(crate) fn buffer(scratch: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
    &mut scratch[..len]
}
