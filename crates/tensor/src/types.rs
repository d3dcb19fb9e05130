//! Element types, shapes and tensors.

use alloc::vec::Vec;

/// The largest rank of a tensor.
pub const MAX_RANK: usize = 6;
/// The largest number of elements of a tensor.
pub const MAX_ELEMENTS: u64 = 1 << 31;

/// An element type. Execution knows no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    /// Signed bytes.
    I8 = 0,
    /// 32-bit signed integers, little-endian in bytes.
    I32 = 1,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::I8 => 1,
            DType::I32 => 4,
        }
    }
}

/// A static shape: up to [`MAX_RANK`] dimensions, none of them zero, at most
/// [`MAX_ELEMENTS`] elements. A rank of zero is a scalar. Row-major.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    dims: [u32; MAX_RANK],
}

impl Shape {
    /// The shape with these dimensions; `None` if there are too many dimensions, an empty
    /// one, or too many elements.
    pub fn new(dims: &[u32]) -> Option<Self> {
        let mut elements = 1u64;
        for d in dims {
            elements = elements
                .checked_mul(u64::from(*d))
                .filter(|n| (1..=MAX_ELEMENTS).contains(n))?;
        }
        let mut all = [0; MAX_RANK];
        all.get_mut(..dims.len())?.copy_from_slice(dims);
        Some(Self {
            rank: dims.len() as u8,
            dims: all,
        })
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[u32] {
        &self.dims[..usize::from(self.rank)]
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// The number of elements, in `1..=MAX_ELEMENTS`.
    pub fn elements(&self) -> u64 {
        self.dims().iter().map(|d| u64::from(*d)).product()
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

/// Element type and shape of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The element type.
    pub dtype: DType,
    /// The shape.
    pub shape: Shape,
}

impl TensorType {
    /// A type; `None` where [`Shape::new`] gives none.
    pub fn new(dtype: DType, dims: &[u32]) -> Option<Self> {
        Some(Self {
            dtype,
            shape: Shape::new(dims)?,
        })
    }

    /// Bytes of a tensor of this type.
    pub fn bytes(&self) -> u64 {
        self.shape.elements() * self.dtype.size() as u64
    }
}

impl core::fmt::Debug for TensorType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}{:?}",
            if self.dtype == DType::I8 { "i8" } else { "i32" },
            self.shape
        )
    }
}

/// A tensor: its type and its elements' bytes, row-major, `i32` little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    ty: TensorType,
    data: Vec<u8>,
}

impl Tensor {
    /// A tensor of `ty` over `data`; `None` unless `data` has exactly the type's bytes.
    pub fn new(ty: TensorType, data: Vec<u8>) -> Option<Self> {
        (data.len() as u64 == ty.bytes()).then_some(Self { ty, data })
    }

    /// A tensor of `i8`; `None` if `values` does not fill `dims`.
    pub fn from_i8(dims: &[u32], values: &[i8]) -> Option<Self> {
        Self::new(
            TensorType::new(DType::I8, dims)?,
            values.iter().map(|v| *v as u8).collect(),
        )
    }

    /// A tensor of `i32`; `None` if `values` does not fill `dims`.
    pub fn from_i32(dims: &[u32], values: &[i32]) -> Option<Self> {
        Self::new(
            TensorType::new(DType::I32, dims)?,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    /// The type.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// The elements' bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The elements' bytes, without the type.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Element `i` in row-major order, widened; `None` past the end.
    pub fn get(&self, i: u64) -> Option<i32> {
        let size = self.ty.dtype.size();
        let at = usize::try_from(i).ok()?.checked_mul(size)?;
        let bytes = self.data.get(at..at.checked_add(size)?)?;
        Some(match self.ty.dtype {
            DType::I8 => i32::from(bytes[0] as i8),
            DType::I32 => i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        })
    }
}
