"""The network: its parameters, its forward pass in JAX, and the same as an ONNX graph.

Images are [N, 1, 8, 8] floats with values 0..16, as in the data set; the first layer's weights
absorb that scale. Every operator of a convolutional classifier occurs once:

    3x3 convolution 1 -> 16, ReLU                                  8 x 8 x 16
    3x3 convolution 16 -> 16, ReLU; add the block's input          8 x 8 x 16
    max pooling 2 x 2                                              4 x 4 x 16
    3x3 convolution 16 -> 32, leaky ReLU                           4 x 4 x 32
    3x3 depthwise convolution, 1x1 convolution 32 -> 32; add       4 x 4 x 32
    ReLU, average pooling 3 x 3, stride 1                          2 x 2 x 32
    flatten, dense 128 -> 32, ReLU, dense 32 -> 10 (logits), arg-max

The average is over nine values because a mean of an odd number of integers never lies halfway between
two: onnxruntime rounds halves to even and a tensor program rounds them up, and nowhere else in this
network do halves occur other than by chance.
"""

import jax
import jax.numpy as jnp
import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

LEAK = 0.1
CLASSES = 10

# name -> (shape, fan in)
LAYERS = {
    "stem": ((16, 1, 3, 3), 9),
    "block1": ((16, 16, 3, 3), 144),
    "widen": ((32, 16, 3, 3), 144),
    "depthwise": ((32, 1, 3, 3), 9),
    "pointwise": ((32, 32, 1, 1), 32),
    "hidden": ((32, 128), 128),
    "head": ((CLASSES, 32), 32),
}


def initial_parameters(rng: np.random.Generator) -> dict:
    """He initialisation; the biases are zero."""
    parameters = {}
    for name, (shape, fan_in) in LAYERS.items():
        weight = rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32)
        if name == "stem":
            weight /= 8.0  # pixels are 0..16
        parameters[name] = {"w": weight, "b": np.zeros(shape[0], np.float32)}
    return parameters


def count(parameters: dict) -> int:
    return sum(int(p["w"].size + p["b"].size) for p in parameters.values())


def _conv(p, x, groups=1):
    pad = p["w"].shape[2] // 2
    y = jax.lax.conv_general_dilated(
        x, p["w"], (1, 1), [(pad, pad), (pad, pad)],
        feature_group_count=groups, dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )
    return y + p["b"][None, :, None, None]


def forward(parameters: dict, x, dropout=None):
    """Logits [N, 10] of images [N, 1, 8, 8]; `dropout` is a random key while training."""
    p = parameters
    x = jax.nn.relu(_conv(p["stem"], x))
    x = x + jax.nn.relu(_conv(p["block1"], x))
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    x = jax.nn.leaky_relu(_conv(p["widen"], x), LEAK)
    x = jax.nn.relu(x + _conv(p["pointwise"], _conv(p["depthwise"], x, groups=32)))
    x = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, 3, 3), (1, 1, 1, 1), "VALID") / 9.0
    x = x.reshape(x.shape[0], -1)
    if dropout is not None:
        x = x * jax.random.bernoulli(dropout, 0.8, x.shape) / 0.8
    x = jax.nn.relu(x @ p["hidden"]["w"].T + p["hidden"]["b"])
    return x @ p["head"]["w"].T + p["head"]["b"]


def to_onnx(parameters: dict):
    """The float model: input `image` [1, 1, 8, 8], outputs `logits` [1, 10] and `class` [1]."""
    nodes, initialisers = [], []

    def constant(name, value):
        initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output + "_node", **attributes))
        return output

    def layer(name):
        p = parameters[name]
        return [constant(name + ".weight", p["w"]), constant(name + ".bias", p["b"])]

    def conv(name, x, pad, **attributes):
        return node("Conv", [x] + layer(name), name, pads=[pad] * 4, **attributes)

    def pool(op, x, output, kernel, stride):
        return node(op, [x], output, kernel_shape=[kernel] * 2, strides=[stride] * 2)

    def dense(name, x, output):
        return node("Gemm", [x] + layer(name), output, transB=1)

    x = node("Relu", [conv("stem", "image", 1)], "stem_relu")
    y = node("Relu", [conv("block1", x, 1)], "block1_relu")
    x = node("Add", [x, y], "block1_sum")
    x = pool("MaxPool", x, "pooled", 2, 2)
    x = node("LeakyRelu", [conv("widen", x, 1)], "widen_leaky", alpha=LEAK)
    y = conv("pointwise", conv("depthwise", x, 1, group=32), 0)
    x = node("Add", [x, y], "block2_sum")
    x = node("Relu", [x], "block2_relu")
    x = pool("AveragePool", x, "averaged", 3, 1)
    x = node("Flatten", [x], "features", axis=1)
    x = node("Relu", [dense("hidden", x, "hidden")], "hidden_relu")
    x = dense("head", x, "logits")
    node("ArgMax", [x], "class", axis=1, keepdims=0)

    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES]),
            helper.make_tensor_value_info("class", TensorProto.INT64, [1]),
        ],
        initialisers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="assay-digits"
    )
    model.ir_version = 8
    checker.check_model(model, full_check=True)
    return model
