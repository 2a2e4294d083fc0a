"""UNet++ on backbones: quick ones in the gate, all in the sweeps."""

import keras
import numpy as np
import pytest
from sampling import sampled

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.memory import OVERHEAD, SIDE
from keras_unetpp.pruning import prune
from keras_unetpp.spec import cost, receptive_radius
from keras_unetpp.spec.backbone_table import BACKBONES
from keras_unetpp.spec.names import row_of

QUICK = ("resnet18", "efficientnet_lite0", "convnext_tiny")
"""The networks of the other families are compared with Keras' own in `families/test_applications.py`."""


@pytest.mark.parametrize("name", sampled(BACKBONES, QUICK))
def test_unetpp(name, tmp_path):
    import tensorflow as tf

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    depth = len(bin(BACKBONES[name].reductions[-1])) - 3
    model = build((None, None, 3), backbone=name, depth=depth, width=4, norm="none")
    spec = model.spec
    assert model.count_params() == cost(spec).params
    assert list(model.output) == [f"L{level}" for level in range(1, depth + 1)]

    image = np.random.default_rng(0).uniform(0, 255, (1, 2 * spec.divisor, spec.divisor, 3)).astype("float32")
    with tf.GradientTape() as tape:
        outputs = model(image, training=True)
        loss = tf.add_n([tf.reduce_mean((output - 1) ** 2) for output in outputs.values()])
    assert all(output.shape == (*image.shape[:3], 1) for output in outputs.values())
    gradient = tape.gradient(loss, describe(model).encoder[spec.encoder.first].kernel)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0

    small = prune(model, 1)
    assert {row_of(layer.name) for layer in describe(small).encoder.values()} <= {0, 1}
    assert small.count_params() == cost(spec, 1).params == cost(small.spec).params
    assert receptive_radius(small.spec) == receptive_radius(spec, 1)
    outputs = model(image)
    for kind, one in (("small", small), ("whole", model)):
        one.save(tmp_path / f"{kind}.keras")
        loaded = keras.models.load_model(tmp_path / f"{kind}.keras")
        assert np.array_equal(loaded(image) if one is small else loaded(image)["L1"], outputs["L1"])
        (tmp_path / f"{kind}.keras").unlink()


@pytest.mark.parametrize("name", ["mobilenet_v2_035", "convnext_tiny", "vgg11", "resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("stem", [True, False])
def test_memory_is_the_closed_form_but_for_padded_borders(name, stem):
    model = build((None, None, 3), backbone=name, depth=3, width=4, stem=stem)
    side = -(-SIDE // model.spec.divisor) * model.spec.divisor
    expected = OVERHEAD * cost(model.spec, size=(side, side)).activation_bytes / side**2
    # Counted as alive in all of the first part: the image, 3 channels, which its first layer has read.
    assert describe(model).bytes_per_pixel == pytest.approx(expected, rel=0.08)
    assert list(describe(model).outputs) == ["L1", "L2", "L3"]
