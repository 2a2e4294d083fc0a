"""Layers between rows that Keras lacks, against their definitions in NumPy."""

import keras
import numpy as np
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.resampling import Alike, PixelShuffle
from keras_unetpp.spec import Spec

STRIDES = [(2, 2), (2, 3), (2, 2, 2), (1, 2, 2)]


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def blocks(strides):
    """Places in a block, in row-major order."""
    return [*np.ndindex(*strides)]


def put(pixels, strides, place):
    """The pixels of one place of every block, which may be assigned to."""
    return pixels[(slice(None), *(slice(at, None, stride) for at, stride in zip(place, strides, strict=True)))]


@pytest.mark.parametrize("strides", STRIDES)
def test_pixel_shuffle_is_pytorchs(strides):
    """(N, C * r^2, H, W) -> (N, C, r^2, H, W) -> (N, C, H, r, W, r), by PyTorch's definition; here channels last."""
    rank, sides, block = len(strides), (3, 2, 4)[: len(strides)], np.prod(strides)
    x = noise(2, *sides, 5 * block)
    first = np.moveaxis(x, -1, 1).reshape(2, 5, *strides, *sides)
    pairs = [axis for at in range(rank) for axis in (2 + rank + at, 2 + at)]
    wanted = first.transpose(0, 1, *pairs).reshape(2, 5, *np.multiply(sides, strides))
    layer = PixelShuffle(strides)
    found = layer(x)
    assert np.array_equal(found, np.moveaxis(wanted, 1, -1))
    assert layer.compute_output_shape((None, *(None,) * rank, 5 * block)) == (None, *(None,) * rank, 5)
    assert tuple(found.shape) == layer.compute_output_shape(x.shape)
    assert PixelShuffle.from_config(layer.get_config()).strides == strides


def test_places_of_a_block_are_consecutive_channels():
    x = np.arange(12, dtype="float32").reshape(1, 1, 1, 12)
    assert PixelShuffle((2, 2))(x)[0, ..., 1].numpy().tolist() == [[4, 5], [6, 7]]


@pytest.mark.parametrize("rank", [2, 3])
def test_sub_pixel_convolution_begins_as_one_that_repeats_pixels(rank):
    model = build(Spec((8,) * rank + (1,), depth=1, filters=(3, 4), up="pixel_shuffle"))
    made = keras.Model(model.inputs[0], [model.get_layer(f"x_0_1_{name}").output for name in ("up_conv", "up")])
    convolved, shuffled = made(noise(2, *(8,) * rank, 1))
    assert convolved.shape[-1] == 3 * 2**rank
    for place in blocks((2,) * rank):
        assert np.array_equal(put(shuffled.numpy(), (2,) * rank, place), convolved.numpy()[..., :: 2**rank])
    assert len({*map(float, np.ravel(convolved))}) > 10


def test_channels_that_begin_alike_are_drawn_as_one():
    kernel = np.asarray(Alike("he_normal", 4)((3, 3, 64, 256)))
    assert np.array_equal(kernel.reshape(3, 3, 64, 64, 4), np.repeat(kernel[..., ::4, None], 4, -1))
    assert abs(kernel.std() / np.sqrt(2 / (9 * 64)) - 1) < 0.02
    assert len(np.unique(kernel)) > 0.99 * kernel.size / 4
    again = keras.initializers.deserialize(keras.initializers.serialize(Alike(keras.initializers.HeNormal(3), 2)))
    assert np.array_equal(again((3, 3, 4, 6)), Alike(keras.initializers.HeNormal(3), 2)((3, 3, 4, 6)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_they_compute_in_half_precision(policy):
    x = noise(1, 4, 6, 8)
    assert keras.backend.standardize_dtype(PixelShuffle((2, 2), dtype=policy)(x).dtype) == policy[6:]
