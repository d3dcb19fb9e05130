//! `QuantizeLinear` and `DequantizeLinear`, and the operators that a quantised real becomes.

use std::rc::Rc;

use assay_tensor::op::{Epilogue, Op, OutputRange};
use assay_tensor::types::{DType, Tensor};

use super::Lowering;
use crate::Quantisation;
use crate::builder::ValueId;
use crate::constant::{Axis, Constant, Dequantised, Elements};
use crate::error::ImportError;
use crate::node::NodeView;
use crate::scale::{Dyadic, quantise};
use crate::value::{Clamp, Function, Integer, Linear, LinearKind, Real, Value};

impl Lowering<'_> {
    /// The scale in operand `i` and the zero point in operand `j`, one for the whole tensor: scale, zero
    /// point in the `i8` domain, and whether the integers are `uint8` (which they are where it is left out).
    pub(super) fn scale_and_zero(
        &self,
        node: &NodeView<'_>,
        i: usize,
        j: usize,
    ) -> Result<(f32, i32, bool), ImportError> {
        let zero = self.optional_constant(node, j)?;
        let by = self.axis(node, i, zero.as_deref(), None)?;
        let unsigned = match zero.as_deref() {
            None => true,
            Some(Constant {
                elements: Elements::Bytes { unsigned, .. },
                ..
            }) => *unsigned,
            Some(_) => {
                return Err(
                    node.unsupported(format!("operand {j}: only int8 and uint8 zero points"))
                );
            }
        };
        let none = if unsigned { -128 } else { 0 };
        let zero_point = if zero.is_none() { none } else { by.zeros[0] };
        Ok((by.scales[0], zero_point, unsigned))
    }

    /// The same for an integer value, which must be of the zero point's type.
    pub(super) fn scale_and_zero_of(
        &mut self,
        node: &NodeView<'_>,
        x: Integer,
        i: usize,
        j: usize,
    ) -> Result<(f32, i32), ImportError> {
        let (scale, zero) = match self.scale_and_zero(node, i, j)? {
            (scale, zero, unsigned) if unsigned == x.unsigned => (scale, zero),
            (scale, ..) if self.optional(node, j).is_none() => (scale, 0),
            _ => return Err(node.value_error(format!("operand {j} is not of its value's type"))),
        };
        // An integer input of the graph learns its scale from the first operator that reads it.
        for (port, input) in &mut self.inputs {
            if *input == x.id && port.quantisation.is_none() {
                port.quantisation = Some(Quantisation {
                    scale,
                    zero_point: zero,
                });
            }
        }
        Ok((scale, zero))
    }

    /// The scales in operand `i` with these zero points (or none): one, or one for each index of `axis`
    /// where that is given as `(axis, its length)`.
    pub(super) fn axis(
        &self,
        node: &NodeView<'_>,
        i: usize,
        zero: Option<&Constant>,
        axis: Option<(usize, u32)>,
    ) -> Result<Axis, ImportError> {
        let scale = self.constant_operand(node, i)?;
        let Elements::F32(scales) = &scale.elements else {
            return Err(node.unsupported(format!("operand {i}: scales must be float")));
        };
        let (axis, length) = axis.unwrap_or((0, 1));
        if scales.len() != 1 && (scales.len() != length as usize || scale.dims.len() != 1) {
            return Err(node.shape_error(format!(
                "{} scales in operand {i}, where one or {length} are possible",
                scales.len()
            )));
        }
        if !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(node.value_error(format!("operand {i}: a scale is not a positive number")));
        }
        let zeros: Rc<[i32]> = match zero {
            None => vec![0; scales.len()].into(),
            Some(zero) if zero.elements.len() == scales.len() => (0..scales.len())
                .map(|k| zero.integer(k))
                .collect::<Option<_>>()
                .ok_or_else(|| node.unsupported("a zero point is not int8, uint8 or int32"))?,
            Some(_) => return Err(node.shape_error("as many scales as zero points are needed")),
        };
        Ok(Axis {
            scales: scales.as_slice().into(),
            zeros,
            axis,
        })
    }

    /// `QuantizeLinear`: turns the description of a real into an operator, or quantises a constant.
    pub(super) fn quantize_linear(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[
            "axis",
            "saturate",
            "block_size",
            "output_dtype",
            "precision",
        ])?;
        if node.flag("block_size")? || node.flag("output_dtype")? {
            return Err(node.unsupported("blocks, or a type of its own for the result"));
        }
        let operand = self.operand(node, 0)?;
        if let Value::Constant(constant) = &operand {
            return self.quantize_constant(node, constant);
        }
        let (scale, zero, unsigned) = self.scale_and_zero(node, 1, 2)?;
        let id = match operand {
            Value::Input(port) => self.quantise_input(node, port, scale, zero)?,
            Value::Real(real) => self.quantise(node, &real, scale, zero)?,
            _ => return Err(node.unsupported("its operand is not a real that depends on an input")),
        };
        Ok(Value::Integer(Integer {
            id,
            unsigned,
            quantisation: Some((scale, zero)),
        }))
    }

    fn quantize_constant(
        &mut self,
        node: &NodeView<'_>,
        constant: &Constant,
    ) -> Result<Value, ImportError> {
        let zero = self.optional_constant(node, 2)?;
        let axis = self.axis_attribute(node, constant)?;
        let mut by = self.axis(node, 1, zero.as_deref(), axis)?;
        let unsigned = match zero.as_deref().map(|z| &z.elements) {
            Some(Elements::Bytes { unsigned, .. }) => *unsigned,
            None => {
                by.zeros = vec![-128; by.scales.len()].into();
                true
            }
            Some(_) => return Err(node.unsupported("a constant of more than 8 bits")),
        };
        let bytes = constant.elements.len() as u64;
        self.budget.take(bytes, || "a quantised constant".into())?;
        let constant = constant
            .quantised(&by, unsigned)
            .ok_or_else(|| node.value_error("its operand is not a tensor of float numbers"))?;
        Ok(Value::Constant(Rc::new(constant)))
    }

    /// The attribute `axis` of a constant operand, and that dimension's length.
    fn axis_attribute(
        &self,
        node: &NodeView<'_>,
        constant: &Constant,
    ) -> Result<Option<(usize, u32)>, ImportError> {
        let rank = constant.dims.len();
        // The default, 1, means nothing to tensors of fewer dimensions.
        let Some(axis) = node.int("axis")?.or((rank > 1).then_some(1)) else {
            return Ok(None);
        };
        if rank == 0 {
            return Ok(None);
        }
        let axis = node.axis(axis, rank)?;
        Ok(Some((axis, constant.dims[axis])))
    }

    /// `DequantizeLinear`: of a constant, or of a value that the program computes.
    pub(super) fn dequantize_linear(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["axis", "block_size", "output_dtype"])?;
        if node.flag("block_size")? || node.int_or("output_dtype", 1)? != 1 {
            return Err(node.unsupported("blocks, or a result that is not float"));
        }
        let zero = self.optional_constant(node, 2)?;
        match self.operand(node, 0)? {
            Value::Constant(constant) => {
                let axis = self.axis_attribute(node, &constant)?;
                let mut by = self.axis(node, 1, zero.as_deref(), axis)?;
                match &constant.elements {
                    Elements::Bytes { unsigned: true, .. } if zero.is_none() => {
                        by.zeros = vec![-128; by.scales.len()].into();
                    }
                    Elements::Bytes { .. } | Elements::I32(_) => {}
                    _ => {
                        return Err(node.unsupported("a constant that is not int8, uint8 or int32"));
                    }
                }
                Ok(Value::Dequantised(Dequantised { constant, by }))
            }
            Value::Integer(x) if self.builder.dtype(x.id) == DType::I8 => {
                let (scale, zero) = self.scale_and_zero_of(node, x, 1, 2)?;
                Ok(Value::Real(Real::Function(Function::dequantise(
                    x.id, scale, zero,
                ))))
            }
            _ => Err(node.unsupported("its operand is neither a constant nor int8 or uint8")),
        }
    }

    fn quantise_input(
        &mut self,
        node: &NodeView<'_>,
        port: usize,
        scale: f32,
        zero_point: i32,
    ) -> Result<ValueId, ImportError> {
        let wanted = Quantisation { scale, zero_point };
        let (port, id) = &mut self.inputs[port];
        if *port.quantisation.get_or_insert(wanted) != wanted {
            return Err(node.unsupported("an input of the graph is quantised in two ways"));
        }
        Ok(*id)
    }

    /// The value of `round(real / scale) + zero`, clamped to bytes.
    pub(super) fn quantise(
        &mut self,
        node: &NodeView<'_>,
        real: &Real,
        scale: f32,
        zero: i32,
    ) -> Result<ValueId, ImportError> {
        // What is wrong with an operator is said of the node that describes it.
        let node = &match real.node() {
            Some(index) => self.nodes.get(index).copied().unwrap_or(*node),
            None => *node,
        };
        let quantiser = std::mem::replace(&mut self.builder.node, node.index);
        let range = |clamp: &Clamp| range(node, *clamp, scale, zero);
        let id = match real {
            Real::Function(function) => self.quantise_function(node, function, scale, zero),
            Real::Linear(linear, clamp) => self.quantise_linear(node, linear, scale, range(clamp)?),
            Real::Sum(sum, clamp) => self.quantise_sum(node, sum, scale, range(clamp)?),
            Real::Average(average, clamp) => {
                self.quantise_average(node, average, scale, range(clamp)?)
            }
        };
        self.builder.node = quantiser;
        id
    }

    fn quantise_function(
        &mut self,
        node: &NodeView<'_>,
        function: &Function,
        scale: f32,
        zero: i32,
    ) -> Result<ValueId, ImportError> {
        if function.affine == Some((scale, zero)) {
            return Ok(function.of);
        }
        let entries: Rc<[i8]> = function
            .table
            .iter()
            .map(|real| quantise(*real, scale, zero))
            .collect::<Option<_>>()
            .ok_or_else(|| {
                node.value_error("the function before it has no value for some operand")
            })?;
        let x = function.of;
        if entries
            .iter()
            .enumerate()
            .all(|(i, y)| i32::from(*y) == i as i32 - 128)
        {
            return Ok(x);
        }
        let table =
            Tensor::from_i8(&[256], &entries).ok_or_else(|| node.value_error("its table"))?;
        let table = self.builder.parameter(table, &mut self.budget)?;
        let layout = self.builder.layout(x);
        let operand = self.builder.operand(x, layout);
        let shape = self.builder.shape(x);
        let operands = vec![operand, table];
        let y = self
            .builder
            .define(Op::Lookup, operands, DType::I8, shape, layout);
        self.lookups.insert(y, (x, entries));
        Ok(y)
    }

    /// A matrix product or convolution with its requantisation.
    fn quantise_linear(
        &mut self,
        node: &NodeView<'_>,
        linear: &Linear,
        scale: f32,
        range: OutputRange,
    ) -> Result<ValueId, ImportError> {
        let bias = accumulators(node, linear)?;
        let mut scales = Vec::with_capacity(2 * bias.len());
        for unit in &linear.units {
            let d = Dyadic::nearest(unit / f64::from(scale)).ok_or_else(|| out_of_range(node))?;
            scales.extend([d.multiplier, i32::from(d.shift)]);
        }
        let channels = bias.len() as u32;
        let parameters = [
            Tensor::new(
                assay_tensor::types::TensorType {
                    dtype: DType::I8,
                    shape: linear.weight_shape,
                },
                linear.weights.iter().map(|w| *w as u8).collect(),
            ),
            Tensor::from_i32(&[channels], &bias),
            Tensor::from_i32(&[channels, 2], &scales),
        ];
        let mut operands = vec![self.builder.operand(linear.x, linear.kind.layout())];
        for parameter in parameters {
            let parameter = parameter.ok_or_else(|| node.shape_error("its weights"))?;
            operands.push(self.builder.parameter(parameter, &mut self.budget)?);
        }
        let epilogue = Epilogue::Requant(range);
        let op = match linear.kind {
            LinearKind::MatMul => Op::MatMul(epilogue),
            LinearKind::Conv {
                window,
                groups,
                pad_value,
            } => Op::Conv2d {
                window,
                groups,
                pad_value,
                epilogue,
            },
        };
        let layout = linear.kind.layout();
        Ok(self
            .builder
            .define(op, operands, DType::I8, linear.shape, layout))
    }
}

/// That a ratio of scales, or a zero point, does not fit a requantisation.
pub(super) fn out_of_range(node: &NodeView<'_>) -> ImportError {
    node.value_error("its scales or zero points are out of the range of integer requantisation")
}

/// Zero point and bounds of a quantised result.
fn range(
    node: &NodeView<'_>,
    clamp: Clamp,
    scale: f32,
    zero: i32,
) -> Result<OutputRange, ImportError> {
    let bound = |real: f32| {
        quantise(real, scale, zero)
            .ok_or_else(|| node.value_error("a bound before it is not a number"))
    };
    let (lo, hi) = (bound(clamp.lo)?, bound(clamp.hi)?);
    let zero_point = i8::try_from(zero).map_err(|_| out_of_range(node))?;
    Ok(OutputRange { zero_point, lo, hi })
}

/// The start of each accumulator. What the accumulators can reach is checked on the whole program.
fn accumulators(node: &NodeView<'_>, linear: &Linear) -> Result<Vec<i32>, ImportError> {
    linear
        .bias
        .iter()
        .map(|bias| {
            i32::try_from(*bias).map_err(|_| ImportError::Overflow {
                node: node.name(),
                reach: bias.unsigned_abs(),
            })
        })
        .collect()
}
