//! An output of a model, as accounts hold it.

use crate::errors::EscrowError;
use anchor_lang::prelude::*;
use assay_tensor::types::{DType, MAX_RANK, TensorType};

/// A tensor's type. 26 bytes in an account.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputType {
    /// 0: signed bytes; 1: 32-bit signed integers, little-endian.
    pub dtype: u8,
    /// Number of dimensions.
    pub rank: u8,
    /// The dimensions, outermost first; zeros after the rank.
    pub dims: [u32; MAX_RANK],
}

impl OutputType {
    /// Bytes of it in an account.
    pub const SIZE: usize = 1 + 1 + 4 * MAX_RANK;

    /// The type; an error if there is no such tensor.
    pub fn tensor_type(&self) -> Result<TensorType> {
        let dtype = match self.dtype {
            0 => DType::I8,
            1 => DType::I32,
            _ => return err!(EscrowError::BadTensorType),
        };
        let rank = usize::from(self.rank);
        let (dims, rest) = self
            .dims
            .split_at_checked(rank)
            .ok_or(EscrowError::BadTensorType)?;
        require!(rest.iter().all(|d| *d == 0), EscrowError::BadTensorType);
        TensorType::new(dtype, dims).ok_or(error!(EscrowError::BadTensorType))
    }
}

impl From<&TensorType> for OutputType {
    fn from(ty: &TensorType) -> Self {
        let mut dims = [0; MAX_RANK];
        dims[..ty.shape.rank()].copy_from_slice(ty.shape.dims());
        Self {
            dtype: ty.dtype as u8,
            rank: ty.shape.rank() as u8,
            dims,
        }
    }
}

/// An output that was opened against the output root of a final result.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its type.
    pub ty: OutputType,
    /// Its elements, row-major.
    pub data: Vec<u8>,
}

impl Output {
    /// Bytes in an account with room for `capacity` bytes of elements.
    pub const fn size(capacity: u32) -> usize {
        OutputType::SIZE // ty
        + 4 + capacity as usize // data
    }
}
