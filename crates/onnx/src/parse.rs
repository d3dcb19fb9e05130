//! From bytes to a graph, within bounds.
//!
//! An encoded message of a few bytes can ask for many times as much memory once it is decoded: an
//! empty submessage takes two bytes in the file and a hundred in memory. So the outer messages are
//! walked by hand, fields are counted while walking, and only messages of bounded size and field
//! count are given to `prost`, whose own depth is bounded by the message types of [`proto`](crate::proto).
//! What remains, numbers, grows to at most eight bytes for each byte of the file.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::Limits;
use crate::error::{ImportError, NodeName};
use crate::proto::{NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto};

/// The longest encoding of an input's or output's type.
const VALUE_INFO_BYTES: usize = 4096;
/// The most operator sets that a model may use.
const OPERATOR_SETS: usize = 64;

/// A model's graph as the file has it.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The operators, in the file's order.
    pub nodes: Vec<NodeProto>,
    /// The named constants.
    pub constants: Vec<TensorProto>,
    /// The inputs; in old files constants are named here, too.
    pub inputs: Vec<ValueInfoProto>,
    /// The outputs.
    pub outputs: Vec<ValueInfoProto>,
    /// The version of ONNX's own operator set.
    pub opset: i64,
}

/// One field of a message: its number, and its bytes where it has a length.
struct Field<'a> {
    tag: u32,
    bytes: Option<&'a [u8]>,
}

/// Walks the fields of an encoded message.
struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    fn step(&mut self) -> Result<Field<'a>, prost::DecodeError> {
        let (tag, wire_type) = decode_key(&mut self.rest)?;
        if wire_type == WireType::LengthDelimited {
            let mut after = self.rest;
            let length = decode_varint(&mut after)?;
            if let Ok(length) = usize::try_from(length)
                && let Some((bytes, rest)) = after.split_at_checked(length)
            {
                self.rest = rest;
                let bytes = Some(bytes);
                return Ok(Field { tag, bytes });
            }
        }
        // Numbers, groups, and the error for a length beyond the end.
        skip_field(wire_type, tag, &mut self.rest, DecodeContext::default())?;
        Ok(Field { tag, bytes: None })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.step().map_err(|e| malformed(self.what, &e));
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

fn malformed(what: &'static str, error: &prost::DecodeError) -> ImportError {
    ImportError::Malformed {
        what,
        reason: error.to_string(),
    }
}

fn decode<M: Message + Default>(what: &'static str, bytes: &[u8]) -> Result<M, ImportError> {
    M::decode(bytes).map_err(|e| malformed(what, &e))
}

/// Appends `item`, or says that there are too many.
fn push<T>(
    list: &mut Vec<T>,
    item: T,
    what: &'static str,
    limit: usize,
) -> Result<(), ImportError> {
    if list.len() >= limit {
        return Err(ImportError::TooMany {
            what,
            limit: limit as u64,
        });
    }
    list.push(item);
    Ok(())
}

/// Reads a model.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Graph, ImportError> {
    if bytes.len() as u64 > limits.file_bytes {
        return Err(ImportError::FileTooLarge {
            bytes: bytes.len() as u64,
            limit: limits.file_bytes,
        });
    }
    let mut graph = None;
    let mut sets: Vec<OperatorSetIdProto> = Vec::new();
    for field in Fields::of("model", bytes) {
        match field? {
            Field {
                tag: 7,
                bytes: Some(b),
            } if graph.is_none() => graph = Some(b),
            Field { tag: 7, .. } => {
                return Err(ImportError::NotAModel("its graph is there twice".into()));
            }
            Field {
                tag: 8,
                bytes: Some(b),
            } => {
                let set = decode("operator set", b)?;
                push(&mut sets, set, "operator sets", OPERATOR_SETS)?;
            }
            _ => {}
        }
    }
    let graph = graph.ok_or_else(|| ImportError::NotAModel("it has no graph".into()))?;
    let mut graph = parse_graph(graph, limits)?;
    graph.opset = sets
        .iter()
        .find(|s| s.domain.is_empty() || s.domain == "ai.onnx")
        .map(|s| s.version)
        .ok_or_else(|| {
            ImportError::NotAModel("it names no version of the ONNX operators".into())
        })?;
    Ok(graph)
}

fn parse_graph(bytes: &[u8], limits: &Limits) -> Result<Graph, ImportError> {
    let mut graph = Graph::default();
    let mut fields_left = limits.node_fields;
    for field in Fields::of("graph", bytes) {
        let Field {
            tag,
            bytes: Some(b),
        } = field?
        else {
            continue;
        };
        match tag {
            1 => {
                let node = parse_node(b, graph.nodes.len(), &mut fields_left, limits)?;
                push(&mut graph.nodes, node, "nodes", limits.nodes)?;
            }
            5 => {
                let constant = decode("tensor", b)?;
                push(
                    &mut graph.constants,
                    constant,
                    "constants",
                    limits.constants,
                )?;
            }
            11 | 12 => {
                if b.len() > VALUE_INFO_BYTES {
                    return Err(ImportError::TooMany {
                        what: "bytes in the type of an input or output",
                        limit: VALUE_INFO_BYTES as u64,
                    });
                }
                let info: ValueInfoProto = decode("input or output", b)?;
                if tag == 11 {
                    let limit = limits.constants.saturating_add(limits.ports);
                    push(&mut graph.inputs, info, "inputs", limit)?;
                } else {
                    push(&mut graph.outputs, info, "outputs", limits.ports)?;
                }
            }
            15 => {
                return Err(ImportError::NotAModel(
                    "sparse constants are not supported".into(),
                ));
            }
            _ => {}
        }
    }
    Ok(graph)
}

fn parse_node(
    bytes: &[u8],
    index: usize,
    fields_left: &mut u64,
    limits: &Limits,
) -> Result<NodeProto, ImportError> {
    let mut subgraph = false;
    let mut count = || {
        *fields_left = fields_left.checked_sub(1).ok_or(ImportError::TooMany {
            what: "fields of nodes",
            limit: limits.node_fields,
        })?;
        Ok(())
    };
    for field in Fields::of("node", bytes) {
        count()?;
        if let Field {
            tag: 5,
            bytes: Some(attribute),
        } = field?
        {
            for field in Fields::of("attribute", attribute) {
                // `g`, `graphs`: the bodies of loops and conditions.
                subgraph |= matches!(field?.tag, 6 | 11);
            }
        }
    }
    let node: NodeProto = decode("node", bytes)?;
    if subgraph {
        return Err(ImportError::Unsupported {
            node: NodeName {
                index,
                op_type: node.op_type,
                name: node.name,
            },
            reason: "it holds a subgraph".into(),
        });
    }
    Ok(node)
}
