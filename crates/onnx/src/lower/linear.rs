//! Matrix products and convolutions.

use std::rc::Rc;

use assay_tensor::types::Shape;

use super::Lowering;
use super::pool::window;
use crate::builder::ValueId;
use crate::constant::{Axis, Constant, Dequantised, Elements};
use crate::error::ImportError;
use crate::node::NodeView;
use crate::value::{Clamp, Integer, Linear, LinearKind, Real, Value};

/// A value with its scale and zero point.
pub(super) type Activation = (ValueId, f32, i32);

/// What is added to the accumulators.
pub(super) enum Bias {
    /// Real numbers, one for all channels or one for each.
    Real(Vec<f64>),
    /// Accumulator units.
    Units(Vec<i32>),
}

impl Lowering<'_> {
    /// `Conv` between dequantised operands.
    pub(super) fn conv(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        let x = self.activation(node, 0)?;
        let w = self.weights(node, 1)?;
        let bias = self.real_bias(node, 2)?;
        let linear = self.convolution(node, x, &w, bias)?;
        Ok(Value::Real(Real::Linear(Rc::new(linear), Clamp::NONE)))
    }

    /// `Gemm` between dequantised operands.
    pub(super) fn gemm(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["alpha", "beta", "transA", "transB"])?;
        let x = self.activation(node, 0)?;
        let w = self.weights(node, 1)?;
        let mut bias = self.real_bias(node, 2)?;
        if let Some(Bias::Real(reals)) = &mut bias {
            let beta = f64::from(node.float_or("beta", 1.0)?);
            reals.iter_mut().for_each(|b| *b *= beta);
        }
        let linear = self.product(node, x, &w, bias)?;
        Ok(Value::Real(Real::Linear(Rc::new(linear), Clamp::NONE)))
    }

    /// `MatMul` between dequantised operands.
    pub(super) fn matmul(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[])?;
        let x = self.activation(node, 0)?;
        let w = self.weights(node, 1)?;
        let linear = self.product(node, x, &w, None)?;
        Ok(Value::Real(Real::Linear(Rc::new(linear), Clamp::NONE)))
    }

    /// `QLinearConv`.
    pub(super) fn qlinear_conv(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        let x = self.quantised_activation(node, 0)?;
        let w = self.quantised_weights(node, 3, 0)?;
        let bias = self.unit_bias(node, 8)?;
        let linear = self.convolution(node, x, &w, bias)?;
        self.requantised(node, linear, 6, 7)
    }

    /// `QLinearMatMul`.
    pub(super) fn qlinear_matmul(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[])?;
        let x = self.quantised_activation(node, 0)?;
        let w = self.quantised_weights(node, 3, 1)?;
        let linear = self.product(node, x, &w, None)?;
        self.requantised(node, linear, 6, 7)
    }

    /// `QGemm` of com.microsoft.
    pub(super) fn qgemm(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["alpha", "transA", "transB"])?;
        let x = self.quantised_activation(node, 0)?;
        let axis = if node.flag("transB")? { 0 } else { 1 };
        let w = self.quantised_weights(node, 3, axis)?;
        let bias = self.unit_bias(node, 6)?;
        let linear = self.product(node, x, &w, bias)?;
        self.requantised(node, linear, 7, 8)
    }

    /// Operands `i`, `i + 1` and `i + 2`: a value, its scale and its zero point.
    pub(super) fn quantised_activation(
        &mut self,
        node: &NodeView<'_>,
        i: usize,
    ) -> Result<Activation, ImportError> {
        let x = self.bytes(node, i)?;
        let (scale, zero) = self.scale_and_zero_of(node, x, i + 1, i + 2)?;
        Ok((x.id, scale, zero))
    }

    /// The integers that a real becomes with the scale in operand `i` and the zero point in operand `j`.
    pub(super) fn requantised_real(
        &mut self,
        node: &NodeView<'_>,
        real: &Real,
        i: usize,
        j: usize,
    ) -> Result<Value, ImportError> {
        let (scale, zero, unsigned) = self.scale_and_zero(node, i, j)?;
        Ok(Value::Integer(Integer {
            id: self.quantise(node, real, scale, zero)?,
            unsigned,
            quantisation: Some((scale, zero)),
        }))
    }

    fn requantised(
        &mut self,
        node: &NodeView<'_>,
        linear: Linear,
        i: usize,
        j: usize,
    ) -> Result<Value, ImportError> {
        let real = Real::Linear(Rc::new(linear), Clamp::NONE);
        self.requantised_real(node, &real, i, j)
    }

    /// Operand `i`: constant weights behind a `DequantizeLinear`.
    fn weights(&self, node: &NodeView<'_>, i: usize) -> Result<Dequantised, ImportError> {
        match self.operand(node, i)? {
            Value::Dequantised(w) if matches!(w.constant.elements, Elements::Bytes { .. }) => Ok(w),
            _ => Err(node.unsupported(format!(
                "operand {i} is not a constant of 8 bits behind a DequantizeLinear"
            ))),
        }
    }

    /// Operands `i`, `i + 1` and `i + 2`: constant weights, scales and zero points, which may be many along `axis`.
    fn quantised_weights(
        &self,
        node: &NodeView<'_>,
        i: usize,
        axis: usize,
    ) -> Result<Dequantised, ImportError> {
        let constant = self.constant_operand(node, i)?;
        let Elements::Bytes { unsigned, .. } = &constant.elements else {
            return Err(node.unsupported(format!("operand {i} is not int8 or uint8")));
        };
        let zero = self.optional_constant(node, i + 2)?;
        let length = constant.dims.get(axis).copied().unwrap_or(1);
        let mut by = self.axis(node, i + 1, zero.as_deref(), Some((axis, length)))?;
        if zero.is_none() && *unsigned {
            by.zeros = vec![-128; by.scales.len()].into();
        }
        Ok(Dequantised { constant, by })
    }

    /// Operand `i`: a constant of real numbers, dequantised or not, if it is there.
    fn real_bias(&self, node: &NodeView<'_>, i: usize) -> Result<Option<Bias>, ImportError> {
        match self.optional(node, i) {
            None => Ok(None),
            Some(value) => reals(&value)
                .map(|(_, reals)| Some(Bias::Real(reals)))
                .ok_or_else(|| node.unsupported(format!("operand {i} is not a constant"))),
        }
    }

    /// Operand `i`: a constant of accumulator units, if it is there.
    fn unit_bias(&self, node: &NodeView<'_>, i: usize) -> Result<Option<Bias>, ImportError> {
        match self.optional_constant(node, i)?.as_deref() {
            None => Ok(None),
            Some(Constant {
                elements: Elements::I32(units),
                ..
            }) => Ok(Some(Bias::Units(units.clone()))),
            Some(_) => Err(node.unsupported(format!("operand {i} is not int32"))),
        }
    }

    /// A convolution: operand `x: [N, C, H, W]`, weights `[O, C / groups, KH, KW]`.
    fn convolution(
        &mut self,
        node: &NodeView<'_>,
        x: Activation,
        w: &Dequantised,
        bias: Option<Bias>,
    ) -> Result<Linear, ImportError> {
        node.allow(&[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
        ])?;
        let shape = self.builder.shape(x.0);
        let (&[n, c, h, wide], &[o, ci, kh, kw]) = (shape.dims(), w.constant.dims.as_slice())
        else {
            return Err(node.unsupported(format!(
                "only images of two dimensions are convolved: {shape:?} by {:?}",
                w.constant.dims
            )));
        };
        let groups = node.int_or("group", 1)?;
        let groups = u32::try_from(groups)
            .ok()
            .filter(|g| *g > 0 && c % g == 0 && o % g == 0 && ci == c / g)
            .ok_or_else(|| {
                node.shape_error(format!(
                    "weights {:?} in {groups} groups do not fit an operand {shape:?}",
                    w.constant.dims
                ))
            })?;
        let (window, [oh, ow]) = window(node, [h, wide], Some([kh, kw]), false)?;
        let result = Shape::new(&[n, o, oh, ow]);
        let weight_shape = Shape::new(&[o, kh, kw, ci]);
        let (Some(result), Some(weight_shape)) = (result, weight_shape) else {
            return Err(node.shape_error("its weights or its result are empty or too large"));
        };
        // [O, C, KH, KW] to [O, KH, KW, C].
        let (ci, area) = (ci as usize, kh as usize * kw as usize);
        let order = |i: usize| {
            let (channel, rest) = (i / (area * ci), i % (area * ci));
            channel * ci * area + (rest % ci) * area + rest / ci
        };
        let kind = LinearKind::Conv {
            window,
            groups,
            pad_value: i8::try_from(x.2).map_err(|_| super::quantise::out_of_range(node))?,
        };
        self.linear(node, x, w, 0, order, kind, weight_shape, result, bias, 1.0)
    }

    /// A matrix product: operand `x: [..., K]`, weights `[K, N]`, or `[N, K]` with `transB`.
    fn product(
        &mut self,
        node: &NodeView<'_>,
        x: Activation,
        w: &Dequantised,
        bias: Option<Bias>,
    ) -> Result<Linear, ImportError> {
        if node.flag("transA")? {
            return Err(node.unsupported("attribute transA"));
        }
        let alpha = f64::from(node.float_or("alpha", 1.0)?);
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(node.unsupported("attribute alpha, which is not positive"));
        }
        let transposed = node.flag("transB")?;
        let shape = self.builder.shape(x.0);
        let (&[first, second], Some((k, rows))) =
            (w.constant.dims.as_slice(), shape.dims().split_last())
        else {
            return Err(node.unsupported("only products with a matrix of constants"));
        };
        let (n, inner) = if transposed {
            (first, second)
        } else {
            (second, first)
        };
        if inner != *k {
            return Err(node.shape_error(format!(
                "operand {shape:?} by a matrix of inner size {inner}"
            )));
        }
        let result = Shape::new(&[rows, &[n]].concat());
        let (Some(result), Some(weight_shape)) = (result, Shape::new(&[n, inner])) else {
            return Err(node.shape_error("its weights or its result are empty or too large"));
        };
        let (n, inner) = (n as usize, inner as usize);
        let order = |i: usize| {
            if transposed {
                i
            } else {
                i % inner * n + i / inner
            }
        };
        let axis = usize::from(!transposed);
        self.linear(
            node,
            x,
            w,
            axis,
            order,
            LinearKind::MatMul,
            weight_shape,
            result,
            bias,
            alpha,
        )
    }

    /// What products and convolutions share: weights less their zero points in the operator's `order`, and
    /// biases with what the operand's zero point contributes: `sum((x - zx) * w) = sum(x * w) - zx * sum(w)`.
    fn linear(
        &mut self,
        node: &NodeView<'_>,
        (x, scale, zero): Activation,
        w: &Dequantised,
        channel_axis: usize,
        order: impl Fn(usize) -> usize,
        kind: LinearKind,
        weight_shape: Shape,
        shape: Shape,
        bias: Option<Bias>,
        alpha: f64,
    ) -> Result<Linear, ImportError> {
        let Axis {
            scales,
            zeros,
            axis,
        } = &w.by;
        if scales.len() > 1 && *axis != channel_axis {
            return Err(node.unsupported(
                "its weights have scales along another axis than its output channels",
            ));
        }
        let channels = weight_shape.dims()[0] as usize;
        let count = weight_shape.elements() as usize;
        let inner = count / channels;
        self.budget
            .take(count as u64 + 16 * channels as u64, || "weights".into())?;
        let of = |list_len: usize, channel: usize| if list_len == 1 { 0 } else { channel };
        let mut weights = Vec::with_capacity(count);
        for i in 0..count {
            let zero = zeros[of(zeros.len(), i / inner)];
            let w = w.constant.integer(order(i)).unwrap_or(0);
            let less = i8::try_from(i64::from(w) - i64::from(zero)).map_err(|_| {
                node.unsupported(
                    "weights less their zero point do not fit 8 bits; quantise them symmetrically",
                )
            })?;
            weights.push(less);
        }
        let units: Vec<f64> = (0..channels)
            .map(|c| f64::from(scale) * f64::from(scales[of(scales.len(), c)]) * alpha)
            .collect();
        let bias = match bias {
            None => vec![0; channels],
            Some(Bias::Units(b)) if b.len() == channels => b.into_iter().map(i64::from).collect(),
            Some(Bias::Real(b)) if b.len() == channels || b.len() == 1 => units
                .iter()
                .enumerate()
                .map(|(c, unit)| in_units(node, b[of(b.len(), c)], *unit))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                return Err(node.shape_error("its bias has not one element for each channel"));
            }
        };
        let bias = bias
            .into_iter()
            .zip(weights.chunks(inner))
            .map(|(b, w)| b - i64::from(zero) * w.iter().map(|w| i64::from(*w)).sum::<i64>())
            .collect();
        Ok(Linear {
            node: node.index,
            x,
            kind,
            weights: weights.into(),
            weight_shape,
            bias,
            units,
            shape,
        })
    }
}

/// A real number in units of an accumulator.
pub(super) fn in_units(node: &NodeView<'_>, real: f64, unit: f64) -> Result<i64, ImportError> {
    let units = (real / unit).round();
    if units.abs() < 2f64.powi(40) {
        Ok(units as i64)
    } else {
        Err(node.value_error("its bias is too large for its scales"))
    }
}

/// Dimensions and elements of a constant of real numbers.
pub(super) fn reals(value: &Value) -> Option<(Vec<u32>, Vec<f64>)> {
    match value {
        Value::Constant(c) => match &c.elements {
            Elements::F32(v) => Some((c.dims.clone(), v.iter().map(|v| f64::from(*v)).collect())),
            _ => None,
        },
        Value::Dequantised(d) => {
            let all = (0..d.constant.elements.len()).map(|i| {
                let (scale, zero) = d.by.at(&d.constant.dims, i);
                let element = i64::from(d.constant.integer(i).unwrap_or(0)) - i64::from(zero);
                // In f64: a bias must come back to the integer that it was.
                element as f64 * f64::from(scale)
            });
            Some((d.constant.dims.clone(), all.collect()))
        }
        _ => None,
    }
}
