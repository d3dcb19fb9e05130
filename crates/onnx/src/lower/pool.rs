//! Windows, pooling, and means over an image.

use assay_tensor::check::MAX_READ_CHUNKS;
use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::program::Operand;
use assay_tensor::types::{DType, Shape, Tensor};

use super::Lowering;
use super::quantise::out_of_range;
use crate::builder::{Layout, ValueId};
use crate::error::ImportError;
use crate::node::NodeView;
use crate::scale::Dyadic;
use crate::value::{Average, Clamp, Real, Value};

/// Taps of a window for which one element reads them all. Each is in a chunk of its own, so that a dispute over a
/// larger one would bring tens of kilobytes, where there is another way to compute it.
const MOST_TAPS: u64 = 64;
const _: () = assert!(MOST_TAPS <= MAX_READ_CHUNKS);

/// The window that a node's attributes describe over an image of `size`, and the size of the result.
/// `kernel` is the weights', where there are any. With `overhang`, `ceil_mode` may add a last window that
/// is partly outside.
pub(super) fn window(
    node: &NodeView<'_>,
    size: [u32; 2],
    kernel: Option<[u32; 2]>,
    overhang: bool,
) -> Result<(Window, [u32; 2]), ImportError> {
    let numbers = |name: &str| -> Result<Option<Vec<u32>>, ImportError> {
        let Some(list) = node.ints(name)? else {
            return Ok(None);
        };
        list.iter()
            .map(|v| u32::try_from(*v).ok().filter(|v| *v < 1 << 16))
            .collect::<Option<_>>()
            .map(Some)
            .ok_or_else(|| node.value_error(format!("attribute {name}")))
    };
    let pair = |name: &str| -> Result<Option<[u32; 2]>, ImportError> {
        match numbers(name)?.as_deref() {
            None => Ok(None),
            Some(&[a, b]) if a > 0 && b > 0 => Ok(Some([a, b])),
            Some(_) => Err(node.value_error(format!(
                "attribute {name}: two positive numbers are needed, for images of two dimensions"
            ))),
        }
    };
    let stated = pair("kernel_shape")?;
    let kernel = match (stated, kernel) {
        (Some(a), Some(b)) if a != b => {
            return Err(node.shape_error(format!("kernel_shape {a:?}, weights {b:?}")));
        }
        (stated, weights) => weights
            .or(stated)
            .ok_or_else(|| node.value_error("attribute kernel_shape is missing"))?,
    };
    let strides = pair("strides")?.unwrap_or([1, 1]);
    let dilations = pair("dilations")?.unwrap_or([1, 1]);
    let mut pads = match numbers("pads")?.as_deref() {
        None => [0; 4],
        Some(&[a, b, c, d]) => [a, b, c, d],
        Some(_) => return Err(node.value_error("attribute pads: four numbers are needed")),
    };
    let reach = |d: usize| (u64::from(kernel[d]) - 1) * u64::from(dilations[d]) + 1;
    let auto = node.string("auto_pad")?.unwrap_or(b"NOTSET");
    match auto {
        b"NOTSET" | b"" => {}
        b"VALID" => pads = [0; 4],
        b"SAME_UPPER" | b"SAME_LOWER" => {
            for d in 0..2 {
                let windows = u64::from(size[d].div_ceil(strides[d]));
                let needed = ((windows - 1) * u64::from(strides[d]) + reach(d))
                    .saturating_sub(u64::from(size[d]));
                let half = needed / 2;
                let (before, after) = if auto == b"SAME_UPPER" {
                    (half, needed - half)
                } else {
                    (needed - half, half)
                };
                let fits = |v: u64| u32::try_from(v).map_err(|_| node.value_error("auto_pad"));
                (pads[d], pads[d + 2]) = (fits(before)?, fits(after)?);
            }
        }
        _ => return Err(node.unsupported("attribute auto_pad")),
    }
    let ceil = node.flag("ceil_mode")?;
    let mut result = [0; 2];
    for d in 0..2 {
        let padded = u64::from(size[d]) + u64::from(pads[d]) + u64::from(pads[d + 2]);
        let stride = u64::from(strides[d]);
        let free = padded
            .checked_sub(reach(d))
            .ok_or_else(|| node.shape_error(format!("a window of {} over {padded}", reach(d))))?;
        let mut windows = free / stride + 1;
        // One more window for what is left over, if it starts in the image or the padding before it.
        let starts_inside = windows * stride < u64::from(size[d]) + u64::from(pads[d]);
        if ceil && free % stride != 0 && starts_inside {
            if !overhang {
                return Err(node.unsupported("ceil_mode with a window that is partly outside"));
            }
            pads[d + 2] += (stride - free % stride) as u32;
            windows += 1;
        }
        result[d] =
            u32::try_from(windows).map_err(|_| node.shape_error("its result is too large"))?;
    }
    let window = Window {
        kernel,
        strides,
        dilations,
        pads,
    };
    Ok((window, result))
}

impl Lowering<'_> {
    /// The dimensions `[N, C, H, W]` of an image.
    fn image(&self, node: &NodeView<'_>, x: ValueId) -> Result<[u32; 4], ImportError> {
        let shape = self.builder.shape(x);
        shape
            .dims()
            .try_into()
            .map_err(|_| node.unsupported(format!("only images of two dimensions, not {shape:?}")))
    }

    /// `MaxPool`, of integers or of a rising function of integers.
    pub(super) fn max_pool(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[
            "auto_pad",
            "ceil_mode",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ])?;
        self.maximum(node, |this, x| {
            let [n, c, h, w] = this.image(node, x)?;
            let (window, [oh, ow]) = window(node, [h, w], None, true)?;
            Ok((window, [n, c, oh, ow]))
        })
    }

    /// `GlobalMaxPool`.
    pub(super) fn global_max_pool(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[])?;
        self.maximum(node, |this, x| {
            let [n, c, h, w] = this.image(node, x)?;
            Ok((whole([h, w]), [n, c, 1, 1]))
        })
    }

    fn maximum(
        &mut self,
        node: &NodeView<'_>,
        window: impl FnOnce(&Self, ValueId) -> Result<(Window, [u32; 4]), ImportError>,
    ) -> Result<Value, ImportError> {
        let operand = self.operand(node, 0)?;
        if let Value::Real(Real::Function(function)) = &operand
            && !function.is_monotone()
        {
            return Err(
                node.unsupported("the function before it falls, or is no number, somewhere")
            );
        }
        self.rearranged(node, &operand, |this, x| {
            let (window, dims) = window(this, x)?;
            let shape =
                Shape::new(&dims).ok_or_else(|| node.shape_error("its result is too large"))?;
            let layout = Layout::ChannelsLast;
            let mut operand = this.builder.operand(x, layout);
            let mut op = window;
            if u64::from(window.kernel[0]) * u64::from(window.kernel[1]) > MOST_TAPS {
                // The maximum of the columns' maxima.
                let (columns, rows) = separated(window);
                operand = Operand::Value(this.builder.emit(Op::MaxPool2d(columns), vec![operand]));
                op = rows;
            }
            let op = Op::MaxPool2d(op);
            Ok(this
                .builder
                .define(op, vec![operand], DType::I8, shape, Layout::ChannelsLast))
        })
    }

    /// `AveragePool` between dequantised operands.
    pub(super) fn average_pool(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        let x = self.activation(node, 0)?;
        Ok(Value::Real(self.average(node, x)?))
    }

    /// `QLinearAveragePool` of com.microsoft.
    pub(super) fn qlinear_average_pool(
        &mut self,
        node: &NodeView<'_>,
    ) -> Result<Value, ImportError> {
        let x = self.quantised_activation(node, 0)?;
        let real = self.average(node, x)?;
        self.requantised_real(node, &real, 3, 4)
    }

    fn average(
        &self,
        node: &NodeView<'_>,
        (x, scale, zero): (ValueId, f32, i32),
    ) -> Result<Real, ImportError> {
        node.allow(&[
            "auto_pad",
            "ceil_mode",
            "channels_last",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "strides",
        ])?;
        if node.flag("channels_last")? {
            return Err(node.unsupported("attribute channels_last"));
        }
        let [n, c, h, w] = self.image(node, x)?;
        let (window, [oh, ow]) = window(node, [h, w], None, false)?;
        if window.pads != [0; 4] && !node.flag("count_include_pad")? {
            return Err(
                node.unsupported("padding that does not count: windows would have different areas")
            );
        }
        let shape = Shape::new(&[n, c, oh, ow])
            .ok_or_else(|| node.shape_error("its result is too large"))?;
        let average = Average {
            node: node.index,
            x,
            scale,
            zero,
            window,
            shape,
        };
        Ok(Real::Average(average, Clamp::NONE))
    }

    /// `GlobalAveragePool`, and `ReduceMean` over height and width.
    pub(super) fn global_average_pool(
        &mut self,
        node: &NodeView<'_>,
    ) -> Result<Value, ImportError> {
        let x = self.activation(node, 0)?;
        if node.proto.op_type == "ReduceMean" {
            node.allow(&["axes", "keepdims", "noop_with_empty_axes"])?;
            let axes = match self.optional_constant(node, 1)? {
                Some(axes) => axes.list_i64().map(<[i64]>::to_vec),
                None => node.ints("axes")?.map(<[i64]>::to_vec),
            };
            let mut axes = axes.unwrap_or_default();
            axes.iter_mut()
                .filter(|a| **a < 0)
                .for_each(|a| *a = a.saturating_add(4));
            axes.sort_unstable();
            if axes != [2, 3] || node.int_or("keepdims", 1)? != 1 {
                return Err(
                    node.unsupported("only means over height and width that keep their dimensions")
                );
            }
        } else {
            node.allow(&[])?;
        }
        Ok(Value::Real(self.global_average(node, x)?))
    }

    /// `QLinearGlobalAveragePool` of com.microsoft.
    pub(super) fn qlinear_global_average_pool(
        &mut self,
        node: &NodeView<'_>,
    ) -> Result<Value, ImportError> {
        node.allow(&["channels_last"])?;
        if node.flag("channels_last")? {
            return Err(node.unsupported("attribute channels_last"));
        }
        let x = self.quantised_activation(node, 0)?;
        let real = self.global_average(node, x)?;
        self.requantised_real(node, &real, 3, 4)
    }

    fn global_average(
        &self,
        node: &NodeView<'_>,
        (x, scale, zero): (ValueId, f32, i32),
    ) -> Result<Real, ImportError> {
        let [n, c, h, w] = self.image(node, x)?;
        let shape =
            Shape::new(&[n, c, 1, 1]).ok_or_else(|| node.shape_error("its result is too large"))?;
        let average = Average {
            node: node.index,
            x,
            scale,
            zero,
            window: whole([h, w]),
            shape,
        };
        Ok(Real::Average(average, Clamp::NONE))
    }

    /// A mean as an operator: the requantisation of a sum, whose multiplier holds one over the area.
    pub(super) fn quantise_average(
        &mut self,
        node: &NodeView<'_>,
        average: &Average,
        scale: f32,
        range: OutputRange,
    ) -> Result<ValueId, ImportError> {
        let Average {
            x, window, shape, ..
        } = *average;
        let area = i64::from(window.kernel[0]) * i64::from(window.kernel[1]);
        let real = f64::from(average.scale) / (area as f64 * f64::from(scale));
        let d = Dyadic::nearest(real).ok_or_else(|| out_of_range(node))?;
        let offset = i32::try_from(-area * i64::from(average.zero));
        let (Ok(offset), Ok(pad_value)) = (offset, i8::try_from(average.zero)) else {
            return Err(out_of_range(node));
        };
        let [n, c, h, w] = self.image(node, x)?;
        if area as u64 > MOST_TAPS && window == whole([h, w]) {
            // A row instead of taps of an image: the product with a matrix of ones, the same sum.
            let parameters = [
                Tensor::from_i8(&[1, h * w], &vec![1; area as usize]),
                Tensor::from_i32(&[1], &[offset]),
                Tensor::from_i32(&[1, 2], &[d.multiplier, i32::from(d.shift)]),
            ];
            let rows = Shape::new(&[n, c, h * w]).ok_or_else(|| node.shape_error("its operand"))?;
            let image = self.builder.operand(x, Layout::Onnx);
            let rows = self.builder.emit(Op::Reshape(rows), vec![image]);
            let mut operands = vec![Operand::Value(rows)];
            for parameter in parameters {
                let parameter = parameter.ok_or_else(|| node.shape_error("its operand"))?;
                operands.push(self.builder.parameter(parameter, &mut self.budget)?);
            }
            let op = Op::MatMul(Epilogue::Requant(range));
            let means = Operand::Value(self.builder.emit(op, operands));
            let op = Op::Reshape(shape);
            return Ok(self
                .builder
                .define(op, vec![means], DType::I8, shape, Layout::Onnx));
        }
        let op = Op::AvgPool2d {
            window,
            pad_value,
            offset,
            requant: Requant {
                multiplier: d.multiplier,
                shift: d.shift,
                range,
            },
        };
        let layout = Layout::ChannelsLast;
        let operand = self.builder.operand(x, layout);
        Ok(self
            .builder
            .define(op, vec![operand], DType::I8, shape, layout))
    }
}

/// A window as one over columns, and one over rows of what that makes.
fn separated(window: Window) -> (Window, Window) {
    let Window {
        kernel: [kh, kw],
        strides: [sh, sw],
        dilations: [dh, dw],
        pads: [top, left, bottom, right],
    } = window;
    let columns = Window {
        kernel: [kh, 1],
        strides: [sh, 1],
        dilations: [dh, 1],
        pads: [top, 0, bottom, 0],
    };
    let rows = Window {
        kernel: [1, kw],
        strides: [1, sw],
        dilations: [1, dw],
        pads: [0, left, 0, right],
    };
    (columns, rows)
}

/// The window that is the whole image.
fn whole(size: [u32; 2]) -> Window {
    Window {
        kernel: size,
        strides: [1, 1],
        dilations: [1, 1],
        pads: [0; 4],
    }
}
