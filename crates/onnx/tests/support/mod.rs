//! Builds ONNX files, well-formed and not.
#![allow(dead_code)] // Each test file uses its part.

use assay_onnx::proto::{
    AttributeProto, DimensionProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use prost::Message;

/// `ModelProto`, as far as the tests write it.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
}

/// `GraphProto`, as far as the tests write it.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// A graph with a float input `x`, quantised as `qx` and dequantised as `dx`.
pub fn graph(dims: &[i64]) -> GraphProto {
    let mut graph = GraphProto {
        input: vec![info("x", data_type::FLOAT, dims)],
        ..GraphProto::default()
    };
    graph.initializer = vec![
        float("s", &[], &[0.1]),
        int8("z", &[], &[3]),
        float("s2", &[], &[0.2]),
        int8("z2", &[], &[-4]),
    ];
    graph.node = vec![
        node("QuantizeLinear", &["x", "s", "z"], "qx"),
        node("DequantizeLinear", &["qx", "s", "z"], "dx"),
    ];
    graph
}

/// The graph with `y` quantised and dequantised, as its output.
pub fn ending_in(mut graph: GraphProto, y: &str) -> GraphProto {
    graph
        .node
        .push(node("QuantizeLinear", &[y, "s2", "z2"], "qend"));
    graph
        .node
        .push(node("DequantizeLinear", &["qend", "s2", "z2"], "end"));
    graph.output = vec![open("end")];
    graph
}

/// The graph's file.
pub fn file(graph: GraphProto) -> Vec<u8> {
    ModelProto {
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
    }
    .encode_to_vec()
}

pub fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|i| (*i).into()).collect(),
        output: vec![output.into()],
        name: format!("the_{output}"),
        op_type: op.into(),
        ..NodeProto::default()
    }
}

pub fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        r#type: attribute_type::INTS,
        ..AttributeProto::default()
    });
    node
}

pub fn with_int(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        i,
        r#type: attribute_type::INT,
        ..AttributeProto::default()
    });
    node
}

pub fn float(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub fn int8(name: &str, dims: &[i64], values: &[i8]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::INT8,
        raw_data: values.iter().map(|v| *v as u8).collect(),
        ..TensorProto::default()
    }
}

pub fn uint8(name: &str, dims: &[i64], values: &[u8]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::UINT8,
        raw_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub fn int32(name: &str, dims: &[i64], values: &[i32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::INT32,
        int32_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub fn int64(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A value of known dimensions.
pub fn info(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|d| DimensionProto {
            dim_value: Some(*d),
            dim_param: None,
        })
        .collect();
    shaped(name, elem_type, Some(TensorShapeProto { dim }))
}

/// A float value whose dimensions are left open.
pub fn open(name: &str) -> ValueInfoProto {
    shaped(name, data_type::FLOAT, None)
}

pub fn shaped(name: &str, elem_type: i32, shape: Option<TensorShapeProto>) -> ValueInfoProto {
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto { elem_type, shape }),
        }),
    }
}
