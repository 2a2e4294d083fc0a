import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.windows import axis, evened, windows


@st.composite
def layouts(draw):
    """(length, tile, overlap, step), each as small and as large as allowed."""
    step = draw(st.sampled_from([1, 2, 3, 8, 16]))
    tile = step * draw(st.integers(1, 20))
    return step * draw(st.integers(1, 120)), tile, draw(st.integers(0, tile - step)), step


@given(layouts())
def test_weights_sum_to_one_everywhere(layout):
    length, tile, _, _ = layout
    found = axis(*layout)
    total = np.zeros(length)
    for start, weights in zip(found.starts, found.weights, strict=True):
        assert len(weights) == found.tile == min(tile, length)
        total[start : start + found.tile] += weights
    assert found.length == length
    assert found.weights.min() >= 0
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(layouts())
def test_tiles_start_at_multiples_and_overlap_enough(layout):
    length, tile, overlap, step = layout
    starts = axis(*layout).starts
    assert starts[0] == 0
    assert starts[-1] == max(length - tile, 0)
    assert all(start % step == 0 for start in starts)
    assert all(0 < after - before <= tile - overlap for before, after in itertools.pairwise(starts))


@given(layouts())
def test_a_quarter_of_the_overlap_is_unused_at_cut_edges_only(layout):
    length, tile, overlap, _ = layout
    found = axis(*layout)
    margin = overlap // 4
    for start, weights in zip(found.starts, found.weights, strict=True):
        first, last = np.flatnonzero(weights)[[0, -1]]
        assert first == 0 if start == 0 else first >= margin
        assert last == found.tile - 1 if start + found.tile == length else last < tile - margin


@given(layouts())
def test_weights_rise_by_no_jump(layout):
    _, _, overlap, _ = layout
    ramp = overlap - 2 * (overlap // 4)
    found = axis(*layout)
    if ramp >= 8 and len(found.starts) == 2:  # more tiles than two may share a pixel, and share its weight
        assert np.abs(np.diff(found.weights, axis=1)).max() <= np.pi / ramp


@given(layouts())
def test_evened_tiles_are_as_few_and_as_small_as_can_be(layout):
    length, tile, overlap, step = layout
    smaller = evened(*layout)
    assert smaller % step == 0
    assert smaller <= tile
    if length > tile:
        count = len(axis(*layout).starts)
        assert len(axis(length, smaller, overlap, step).starts) == count
        if smaller - step >= overlap + step:
            assert len(axis(length, smaller - step, overlap, step).starts) > count


def test_evened_spares_work():
    assert evened(1040, 512, 128, 16) == 432


def test_windows_of_several_axes_sum_to_one_and_come_lazily():
    axes = (axis(24, 8, 2, 2), axis(10, 10, 0, 2), axis(36, 12, 4, 4))
    total = np.zeros((24, 10, 36, 1))
    count = 0
    for slices, weight in windows(axes):
        assert total[slices].shape == weight.shape == (8, 10, 12, 1)
        total[slices] += weight
        count += 1
    assert count == math.prod(len(one.starts) for one in axes)
    np.testing.assert_allclose(total, 1, atol=1e-6)
    endless = axis(2**20, 16, 0, 16)
    slices, _ = next(windows((endless, endless)))  # 2^32 tiles, of which one is made
    assert slices == (slice(0, 16), slice(0, 16))


@pytest.mark.parametrize("tile", [0, -16, 24, 8, 16.0, "16"])
def test_a_tile_that_is_no_multiple(tile):
    with pytest.raises(InputError) as error:
        axis(64, tile, 0, 16)
    assert str(error.value) == f"tile must be a positive multiple of 16 pixels. Received: {tile!r}."


@pytest.mark.parametrize("overlap", [-1, 17, 32, 2.5])
def test_an_overlap_out_of_range(overlap):
    with pytest.raises(InputError) as error:
        axis(64, 32, overlap, 16)
    assert str(error.value) == f"overlap must be from 0 to 16 pixels for a tile of 32. Received: {overlap!r}."
