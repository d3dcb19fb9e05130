"""Trains the digits model, quantises it, and writes the model files, the held-out set and the oracles.

    python3 -m venv /path/to/venv && /path/to/venv/bin/pip install -r requirements.txt
    /path/to/venv/bin/python train.py            # everything; two or three minutes on two cores
    /path/to/venv/bin/python train.py --no-train # keeps digits.onnx; quantises and runs again

Ends, where cargo is there, with the importer's report: how far its programs are from onnxruntime.
Everything is seeded; the formats of the written files are in README.md.
"""

import argparse
import hashlib
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 20
HELD_OUT = 600
EPOCHS = 120
BATCH = 64


def data():
    """Training and held-out images [N, 8, 8] u8 with values 0..16, and labels u8."""
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    assert images.shape == (1797, 8, 8) and images.max() == 16
    return train_test_split(images, labels, test_size=HELD_OUT, stratify=labels, random_state=SEED)


def augmented(images, rng):
    """Each image turned, scaled and shifted a little, resampled linearly."""
    from scipy.ndimage import affine_transform

    out = np.empty(images.shape, np.float32)
    for i, image in enumerate(images):
        angle, scale = rng.uniform(-0.2, 0.2), rng.uniform(0.9, 1.12)
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        matrix = np.array([[cos, -sin], [sin, cos]])
        centre = np.array([3.5, 3.5]) + rng.uniform(-0.9, 0.9, 2)
        out[i] = affine_transform(image, matrix, centre - matrix @ np.array([3.5, 3.5]), order=1)
    return out


def train(images, labels):
    """Parameters after `EPOCHS` epochs of Adam with a cosine schedule; their moving average."""
    import jax
    import jax.numpy as jnp
    import network

    rng = np.random.default_rng(SEED)
    parameters = jax.tree.map(jnp.asarray, network.initial_parameters(rng))
    print("parameters:", network.count(parameters))
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, parameters)
    steps = EPOCHS * (len(images) // BATCH)

    def loss(p, x, y, key):
        logp = jax.nn.log_softmax(network.forward(p, x, key))
        target = 0.95 * jax.nn.one_hot(y, network.CLASSES) + 0.05 / network.CLASSES
        return -(target * logp).sum(axis=1).mean()

    @jax.jit
    def step(state, i, x, y, key):
        p, m, v, average = state
        gradient = jax.grad(loss)(p, x, y, key)
        rate = 2e-3 * 0.5 * (1 + jnp.cos(jnp.pi * i / steps))
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        m_scale, v_scale = 1 / (1 - 0.9 ** (i + 1)), 1 / (1 - 0.999 ** (i + 1))
        p = jax.tree.map(
            lambda p, m, v: p - rate * (m * m_scale / (jnp.sqrt(v * v_scale) + 1e-8) + 1e-3 * p),
            p, m, v,
        )
        average = jax.tree.map(lambda a, p: 0.995 * a + 0.005 * p, average, p)
        return p, m, v, average

    key, i = jax.random.key(SEED), 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        x_all = augmented(images[order], rng)[:, None]
        for at in range(0, len(order) - BATCH + 1, BATCH):
            key, sub = jax.random.split(key)
            y = labels[order[at:at + BATCH]]
            state = step(state, i, x_all[at:at + BATCH], y, sub)
            i += 1
        if epoch % 20 == 19:
            logits = network.forward(state[3], images[:, None].astype(np.float32))
            print("epoch", epoch + 1, "training accuracy", float((logits.argmax(1) == labels).mean()))
    return jax.tree.map(np.asarray, state[3])


class Calibration(CalibrationDataReader):
    """The training images, one at a time."""

    def __init__(self, images):
        self.items = iter([{"image": i[None, None].astype(np.float32)} for i in images])

    def get_next(self):
        return next(self.items, None)


def quantise(name, images, **options):
    quantize_static(
        HERE / "digits.onnx", HERE / name, Calibration(images), weight_type=QuantType.QInt8, **options
    )
    # The float shapes of the calibrated graph are not needed, and the file must not name this machine.
    model = onnx.load(HERE / name)
    del model.graph.value_info[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, HERE / name)


def session(name):
    """A session that runs the file as it stands: no graph optimisations, one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(HERE / name, options, providers=["CPUExecutionProvider"])


def run(name, images):
    """Float logits [N, 10] and classes [N] of onnxruntime."""
    s = session(name)
    outputs = [s.run(["logits", "class"], {"image": i[None, None].astype(np.float32)}) for i in images]
    return np.concatenate([o[0] for o in outputs]), np.concatenate([o[1] for o in outputs])


def logits_quantisation(name):
    """Scale, zero point and type of the DequantizeLinear that makes `logits`."""
    graph = onnx.load(HERE / name).graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    node = next(n for n in graph.node if "logits" in n.output)
    assert node.op_type == "DequantizeLinear", node.op_type
    return values[node.input[1]], values[node.input[2]]


def write_held_out(images, labels):
    header = b"ASSAYSET" + struct.pack("<IIII", 1, len(images), 8, 8)
    (HERE / "heldout.bin").write_bytes(header + images.tobytes() + labels.tobytes())


def write_oracle(name, logits, classes):
    """`logits` are i8 [N, K], or None where only the classes are recorded."""
    k = 0 if logits is None else logits.shape[1]
    body = b"" if logits is None else logits.astype(np.int8).tobytes()
    header = b"ASSAYORA" + struct.pack("<III", 1, len(classes), k)
    (HERE / name).write_bytes(header + body + classes.astype(np.uint8).tobytes())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--no-train", action="store_true", help="keep digits.onnx")
    arguments = arguments.parse_args()

    train_x, held_x, train_y, held_y = data()
    if not arguments.no_train:
        import network

        onnx.save(network.to_onnx(train(train_x, train_y)), HERE / "digits.onnx")
    write_held_out(held_x, held_y)

    _, classes = run("digits.onnx", held_x)
    write_oracle("oracle-float.bin", None, classes)
    figures = {"float_accuracy": float((classes == held_y).mean())}
    float_classes = classes

    variants = {
        # The model that is deployed.
        "int8": dict(
            quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8
        ),
        # The importer's fixtures: the same model in the other forms.
        "qoperator": dict(
            quant_format=QuantFormat.QOperator, per_channel=True, activation_type=QuantType.QInt8
        ),
        "uint8": dict(
            quant_format=QuantFormat.QDQ, per_channel=False, activation_type=QuantType.QUInt8
        ),
    }
    for variant, options in variants.items():
        name = f"digits-{variant}.onnx"
        quantise(name, train_x, **options)
        scale, zero = logits_quantisation(name)
        logits, classes = run(name, held_x)
        integers = np.rint(logits / scale).astype(np.int64) + int(zero)
        assert np.array_equal((integers - int(zero)).astype(np.float32) * scale, logits)
        if zero.dtype == np.uint8:
            integers -= 128
        write_oracle(f"oracle-{variant}.bin", integers, classes)
        figures[f"{variant}_accuracy"] = float((classes == held_y).mean())
        figures[f"{variant}_agrees_with_float"] = float((classes == float_classes).mean())
    figures["held_out"] = len(held_y)
    figures["onnxruntime"] = onnxruntime.__version__
    figures["sha256"] = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(list(HERE.glob("*.onnx")) + list(HERE.glob("*.bin")))
    }
    (HERE / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    if shutil.which("cargo"):
        report = ["cargo", "run", "--quiet", "--package", "assay-onnx", "--example", "digits_report"]
        subprocess.run(report, cwd=HERE, check=True)


if __name__ == "__main__":
    main()
