//! Builds the tensor program: values in either layout, parameters, and only what outputs need.

use assay_tensor::op::Op;
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::types::{DType, MAX_RANK, Shape, Tensor, TensorType};

use crate::constant::Budget;
use crate::error::ImportError;

/// How the elements of a value of four dimensions `[N, C, H, W]` lie in memory. Others are `Onnx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In the order of the graph's dimensions.
    Onnx,
    /// `[N, H, W, C]`.
    ChannelsLast,
}

/// A value of the program, named by its place in [`Builder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ValueId(usize);

/// A value: its shape in the graph's order, and the operands that hold it.
#[derive(Clone, Copy, Debug)]
struct Value {
    dtype: DType,
    shape: Shape,
    operand: Operand,
    layout: Layout,
    /// The operand that holds it in the other layout, once one was needed.
    other: Option<Operand>,
}

/// The program under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    program: Program,
    parameters: Vec<Tensor>,
    values: Vec<Value>,
    /// For each operator, the node of the graph that it was made for.
    origins: Vec<usize>,
    /// The node that is being lowered.
    pub node: usize,
}

/// `[N, C, H, W]` to `[N, H, W, C]`.
const TO_CHANNELS_LAST: [u8; MAX_RANK] = [0, 2, 3, 1, 0, 0];
/// `[N, H, W, C]` to `[N, C, H, W]`.
const TO_ONNX: [u8; MAX_RANK] = [0, 3, 1, 2, 0, 0];

/// A shape under a permutation of its dimensions.
pub(crate) fn permuted(dims: &[u32], permutation: &[u8]) -> Vec<u32> {
    permutation[..dims.len()]
        .iter()
        .map(|d| dims[usize::from(*d)])
        .collect()
}

/// Whether the elements of an image lie in the same order in both layouts.
fn same_order(dims: &[u32]) -> bool {
    dims[1] == 1 || dims[2] * dims[3] == 1
}

impl Builder {
    /// One more input of the program.
    pub fn input(&mut self, shape: Shape) -> Option<ValueId> {
        let index = u16::try_from(self.program.inputs.len()).ok()?;
        let ty = TensorType {
            dtype: DType::I8,
            shape,
        };
        self.program.inputs.push(ty);
        Some(self.value(DType::I8, shape, Layout::Onnx, Operand::Input(index)))
    }

    /// One more parameter.
    pub fn parameter(
        &mut self,
        tensor: Tensor,
        budget: &mut Budget,
    ) -> Result<Operand, ImportError> {
        let index = self.parameters.len() as u32;
        budget.take(tensor.ty().bytes(), || format!("parameter {index}"))?;
        self.program.parameters.push(*tensor.ty());
        self.parameters.push(tensor);
        Ok(Operand::Parameter(index))
    }

    /// A value that `operand` holds in `layout`; `shape` is in the graph's order.
    pub fn value(
        &mut self,
        dtype: DType,
        shape: Shape,
        layout: Layout,
        operand: Operand,
    ) -> ValueId {
        self.values.push(Value {
            dtype,
            shape,
            operand,
            layout,
            other: None,
        });
        ValueId(self.values.len() - 1)
    }

    /// One more operator; its index.
    pub fn emit(&mut self, op: Op, mut operands: Vec<Operand>) -> u32 {
        // A reshape of a reshape is one.
        if let (Op::Reshape(_), [operand]) = (&op, &mut operands[..])
            && let Operand::Value(inner) = *operand
            && let Node {
                op: Op::Reshape(_),
                operands: of,
            } = &self.program.nodes[inner as usize]
        {
            *operand = of[0];
        }
        self.program.nodes.push(Node { op, operands });
        self.origins.push(self.node);
        self.program.nodes.len() as u32 - 1
    }

    /// One more operator, and the value that it defines.
    pub fn define(
        &mut self,
        op: Op,
        operands: Vec<Operand>,
        dtype: DType,
        shape: Shape,
        layout: Layout,
    ) -> ValueId {
        let operand = Operand::Value(self.emit(op, operands));
        self.value(dtype, shape, layout, operand)
    }

    /// The value's shape in the graph's order.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.values[value.0].shape
    }

    /// The value's element type.
    pub fn dtype(&self, value: ValueId) -> DType {
        self.values[value.0].dtype
    }

    /// The layout in which the value is defined.
    pub fn layout(&self, value: ValueId) -> Layout {
        self.values[value.0].layout
    }

    /// The operand that holds the value in `layout`, converted where it must be. `ChannelsLast` only
    /// for values of four dimensions.
    pub fn operand(&mut self, value: ValueId, layout: Layout) -> Operand {
        let held = self.values[value.0];
        if held.layout == layout {
            return held.operand;
        }
        if let Some(other) = held.other {
            return other;
        }
        let shape = match layout {
            Layout::Onnx => held.shape,
            Layout::ChannelsLast => channels_last_shape(held.shape),
        };
        let op = if same_order(held.shape.dims()) {
            Op::Reshape(shape)
        } else {
            Op::Transpose(match layout {
                Layout::Onnx => TO_ONNX,
                Layout::ChannelsLast => TO_CHANNELS_LAST,
            })
        };
        let other = Operand::Value(self.emit(op, vec![held.operand]));
        self.values[value.0].other = Some(other);
        other
    }

    /// Names an output; its value is the program's in the graph's order.
    pub fn output(&mut self, name: &str, value: ValueId) {
        let value = match self.operand(value, Layout::Onnx) {
            Operand::Value(index) => index,
            // An input that is an output as well: an output names an operator.
            input => self.emit(Op::Reshape(self.shape(value)), vec![input]),
        };
        self.program.outputs.push(Output {
            name: clipped_name(name),
            value,
        });
    }

    /// The program without the operators and parameters that no output needs, its parameters, and for
    /// each operator the node that it was made for.
    pub fn finish(self) -> (Program, Vec<Tensor>, Vec<usize>) {
        let Self {
            program,
            parameters,
            origins,
            ..
        } = self;
        let mut node_used = vec![false; program.nodes.len()];
        let mut parameter_used = vec![false; parameters.len()];
        for output in &program.outputs {
            node_used[output.value as usize] = true;
        }
        for (i, node) in program.nodes.iter().enumerate().rev() {
            if node_used[i] {
                for operand in &node.operands {
                    match operand {
                        Operand::Value(v) => node_used[*v as usize] = true,
                        Operand::Parameter(p) => parameter_used[*p as usize] = true,
                        Operand::Input(_) => {}
                    }
                }
            }
        }
        let new_node = renumbered(&node_used);
        let new_parameter = renumbered(&parameter_used);
        let origins = node_used
            .iter()
            .zip(origins)
            .filter_map(|(used, origin)| used.then_some(origin))
            .collect();
        let parameters: Vec<Tensor> = parameter_used
            .iter()
            .zip(parameters)
            .filter_map(|(used, tensor)| used.then_some(tensor))
            .collect();
        let nodes = node_used
            .iter()
            .zip(program.nodes)
            .filter_map(|(used, node)| used.then_some(node))
            .map(|node| Node {
                op: node.op,
                operands: node
                    .operands
                    .into_iter()
                    .map(|operand| match operand {
                        Operand::Value(v) => Operand::Value(new_node[v as usize]),
                        Operand::Parameter(p) => Operand::Parameter(new_parameter[p as usize]),
                        input => input,
                    })
                    .collect(),
            })
            .collect();
        let outputs = program
            .outputs
            .into_iter()
            .map(|o| Output {
                value: new_node[o.value as usize],
                name: o.name,
            })
            .collect();
        let program = Program {
            inputs: program.inputs,
            parameters: parameters.iter().map(|p| *p.ty()).collect(),
            nodes,
            outputs,
        };
        (program, parameters, origins)
    }
}

/// A shape `[N, C, H, W]` as `[N, H, W, C]`.
pub(crate) fn channels_last_shape(shape: Shape) -> Shape {
    Shape::new(&permuted(shape.dims(), &TO_CHANNELS_LAST)).unwrap_or(shape)
}

/// The new index of each used one.
fn renumbered(used: &[bool]) -> Vec<u32> {
    used.iter()
        .scan(0, |next, used| {
            let index = *next;
            *next += u32::from(*used);
            Some(index)
        })
        .collect()
}

/// A program's output names have at most 64 bytes.
fn clipped_name(name: &str) -> String {
    let mut end = name.len().min(64);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].into()
}
