"""Makes the importer's test cases: small quantised graphs, one for each rule of the importer, with
random inputs and what onnxruntime computes for them. Needs models/digits/requirements.txt.

    python make.py        # writes NAME.onnx and NAME.bin beside itself

NAME.bin: u32 little-endian count, bytes of one input, bytes of one output, 1 if outputs are i32 and 0 if
i8; then the inputs, then the outputs, integers in the program's domain (`uint8` less 128).
"""

import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
RUNS = 12
IN_SCALE = 0.05


class Graph:
    """A graph with one float input `x`, quantised first."""

    def __init__(self, name, shape, unsigned=False, qoperator=False, in_scale=IN_SCALE, in_zero=5):
        self.rng = np.random.default_rng(sum(map(ord, name)))
        self.name, self.shape, self.unsigned = name, shape, unsigned
        self.type = np.uint8 if unsigned else np.int8
        self.nodes, self.constants, self.names = [], [], 0
        self.in_scale, self.in_zero = in_scale, in_zero + (128 if unsigned else 0)
        self.x = self.quantise("x", self.in_scale, self.in_zero)
        if not qoperator:
            self.x = self.dequantise(self.x, self.in_scale, self.in_zero)

    def fresh(self):
        self.names += 1
        return f"v{self.names}"

    def const(self, value):
        name = self.fresh()
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, op, *inputs, domain="", **attributes):
        out = self.fresh()
        node = helper.make_node(op, list(inputs), [out], name=f"{op}_{out}", domain=domain, **attributes)
        self.nodes.append(node)
        return out

    def params(self, scale, zero, kind=None):
        return self.const(np.float32(scale)), self.const((kind or self.type)(zero))

    def quantise(self, x, scale, zero):
        return self.op("QuantizeLinear", x, *self.params(scale, zero))

    def dequantise(self, x, scale, zero):
        return self.op("DequantizeLinear", x, *self.params(scale, zero))

    def requantise(self, x, scale, zero=-7):
        zero += 128 if self.unsigned else 0
        return self.dequantise(self.quantise(x, scale, zero), scale, zero)

    def bytes(self, *shape):
        return self.rng.integers(-127, 128, shape).astype(np.int8)

    def weights(self, *shape, axis=None):
        """A DequantizeLinear of random weights, with scales along `axis`."""
        value = self.const(self.bytes(*shape))
        if axis is None:
            return self.op("DequantizeLinear", value, *self.params(0.01, 0, np.int8))
        n = shape[axis]
        scales = self.const(self.rng.uniform(0.005, 0.02, n).astype(np.float32))
        return self.op("DequantizeLinear", value, scales, self.const(np.zeros(n, np.int8)), axis=axis)

    def bias(self, n):
        return self.const(self.rng.normal(0, 1, n).astype(np.float32))

    def save(self, output, out_shape, scale=None, zero=None, index=False, already=False):
        """Ends in a DequantizeLinear (scale, zero) of `output`, or in an index."""
        if index:
            kind = TensorProto.INT64
        else:
            kind = TensorProto.FLOAT
            zero = -7 if zero is None else zero
            zero += 128 if self.unsigned else 0
            q = output if already else self.quantise(output, scale, zero)
            output = self.dequantise(q, scale, zero)
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, kind, out_shape)],
            self.constants,
        )
        sets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=sets)
        model.ir_version = 9
        onnx.save(model, HERE / f"{self.name}.onnx")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        inputs, outputs = [], []
        low, high = (0, 256) if self.unsigned else (-128, 128)
        # A function of one value is tried on every value, once.
        every = self.shape == [1, 256]
        runs = 1 if every else RUNS
        for _ in range(runs):
            x = np.arange(low, high).reshape(1, 256) if every else self.rng.integers(low, high, self.shape)
            real = ((x - self.in_zero) * self.in_scale).astype(np.float32)
            (y,) = session.run(None, {"x": real})
            assert list(y.shape) == list(out_shape), (y.shape, out_shape)
            inputs.append((x - (128 if self.unsigned else 0)).astype(np.int8).tobytes())
            if index:
                outputs.append(y.astype(np.int32).tobytes())
            else:
                y = np.rint(y / np.float32(scale)).astype(int) + zero - (128 if self.unsigned else 0)
                outputs.append(y.astype(np.int8).tobytes())
        head = struct.pack("<IIII", runs, len(inputs[0]), len(outputs[0]), int(index))
        (HERE / f"{self.name}.bin").write_bytes(head + b"".join(inputs) + b"".join(outputs))


def convolutions():
    for name, options, cin, cout, group, out in [
        ("conv_strided", dict(strides=[2, 3], pads=[1, 0, 2, 1]), 3, 5, 1, (4, 3)),
        ("conv_dilated", dict(dilations=[2, 1], pads=[2, 1, 2, 1]), 2, 4, 1, (7, 9)),
        ("conv_grouped", dict(pads=[1, 1, 1, 1]), 4, 6, 2, (7, 9)),
        ("conv_depthwise", dict(strides=[2, 2]), 4, 8, 4, (3, 4)),
        ("conv_same_upper", dict(auto_pad="SAME_UPPER", strides=[2, 2]), 2, 3, 1, (4, 5)),
        ("conv_same_lower", dict(auto_pad="SAME_LOWER", strides=[2, 2]), 2, 3, 1, (4, 5)),
    ]:
        for unsigned in (False, True):
            g = Graph(name + ("_u8" if unsigned else ""), [1, cin, 7, 9], unsigned)
            w = g.weights(cout, cin // group, 3, 3, axis=None if unsigned else 0)
            y = g.op("Conv", g.x, w, g.bias(cout), group=group, **options)
            g.save(y, [1, cout, *out], 0.2)

    g = Graph("conv_relu6", [1, 3, 5, 5])
    y = g.op("Conv", g.x, g.weights(4, 3, 1, 1, axis=0))
    y = g.op("Clip", y, g.const(np.float32(0)), g.const(np.float32(6)))
    g.save(y, [1, 4, 5, 5], 0.08, zero=-100)

    g = Graph("conv_bias_add_relu", [1, 3, 5, 5])
    y = g.op("Conv", g.x, g.weights(4, 3, 3, 3, axis=0))
    y = g.op("Relu", g.op("Add", y, g.bias((4, 1, 1))))
    g.save(y, [1, 4, 3, 3], 0.2)

    g = Graph("qlinear_conv", [1, 3, 6, 5], qoperator=True)
    s = g.params(g.in_scale, g.in_zero)
    w = [g.const(g.bytes(4, 3, 3, 3)), g.const(np.full(4, 0.01, np.float32)), g.const(np.zeros(4, np.int8))]
    b = g.const(g.rng.integers(-5000, 5000, 4).astype(np.int32))
    y = g.op("QLinearConv", g.x, *s, *w, *g.params(0.2, -7), b, pads=[1, 1, 1, 1])
    g.save(y, [1, 4, 6, 5], 0.2, already=True)


def products():
    g = Graph("gemm_alpha_beta", [3, 20])
    y = g.op("Gemm", g.x, g.weights(20, 7), g.bias(7), alpha=0.5, beta=2.0)
    g.save(y, [3, 7], 0.1)

    g = Graph("matmul_bias", [2, 3, 20])
    y = g.op("Add", g.bias(6), g.op("MatMul", g.x, g.weights(20, 6, axis=1)))
    g.save(y, [2, 3, 6], 0.15)

    g = Graph("qlinear_matmul", [4, 20], unsigned=True, qoperator=True)
    w = [g.const(g.bytes(20, 6)), *g.params(0.01, 0, np.int8)]
    y = g.op("QLinearMatMul", g.x, *g.params(g.in_scale, g.in_zero), *w, *g.params(0.15, 121))
    g.save(y, [4, 6], 0.15, already=True)

    g = Graph("qgemm", [4, 20], qoperator=True)
    w = [g.const(g.bytes(6, 20)), g.const(np.linspace(0.005, 0.02, 6).astype(np.float32)), g.const(np.zeros(6, np.int8))]
    b = g.const(g.rng.integers(-5000, 5000, 6).astype(np.int32))
    s = g.params(g.in_scale, g.in_zero)
    y = g.op("QGemm", g.x, *s, *w, b, *g.params(0.15, -7), domain="com.microsoft", transB=1)
    g.save(y, [4, 6], 0.15, already=True)


def functions():
    for name, attributes in [
        ("Abs", {}), ("Ceil", {}), ("Celu", dict(alpha=0.7)), ("Cos", {}), ("Elu", dict(alpha=1.3)),
        ("Erf", {}), ("Exp", {}), ("Floor", {}), ("Gelu", {}), ("HardSigmoid", dict(alpha=0.3)),
        ("HardSwish", {}), ("LeakyRelu", dict(alpha=0.2)), ("Mish", {}), ("Neg", {}), ("Relu", {}),
        ("Round", {}), ("Selu", {}), ("Sigmoid", {}), ("Sign", {}), ("Sin", {}), ("Softplus", {}),
        ("Softsign", {}), ("Tanh", {}), ("ThresholdedRelu", dict(alpha=0.5)),
    ]:
        g = Graph("function_" + name.lower(), [1, 256])
        g.save(g.op(name, g.x, **attributes), [1, 256], 0.03)
    g = Graph("function_gelu_tanh", [1, 256])
    g.save(g.op("Gelu", g.x, approximate="tanh"), [1, 256], 0.03)
    g = Graph("function_quickgelu", [1, 256])
    g.save(g.op("QuickGelu", g.x, domain="com.microsoft"), [1, 256], 0.03)

    g = Graph("function_of_many_steps", [1, 256])
    y = g.op("Mul", g.x, g.op("HardSigmoid", g.x))
    y = g.op("Sub", g.const(np.float32(1.5)), g.op("Div", y, g.const(np.array([3.0], np.float32))))
    y = g.op("Max", g.op("Min", y, g.const(np.float32(2))), g.op("Pow", g.x, g.const(np.float32(2))))
    g.save(y, [1, 256], 0.05)

    g = Graph("function_sqrt_log_reciprocal", [1, 256], in_zero=-128)
    y = g.op("Add", g.x, g.const(np.float32(0.25)))
    y = g.op("Sub", g.op("Log", y), g.op("Add", g.op("Sqrt", y), g.op("Reciprocal", y)))
    g.save(y, [1, 256], 0.05)

    # As quantisers write x * sigmoid(x): the table's result is quantised in between.
    g = Graph("function_through_a_table", [1, 256])
    y = g.requantise(g.op("Sigmoid", g.x), 1 / 255, -128)
    g.save(g.op("Mul", g.x, y), [1, 256], 0.04)

    g = Graph("change_of_scale", [1, 256])
    g.save(g.x, [1, 256], 0.07)

    for op in ("Sigmoid", "LeakyRelu"):
        g = Graph("qlinear_" + op.lower(), [1, 256], unsigned=True, qoperator=True)
        s = g.params(g.in_scale, g.in_zero)
        y = g.op("QLinear" + op, g.x, *s, *g.params(0.03, 121), domain="com.microsoft")
        g.save(y, [1, 256], 0.03, already=True)


def sums():
    g = Graph("add_residual", [1, 3, 5, 4])
    y = g.requantise(g.op("Conv", g.x, g.weights(3, 3, 1, 1, axis=0)), 0.11)
    g.save(g.op("Relu", g.op("Add", g.x, y)), [1, 3, 5, 4], 0.13)

    g = Graph("sub_repeated_value", [1, 6, 4])
    y = g.requantise(g.op("Reshape", g.x, g.const(np.array([24], np.int64))), 0.05, 5)
    y = g.op("Gemm", g.op("Reshape", y, g.const(np.array([1, 24], np.int64))), g.weights(24, 4))
    y = g.requantise(y, 0.4)
    g.save(g.op("Sub", y, g.x), [1, 6, 4], 0.5)

    for name, shape in [("channel", (3, 1, 1)), ("row", (1, 1, 4)), ("full", (1, 3, 5, 4)), ("number", (1,))]:
        g = Graph("add_constant_" + name, [1, 3, 5, 4])
        y = g.requantise(g.op("Conv", g.x, g.weights(3, 3, 1, 1, axis=0)), 0.11)
        c = g.op("DequantizeLinear", g.const(g.bytes(*shape)), *g.params(0.09, 11, np.int8))
        g.save(g.op("Add", c, y), [1, 3, 5, 4], 0.17)

    g = Graph("add_constant_without_image", [2, 5])
    c = g.op("DequantizeLinear", g.const(g.bytes(5)), *g.params(0.09, 11, np.int8))
    g.save(g.op("Sub", c, g.x), [2, 5], 0.17)

    g = Graph("qlinear_add", [1, 3, 5, 4], unsigned=True, qoperator=True)
    s = g.params(g.in_scale, g.in_zero)
    b = [g.const(g.rng.integers(0, 256, (1, 3, 5, 4)).astype(np.uint8)), *g.params(0.07, 100)]
    y = g.op("QLinearAdd", g.x, *s, *b, *g.params(0.1, 121), domain="com.microsoft")
    g.save(y, [1, 3, 5, 4], 0.1, already=True)


def pools():
    g = Graph("max_pool_ceil", [1, 3, 8, 8])
    y = g.op("MaxPool", g.x, kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 1], ceil_mode=1)
    g.save(y, [1, 3, 5, 3], IN_SCALE, zero=5)

    g = Graph("max_pool_dilated_of_tanh", [1, 2, 7, 8])
    y = g.op("MaxPool", g.op("Tanh", g.x), kernel_shape=[3, 2], dilations=[2, 1])
    g.save(y, [1, 2, 3, 7], 0.01, zero=0)

    g = Graph("global_max_pool", [1, 3, 4, 5])
    g.save(g.op("GlobalMaxPool", g.x), [1, 3, 1, 1], IN_SCALE, zero=5)

    g = Graph("average_pool_padded", [1, 3, 7, 8])
    y = g.op("AveragePool", g.x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    g.save(y, [1, 3, 4, 4], 0.043)

    g = Graph("average_pool_relu", [1, 2, 6, 6], unsigned=True)
    y = g.op("Relu", g.op("AveragePool", g.x, kernel_shape=[3, 2], strides=[3, 2]))
    g.save(y, [1, 2, 2, 3], 0.031)

    g = Graph("global_average_pool", [1, 3, 5, 7])
    y = g.op("GlobalAveragePool", g.x)
    g.save(g.op("Flatten", g.requantise(y, 0.011)), [1, 3], 0.011)

    g = Graph("global_average_pool_large", [1, 3, 14, 15])
    y = g.requantise(g.op("Conv", g.x, g.weights(4, 3, 1, 1, axis=0)), 0.11)
    g.save(g.op("GlobalAveragePool", y), [1, 4, 1, 1], 0.011)

    g = Graph("max_pool_large", [1, 2, 13, 14])
    y = g.op("MaxPool", g.x, kernel_shape=[9, 11], strides=[2, 1], pads=[1, 3, 0, 2], dilations=[1, 1])
    g.save(y, [1, 2, 3, 9], IN_SCALE, zero=5)

    g = Graph("reduce_mean", [1, 3, 5, 7])
    g.save(g.op("ReduceMean", g.x, g.const(np.array([-1, -2], np.int64))), [1, 3, 1, 1], 0.011)

    for op, out, extra in [
        ("QLinearGlobalAveragePool", [1, 3, 1, 1], {}),
        ("QLinearAveragePool", [1, 3, 4, 4], dict(kernel_shape=[2, 3])),
    ]:
        g = Graph(op.lower(), [1, 3, 5, 6], unsigned=True, qoperator=True)
        s = g.params(g.in_scale, g.in_zero)
        y = g.op(op, g.x, *s, *g.params(0.037, 121), domain="com.microsoft", **extra)
        g.save(y, out, 0.037, already=True)


def shapes():
    g = Graph("reshape_transpose", [1, 3, 4, 5])
    y = g.requantise(g.op("Conv", g.x, g.weights(6, 3, 1, 1, axis=0)), 0.11)
    y = g.op("Transpose", y, perm=[0, 2, 1, 3])
    y = g.op("Reshape", y, g.const(np.array([0, 2, -1, 5], np.int64)))
    y = g.op("Squeeze", g.op("Unsqueeze", y, g.const(np.array([0, -1], np.int64))), g.const(np.array([1], np.int64)))
    g.save(y, [1, 2, 12, 5, 1], 0.11)

    g = Graph("flatten_after_conv", [1, 2, 4, 5])
    y = g.requantise(g.op("Conv", g.x, g.weights(3, 2, 3, 3, axis=0)), 0.11)
    y = g.op("Gemm", g.op("Flatten", y), g.weights(18, 4))
    g.save(y, [1, 4], 0.9)

    g = Graph("reshape_of_constant_shape_node", [2, 12])
    shape = g.op("Constant", value_ints=[4, 6])
    g.save(g.op("Identity", g.op("Reshape", g.x, shape)), [4, 6], IN_SCALE, zero=5)

    g = Graph("arg_max_of_channels", [1, 3, 4, 5])
    y = g.requantise(g.op("Conv", g.x, g.weights(6, 3, 1, 1, axis=0)), 0.3)
    g.save(g.op("ArgMax", y, axis=1, keepdims=0), [1, 4, 5], index=True)

    g = Graph("arg_max_of_rows", [2, 3, 4])
    g.save(g.op("ArgMax", g.x, axis=-2, keepdims=1), [2, 1, 4], index=True)

    g = Graph("arg_max_last_cast", [2, 3, 4], unsigned=True, qoperator=True)
    y = g.op("ArgMax", g.x, axis=2, keepdims=0)
    y = g.op("Cast", g.op("Cast", y, to=TensorProto.INT32), to=TensorProto.INT64)
    g.save(y, [2, 3], index=True)


for make in (convolutions, products, functions, sums, pools, shapes):
    make()
