//! Constants of the graph.

use std::rc::Rc;

use crate::error::{ImportError, clipped};
use crate::proto::{TensorProto, data_type};
use crate::scale::quantise;

/// The memory that may still be used for constants and what is made of them.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    limit: u64,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        Self { left: limit, limit }
    }

    /// Takes `bytes` for `what`; to be called before they are allocated.
    pub fn take(&mut self, bytes: u64, what: impl FnOnce() -> String) -> Result<(), ImportError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(ImportError::TooLarge {
                what: what(),
                limit: self.limit,
            }),
        }
    }
}

/// A constant: dimensions and elements, row-major. Its elements fill its dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    pub dims: Vec<u32>,
    pub elements: Elements,
}

/// The elements of a [`Constant`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    F32(Vec<f32>),
    /// Signed bytes; unsigned ones less 128.
    Bytes {
        values: Vec<i8>,
        unsigned: bool,
    },
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl Elements {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::Bytes { values, .. } => values.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
        }
    }
}

impl Constant {
    /// The constant that a message holds.
    pub fn read(proto: TensorProto, budget: &mut Budget) -> Result<Self, ImportError> {
        let name = clipped(&proto.name);
        let wrong = |reason: &str| ImportError::Tensor {
            name: name.clone(),
            reason: reason.into(),
        };
        if proto.data_location != 0 {
            return Err(wrong("its elements are in another file"));
        }
        let mut count = 1u64;
        let mut dims = Vec::new();
        for d in &proto.dims {
            let d = u32::try_from(*d).map_err(|_| wrong("a dimension is out of range"))?;
            count = count
                .checked_mul(u64::from(d))
                .filter(|n| *n <= assay_tensor::types::MAX_ELEMENTS)
                .ok_or_else(|| wrong("it has too many elements"))?;
            dims.push(d);
            if dims.len() > assay_tensor::types::MAX_RANK {
                return Err(wrong("it has too many dimensions"));
            }
        }
        let size: u64 = match proto.data_type {
            data_type::FLOAT | data_type::INT32 => 4,
            data_type::INT8 | data_type::UINT8 => 1,
            data_type::INT64 => 8,
            _ => return Err(wrong("its element type is not supported")),
        };
        let raw = &proto.raw_data;
        let typed = match proto.data_type {
            data_type::FLOAT => proto.float_data.len(),
            data_type::INT64 => proto.int64_data.len(),
            _ => proto.int32_data.len(),
        };
        let is_raw = !raw.is_empty();
        let held = if is_raw { raw.len() } else { typed };
        if held as u64 != if is_raw { count * size } else { count } {
            return Err(wrong("its elements do not fill its dimensions"));
        }
        budget.take(count * size, || format!("tensor {name:?}"))?;
        let elements = match proto.data_type {
            data_type::FLOAT if is_raw => Elements::F32(words(raw, f32::from_le_bytes)),
            data_type::FLOAT => Elements::F32(proto.float_data),
            data_type::INT64 if is_raw => Elements::I64(words(raw, i64::from_le_bytes)),
            data_type::INT64 => Elements::I64(proto.int64_data),
            data_type::INT32 if is_raw => Elements::I32(words(raw, i32::from_le_bytes)),
            data_type::INT32 => Elements::I32(proto.int32_data),
            kind => {
                let unsigned = kind == data_type::UINT8;
                let values = if unsigned {
                    let shift = |v: u8| v.wrapping_sub(128) as i8;
                    if is_raw {
                        Some(raw.iter().map(|v| shift(*v)).collect())
                    } else {
                        collect(&proto.int32_data, |v| u8::try_from(v).ok().map(shift))
                    }
                } else if is_raw {
                    Some(raw.iter().map(|v| *v as i8).collect())
                } else {
                    collect(&proto.int32_data, |v| i8::try_from(v).ok())
                };
                let values =
                    values.ok_or_else(|| wrong("an element is out of its type's range"))?;
                Elements::Bytes { values, unsigned }
            }
        };
        Ok(Self { dims, elements })
    }

    /// The one element of a float scalar (or of a tensor of one element).
    pub fn scalar_f32(&self) -> Option<f32> {
        match &self.elements {
            Elements::F32(v) if v.len() == 1 => Some(v[0]),
            _ => None,
        }
    }

    /// The elements of an `int64` list.
    pub fn list_i64(&self) -> Option<&[i64]> {
        match &self.elements {
            Elements::I64(v) if self.dims.len() <= 1 => Some(v),
            _ => None,
        }
    }

    /// Integer elements, widened, `u8` less 128.
    pub fn integer(&self, i: usize) -> Option<i32> {
        match &self.elements {
            Elements::Bytes { values, .. } => values.get(i).map(|v| i32::from(*v)),
            Elements::I32(v) => v.get(i).copied(),
            _ => None,
        }
    }

    /// What `QuantizeLinear` makes of a float constant; `None` of another, or of a NaN.
    pub fn quantised(&self, by: &Axis, unsigned: bool) -> Option<Self> {
        let Elements::F32(reals) = &self.elements else {
            return None;
        };
        let values = reals
            .iter()
            .enumerate()
            .map(|(i, real)| {
                let (scale, zero) = by.at(&self.dims, i);
                quantise(*real, scale, zero)
            })
            .collect::<Option<_>>()?;
        Some(Self {
            dims: self.dims.clone(),
            elements: Elements::Bytes { values, unsigned },
        })
    }
}

fn words<T, const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|w| read(*w)).collect()
}

fn collect(values: &[i32], convert: impl Fn(i32) -> Option<i8>) -> Option<Vec<i8>> {
    values.iter().map(|v| convert(*v)).collect()
}

/// Scales and zero points, one for all or one for each index of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Positive and finite; one, or as many as the axis has indices.
    pub scales: Rc<[f32]>,
    /// As many, in the `i8` domain for bytes.
    pub zeros: Rc<[i32]>,
    /// The axis.
    pub axis: usize,
}

impl Axis {
    /// Scale and zero point of element `i` of a tensor of `dims`.
    pub fn at(&self, dims: &[u32], i: usize) -> (f32, i32) {
        if self.scales.len() == 1 {
            return (self.scales[0], self.zeros[0]);
        }
        let inner: usize = dims[self.axis + 1..].iter().map(|d| *d as usize).product();
        let index = i / inner.max(1) % self.scales.len();
        (self.scales[index], self.zeros[index])
    }
}

/// A constant that has been dequantised: `(element - zero) * scale`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dequantised {
    /// Bytes or `i32`.
    pub constant: Rc<Constant>,
    /// Scales and zero points.
    pub by: Axis,
}

impl Dequantised {
    /// Element `i` as a real number, in `f32` as onnxruntime computes it.
    pub fn real(&self, i: usize) -> f32 {
        let (scale, zero) = self.by.at(&self.constant.dims, i);
        let element = self.constant.integer(i).unwrap_or(0);
        (i64::from(element) - i64::from(zero)) as f32 * scale
    }
}
