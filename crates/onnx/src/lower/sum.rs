//! Operators of two reals: sums, biases, and functions with a constant number.

use std::rc::Rc;

use assay_tensor::op::{Op, OutputRange};
use assay_tensor::program::Operand;
use assay_tensor::types::{DType, Shape, Tensor};

use super::Lowering;
use super::linear::{in_units, reals};
use super::quantise::out_of_range;
use crate::builder::{Layout, ValueId, channels_last_shape};
use crate::constant::{Dequantised, Elements};
use crate::error::ImportError;
use crate::node::NodeView;
use crate::scale::Dyadic;
use crate::value::{Addend, Clamp, Function, Linear, LinearKind, Real, Sum, Value};

/// How far back two functions are followed to find one value behind both.
const TABLES_IN_A_ROW: usize = 4;

impl Lowering<'_> {
    /// `Add`, `Sub`, `Mul`, `Div`, `Max`, `Min` and `Pow`.
    pub(super) fn binary(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[])?;
        let op = node.proto.op_type.as_str();
        if node.proto.input.len() != 2 {
            return Err(node.unsupported("not two operands"));
        }
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        Ok(Value::Real(self.binary_of(node, op, &a, &b)?))
    }

    /// `QLinearAdd` and `QLinearMul` of com.microsoft: the same between a dequantisation of each operand and a
    /// quantisation.
    pub(super) fn qlinear_binary(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[])?;
        let op = node.proto.op_type.trim_start_matches("QLinear");
        let (a, b) = (
            self.dequantised_operand(node, 0)?,
            self.dequantised_operand(node, 3)?,
        );
        let real = self.binary_of(node, op, &a, &b)?;
        self.requantised_real(node, &real, 6, 7)
    }

    /// Operands `i`, `i + 1` and `i + 2`, a value or a constant, its scale and its zero point, as a real.
    fn dequantised_operand(&mut self, node: &NodeView<'_>, i: usize) -> Result<Value, ImportError> {
        if let Some(Value::Constant(constant)) = self.optional(node, i) {
            let zero = self.optional_constant(node, i + 2)?;
            let mut by = self.axis(node, i + 1, zero.as_deref(), None)?;
            match constant.elements {
                Elements::Bytes { unsigned, .. } if unsigned && zero.is_none() => {
                    by.zeros = Rc::new([-128])
                }
                Elements::Bytes { .. } => {}
                _ => return Err(node.unsupported(format!("operand {i} is not int8 or uint8"))),
            }
            return Ok(Value::Dequantised(Dequantised { constant, by }));
        }
        let (id, scale, zero) = self.quantised_activation(node, i)?;
        let function = Function::dequantise(id, scale, zero);
        Ok(Value::Real(Real::Function(function)))
    }

    fn binary_of(
        &mut self,
        node: &NodeView<'_>,
        op: &str,
        a: &Value,
        b: &Value,
    ) -> Result<Real, ImportError> {
        let function: fn(f64, f64) -> f64 = match op {
            "Add" => |a, b| a + b,
            "Sub" => |a, b| a - b,
            "Mul" => |a, b| a * b,
            "Div" => |a, b| a / b,
            "Max" => f64::max,
            "Min" => f64::min,
            "Pow" => libm::pow,
            _ => return Err(node.unsupported("the importer has no rule for this operator")),
        };
        if let (Value::Real(Real::Function(f)), Value::Real(Real::Function(g))) = (a, b)
            && let Some((f, g)) = self.of_one_value(f, g)
        {
            return Ok(Real::Function(f.combine(&g, function)));
        }
        Ok(match (a, b) {
            (Value::Real(Real::Function(f)), c) if self.number(f, c).is_some() => {
                let c = self.number(f, c).unwrap_or_default();
                Real::Function(f.then(|x| function(x, c)))
            }
            (c, Value::Real(Real::Function(f))) if self.number(f, c).is_some() => {
                let c = self.number(f, c).unwrap_or_default();
                Real::Function(f.then(|x| function(c, x)))
            }
            (Value::Real(Real::Linear(l, Clamp::NONE)), c) if op == "Add" && reals(c).is_some() => {
                self.biased(node, l, c)?
            }
            (c, Value::Real(Real::Linear(l, Clamp::NONE))) if op == "Add" && reals(c).is_some() => {
                self.biased(node, l, c)?
            }
            _ => match op {
                "Add" => self.sum(node, a, b, 1.0)?,
                "Sub" => self.sum(node, a, b, -1.0)?,
                _ => {
                    return Err(node.unsupported(
                        "only with a constant number, or between functions of one quantised value",
                    ));
                }
            },
        })
    }

    /// Two functions as functions of one value, where they are: of the same one, or of tables of one. So
    /// `x * sigmoid(x)` is one table, although a quantiser puts a table in between.
    fn of_one_value(&self, f: &Function, g: &Function) -> Option<(Function, Function)> {
        let history = |f: &Function| {
            let mut steps = vec![f.clone()];
            while steps.len() < TABLES_IN_A_ROW
                && let Some(last) = steps.last()
                && let Some((of, entries)) = self.lookups.get(&last.of)
            {
                steps.push(last.behind(*of, entries));
            }
            steps
        };
        let (fs, gs) = (history(f), history(g));
        fs.iter().find_map(|f| {
            gs.iter()
                .find(|g| g.of == f.of)
                .map(|g| (f.clone(), g.clone()))
        })
    }

    /// A constant of one element that does not add dimensions to the function's value.
    fn number(&self, f: &Function, constant: &Value) -> Option<f64> {
        let (dims, values) = match constant {
            Value::Constant(c) if c.elements.len() == 1 => {
                reals(constant).map(|r| (c.dims.len(), r.1))?
            }
            Value::Dequantised(d) if d.constant.elements.len() == 1 => {
                (d.constant.dims.len(), vec![f64::from(d.real(0))])
            }
            _ => return None,
        };
        (dims <= self.builder.shape(f.of).rank()).then(|| values[0])
    }

    /// A product or convolution with a constant added to each channel.
    fn biased(
        &mut self,
        node: &NodeView<'_>,
        linear: &Rc<Linear>,
        constant: &Value,
    ) -> Result<Real, ImportError> {
        let wrong = || node.unsupported("its constant is not one number for each channel");
        let (dims, values) = reals(constant).ok_or_else(wrong)?;
        let rank = linear.shape.rank();
        let channel_axis = match linear.kind {
            LinearKind::MatMul => rank - 1,
            LinearKind::Conv { .. } => 1,
        };
        let lead = rank.checked_sub(dims.len()).ok_or_else(wrong)?;
        let others_are_one = dims.iter().enumerate().all(|(i, d)| {
            *d == 1 || (i + lead == channel_axis && *d as usize == linear.bias.len())
        });
        if !others_are_one {
            return Err(wrong());
        }
        self.budget
            .take(16 * linear.bias.len() as u64, || "a bias".into())?;
        let mut linear = Linear::clone(linear);
        for (c, (bias, unit)) in linear.bias.iter_mut().zip(&linear.units).enumerate() {
            let real = if values.len() == 1 {
                values[0]
            } else {
                values[c]
            };
            *bias = bias.saturating_add(in_units(node, real, *unit)?);
        }
        Ok(Real::Linear(Rc::new(linear), Clamp::NONE))
    }

    /// `a + sign * b` of dequantised values, one of which may be a constant.
    fn sum(
        &mut self,
        node: &NodeView<'_>,
        a: &Value,
        b: &Value,
        sign: f64,
    ) -> Result<Real, ImportError> {
        let side = |value: &Value| match value {
            Value::Real(Real::Function(Function {
                of,
                affine: Some((scale, zero)),
                ..
            })) => Some(Addend::Value(*of, *scale, *zero)),
            Value::Dequantised(d)
                if d.by.scales.len() == 1
                    && matches!(d.constant.elements, Elements::Bytes { .. }) =>
            {
                Some(Addend::Constant(d.clone()))
            }
            _ => None,
        };
        let (Some(a), Some(b)) = (side(a), side(b)) else {
            return Err(
                node.unsupported("its operands do not both come straight from a DequantizeLinear")
            );
        };
        self.sum_of(node, a, b, sign)
    }

    fn sum_of(
        &mut self,
        node: &NodeView<'_>,
        a: Addend,
        b: Addend,
        sign: f64,
    ) -> Result<Real, ImportError> {
        let sum = match (a, b) {
            (Addend::Value(a, sa, za), Addend::Value(b, sb, zb)) => {
                let (shape_a, shape_b) = (self.builder.shape(a), self.builder.shape(b));
                if covers(shape_a.dims(), shape_b.dims()) {
                    Sum {
                        node: node.index,
                        a: (a, sa, za),
                        b: Addend::Value(b, sb, zb),
                        signs: [1.0, sign],
                    }
                } else if covers(shape_b.dims(), shape_a.dims()) {
                    Sum {
                        node: node.index,
                        a: (b, sb, zb),
                        b: Addend::Value(a, sa, za),
                        signs: [sign, 1.0],
                    }
                } else {
                    return Err(node.shape_error(format!("{shape_a:?} and {shape_b:?}")));
                }
            }
            (Addend::Value(a, sa, za), Addend::Constant(c)) => Sum {
                node: node.index,
                a: (a, sa, za),
                b: Addend::Constant(c),
                signs: [1.0, sign],
            },
            (Addend::Constant(c), Addend::Value(b, sb, zb)) => Sum {
                node: node.index,
                a: (b, sb, zb),
                b: Addend::Constant(c),
                signs: [sign, 1.0],
            },
            (Addend::Constant(_), Addend::Constant(_)) => {
                return Err(node.unsupported("a sum of two constants"));
            }
        };
        if let Addend::Constant(c) = &sum.b {
            let shape = self.builder.shape(sum.a.0);
            if !covers(shape.dims(), &c.constant.dims) {
                return Err(node.shape_error(format!("{shape:?} and {:?}", c.constant.dims)));
            }
        }
        Ok(Real::Sum(Rc::new(sum), Clamp::NONE))
    }

    /// A sum as an operator.
    pub(super) fn quantise_sum(
        &mut self,
        node: &NodeView<'_>,
        sum: &Sum,
        scale: f32,
        range: OutputRange,
    ) -> Result<ValueId, ImportError> {
        let (a, scale_a, zero_a) = sum.a;
        let (scale_b, zero_b) = match &sum.b {
            Addend::Value(_, scale, zero) => (*scale, *zero),
            Addend::Constant(c) => (c.by.scales[0], c.by.zeros[0]),
        };
        let factor = |s: f32, sign: f64| sign * f64::from(s) / f64::from(scale);
        let (multiplier_a, multiplier_b, shift) =
            Dyadic::pair(factor(scale_a, sum.signs[0]), factor(scale_b, sum.signs[1]))
                .ok_or_else(|| out_of_range(node))?;
        let term = |multiplier: i32, zero: i32| i64::from(multiplier) * i64::from(zero);
        let op = Op::Add {
            multiplier_a,
            multiplier_b,
            offset: -term(multiplier_a, zero_a) - term(multiplier_b, zero_b),
            shift,
            range,
        };
        let shape = self.builder.shape(a);
        let layout_a = self.builder.layout(a);
        let (layout, operand_b) = match &sum.b {
            Addend::Value(b, ..) if self.builder.shape(*b) == shape => {
                let layout = match self.builder.layout(*b) {
                    Layout::ChannelsLast => Layout::ChannelsLast,
                    Layout::Onnx => layout_a,
                };
                (layout, self.builder.operand(*b, layout))
            }
            Addend::Value(b, ..) => (Layout::Onnx, self.broadcast(node, shape, *b)?),
            Addend::Constant(c) => (layout_a, self.constant_addend(node, shape, layout_a, c)?),
        };
        let operand_a = self.builder.operand(a, layout);
        Ok(self
            .builder
            .define(op, vec![operand_a, operand_b], DType::I8, shape, layout))
    }

    /// A smaller value as the operator wants it: its shape the last dimensions of `shape`.
    fn broadcast(
        &mut self,
        node: &NodeView<'_>,
        shape: Shape,
        b: ValueId,
    ) -> Result<Operand, ImportError> {
        let old = self.builder.shape(b);
        let significant = without_leading_ones(old.dims());
        if !shape.dims().ends_with(significant) {
            return Err(node.unsupported(format!(
                "a sum of {shape:?} and a value {old:?} that repeats within"
            )));
        }
        let new = Shape::new(significant).ok_or_else(|| node.shape_error("its operand"))?;
        let operand = self.builder.operand(b, Layout::Onnx);
        if new == old {
            return Ok(operand);
        }
        Ok(Operand::Value(
            self.builder.emit(Op::Reshape(new), vec![operand]),
        ))
    }

    /// A constant repeated as far as the operator does not do it, in `layout`.
    fn constant_addend(
        &mut self,
        node: &NodeView<'_>,
        shape: Shape,
        layout: Layout,
        constant: &Dequantised,
    ) -> Result<Operand, ImportError> {
        let wrong = || node.shape_error("its constant operand");
        // Both with the same number of dimensions, in the order of the layout.
        let rank = shape.rank();
        let lead = rank
            .checked_sub(constant.constant.dims.len())
            .ok_or_else(wrong)?;
        let mut dims = vec![1; lead];
        dims.extend(&constant.constant.dims);
        let mut strides = vec![0; rank];
        let mut stride = 1;
        for d in (0..rank).rev() {
            strides[d] = if dims[d] == 1 { 0 } else { stride };
            stride *= dims[d] as usize;
        }
        let mut full = shape.dims().to_vec();
        if layout == Layout::ChannelsLast {
            full = channels_last_shape(shape).dims().to_vec();
            dims[1..].rotate_left(1);
            strides[1..].rotate_left(1);
        }
        // The operator repeats it over the leading dimensions that it does not have.
        let from = rank - without_leading_ones(&dims).len();
        let (full, strides) = (&full[from..], &strides[from..]);
        let ty_shape = Shape::new(full).ok_or_else(wrong)?;
        let count = ty_shape.elements();
        self.budget.take(count, || "a constant addend".into())?;
        let values: Vec<i8> = (0..count as usize)
            .map(|i| {
                let (mut rest, mut at) = (i, 0);
                for (d, s) in full.iter().zip(strides).rev() {
                    at += rest % *d as usize * s;
                    rest /= *d as usize;
                }
                constant.constant.integer(at).unwrap_or(0) as i8
            })
            .collect();
        let tensor = Tensor::from_i8(full, &values).ok_or_else(wrong)?;
        self.builder.parameter(tensor, &mut self.budget)
    }
}

/// Whether a tensor of `small` dimensions is repeated to `large` ones by ONNX's rules.
fn covers(large: &[u32], small: &[u32]) -> bool {
    small.len() <= large.len()
        && small
            .iter()
            .rev()
            .zip(large.iter().rev())
            .all(|(s, l)| s == l || *s == 1)
}

fn without_leading_ones(dims: &[u32]) -> &[u32] {
    let ones = dims.iter().take_while(|d| **d == 1).count();
    // A scalar keeps one dimension.
    &dims[ones.min(dims.len().saturating_sub(1))..]
}
