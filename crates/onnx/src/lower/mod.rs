//! Lowering: each node of the graph, in order, to what its results stand for.

mod elementwise;
mod linear;
mod pool;
mod quantise;
mod shape;
mod sum;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use assay_tensor::overflow::{Overflow, check_overflow};
use assay_tensor::program::ProgramError;
use assay_tensor::types::{DType, Shape, TensorType};

use crate::builder::{Builder, ValueId};
use crate::constant::{Budget, Constant, Elements};
use crate::error::{ImportError, clipped};
use crate::node::NodeView;
use crate::order::order;
use crate::parse::Graph;
use crate::proto::{ValueInfoProto, data_type};
use crate::value::{Function, Integer, Real, Value};
use crate::{Imported, Limits, Port, Quantisation};

/// The versions of ONNX's operator set whose operators mean what is implemented here.
const OPSETS: std::ops::RangeInclusive<i64> = 10..=26;

/// The state of an import.
pub(crate) struct Lowering<'a> {
    /// The graph's nodes, in the file's order.
    nodes: Vec<NodeView<'a>>,
    budget: Budget,
    builder: Builder,
    values: HashMap<&'a str, Value>,
    /// The values that are tables of other values, with their tables.
    lookups: HashMap<ValueId, (ValueId, Rc<[i8]>)>,
    /// The inputs' ports, and what the program calls them.
    inputs: Vec<(Port, ValueId)>,
}

/// Lowers a whole graph.
pub(crate) fn lower(mut graph: Graph, limits: &Limits) -> Result<Imported, ImportError> {
    if !OPSETS.contains(&graph.opset) {
        return Err(ImportError::NotAModel(format!(
            "version {} of the ONNX operators is not supported, {} to {} are",
            graph.opset,
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    let mut budget = Budget::new(limits.memory_bytes);
    let mut constants = Vec::new();
    for proto in std::mem::take(&mut graph.constants) {
        let name = proto.name.clone();
        constants.push((name, Rc::new(Constant::read(proto, &mut budget)?)));
    }
    let nodes = graph.nodes.iter().enumerate();
    let nodes = nodes.map(|(index, proto)| NodeView { index, proto });
    let mut lowering = Lowering {
        nodes: nodes.collect(),
        budget,
        builder: Builder::default(),
        values: HashMap::new(),
        lookups: HashMap::new(),
        inputs: Vec::new(),
    };
    for (name, constant) in &constants {
        let constant = Value::Constant(constant.clone());
        if lowering.values.insert(name, constant).is_some() {
            return Err(ImportError::Tensor {
                name: clipped(name),
                reason: "two constants have this name".into(),
            });
        }
    }
    for info in &graph.inputs {
        // Old files list the constants among the inputs, as their defaults.
        if !lowering.values.contains_key(info.name.as_str()) {
            if lowering.inputs.len() >= limits.ports {
                return Err(ImportError::TooMany {
                    what: "inputs",
                    limit: limits.ports as u64,
                });
            }
            lowering.input(info)?;
        }
    }
    let given: HashSet<&str> = lowering.values.keys().copied().collect();
    for node in order(&lowering.nodes, &given)? {
        lowering.builder.node = node.index;
        let result = lowering.node(&node)?;
        let mut outputs = node.proto.output.iter();
        match outputs.next() {
            Some(name) if !name.is_empty() => lowering.values.insert(name, result),
            _ => return Err(node.value_error("it has no result")),
        };
        if let Some(more) = outputs.find(|o| !o.is_empty()) {
            return Err(node.unsupported(format!("its result {:?}", clipped(more))));
        }
    }
    lowering.finish(&graph)
}

impl<'a> Lowering<'a> {
    /// One input of the graph becomes one of the program.
    fn input(&mut self, info: &'a ValueInfoProto) -> Result<(), ImportError> {
        let wrong = |reason: &str| ImportError::Port {
            port: clipped(&info.name),
            reason: reason.into(),
        };
        let (kind, dims) = declared(info);
        let dims = dims.ok_or_else(|| wrong("an input's shape must be declared"))?;
        let dims: Vec<u32> = dims
            .into_iter()
            .enumerate()
            .map(|(i, d)| match d {
                Some(d) => Ok(d),
                // A batch of any size is a batch of one: batching is the executor's business.
                None if i == 0 => Ok(1),
                None => Err(wrong(
                    "only its first dimension may have a size that is not known",
                )),
            })
            .collect::<Result<_, _>>()?;
        let shape = Shape::new(&dims).ok_or_else(|| wrong("its shape is empty or too large"))?;
        let id = self
            .builder
            .input(shape)
            .ok_or_else(|| wrong("the program has too many inputs"))?;
        let value = match kind {
            data_type::FLOAT => Value::Input(self.inputs.len()),
            data_type::INT8 | data_type::UINT8 => Value::Integer(Integer {
                id,
                unsigned: kind == data_type::UINT8,
                quantisation: None,
            }),
            _ => return Err(wrong("an input must be float, int8 or uint8")),
        };
        let port = Port {
            name: info.name.clone(),
            ty: TensorType {
                dtype: DType::I8,
                shape,
            },
            quantisation: None,
        };
        self.inputs.push((port, id));
        match self.values.insert(&info.name, value) {
            None => Ok(()),
            Some(_) => Err(wrong("two inputs have this name")),
        }
    }

    /// What a node's first result stands for.
    fn node(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        let domain = node.proto.domain.as_str();
        let op = node.proto.op_type.as_str();
        match (domain, op) {
            ("" | "ai.onnx" | "com.microsoft", "QuantizeLinear") => self.quantize_linear(node),
            ("" | "ai.onnx" | "com.microsoft", "DequantizeLinear") => self.dequantize_linear(node),
            ("com.microsoft", _) => match op {
                "QGemm" => self.qgemm(node),
                "QLinearAdd" | "QLinearMul" => self.qlinear_binary(node),
                "QLinearAveragePool" => self.qlinear_average_pool(node),
                "QLinearGlobalAveragePool" => self.qlinear_global_average_pool(node),
                "QLinearSigmoid" | "QLinearLeakyRelu" => self.qlinear_function(node),
                "Gelu" | "QuickGelu" => self.unary(node),
                _ => {
                    Err(node
                        .unsupported("the importer has no rule for this operator of com.microsoft"))
                }
            },
            ("" | "ai.onnx", _) => match op {
                "Constant" => self.constant(node),
                "Identity" | "Dropout" => self.pass(node),
                "Cast" => self.cast(node),
                "Conv" => self.conv(node),
                "Gemm" => self.gemm(node),
                "MatMul" => self.matmul(node),
                "QLinearConv" => self.qlinear_conv(node),
                "QLinearMatMul" => self.qlinear_matmul(node),
                "MaxPool" => self.max_pool(node),
                "AveragePool" => self.average_pool(node),
                "GlobalAveragePool" | "ReduceMean" => self.global_average_pool(node),
                "GlobalMaxPool" => self.global_max_pool(node),
                "Flatten" => self.flatten(node),
                "Reshape" => self.reshape(node),
                "Squeeze" | "Unsqueeze" => self.squeeze(node),
                "Transpose" => self.transpose(node),
                "ArgMax" => self.arg_max(node),
                "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow" => self.binary(node),
                _ => self.unary(node),
            },
            _ => Err(node.unsupported(format!("operators of {:?}", clipped(domain)))),
        }
    }

    /// Operand `i`, or that it is missing.
    fn operand(&self, node: &NodeView<'_>, i: usize) -> Result<Value, ImportError> {
        self.optional(node, i)
            .ok_or_else(|| node.value_error(format!("operand {i} is missing")))
    }

    /// Operand `i`, unless it is left out.
    fn optional(&self, node: &NodeView<'_>, i: usize) -> Option<Value> {
        let name = node.proto.input.get(i).filter(|n| !n.is_empty())?;
        self.values.get(name.as_str()).cloned()
    }

    /// Operand `i`, which must be a constant, unless it is left out.
    fn optional_constant(
        &self,
        node: &NodeView<'_>,
        i: usize,
    ) -> Result<Option<Rc<Constant>>, ImportError> {
        match self.optional(node, i) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(node.unsupported(format!("operand {i} is not a constant"))),
        }
    }

    /// Operand `i`, which must be a constant.
    fn constant_operand(&self, node: &NodeView<'_>, i: usize) -> Result<Rc<Constant>, ImportError> {
        self.optional_constant(node, i)?
            .ok_or_else(|| node.value_error(format!("operand {i} is missing")))
    }

    /// Operand `i`, which must be bytes that the program computes.
    fn bytes(&self, node: &NodeView<'_>, i: usize) -> Result<Integer, ImportError> {
        match self.operand(node, i)? {
            Value::Integer(x) if self.builder.dtype(x.id) == DType::I8 => Ok(x),
            Value::Input(_) => {
                Err(node.unsupported("an input of the graph is read before it is quantised"))
            }
            _ => Err(node.unsupported(format!(
                "operand {i} is not int8 or uint8 computed from an input"
            ))),
        }
    }

    /// Operand `i`, which must be a value that has been dequantised and nothing else since:
    /// the value, its scale and its zero point.
    fn activation(
        &self,
        node: &NodeView<'_>,
        i: usize,
    ) -> Result<(ValueId, f32, i32), ImportError> {
        match self.operand(node, i)? {
            Value::Real(Real::Function(Function {
                of,
                affine: Some((scale, zero)),
                ..
            })) => Ok((of, scale, zero)),
            Value::Input(_) => Err(node.unsupported("an input of the graph is read before it is quantised")),
            _ => Err(node.unsupported(format!(
                "operand {i} does not come straight from a DequantizeLinear of a value that depends on an input"
            ))),
        }
    }

    /// `Constant`: the tensor in one of its attributes.
    fn constant(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&[
            "value",
            "value_float",
            "value_floats",
            "value_int",
            "value_ints",
        ])?;
        let list = |elements: Elements| Constant {
            dims: vec![elements.len() as u32],
            elements,
        };
        let scalar = |elements: Elements| Constant {
            dims: Vec::new(),
            elements,
        };
        let constant = if let Some(tensor) = node.tensor("value")? {
            self.budget
                .take(tensor.raw_data.len() as u64, || "a constant".into())?;
            Constant::read(tensor.clone(), &mut self.budget)?
        } else if let Some(f) = node.float("value_float")? {
            scalar(Elements::F32(vec![f]))
        } else if let Some(i) = node.int("value_int")? {
            scalar(Elements::I64(vec![i]))
        } else if let Some(floats) = node.floats("value_floats")? {
            list(Elements::F32(floats.to_vec()))
        } else if let Some(ints) = node.ints("value_ints")? {
            list(Elements::I64(ints.to_vec()))
        } else {
            return Err(node.unsupported("it holds no tensor, float or integer"));
        };
        Ok(Value::Constant(Rc::new(constant)))
    }

    /// `Identity`, and `Dropout`, which does nothing outside of training.
    fn pass(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        if let Some(training) = self.optional(node, 2)
            && !matches!(&training, Value::Constant(c) if c.integer(0) == Some(0))
        {
            return Err(node.unsupported("it may be in training mode"));
        }
        self.operand(node, 0)
    }

    /// The program and its ports.
    fn finish(mut self, graph: &Graph) -> Result<Imported, ImportError> {
        let mut outputs = Vec::new();
        for info in &graph.outputs {
            let port = self.output(info)?;
            outputs.push(port);
        }
        for (port, _) in &self.inputs {
            if port.quantisation.is_none()
                && matches!(self.values.get(port.name.as_str()), Some(Value::Input(_)))
            {
                return Err(ImportError::Port {
                    port: clipped(&port.name),
                    reason: "this float input is never quantised".into(),
                });
            }
        }
        let (program, parameters, origins) = self.builder.finish();
        // The node of the graph that an operator of the program was made for.
        let node = |operator: u32| {
            let origin = origins.get(operator as usize);
            origin.and_then(|i| self.nodes.get(*i)).map(NodeView::name)
        };
        let program = program.check().map_err(|source| {
            let operator = match &source {
                ProgramError::Operator { index, .. } | ProgramError::Operand { index, .. } => {
                    Some(*index)
                }
                _ => None,
            };
            match operator.and_then(node) {
                Some(node) => ImportError::Program { node, source },
                None => ImportError::NotAProgram(source),
            }
        })?;
        if let Err(Overflow(bound)) = check_overflow(&program, &parameters) {
            let reach = bound.accumulator.magnitude();
            return Err(match node(bound.index) {
                Some(node) => ImportError::Overflow { node, reach },
                None => ImportError::NotAModel(Overflow(bound).to_string()),
            });
        }
        Ok(Imported {
            program,
            parameters,
            inputs: self.inputs.into_iter().map(|(port, _)| port).collect(),
            outputs,
        })
    }

    /// One output of the graph becomes one of the program.
    fn output(&mut self, info: &ValueInfoProto) -> Result<Port, ImportError> {
        let wrong = |reason: String| ImportError::Port {
            port: clipped(&info.name),
            reason,
        };
        let (id, quantisation) = match self.values.get(info.name.as_str()) {
            Some(Value::Integer(x)) => (x.id, x.quantisation),
            Some(Value::Real(Real::Function(Function {
                of,
                affine: Some(affine),
                ..
            }))) => (*of, Some(*affine)),
            Some(Value::Real(_)) => return Err(wrong("this output is not quantised".into())),
            Some(_) => return Err(wrong("this output does not depend on an input".into())),
            None => return Err(wrong("nothing defines this output".into())),
        };
        let shape = self.builder.shape(id);
        if let (_, Some(dims)) = declared(info) {
            let agrees = dims.len() == shape.rank()
                && dims
                    .iter()
                    .zip(shape.dims())
                    .all(|(declared, d)| declared.is_none_or(|declared| declared == *d));
            if !agrees {
                return Err(wrong(format!(
                    "shape mismatch: it is declared otherwise than {shape:?}"
                )));
            }
        }
        self.builder.output(&info.name, id);
        Ok(Port {
            name: info.name.clone(),
            ty: TensorType {
                dtype: self.builder.dtype(id),
                shape,
            },
            quantisation: quantisation
                .map(|(scale, zero_point)| Quantisation { scale, zero_point }),
        })
    }
}

/// Element type and dimensions that the file declares; `None` for those that it leaves open. A
/// dimension beyond 32 bits is read as an empty one, which no tensor has.
fn declared(info: &ValueInfoProto) -> (i32, Option<Vec<Option<u32>>>) {
    let Some(ty) = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()) else {
        return (0, None);
    };
    let dims = ty.shape.as_ref().map(|shape| {
        shape
            .dim
            .iter()
            .map(|d| d.dim_value.map(|v| u32::try_from(v).unwrap_or(0)))
            .collect()
    });
    (ty.elem_type, dims)
}
