"""How far an output pixel sees, against the gradient of real models."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec, receptive_radius

NARROW = {"filters": (1, 1, 1), "depth": 2, "norm": "none", "normalization": "none", "head_activation": "linear"}
CASES = [
    {},
    {"filters": (1, 1, 1, 1), "depth": 3},
    {"topology": "unet_e", "up_kernel": 3},
    {"topology": "unet+", "up_kernel": 4},
    {"up_kernel": 5},
    {"topology": "unet", "up": "nearest", "block": "preact"},
    {"up": "bilinear", "decoder_block": "preact"},
    {"up": "bilinear", "head": "preact", "head_kernel": 3, "deep_supervision": False},
    {"filters": (1, 1), "depth": 1, "input_shape": (None, None, None, 1), "head_kernel": 5, "up_kernel": 3},
]


def seen(model, level, radius):
    """The farthest column, over all alignments and to both sides, with a gradient in one output pixel.

    A max pool hands its gradient to the largest input alone: a slope down to the right lets the leftmost pixels win,
    a slope up the rightmost.
    """
    spec = model.spec
    block = spec.divisor
    first = -(-(radius + 2 * block) // block) * block
    width = 2 * first + block
    slopes = np.stack([np.linspace(2, 1, width), np.linspace(1, 2, width)])
    columns = np.tile(np.arange(first, first + block), 2)
    sides = (block,) * (spec.rank - 1)
    images = np.repeat(slopes, block, axis=0).reshape(2 * block, *(1,) * len(sides), width, 1)
    x = tf.constant(np.broadcast_to(images, (2 * block, *sides, width, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x)
        output = outputs[f"L{level}"] if isinstance(outputs, dict) else outputs
        middle = output[(slice(None), *(side // 2 for side in sides))][..., 0]
        total = tf.reduce_sum(tf.gather(middle, columns, batch_dims=1))
    gradient = tape.gradient(total, x).numpy().reshape(2 * block, -1, width)
    return max(np.abs(np.flatnonzero(one.any(0)) - column).max() for one, column in zip(gradient, columns, strict=True))


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_radius_is_what_the_gradient_reaches(changes):
    spec = Spec(**{"input_shape": (None, None, 1), **NARROW, **changes})
    model = build(spec)
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 0.0 if weight.name == "bias" else 1 / np.prod(weight.shape)))
    for level in spec.levels:
        radius = receptive_radius(spec, level)
        assert seen(model, level, radius) == radius


def test_the_whole_network_sees_as_far_as_its_deepest_level():
    spec = Spec()
    assert receptive_radius(spec) == receptive_radius(spec, "mean") == receptive_radius(spec, 4) == 107


def test_width_classes_and_channels_do_not_matter():
    assert receptive_radius(Spec((64, 64, 1), width=3, classes=7)) == receptive_radius(Spec())


def test_unknown_level():
    with pytest.raises(InputError, match=r"^This network has heads for level 1, 2, 3, 4 or 'mean'\. Received: 5\.$"):
        receptive_radius(Spec(), 5)
