//! What a name of the graph stands for while the graph is lowered.
//!
//! A QDQ graph computes in reals between a `DequantizeLinear` and the next `QuantizeLinear`. Here such
//! a real is a description of what was done to integers; the `QuantizeLinear` behind it, which gives
//! the scale of the result, turns the description into one integer operator.

use std::rc::Rc;

use assay_tensor::op::Window;
use assay_tensor::types::Shape;

use crate::builder::{Layout, ValueId};
use crate::constant::{Constant, Dequantised};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A float input of the graph, by its place among the ports; only `QuantizeLinear` may read it.
    Input(usize),
    /// Integers that the program computes.
    Integer(Integer),
    /// A real that is computed from integers.
    Real(Real),
    /// A constant.
    Constant(Rc<Constant>),
    /// A constant behind a `DequantizeLinear`.
    Dequantised(Dequantised),
}

/// Integers that the program computes: bytes, or the `i32` of an `ArgMax`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Integer {
    pub id: ValueId,
    /// Whether the graph has them as `uint8`; the program then holds them less 128.
    pub unsigned: bool,
    /// Scale and zero point (in the `i8` domain), where the graph has told them.
    pub quantisation: Option<(f32, i32)>,
}

/// A real tensor, described by the integers that it is computed from.
#[derive(Clone, Debug)]
pub(crate) enum Real {
    Function(Function),
    Linear(Rc<Linear>, Clamp),
    Sum(Rc<Sum>, Clamp),
    Average(Average, Clamp),
}

impl Real {
    /// The node that will be an operator of the program, by its place in the file; a function has none, as
    /// it becomes a table when it is quantised.
    pub fn node(&self) -> Option<usize> {
        match self {
            Self::Function(_) => None,
            Self::Linear(linear, _) => Some(linear.node),
            Self::Sum(sum, _) => Some(sum.node),
            Self::Average(average, _) => Some(average.node),
        }
    }
}

/// A function of each element of one `i8` value.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub of: ValueId,
    /// The function's value at `i - 128`, for `i` in `0..256`, each step in `f32`.
    pub table: Rc<[f32; 256]>,
    /// Scale and zero point, where the function is only a dequantisation.
    pub affine: Option<(f32, i32)>,
}

impl Function {
    /// `(x - zero) * scale`.
    pub fn dequantise(of: ValueId, scale: f32, zero: i32) -> Self {
        Self {
            of,
            table: Rc::new(std::array::from_fn(|i| {
                (i as i32 - 128 - zero) as f32 * scale
            })),
            affine: Some((scale, zero)),
        }
    }

    /// `f` of this function; `f` is computed in `f64` and rounded to `f32`.
    pub fn then(&self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            of: self.of,
            table: Rc::new(self.table.map(|x| f(f64::from(x)) as f32)),
            affine: None,
        }
    }

    /// `f` of two functions of the same value.
    pub fn combine(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let at = |i: usize| f(f64::from(self.table[i]), f64::from(other.table[i])) as f32;
        Self {
            of: self.of,
            table: Rc::new(std::array::from_fn(at)),
            affine: None,
        }
    }

    /// This function of `entries` of another value.
    pub fn behind(&self, of: ValueId, entries: &[i8]) -> Self {
        let at = |i: usize| match entries.get(i) {
            Some(entry) => self.table[(i16::from(*entry) + 128) as usize],
            None => f32::NAN,
        };
        Self {
            of,
            table: Rc::new(std::array::from_fn(at)),
            affine: None,
        }
    }

    /// The same function of another value.
    pub fn of(&self, of: ValueId) -> Self {
        Self { of, ..self.clone() }
    }

    /// Whether the function never falls.
    pub fn is_monotone(&self) -> bool {
        self.table.is_sorted()
    }

    /// Whether the function always rises.
    pub fn is_strictly_monotone(&self) -> bool {
        self.table.is_sorted_by(|a, b| a < b)
    }
}

/// Bounds that were put on a real before it was quantised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clamp {
    pub lo: f32,
    pub hi: f32,
}

impl Clamp {
    pub const NONE: Self = Self {
        lo: f32::NEG_INFINITY,
        hi: f32::INFINITY,
    };

    /// These bounds, then `lo` and `hi`, where `hi` wins.
    pub fn then(self, lo: f32, hi: f32) -> Self {
        Self {
            lo: self.lo.max(lo).min(hi),
            hi: self.hi.max(lo).min(hi),
        }
    }
}

/// A matrix product or convolution of an `i8` value with constant weights.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// The node that describes it, by its place in the file.
    pub node: usize,
    pub x: ValueId,
    pub kind: LinearKind,
    /// Weights less their zero points, one output channel after the other, each in the operator's order.
    pub weights: Rc<[i8]>,
    /// The weights' shape in the operator.
    pub weight_shape: Shape,
    /// Start of each channel's accumulator: bias, and what the zero points contribute.
    pub bias: Vec<i64>,
    /// The real value of one unit of each channel's accumulator.
    pub units: Vec<f64>,
    /// The result's shape in the graph's order.
    pub shape: Shape,
}

/// Which operator a [`Linear`] is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LinearKind {
    MatMul,
    Conv {
        window: Window,
        groups: u32,
        pad_value: i8,
    },
}

impl LinearKind {
    /// The layout that the operator reads and writes.
    pub fn layout(&self) -> Layout {
        match self {
            Self::MatMul => Layout::Onnx,
            Self::Conv { .. } => Layout::ChannelsLast,
        }
    }
}

/// `a + b` or `a - b` of two quantised values, with the shape of `a`.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    /// The node that describes it, by its place in the file.
    pub node: usize,
    pub a: (ValueId, f32, i32),
    pub b: Addend,
    /// Of `a` and of `b`: 1 or -1.
    pub signs: [f64; 2],
}

/// The smaller operand of a [`Sum`].
#[derive(Clone, Debug)]
pub(crate) enum Addend {
    Value(ValueId, f32, i32),
    Constant(Dequantised),
}

/// The mean over windows of an `i8` value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Average {
    /// The node that describes it, by its place in the file.
    pub node: usize,
    pub x: ValueId,
    pub scale: f32,
    pub zero: i32,
    pub window: Window,
    /// The result's shape in the graph's order.
    pub shape: Shape,
}
