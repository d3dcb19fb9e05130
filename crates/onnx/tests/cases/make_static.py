"""Makes the test cases that come from `quantize_static` as a whole: one network of inverted residual
blocks, quantised in every way that the importer reads. Same files as make.py.

    python make_static.py
"""

import struct
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = Path(__file__).resolve().parent
RUNS = 12
SHAPE = [1, 3, 12, 12]
rng = np.random.default_rng(7)


def network():
    """Float, with a batch of any size."""
    nodes, constants = [], []

    def const(value):
        name = f"c{len(constants)}"
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(kind, *inputs, **attributes):
        out = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [out], name=out + "_node", **attributes))
        return out

    def conv(x, cin, cout, k, **attributes):
        group = attributes.get("group", 1)
        w = rng.normal(0, 1.4 / np.sqrt(cin // group * k * k), (cout, cin // group, k, k))
        pads = [k // 2] * 4
        b = const(rng.normal(0, 0.2, cout).astype(np.float32))
        return op("Conv", x, const(w.astype(np.float32)), b, pads=pads, kernel_shape=[k, k], **attributes)

    def relu6(x):
        return op("Clip", x, const(np.float32(0)), const(np.float32(6)))

    x = relu6(conv("x", 3, 8, 3, strides=[2, 2]))
    y = relu6(conv(x, 8, 16, 1))
    y = relu6(conv(y, 16, 16, 3, group=16))
    x = op("Add", x, conv(y, 16, 8, 1))
    y = conv(x, 8, 12, 5, strides=[2, 2])
    y = op("Mul", y, op("Sigmoid", y))
    y = op("Relu", conv(y, 12, 12, 3))
    y = op("Flatten", op("GlobalAveragePool", y))
    w = rng.normal(0, 0.3, (12, 6)).astype(np.float32)
    y = op("Add", op("MatMul", y, const(w)), const(rng.normal(0, 0.2, 6).astype(np.float32)))
    graph = helper.make_graph(
        nodes,
        "static",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE[1:]])],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, ["N", 6])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


class Data(CalibrationDataReader):
    def __init__(self):
        r = np.random.default_rng(8)
        self.items = iter([{"x": r.normal(0, 1, SHAPE).astype(np.float32)} for _ in range(64)])

    def get_next(self):
        return next(self.items, None)


def make(name, floats, **options):
    path = HERE / f"{name}.onnx"
    quantize_static(floats, path, Data(), weight_type=QuantType.QInt8, **options)
    model = onnx.load(path)
    del model.graph.value_info[:]
    del model.metadata_props[:]
    onnx.save(model, path)
    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    first = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "x")
    last = next(n for n in model.graph.node if model.graph.output[0].name in n.output)
    in_scale, in_zero = values[first.input[1]], values[first.input[2]]
    out_scale, out_zero = values[last.input[1]], values[last.input[2]]
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, settings)
    inputs, outputs = [], []
    shift = 128 if in_zero.dtype == np.uint8 else 0
    r = np.random.default_rng(9)
    for _ in range(RUNS):
        real = r.normal(0, 1, SHAPE)
        x = np.clip(np.rint(real / in_scale) + int(in_zero), -128 + shift, 127 + shift).astype(int)
        (y,) = session.run(None, {"x": ((x - int(in_zero)) * in_scale).astype(np.float32)})
        inputs.append((x - shift).astype(np.int8).tobytes())
        y = np.rint(y / out_scale).astype(int) + int(out_zero) - shift
        outputs.append(y.astype(np.int8).tobytes())
    head = struct.pack("<IIII", RUNS, len(inputs[0]), len(outputs[0]), 0)
    (HERE / f"{name}.bin").write_bytes(head + b"".join(inputs) + b"".join(outputs))


with tempfile.TemporaryDirectory() as folder:
    floats = Path(folder) / "float.onnx"
    onnx.save(network(), floats)
    qdq = dict(quant_format=QuantFormat.QDQ)
    symmetric = dict(extra_options={"ActivationSymmetric": True})
    make("static_qdq_channel", floats, per_channel=True, activation_type=QuantType.QInt8, **qdq)
    make("static_qdq_tensor_u8", floats, activation_type=QuantType.QUInt8, **qdq)
    make("static_qdq_symmetric", floats, per_channel=True, activation_type=QuantType.QInt8, **qdq, **symmetric)
    qoperator = dict(quant_format=QuantFormat.QOperator)
    make("static_qoperator", floats, per_channel=True, activation_type=QuantType.QInt8, **qoperator)
    make("static_qoperator_u8", floats, activation_type=QuantType.QUInt8, **qoperator)
