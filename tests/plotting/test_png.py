"""The PNG shows what the SVG does, at twice the size."""

import math
from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image, ImageColor

from keras_unetpp.plotting.layout import lay_out
from keras_unetpp.plotting.looks import NODES, UNUSED_NODE
from keras_unetpp.plotting.png import SCALE, dashes, render
from keras_unetpp.spec import Spec


def near(image, x, y, colour):
    seen = image.getpixel((round(SCALE * x), round(SCALE * y)))
    return max(abs(one - other) for one, other in zip(seen, ImageColor.getrgb(colour), strict=True)) < 12


def test_size_and_colours_of_boxes():
    picture = lay_out(Spec(backbone="efficientnet_lite0", depth=3), 1)
    image = Image.open(BytesIO(render(picture)))
    assert image.format == "PNG"
    assert image.size == (SCALE * picture.width, SCALE * picture.height)
    image = image.convert("RGB")
    assert near(image, 1, 1, "#ffffff")
    kinds = {"x_0_0": "encoder", "x_1_0": "backbone", "x_0_1": "decoder", "L1": "head"}
    for group in picture.groups:
        if group.kind in ("node", "head") and " " not in group.name:
            box = group.shapes[0]
            style = NODES[kinds[group.name]] if group.used else UNUSED_NODE
            assert near(image, box.left + 8, box.middle[1] + 3, style.fill), group.name
            if group.used:
                assert near(image, box.left, box.middle[1], style.stroke), group.name


@pytest.mark.parametrize("points", [[(0, 0), (100, 0)], [(0, 0), (30, 0), (30, 70)]])
def testdashes_cover_their_share_of_a_line(points):
    pieces = list(dashes(points, (6, 4)))
    assert len(pieces) == 10
    covered = sum(math.dist(one, other) for piece in pieces for one, other in pairwise(piece))
    assert covered == pytest.approx(60)
