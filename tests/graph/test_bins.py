"""Pooling to a few cells and back: for any sides what Keras' own layers of fixed sides, and NumPy, compute."""

import itertools

import keras
import numpy as np
import pytest

from keras_unetpp.graph.bins import BinPool, Spread

SIDES = {2: (7, 5), 3: (7, 5, 6)}


def image(rank, *sides):
    return np.random.default_rng(0).uniform(-1, 1, (2, *(sides or SIDES[rank]), 3)).astype("float32")


def run(layer, *arrays):
    """The layer in a model whose sides are open."""
    tensors = [keras.Input((*(None for _ in one.shape[1:-1]), one.shape[-1])) for one in arrays]
    model = keras.Model(tensors, layer(tensors if len(tensors) > 1 else tensors[0]))
    return model.predict(list(arrays), verbose=0)


@pytest.mark.parametrize("rank", SIDES)
@pytest.mark.parametrize("bins", [1, 2, 3, 6, 9])
def test_pooling_is_that_of_the_windows(rank, bins):
    x = image(rank)
    wanted = np.zeros((2, *(bins,) * rank, 3))
    for place in itertools.product(range(bins), repeat=rank):
        window = (slice(i * n // bins, -(-(i + 1) * n // bins)) for i, n in zip(place, x.shape[1:-1], strict=True))
        wanted[(slice(None), *place)] = x[(slice(None), *window)].mean(tuple(range(1, rank + 1)))
    found = run(BinPool(bins), x)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-6
    if bins <= min(x.shape[1:-1]):
        stock = getattr(keras.layers, f"AdaptiveAveragePooling{rank}D")(bins)
        assert np.abs(found - np.asarray(stock(x))).max() < 1e-6


def lines(x, sides):
    """Linear interpolation along one axis after the other, between centres."""
    for axis, side in enumerate(sides, 1):
        cells = x.shape[axis]
        centres = (np.arange(side) + 0.5) * cells / side - 0.5
        x = np.apply_along_axis(lambda line, at=centres, n=cells: np.interp(at, np.arange(n), line), axis, x)
    return x


@pytest.mark.parametrize("rank", SIDES)
@pytest.mark.parametrize("cells", [1, 2, 3, 6])
def test_spreading_is_linear_between_centres(rank, cells):
    x, like = image(rank, *(cells,) * rank), image(rank)[..., :1]
    found = run(Spread(), x, like)
    assert found.shape == (2, *SIDES[rank], 3)
    assert np.abs(found - lines(x, SIDES[rank])).max() < 1e-6


@pytest.mark.parametrize("layer", [BinPool(3, name="pool", dtype="mixed_float16"), Spread(name="spread")])
def test_they_are_written_and_read(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert type(again) is type(layer)


def test_means_of_half_precision_are_taken_in_float32():
    x = np.full((1, 512, 512, 1), 1000, "float16")
    found = keras.ops.convert_to_numpy(BinPool(1, dtype="mixed_float16")(x))
    assert found.dtype == np.float16
    assert found.item() == 1000
