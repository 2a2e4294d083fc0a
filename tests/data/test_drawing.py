import numpy as np
import pytest

from keras_unetpp.data.drawing import circle, polygon, rectangle, run_lengths
from keras_unetpp.kit.errors import InputError

RNG = np.random.default_rng(0)


def packed(counts):
    """COCO's own packing of run lengths, from its description."""
    text = ""
    for number, count in enumerate(counts):
        value = count - (counts[number - 2] if number > 2 else 0)
        while True:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr(48 + (bits | (0x20 if more else 0)))
            if not more:
                break
    return text


def lengths(mask):
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    return [*([0] if flat[0] else []), *np.diff([0, *edges, flat.size]).tolist()]


@pytest.mark.parametrize("box", [(1, 1, 4, 3), (0, 0, 9, 7), (2.4, 1.4, 5.6, 4.6), (-3, -2, 4, 99), (5, 2, 5, 6)])
def test_a_box_holds_the_pixels_whose_centre_is_in_it(box):
    left, top, right, bottom = box
    rows, columns = np.mgrid[:7, :9] + 0.5
    inside = (columns > left) & (columns < right) & (rows > top) & (rows < bottom)
    outline = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for points in (outline, outline[::-1], outline[2:] + outline[:2]):
        np.testing.assert_array_equal(polygon(points, (7, 9)), inside)
    np.testing.assert_array_equal(rectangle([(right, bottom), (left, top)], (7, 9)), inside)
    np.testing.assert_array_equal(rectangle(outline, (7, 9)), inside)


@pytest.mark.parametrize("seed", range(10))
def test_a_polygon_holds_the_pixels_whose_centre_is_in_it(seed):
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.uniform(-5, 45, (rng.integers(3, 9), 2))]

    def inside(x, y):  # a ray to the right meets the outline an odd number of times
        hits = 0
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            hits += (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        return hits % 2 == 1

    wanted = [[inside(column + 0.5, row + 0.5) for column in range(40)] for row in range(32)]
    np.testing.assert_array_equal(polygon(points, (32, 40)), wanted)


def test_a_circle():
    mask = circle([(20, 12), (20, 20)], (30, 40))
    assert abs(mask.sum() - np.pi * 64) < 8
    assert mask[12, 27]
    assert not mask[12, 28]


@pytest.mark.parametrize("size", [(7, 9), (1, 5), (64, 48)])
def test_run_lengths_plain_and_packed(size):
    for density in (0.0, 0.02, 0.5, 1.0):
        mask = RNG.random(size) < density
        counts = lengths(mask)
        np.testing.assert_array_equal(run_lengths(counts, size), mask)
        np.testing.assert_array_equal(run_lengths(packed(counts), size), mask)


def test_a_packed_example():
    """Of a square of 2 x 3 pixels in an image of 4 x 5."""
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    np.testing.assert_array_equal(run_lengths(packed([5, 2, 2, 2, 2, 2, 5]), (4, 5)), mask)


@pytest.mark.parametrize(
    "counts", [[1, 2], [-1, 64], [63.0], "~~~", "\u00e9", None, [[63]], {"a": 1}, "", [10**30], "o" * 99, [True, 62]]
)
def test_what_is_no_run_lengths_is_told(counts):
    with pytest.raises(InputError, match="run lengths"):
        run_lengths(counts, (7, 9))
