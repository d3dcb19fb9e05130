//! What is refused, and that the message says which node and why.

mod support;

use assay_onnx::proto::{DimensionProto, NodeProto, TensorShapeProto, data_type};
use assay_onnx::{ImportError, Imported, Limits, import};
use support::*;

fn imported(graph: GraphProto) -> Result<Imported, ImportError> {
    import(&file(graph), &Limits::default())
}

fn message(graph: GraphProto) -> String {
    imported(graph).unwrap_err().to_string()
}

/// A graph with one more node between the ends.
fn with(dims: &[i64], nodes: Vec<NodeProto>) -> GraphProto {
    let mut graph = graph(dims);
    graph.node.extend(nodes);
    ending_in(graph, "y")
}

#[test]
fn the_smallest_graph_is_imported() {
    let model = imported(with(&[1, 4], vec![node("Relu", &["dx"], "y")])).unwrap();
    assert_eq!(model.program.program().nodes.len(), 1);
}

#[test]
fn a_cycle() {
    let graph = with(
        &[1, 4],
        vec![
            node("Add", &["dx", "b"], "a"),
            node("Relu", &["a"], "b"),
            node("Relu", &["b"], "y"),
        ],
    );
    assert_eq!(
        message(graph),
        "node 2 \"the_a\" (Add) is part of a cycle, or behind one"
    );
}

#[test]
fn nodes_in_any_order_without_a_cycle() {
    let mut graph = with(
        &[1, 4],
        vec![node("Tanh", &["dx"], "a"), node("Relu", &["a"], "y")],
    );
    graph.node.reverse();
    assert!(imported(graph).is_ok());
}

#[test]
fn a_name_that_nothing_defines() {
    let graph = with(&[1, 4], vec![node("Relu", &["nobody"], "y")]);
    assert_eq!(
        message(graph),
        "node 2 \"the_y\" (Relu) reads \"nobody\", which nothing defines"
    );
    let mut graph = with(&[1, 4], vec![node("Relu", &["dx"], "y")]);
    graph.output = vec![open("nothing")];
    assert_eq!(message(graph), "\"nothing\": nothing defines this output");
}

#[test]
fn a_name_that_is_defined_twice() {
    for name in ["dx", "x", "s", "y"] {
        let graph = with(
            &[1, 4],
            vec![node("Relu", &["dx"], "y"), node("Relu", &["dx"], name)],
        );
        let expected =
            format!("node 3 \"the_{name}\" (Relu) defines {name:?}, which is defined already");
        assert_eq!(message(graph), expected);
    }
    let mut graph = with(&[1, 4], vec![node("Relu", &["dx"], "y")]);
    graph.initializer.push(float("s", &[], &[1.0]));
    assert_eq!(message(graph), "tensor \"s\": two constants have this name");
}

#[test]
fn an_operator_without_a_rule() {
    let graph = with(&[1, 4], vec![node("Softmax", &["dx"], "y")]);
    assert_eq!(
        message(graph),
        "node 2 \"the_y\" (Softmax) is not supported: the importer has no rule for this operator"
    );
    let mut custom = node("Relu", &["dx"], "y");
    custom.domain = "my.company".into();
    assert_eq!(
        message(with(&[1, 4], vec![custom])),
        "node 2 \"the_y\" (Relu) is not supported: operators of \"my.company\""
    );
}

#[test]
fn an_attribute_that_nobody_knows() {
    let odd = with_int(node("Relu", &["dx"], "y"), "spin", 1);
    assert_eq!(
        message(with(&[1, 4], vec![odd])),
        "node 2 \"the_y\" (Relu) is not supported: attribute \"spin\""
    );
}

/// Weights `w` of `dims`, dequantised as `dw`.
fn weighted(mut graph: GraphProto, dims: &[i64]) -> GraphProto {
    let count = dims.iter().product::<i64>() as usize;
    graph.initializer.push(int8("w", dims, &vec![1; count]));
    graph.initializer.push(int8("zw", &[], &[0]));
    graph
        .node
        .insert(0, node("DequantizeLinear", &["w", "s", "zw"], "dw"));
    graph
}

#[test]
fn shape_mismatches() {
    let conv = with(&[1, 3, 5, 5], vec![node("Conv", &["dx", "dw"], "y")]);
    assert_eq!(
        message(weighted(conv, &[4, 2, 3, 3])),
        "node 3 \"the_y\" (Conv): shape mismatch: weights [4, 2, 3, 3] in 1 groups do not fit an operand [1, 3, 5, 5]"
    );
    let conv = with(&[1, 2, 2, 2], vec![node("Conv", &["dx", "dw"], "y")]);
    assert_eq!(
        message(weighted(conv, &[4, 2, 3, 3])),
        "node 3 \"the_y\" (Conv): shape mismatch: a window of 3 over 2"
    );
    let gemm = with(&[1, 5], vec![node("Gemm", &["dx", "dw"], "y")]);
    assert_eq!(
        message(weighted(gemm, &[4, 5])),
        "node 3 \"the_y\" (Gemm): shape mismatch: operand [1, 5] by a matrix of inner size 4"
    );
    let mut sum = with(&[2, 3], vec![node("Add", &["dx", "dr"], "y")]);
    sum.initializer.push(int64("shape", &[2], &[3, 2]));
    sum.node.push(node("Reshape", &["qx", "shape"], "r"));
    sum.node
        .push(node("DequantizeLinear", &["r", "s2", "z2"], "dr"));
    assert_eq!(
        message(sum),
        "node 2 \"the_y\" (Add): shape mismatch: [2, 3] and [3, 2]"
    );
    let mut reshape = with(&[2, 3], vec![node("Reshape", &["dx", "shape"], "y")]);
    reshape.initializer.push(int64("shape", &[2], &[4, -1]));
    assert_eq!(
        message(reshape),
        "node 2 \"the_y\" (Reshape): shape mismatch: [2, 3] has not as many elements as its result"
    );
    let mut output = with(&[2, 3], vec![node("Relu", &["dx"], "y")]);
    output.output = vec![info("end", data_type::FLOAT, &[2, 4])];
    assert_eq!(
        message(output),
        "\"end\": shape mismatch: it is declared otherwise than [2, 3]"
    );
}

#[test]
fn an_accumulator_that_may_overflow() {
    let qlinear = |bias: i32| {
        let mut graph = graph(&[1, 4]);
        graph.initializer.push(int8("w", &[4, 1], &[127; 4]));
        graph.initializer.push(int8("zw", &[], &[0]));
        graph.initializer.push(int32("b", &[1], &[bias]));
        let inputs = ["qx", "s", "z", "w", "s", "zw", "b", "s2", "z2"];
        let mut gemm = node("QGemm", &inputs, "q");
        gemm.domain = "com.microsoft".into();
        graph.node.push(gemm);
        graph
            .node
            .push(node("DequantizeLinear", &["q", "s2", "z2"], "end"));
        graph.output = vec![open("end")];
        graph
    };
    assert!(imported(qlinear(i32::MAX - 70_000)).is_ok());
    // 4 x 127 x (127 - 3) = 62,992 more.
    assert_eq!(
        message(qlinear(i32::MAX - 60_000)),
        "node 2 \"the_q\" (QGemm) may overflow: an accumulator can reach 2147486639, more than 2^31 - 1"
    );
    let mut bias = weighted(
        with(
            &[1, 4],
            vec![
                node("MatMul", &["dx", "dw"], "m"),
                node("Add", &["m", "b"], "y"),
            ],
        ),
        &[4, 1],
    );
    bias.initializer.push(float("b", &[1], &[3e7]));
    assert_eq!(
        message(bias),
        "node 3 \"the_m\" (MatMul) may overflow: an accumulator can reach 2999999899, more than 2^31 - 1"
    );
}

#[test]
fn weights_that_do_not_fit() {
    let mut graph = with(&[1, 4], vec![node("MatMul", &["dx", "dw"], "y")]);
    graph.initializer.push(uint8("w", &[4, 1], &[0, 255, 7, 9]));
    graph.initializer.push(uint8("zw", &[], &[100]));
    graph
        .node
        .push(node("DequantizeLinear", &["w", "s", "zw"], "dw"));
    assert_eq!(
        message(graph),
        "node 2 \"the_y\" (MatMul) is not supported: weights less their zero point do not fit 8 bits; quantise them symmetrically"
    );
}

#[test]
fn scales_that_are_no_scales() {
    for scale in [0.0, -0.5, f32::NAN, f32::INFINITY] {
        let mut graph = with(&[1, 4], vec![node("Relu", &["dx"], "y")]);
        graph.initializer[0] = float("s", &[], &[scale]);
        assert_eq!(
            message(graph),
            "node 0 \"the_qx\" (QuantizeLinear): operand 1: a scale is not a positive number"
        );
    }
    let mut graph = weighted(
        with(&[1, 4], vec![node("MatMul", &["dx", "dw"], "y")]),
        &[4, 1],
    );
    graph.initializer[2] = float("s2", &[], &[1e-20]);
    assert_eq!(
        message(graph),
        "node 3 \"the_y\" (MatMul): its scales or zero points are out of the range of integer requantisation"
    );
    let mut graph = with(&[1, 4], vec![node("Log", &["dx"], "y")]);
    graph.initializer[1] = int8("z", &[], &[0]);
    assert_eq!(
        message(graph),
        "node 3 \"the_qend\" (QuantizeLinear): the function before it has no value for some operand"
    );
}

#[test]
fn reals_that_are_not_quantised() {
    let graph = with(
        &[1, 4],
        vec![
            node("MatMul", &["dx", "dw"], "m"),
            node("Tanh", &["m"], "y"),
        ],
    );
    assert_eq!(
        message(weighted(graph, &[4, 4])),
        "node 4 \"the_y\" (Tanh) is not supported: its operand is not quantised"
    );
    let mut graph = with(&[1, 4], vec![node("Tanh", &["dx"], "y")]);
    graph.output = vec![open("y")];
    assert_eq!(message(graph), "\"y\": this output is not quantised");
    let mut graph = with(&[1, 4], vec![node("Relu", &["dx"], "y")]);
    graph.input.push(info("more", data_type::FLOAT, &[1]));
    assert_eq!(
        message(graph),
        "\"more\": this float input is never quantised"
    );
    let mut graph = with(&[1, 4], vec![node("Relu", &["dx"], "y")]);
    graph
        .node
        .push(node("QuantizeLinear", &["x", "s2", "z2"], "again"));
    assert_eq!(
        message(graph),
        "node 5 \"the_again\" (QuantizeLinear) is not supported: an input of the graph is quantised in two ways"
    );
}

#[test]
fn dimensions_that_are_not_known() {
    let batch = |dims: &[Option<i64>]| {
        let mut graph = with(&[1, 4], vec![node("Relu", &["dx"], "y")]);
        let dim = dims
            .iter()
            .map(|d| DimensionProto {
                dim_value: *d,
                dim_param: d.is_none().then(|| "N".into()),
            })
            .collect();
        graph.input = vec![shaped(
            "x",
            data_type::FLOAT,
            Some(TensorShapeProto { dim }),
        )];
        graph
    };
    let model = imported(batch(&[None, Some(4)])).unwrap();
    assert_eq!(model.inputs[0].ty.shape.dims(), [1, 4]);
    assert_eq!(
        message(batch(&[Some(1), None])),
        "\"x\": only its first dimension may have a size that is not known"
    );
    for bad in [0, -1, 1 << 40] {
        assert_eq!(
            message(batch(&[Some(1), Some(bad)])),
            "\"x\": its shape is empty or too large"
        );
    }
}

#[test]
fn the_program_checks_name_the_node() {
    // Taps that do not lie beside each other, more than one element may read.
    let conv = with_ints(node("Conv", &["dx", "dw"], "y"), "dilations", &[2, 2]);
    let graph = weighted(with(&[1, 1, 30, 30], vec![conv]), &[1, 1, 12, 12]);
    assert_eq!(
        message(graph),
        "node 3 \"the_y\" (Conv) is not supported: operator 1 (Conv2d) reads up to 150 chunks for one element, more than 134"
    );
}

#[test]
fn versions() {
    let model = |version| support::ModelProto {
        graph: Some(with(&[1, 4], vec![node("Relu", &["dx"], "y")])),
        opset_import: vec![assay_onnx::proto::OperatorSetIdProto {
            domain: String::new(),
            version,
        }],
    };
    for (version, good) in [
        (9, false),
        (10, true),
        (26, true),
        (27, false),
        (i64::MIN, false),
    ] {
        let bytes = prost::Message::encode_to_vec(&model(version));
        assert_eq!(
            import(&bytes, &Limits::default()).is_ok(),
            good,
            "{version}"
        );
    }
}
