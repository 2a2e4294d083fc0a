"""Training on Keras' other back ends: what is heeded on TensorFlow is heeded there."""

import importlib.util
import os
import subprocess
import sys

import pytest
from sampling import sampled

CHECK = """
import sys
import keras
import numpy as np

from keras_unetpp.graph.describe import describe
import keras_unetpp as kup

assert keras.backend.backend() == sys.argv[1], keras.backend.backend()
rng = np.random.default_rng(0)
x = rng.integers(0, 256, (5, 16, 16, 3)).astype("float32")
y = (rng.random((5, 16, 16, 1)) > 0.5).astype("uint8")

def stages():
    inputs = out = keras.Input((None, None, 3))
    for number in (1, 2):
        out = keras.layers.Conv2D(4, 3, strides=2, padding="same", name=f"c{number}")(out)
        out = keras.layers.BatchNormalization(name=f"n{number}")(out)
        out = keras.layers.Activation("relu", name=f"out{number}")(out)
    return keras.Model(inputs, out)

def told(act):
    try:
        act()
    except kup.InputError as error:
        return str(error)

model = kup.build((None, None, 3), width=2, depth=1, norm="none")
start = model.get_weights()
def loss_of(y, **options):
    model.set_weights(start)
    model.compile(keras.optimizers.SGD(0.01), loss=kup.losses.BCEDice(), metrics=[kup.metrics.IoU()])
    return model.fit(x, y, batch_size=2, shuffle=False, verbose=0, **options).history["loss"][0]

weight = np.where(y > 0, 3, 1).astype("float32")
assert abs(loss_of(y, sample_weight=weight) - loss_of(y, class_weight={1: 3.0})) < 1e-5
half, other = np.ones_like(weight), y.copy()
half[:, 8:], other[:, 8:] = 0, 99
assert abs(loss_of(y, sample_weight=half) - loss_of(other, sample_weight=half[..., 0])) < 1e-6
assert "0, 255" in told(lambda: loss_of(y * 255))
plain = kup.prune(model, 1)
plain.compile("sgd", loss=kup.losses.BCEDice(), metrics=[kup.metrics.IoU()])
history = plain.fit(x, y * 255, verbose=0).history
assert np.isnan(history["loss"]).all() and np.isnan(history["iou"]).all(), history

name = kup.register_backbone("two_stages", stages, ["out1", "out2"], mean=(100,) * 3, std=(50,) * 3).name
for dtype in ("float32", "mixed_float16"):
    keras.mixed_precision.set_global_policy(dtype)
    model = kup.build((None, None, 3), backbone=name, width=2, depth=2)
    keras.mixed_precision.set_global_policy("float32")
    model.compile(keras.optimizers.Adam(0.01), loss=kup.losses.BCEDice(), encoder_learning_rate=0.0)
    slowed = [weight for layer in describe(model).encoder.values() for weight in layer.trainable_weights]
    rest = [weight for weight in model.trainable_weights if all(weight is not one for one in slowed)]
    before = [[np.array(keras.ops.convert_to_numpy(weight)) for weight in part] for part in (slowed, rest)]
    model.fit(x, y, batch_size=2, epochs=2, verbose=0)
    after = [[keras.ops.convert_to_numpy(weight) for weight in part] for part in (slowed, rest)]
    assert slowed and all(np.array_equal(a, b) for a, b in zip(before[0], after[0])), dtype
    assert any(not np.array_equal(a, b) for a, b in zip(before[1], after[1])), dtype
print("heeded")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", sampled(["jax", "tensorflow", "torch"], ["jax", "torch"]))
def test_weights_targets_and_the_encoders_rate(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        [sys.executable, "-c", CHECK, backend], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.endswith("heeded\n"), run.stderr[-2000:]
