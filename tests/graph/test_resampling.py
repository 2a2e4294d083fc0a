"""Layers between rows that Keras lacks, against their definitions in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unetpp.graph.build import build
from keras_unetpp.graph.resampling import Alike, L2Pool, MaxPlace, PixelShuffle, Unpool, joined, max_pool
from keras_unetpp.spec import Spec

THICK = (1, 2, 2)
STRIDES = [(2, 2), (2, 3), (2, 2, 2), THICK]


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


def cut(x, strides):
    """The pixels of each block as a last axis."""
    return np.stack([put(x, strides, place) for place in blocks(strides)], axis=-1)


@pytest.mark.parametrize("strides", STRIDES[:1] + STRIDES[2:])
def test_l2_pooling_is_the_root_of_the_mean_of_squares(strides):
    x = 100 * noise(2, *(4, 6, 8)[: len(strides)], 3)
    layer = L2Pool(strides)
    np.testing.assert_allclose(layer(x), np.sqrt((cut(x, strides).astype("float64") ** 2).mean(-1)), rtol=1e-6)
    assert tuple(layer(x).shape) == layer.compute_output_shape(x.shape)
    assert layer.compute_output_shape((None, *(None,) * len(strides), 3)) == (None, *(None,) * len(strides), 3)
    assert L2Pool.from_config(layer.get_config()).strides == strides


def test_the_gradient_of_l2_pooling_is_finite_where_all_is_0():
    x = tf.Variable(np.stack([np.zeros((2, 2, 1)), np.full((2, 2, 1), 1e-20), np.full((2, 2, 1), 3.0)], 0), tf.float32)
    with tf.GradientTape() as tape:
        y = L2Pool((2, 2))(x.value())
    np.testing.assert_allclose(y.numpy().ravel(), [1e-6, 1e-6, 3])
    np.testing.assert_allclose(tape.gradient(y, x)[:, 0, 0, 0], [0, 0, 0.25], atol=1e-12)


TIED = np.random.default_rng(0).integers(0, 3, (2, 4, 8, 6, 3)).astype("float32")
"""Small whole numbers, of which most blocks have the largest more than once."""


@pytest.mark.parametrize("x", [noise(2, 8, 6, 3), TIED[:, 0], np.zeros((1, 4, 4, 2), "float32")],
                         ids=["random", "tied", "zeros"])  # fmt: skip
def test_places_and_unpooling_are_those_of_max_pool_with_argmax(x):
    values, flat = (one.numpy() for one in tf.nn.max_pool_with_argmax(x, 2, 2, "VALID"))
    _, y, column, _ = np.unravel_index(flat, (1, *x.shape[1:]))
    place = MaxPlace((2, 2))(x)
    assert np.array_equal(place, 2 * (y % 2) + column % 2)
    wanted = np.zeros((len(x), x[0].size), "float32")
    np.put_along_axis(wanted, flat.reshape(len(x), -1), values.reshape(len(x), -1), 1)
    assert np.array_equal(Unpool((2, 2))([values, place]), wanted.reshape(x.shape))


@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 2), THICK, (4, 2)])
@pytest.mark.parametrize("x", [noise(*TIED.shape), TIED], ids=["random", "tied"])
def test_a_place_is_that_of_the_first_largest_value(x, strides):
    x = x if len(strides) == 3 else x[:, 0]
    place, values = MaxPlace(strides)(x), max_pool(x, strides)
    assert place.dtype == "int32"
    assert np.array_equal(place, cut(x, strides).argmax(-1))
    put_back = Unpool(strides)([values, place]).numpy()
    assert np.array_equal(put_back[put_back != 0], x[put_back != 0])
    assert np.array_equal(max_pool(np.abs(put_back), strides), np.abs(values))
    assert np.count_nonzero(put_back) == np.count_nonzero(values)


def test_the_gradient_of_unpooling_is_that_of_the_places():
    x, place = tf.Variable(noise(1, 2, 2, 1)), MaxPlace((2, 2))(noise(1, 4, 4, 1))
    factors = noise(1, 4, 4, 1)[:, ::-1]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(Unpool((2, 2))([x.value(), place]) * factors)
    wanted = np.take_along_axis(cut(factors, (2, 2)), np.asarray(place)[..., None], -1)[..., 0]
    assert np.array_equal(tape.gradient(total, x), wanted)


def test_blocks_that_are_cut_are_joined():
    for strides in (*STRIDES, (4, 1)):
        x = noise(2, *(12,) * len(strides), 3)
        assert np.array_equal(joined([*np.moveaxis(cut(x, strides), -1, 0)], strides), x)


@pytest.mark.parametrize("rank", [2, 3])
def test_all_columns_of_a_row_take_the_places_of_its_encoder(rank):
    model = build(Spec((None,) * rank + (1,), depth=2, filters=(3, 4, 4), up="unpool"))
    for column, row in ((1, 0), (2, 0), (1, 1)):
        up = model.get_layer(f"x_{row}_{column}_up")
        assert up.input[1] is model.get_layer(f"x_{row + 1}_0_place").output
        assert up.input[1].dtype == "int32"
    assert model.get_layer("x_1_0_place").input is model.get_layer("x_0_0_act2").output
    assert model.get_layer("x_0_2_up_conv").output.shape[-1] == 3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_they_compute_in_half_precision(policy):
    x = noise(1, 4, 6, 8)
    for layer in (PixelShuffle((2, 2), dtype=policy), L2Pool((2, 2), dtype=policy)):
        assert keras.backend.standardize_dtype(layer(x).dtype) == policy[6:]
    place = MaxPlace((2, 2), dtype=policy)(x)
    assert place.dtype == "int32"
    put_back = Unpool((2, 2), dtype=policy)([max_pool(x, (2, 2)), place])
    assert keras.backend.standardize_dtype(put_back.dtype) == policy[6:]
    large = L2Pool((2, 2), dtype=policy)(np.full((1, 2, 2, 1), 3e4, "float32"))
    assert float(large.numpy().item()) == pytest.approx(3e4, 0.01)
