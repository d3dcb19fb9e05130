//! From operators to steps, on values that have no place yet: in a lowered step
//! [`Buffer::Slot`] names a value.

use std::collections::HashMap;

use assay_tensor::{
    op::{Epilogue, Op},
    program::{CheckedProgram, Operand},
    types::{DType, TensorType},
};

use super::{Buffer, Constant, Finish, Form, Images, Step, View};
use crate::gpu::{layout::Layout, limits::Limits};

/// A program as steps on values.
pub(super) struct Lowered {
    pub steps: Vec<Step>,
    /// Words of each value for one request; the inputs come first.
    pub values: Vec<u32>,
    pub constants: Vec<Constant>,
    pub inputs: Vec<Layout>,
    /// Value and layout of each output.
    pub outputs: Vec<(usize, Layout)>,
}

pub(super) fn lower(program: &CheckedProgram, limits: &Limits) -> Result<Lowered, String> {
    let mut lowering = Lowering {
        limits,
        steps: Vec::new(),
        values: Vec::new(),
        constants: Vec::new(),
        known: HashMap::new(),
    };
    let inputs: Vec<Layout> = program.program().inputs.iter().map(Layout::of).collect();
    for layout in &inputs {
        lowering.value(layout.words())?;
    }
    let mut defined: Vec<Tensor> = Vec::new();
    for (i, node) in program.program().nodes.iter().enumerate() {
        let operands: Vec<Tensor> = node
            .operands
            .iter()
            .map(|operand| match operand {
                Operand::Input(i) => Tensor {
                    source: Source::Value(usize::from(*i)),
                    ty: program.type_of(*operand),
                },
                Operand::Parameter(i) => Tensor {
                    source: Source::Parameter(*i),
                    ty: program.type_of(*operand),
                },
                Operand::Value(i) => defined[*i as usize],
            })
            .collect();
        let ty = program.value_types()[i];
        let result = lowering
            .operator(&node.op, &operands, ty)
            .map_err(|reason| format!("operator {i}: {reason}"))?;
        defined.push(result);
    }
    let mut outputs = Vec::new();
    for output in &program.program().outputs {
        let tensor = defined[output.value as usize];
        let value = match tensor.source {
            Source::Value(value) => value,
            // A reshaped parameter: give every request its copy.
            Source::Parameter(_) => lowering.copy(&tensor)?,
        };
        outputs.push((value, Layout::of(&tensor.ty)));
    }
    Ok(Lowered {
        steps: lowering.steps,
        values: lowering.values,
        constants: lowering.constants,
        inputs,
        outputs,
    })
}

/// Where an operand's elements are.
#[derive(Clone, Copy)]
enum Source {
    Value(usize),
    Parameter(u32),
}

/// An operand: elements in row-major order, with the type that a reshape may have given them.
#[derive(Clone, Copy)]
struct Tensor {
    source: Source,
    ty: TensorType,
}

struct Lowering<'a> {
    limits: &'a Limits,
    steps: Vec<Step>,
    values: Vec<u32>,
    constants: Vec<Constant>,
    known: HashMap<Constant, usize>,
}

impl Lowering<'_> {
    /// A new value of `words` words for one request.
    fn value(&mut self, words: u64) -> Result<usize, String> {
        let bytes = words * 4;
        if bytes > self.limits.binding_bytes {
            return Err(format!(
                "a tensor of {bytes} bytes on the device, which admits {}",
                self.limits.binding_bytes
            ));
        }
        self.values.push(words as u32);
        Ok(self.values.len() - 1)
    }

    fn view(&self, value: usize) -> View {
        View {
            buffer: Buffer::Slot(value),
            stride: self.values[value],
        }
    }

    fn constant(&mut self, parameter: u32, form: Form) -> View {
        let constant = Constant { parameter, form };
        let next = self.constants.len();
        let index = *self.known.entry(constant.clone()).or_insert(next);
        if index == next {
            self.constants.push(constant);
        }
        View {
            buffer: Buffer::Constant(index, 0),
            stride: 0,
        }
    }

    /// An operand as rows of words.
    fn rows(&mut self, tensor: &Tensor) -> Result<View, String> {
        let layout = Layout::of(&tensor.ty);
        match tensor.source {
            Source::Value(value) => Ok(self.view(value)),
            Source::Parameter(parameter) => {
                let bytes = layout.words() * 4;
                if bytes > self.limits.binding_bytes {
                    return Err(format!(
                        "parameter {parameter} has {bytes} bytes on the device, which admits {}",
                        self.limits.binding_bytes
                    ));
                }
                Ok(self.constant(parameter, Form::Rows(layout)))
            }
        }
    }

    /// A value of its own with the elements of `tensor`.
    fn copy(&mut self, tensor: &Tensor) -> Result<usize, String> {
        let layout = Layout::of(&tensor.ty);
        let x = self.rows(tensor)?;
        let value = self.value(layout.words())?;
        let y = self.view(value);
        self.steps.push(Step::Reshape {
            x,
            y,
            from: layout,
            to: layout,
        });
        Ok(value)
    }

    /// Weights of `columns` columns for matmul or conv2d, and the column blocks of a shard.
    fn weights(&mut self, tensor: &Tensor, columns: u32) -> Result<(View, u32), String> {
        let layout = Layout::of(&tensor.ty);
        let blocks = columns.div_ceil(4);
        // `check` keeps what one element reads far below 2^32 bytes.
        let inner = (layout.words() / u64::from(columns)) as u32;
        let block_bytes = u64::from(inner) * 16;
        match tensor.source {
            Source::Parameter(parameter) => {
                let shard = (self.limits.binding_bytes / block_bytes).min(u64::from(blocks)) as u32;
                if shard == 0 {
                    return Err(format!(
                        "four columns of parameter {parameter} have {block_bytes} bytes, \
                         and the device admits {}",
                        self.limits.binding_bytes
                    ));
                }
                let form = Form::Weights {
                    layout,
                    columns,
                    inner,
                    shard,
                };
                Ok((self.constant(parameter, form), shard))
            }
            Source::Value(value) => {
                let x = self.view(value);
                let packed = self.value(u64::from(blocks) * u64::from(inner) * 4)?;
                let y = self.view(packed);
                self.steps.push(Step::PackWeights {
                    x,
                    y,
                    columns,
                    inner,
                    row: layout,
                });
                Ok((y, blocks))
            }
        }
    }

    fn finish(&mut self, epilogue: &Epilogue, operands: &[Tensor]) -> Result<Finish, String> {
        Ok(Finish {
            bias: self.rows(&operands[2])?,
            requant: match epilogue {
                Epilogue::Accumulate => None,
                Epilogue::Requant(range) => Some((self.rows(&operands[3])?, *range)),
            },
        })
    }

    fn operator(&mut self, op: &Op, operands: &[Tensor], ty: TensorType) -> Result<Tensor, String> {
        let layout = Layout::of(&ty);
        let first = operands[0];
        let from = Layout::of(&first.ty);
        if let Op::Reshape(_) = op {
            let free = match first.source {
                Source::Parameter(_) => true,
                Source::Value(_) => from.same_words(&layout),
            };
            if free {
                return Ok(Tensor {
                    source: first.source,
                    ty,
                });
            }
        }

        // Steps that come before: weights that are not parameters.
        let weights = match op {
            Op::MatMul(_) => Some(self.weights(&operands[1], layout.row_elements)?),
            Op::Conv2d { groups, .. } if fills_words(&first.ty, &ty, *groups) => {
                Some(self.weights(&operands[1], layout.row_elements)?)
            }
            _ => None,
        };
        let grouped = match op {
            Op::Conv2d { .. } if weights.is_none() => Some(self.grouped(&operands[1])?),
            _ => None,
        };
        let x = self.rows(&first)?;
        let value = self.value(layout.words())?;
        let y = self.view(value);
        let words = self.values[value];
        let step = match op {
            Op::MatMul(epilogue) => {
                let (b, shard) = weights.ok_or("no weights")?;
                Step::MatMul {
                    a: x,
                    b,
                    finish: self.finish(epilogue, operands)?,
                    y,
                    rows: from.rows as u32,
                    columns: layout.row_elements,
                    inner: from.row_words,
                    y_row: layout.row_words,
                    shard,
                }
            }
            Op::Conv2d {
                window,
                groups,
                pad_value,
                epilogue,
            } => {
                let (input, output) = (images(&first.ty)?, images(&ty)?);
                admits_window(window, &input)?;
                let finish = self.finish(epilogue, operands)?;
                match (weights, grouped) {
                    (Some((w, shard)), _) => Step::Conv2d {
                        x,
                        w,
                        finish,
                        y,
                        input,
                        output,
                        window: *window,
                        group_words: (input.channels / groups).div_ceil(4),
                        group_blocks: (output.channels / groups).div_ceil(4),
                        pad_value: *pad_value,
                        shard,
                    },
                    (None, w) => Step::Conv2dGrouped {
                        x,
                        w: w.ok_or("no weights")?,
                        finish,
                        y,
                        input,
                        output,
                        window: *window,
                        groups: *groups,
                        pad_value: *pad_value,
                    },
                }
            }
            Op::Add {
                multiplier_a,
                multiplier_b,
                offset,
                shift,
                range,
            } => Step::Add {
                a: x,
                b: self.rows(&operands[1])?,
                y,
                words,
                b_words: Layout::of(&operands[1].ty).words() as u32,
                b_scalar: operands[1].ty.shape.rank() == 0,
                multiplier_a: *multiplier_a,
                multiplier_b: *multiplier_b,
                offset: *offset,
                shift: *shift,
                range: *range,
            },
            Op::Lookup => Step::Lookup {
                x,
                table: self.rows(&operands[1])?,
                y,
                words,
            },
            Op::MaxPool2d(window) => {
                let input = images(&first.ty)?;
                admits_window(window, &input)?;
                Step::MaxPool {
                    x,
                    y,
                    input,
                    output: images(&ty)?,
                    window: *window,
                }
            }
            Op::AvgPool2d {
                window,
                pad_value,
                offset,
                requant,
            } => {
                let input = images(&first.ty)?;
                admits_window(window, &input)?;
                Step::AvgPool {
                    x,
                    y,
                    input,
                    output: images(&ty)?,
                    window: *window,
                    pad_value: *pad_value,
                    offset: *offset,
                    requant: *requant,
                }
            }
            Op::Reshape(_) => Step::Reshape {
                x,
                y,
                from,
                to: layout,
            },
            Op::Transpose(permutation) => Step::Transpose {
                x,
                y,
                x_type: first.ty,
                y_type: ty,
                permutation: *permutation,
            },
            Op::ArgMax => Step::ArgMax { x, y, layout: from },
        };
        self.steps.push(step);
        Ok(Tensor {
            source: Source::Value(value),
            ty,
        })
    }

    /// Weights for conv2d_grouped: output channels last.
    fn grouped(&mut self, tensor: &Tensor) -> Result<View, String> {
        let &[outputs, height, width, channels] = tensor.ty.shape.dims() else {
            return Err("weights that are not of rank 4".into());
        };
        let turned = TensorType::new(DType::I8, &[height, width, channels, outputs])
            .ok_or("weights with too many elements")?;
        match tensor.source {
            Source::Parameter(parameter) => {
                let bytes = Layout::of(&turned).words() * 4;
                if bytes > self.limits.binding_bytes {
                    return Err(format!(
                        "parameter {parameter} has {bytes} bytes on the device, which admits {}",
                        self.limits.binding_bytes
                    ));
                }
                let inner = height * width * channels;
                Ok(self.constant(parameter, Form::Grouped { outputs, inner }))
            }
            Source::Value(value) => {
                let x = self.view(value);
                let packed = self.value(Layout::of(&turned).words())?;
                let y = self.view(packed);
                self.steps.push(Step::Transpose {
                    x,
                    y,
                    x_type: tensor.ty,
                    y_type: turned,
                    permutation: [1, 2, 3, 0, 0, 0],
                });
                Ok(y)
            }
        }
    }
}

/// Whether each group's channels, of the image and of the result, are whole words, so that
/// conv2d can take four at once. One group always does: its last word's rest meets weights of
/// zero.
fn fills_words(x: &TensorType, y: &TensorType, groups: u32) -> bool {
    let per_group = |ty: &TensorType| Layout::of(ty).row_elements / groups.max(1);
    groups == 1 || per_group(x).is_multiple_of(4) && per_group(y).is_multiple_of(4)
}

fn images(ty: &TensorType) -> Result<Images, String> {
    let &[n, height, width, channels] = ty.shape.dims() else {
        return Err("an image that is not of rank 4".into());
    };
    Ok(Images {
        n,
        height,
        width,
        channels,
        pixel_words: Layout::of(ty).row_words,
    })
}

/// The shaders find the place of a tap modulo 2^32, which is exact while image and padding
/// together stay below 2^31.
fn admits_window(window: &assay_tensor::op::Window, input: &Images) -> Result<(), String> {
    let [top, left, bottom, right] = window.pads.map(u64::from);
    let height = u64::from(input.height) + top + bottom;
    let width = u64::from(input.width) + left + right;
    if height.max(width) >= 1 << 31 {
        return Err(format!(
            "an image of {height} by {width} pixels with its padding"
        ));
    }
    Ok(())
}
