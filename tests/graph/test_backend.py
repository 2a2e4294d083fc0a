import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.build import build

CHECK = """
import sys
import keras
import numpy as np

from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.build import build
from keras_unetpp.prediction.predictor import Predictor

assert keras.backend.backend() == sys.argv[1], keras.backend.backend()
rng = np.random.default_rng(0)
model = build((None, None, 3), width=2, depth=1, normalization="standardize", head_activation="linear")
for layer in model.layers:
    if layer.name.endswith(("norm1", "norm2")):
        layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
image = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)

def plain():
    values = model(image[None].astype("float32"), training=False)
    return {name: 1 / (1 + np.exp(-keras.ops.convert_to_numpy(value)[0])) for name, value in values.items()}

whole, tiled = Predictor(model), Predictor(model, tile=16, overlap=4)
for change in (0.0, 0.5):
    for weight in model.trainable_variables[-2:]:
        weight.assign(weight + change)
    found, expected = whole(image), plain()
    assert list(found) == list(expected) == ["L1"]
    for name in found:
        assert type(found[name]) is np.ndarray and found[name].dtype == np.float32
        assert np.abs(found[name] - expected[name]).max() < 1e-5, (name, change)
assert tiled(image[:19])["L1"].shape == (19, 32, 1)
if sys.argv[1] == "torch":
    import torch

    seen = []
    class Watched(keras.Model):
        def call(self, x):
            seen.append((torch.is_grad_enabled(), x.requires_grad))
            return model(x, training=False)["L1"]
        inputs = model.inputs
    compiled(Watched())(image[None])
    assert seen == [(False, False)], seen
print("same outputs")
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_back_ends_give_what_the_model_gives(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        [sys.executable, "-c", CHECK, backend], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.endswith("same outputs\n"), run.stderr[-2000:]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build((None, None, 3), width=4, depth=1)


def batch(*sides):
    return np.random.default_rng(0).uniform(0, 255, (*sides, 3)).astype("float32")


def test_outputs_are_arrays_in_the_models_structure(model):
    run, head = compiled(model), compiled(keras.Model(model.inputs[0], model.output["L1"]))
    for sides in ((1, 4, 6), (3, 8, 2)):
        found = run(batch(*sides))
        assert list(found) == ["L1"]
        assert type(found["L1"]) is np.ndarray
        np.testing.assert_allclose(found["L1"], model.predict(batch(*sides), verbose=0)["L1"], atol=1e-6)
        np.testing.assert_array_equal(head(batch(*sides)), found["L1"])


def test_later_weights_count(model):
    run = compiled(model)
    before = run(batch(1, 4, 4))["L1"]
    bias = model.get_layer("L1_conv").bias
    bias.assign(bias + 1.0)
    assert (run(batch(1, 4, 4))["L1"] > before).all()


class Traced(keras.layers.Layer):
    """Counts how often it is traced."""

    count = 0

    def call(self, x):
        self.count += 1
        return x


def traces(*tail):
    """How often sizes and batches that differ make TensorFlow trace a model that ends in the layers given."""
    image, counter = keras.Input((None, None, 3)), Traced()
    output = counter(image)
    for layer in tail:
        output = layer(output)
    run = compiled(keras.Model(image, output))
    before = counter.count
    for sides in ((1, 4, 6), (3, 8, 2), (1, 4, 6)):
        assert run(batch(*sides)).shape[:1] == sides[:1]
    return counter.count - before


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow only")
def test_one_trace_serves_all_sizes():
    assert traces() == traces(keras.layers.UpSampling2D()) == 1
    assert traces(keras.layers.UpSampling2D(interpolation="bilinear")) == 1
    assert traces(keras.layers.UpSampling2D((3, 2), interpolation="bicubic")) == 1


def test_smooth_up_sampling_gives_what_keras_gives_and_stays_as_it_is():
    image = keras.Input((None, None, 3))
    layer = keras.layers.UpSampling2D((3, 2), interpolation="bilinear")
    model = keras.Model(image, layer(image))
    run = compiled(model)
    for sides in ((1, 4, 6), (3, 8, 2)):
        np.testing.assert_allclose(run(batch(*sides)), keras.ops.convert_to_numpy(model(batch(*sides))), rtol=1e-6)
    assert "_resize_images" not in vars(layer)
