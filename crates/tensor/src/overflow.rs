//! Which accumulators may leave `i32`: an importer's duty to quality.
//!
//! Overflow is defined (sums wrap), so this is never a condition of soundness. A model whose
//! accumulators wrap computes nonsense, though, and an importer refuses it by this analysis:
//! the interval of each value from the actual parameters, and from it the interval of each
//! accumulator. It is exact for the weights and pessimistic about the activations, each of
//! which it takes to be anything in its value's interval.

use crate::op::{Epilogue, Op, OutputRange};
use crate::program::{CheckedProgram, Operand};
use crate::types::{DType, Tensor};
use alloc::vec::Vec;

/// The values that something may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The least.
    pub lo: i64,
    /// The greatest.
    pub hi: i64,
}

impl Interval {
    fn of_type(dtype: DType) -> Self {
        match dtype {
            DType::I8 => Self { lo: -128, hi: 127 },
            DType::I32 => Self {
                lo: i64::from(i32::MIN),
                hi: i64::from(i32::MAX),
            },
        }
    }

    fn of_range(range: &OutputRange) -> Self {
        Self {
            lo: i64::from(range.lo),
            hi: i64::from(range.hi),
        }
    }

    fn of_tensor(tensor: &Tensor) -> Self {
        let mut values = (0..tensor.ty().shape.elements())
            .filter_map(|i| tensor.get(i))
            .map(i64::from);
        let first = values.next().unwrap_or(0);
        values.fold(
            Self {
                lo: first,
                hi: first,
            },
            |all, value| all.hull(value),
        )
    }

    fn hull(self, value: i64) -> Self {
        Self {
            lo: self.lo.min(value),
            hi: self.hi.max(value),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            lo: self.lo + other.lo,
            hi: self.hi + other.hi,
        }
    }

    /// Of the product of a value of each.
    fn times(self, other: Self) -> Self {
        let products = [
            self.lo * other.lo,
            self.lo * other.hi,
            self.hi * other.lo,
            self.hi * other.hi,
        ];
        products.iter().fold(
            Self {
                lo: products[0],
                hi: products[0],
            },
            |all, product| all.hull(*product),
        )
    }

    /// Of the sum of `count` values of it.
    fn repeated(self, count: i64) -> Self {
        Self {
            lo: self.lo * count,
            hi: self.hi * count,
        }
    }

    /// The largest magnitude.
    pub fn magnitude(&self) -> u64 {
        self.lo.unsigned_abs().max(self.hi.unsigned_abs())
    }

    fn fits_i32(&self) -> bool {
        self.lo >= i64::from(i32::MIN) && self.hi <= i64::from(i32::MAX)
    }
}

/// The interval of an operator's accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Index of the operator.
    pub index: u32,
    /// Its kind.
    pub kind: &'static str,
    /// Over all channels.
    pub accumulator: Interval,
}

impl Bound {
    /// Whether an accumulator of the operator may wrap.
    pub fn may_overflow(&self) -> bool {
        !self.accumulator.fits_i32()
    }
}

/// An operator's accumulator may leave `i32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "operator {} ({}) may overflow: its accumulator can reach a magnitude of {}, more than 2^31 - 1",
    .0.index, .0.kind, .0.accumulator.magnitude()
)]
pub struct Overflow(pub Bound);

/// The bounds of all operators that accumulate; the first that may overflow is an error.
/// `parameters` must be the program's; one that is missing or of another type counts as
/// unknown.
pub fn check_overflow(
    program: &CheckedProgram,
    parameters: &[Tensor],
) -> Result<Vec<Bound>, Overflow> {
    let bounds = bounds(program, parameters);
    match bounds.iter().find(|bound| bound.may_overflow()) {
        Some(bound) => Err(Overflow(*bound)),
        None => Ok(bounds),
    }
}

/// The bounds of all operators that accumulate, as of [`check_overflow`].
pub fn bounds(program: &CheckedProgram, parameters: &[Tensor]) -> Vec<Bound> {
    let mut values: Vec<Interval> = Vec::with_capacity(program.program().nodes.len());
    let mut bounds = Vec::new();
    for (index, node) in (0u32..).zip(&program.program().nodes) {
        let operands = node
            .operands
            .iter()
            .map(|operand| Known::new(program, parameters, &values, *operand))
            .collect::<Vec<_>>();
        let (value, accumulator) = transfer(&node.op, &operands);
        bounds.extend(accumulator.map(|accumulator| Bound {
            index,
            kind: node.op.kind(),
            accumulator,
        }));
        values.push(value);
    }
    bounds
}

/// What is known of an operand.
struct Known<'a> {
    interval: Interval,
    dims: Vec<u32>,
    /// The operand itself, where it is a parameter.
    tensor: Option<&'a Tensor>,
}

impl<'a> Known<'a> {
    fn new(
        program: &CheckedProgram,
        parameters: &'a [Tensor],
        values: &[Interval],
        operand: Operand,
    ) -> Self {
        let ty = program.type_of(operand);
        let tensor = match operand {
            Operand::Parameter(i) => parameters.get(i as usize).filter(|t| *t.ty() == ty),
            _ => None,
        };
        let interval = match operand {
            Operand::Value(i) => values.get(i as usize).copied(),
            _ => tensor.map(Interval::of_tensor),
        };
        Self {
            interval: interval.unwrap_or(Interval::of_type(ty.dtype)),
            dims: ty.shape.dims().to_vec(),
            tensor,
        }
    }

    /// Element `i` if it is known, otherwise anything that the operand holds.
    fn element(&self, i: u64) -> Interval {
        match self.tensor.and_then(|tensor| tensor.get(i)) {
            Some(value) => {
                let value = i64::from(value);
                Interval {
                    lo: value,
                    hi: value,
                }
            }
            None => self.interval,
        }
    }
}

/// The intervals of the operator's value and of its accumulator, if it has one.
fn transfer(op: &Op, operands: &[Known]) -> (Interval, Option<Interval>) {
    let anything = Interval::of_type(DType::I8);
    let x = operands.first().map_or(anything, |x| x.interval);
    match op {
        Op::MatMul(epilogue) => accumulate(epilogue, x, operands),
        Op::Conv2d {
            window,
            pad_value,
            epilogue,
            ..
        } => {
            let padded = window.pads.iter().any(|pad| *pad > 0);
            let x = if padded {
                x.hull(i64::from(*pad_value))
            } else {
                x
            };
            accumulate(epilogue, x, operands)
        }
        Op::Add { range, .. } => (Interval::of_range(range), None),
        Op::Lookup => {
            let table = operands.get(1).and_then(|table| table.tensor);
            let reached = table.map(|table| {
                let entries = (x.lo + 128..=x.hi + 128).filter_map(|i| table.get(i as u64));
                let mut entries = entries.map(i64::from);
                let first = entries.next().unwrap_or(0);
                let one = Interval {
                    lo: first,
                    hi: first,
                };
                entries.fold(one, Interval::hull)
            });
            (reached.unwrap_or(anything), None)
        }
        // A window that lies in the padding alone is -128.
        Op::MaxPool2d(window) if window.pads.iter().any(|pad| *pad > 0) => (x.hull(-128), None),
        Op::MaxPool2d(_) | Op::Reshape(_) | Op::Transpose(_) => (x, None),
        Op::AvgPool2d {
            window,
            pad_value,
            offset,
            requant,
        } => {
            let padded = window.pads.iter().any(|pad| *pad > 0);
            let x = if padded {
                x.hull(i64::from(*pad_value))
            } else {
                x
            };
            // At most 2^17 taps passed the check.
            let taps = i64::from(window.kernel[0]) * i64::from(window.kernel[1]);
            let offset = i64::from(*offset);
            let sum = x.repeated(taps).plus(Interval {
                lo: offset,
                hi: offset,
            });
            (Interval::of_range(&requant.range), Some(sum))
        }
        Op::ArgMax => {
            let row = operands.first().and_then(|x| x.dims.last().copied());
            let hi = i64::from(row.unwrap_or(1)) - 1;
            (Interval { lo: 0, hi }, None)
        }
    }
}

/// Of `bias[o] + sum_k x_k * w[o, k]`, the weights and the bias being operands 1 and 2.
fn accumulate(
    epilogue: &Epilogue,
    x: Interval,
    operands: &[Known],
) -> (Interval, Option<Interval>) {
    let anything = Interval::of_type(DType::I32);
    let sums = operands.get(1).zip(operands.get(2)).and_then(|(w, bias)| {
        let channels = u64::from(*w.dims.first()?);
        let inner = w
            .dims
            .iter()
            .skip(1)
            .map(|d| u64::from(*d))
            .product::<u64>();
        let channel = |o: u64| {
            let products = match w.tensor {
                // At most 2^17 products of 2^15.
                Some(_) => (o * inner..(o + 1) * inner)
                    .map(|at| x.times(w.element(at)))
                    .fold(Interval { lo: 0, hi: 0 }, Interval::plus),
                None => x.times(w.interval).repeated(inner as i64),
            };
            products.plus(bias.element(o))
        };
        (0..channels)
            .map(channel)
            .reduce(|a, b| a.hull(b.lo).hull(b.hi))
    });
    let sums = sums.unwrap_or(anything);
    let value = match epilogue {
        Epilogue::Requant(range) => Interval::of_range(range),
        Epilogue::Accumulate if sums.fits_i32() => sums,
        Epilogue::Accumulate => anything,
    };
    (value, Some(sums))
}
