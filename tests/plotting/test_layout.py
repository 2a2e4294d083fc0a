"""Where things stand: nothing overlaps, nothing leaves the picture, and what is drawn is what the plan says."""

import itertools

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.plotting.layout import lay_out
from keras_unetpp.plotting.looks import ARROWS, NODES, PALE
from keras_unetpp.plotting.png import curve
from keras_unetpp.plotting.shapes import Box, Line, Text
from keras_unetpp.spec import SKIPS, Spec, needed, nodes, reads

OWN = [Spec(topology=topology, depth=depth, width=4) for topology in SKIPS for depth in range(1, 7)]
OTHERS = [
    Spec(backbone="efficientnet_lite0"),
    Spec(backbone="efficientnet_lite0", depth=3, stem=False),
    Spec(backbone="convnext_tiny"),
    Spec(backbone="resnet50", topology="unet", depth=5),
    Spec((512, 512, 512, 65536), depth=2),
    Spec((None, None, None, 1), depth=5, classes=12, width=1024),
    Spec(deep_supervision=False),
]


def name(spec):
    return f"{spec.topology}-{spec.depth}-{spec.backbone or f'{spec.rank}d'}"


def boxes(picture):
    return {group.name: group.shapes[0] for group in picture.groups if group.kind in ("node", "head", "image")
            and isinstance(group.shapes[0], Box)}  # fmt: skip


def of_kind(picture, *kinds):
    return [group for group in picture.groups if group.kind in kinds and group.shapes]


@pytest.mark.parametrize("spec", OWN, ids=name)
def test_nodes_and_arrows_are_those_of_the_topology(spec):
    picture, every = lay_out(spec), nodes(spec.topology, spec.depth)
    assert [group.name for group in of_kind(picture, "node")] == [node.name for node in every]
    arrows = {group.name for group in of_kind(picture, "down", "up", "skip")}
    assert arrows == {f"{one.name} {node.name}" for node in every for one in reads(spec.topology, node)}
    heads = {group.name for group in of_kind(picture, "head") if " " not in group.name}
    assert heads == {f"L{level}" for level in spec.levels}
    assert all(group.used for group in picture.groups)


@pytest.mark.parametrize("spec", OWN, ids=name)
def test_what_a_level_does_not_need_is_grey(spec):
    for level in spec.levels:
        picture, wanted = lay_out(spec, level), needed(spec.topology, spec.depth, level)
        used = [group.name for group in of_kind(picture, "node") if group.used]
        assert used == [node.name for node in wanted]
        read = {f"{one.name} {node.name}" for node in wanted for one in reads(spec.topology, node)}
        arrows = of_kind(picture, "down", "up", "skip")
        assert {group.name for group in arrows if group.used} == read
        assert all((group.shapes[0].style.stroke == PALE) == (not group.used) for group in arrows)
        drawn = boxes(picture)
        assert {one for one in drawn if drawn[one].style.stroke != PALE} == {*used, "image", f"L{level}"}
        told = [group.shapes[-1].text for group in of_kind(picture, "legend")]
        assert (f"not needed by L{level}" in told) == any(box.style.stroke == PALE for box in drawn.values())


def apart(one, other):
    return one.right <= other.left or other.right <= one.left or one.bottom <= other.top or other.bottom <= one.top


@pytest.mark.parametrize("spec", [*OWN, *OTHERS], ids=name)
def test_nothing_overlaps_or_leaves_the_picture(spec):
    picture = lay_out(spec, spec.levels[0])
    every = boxes(picture)
    assert all(apart(one, other) for one, other in itertools.combinations(every.values(), 2))
    texts = [shape for group in picture.groups for shape in group.shapes if isinstance(shape, Text)]
    assert all(text.left > 0 and text.right < picture.width for text in texts)
    assert all(text.size < text.y < picture.height for text in texts)
    assert all(box.left > 0 and box.right < picture.width and box.top > 0 for box in every.values())
    for group in picture.groups:
        if group.name in every and isinstance(box := group.shapes[0], Box):
            assert all(box.left < text.left and text.right < box.right for text in group.shapes[1:]), group.name
        if group.kind == "row":
            assert all(text.right < every["image"].left for text in group.shapes)
    below = max(box.bottom for box in every.values())
    assert below < min(group.shapes[-1].y - 12 for group in of_kind(picture, "legend"))
    lines = [[text for text in texts if text.y == y] for y in {text.y for text in texts}]
    for line in lines:
        ordered = sorted(line, key=lambda text: text.left)
        assert all(one.right <= other.left for one, other in itertools.pairwise(ordered)), line


@pytest.mark.parametrize("spec", [*OWN, *OTHERS], ids=name)
def test_no_arrow_runs_through_a_box_or_leaves_the_picture(spec):
    picture = lay_out(spec)
    every = boxes(picture).values()
    for group in picture.groups:
        for line in (shape for shape in group.shapes if isinstance(shape, Line) and group.kind != "legend"):
            ends = [tuple(a + (b - a) * step / 20 for a, b in zip(*line.points, strict=True)) for step in range(21)] \
                if len(line.points) == 2 else curve(line.points)  # fmt: skip
            assert all(0 < x < picture.width and 70 < y < picture.height for x, y in ends)
            inside = [box for x, y in ends for box in every
                      if box.left + 1 < x < box.right - 1 and box.top + 1 < y < box.bottom - 1]  # fmt: skip
            assert not inside, (group.name, inside)


def test_a_backbone_is_marked_and_reads_the_image_where_it_does():
    picture = lay_out(Spec(backbone="efficientnet_lite0"))
    marked = {one for one, box in boxes(picture).items() if box.style == NODES["backbone"]}
    assert marked == {"x_1_0", "x_2_0", "x_3_0", "x_4_0"}
    arrows = {group.name for group in picture.groups if group.kind in ARROWS}
    assert {"image x_0_0", "image x_1_0"} <= arrows
    assert "x_0_0 x_1_0" not in arrows
    told = [group.shapes[-1].text for group in of_kind(picture, "legend")]
    assert "part of efficientnet_lite0" in told
    assert "down, in the backbone" in told
    channels = {group.name: group.shapes[-1].text for group in of_kind(picture, "node")}
    assert [channels[f"x_{row}_0"] for row in range(5)] == ["16", "16", "24", "40", "112"]


def test_rows_tell_their_resolution_and_heads_that_they_are_up_sampled():
    picture = lay_out(Spec((256, 128, 3), backbone="efficientnet_lite0", stem=False, depth=2))
    rows = [[text.text for text in group.shapes] for group in of_kind(picture, "row")]
    assert rows == [["1/2", "128 x 64"], ["1/4", "64 x 32"], ["1/8", "32 x 16"]]
    told = [group.shapes[-1].text for group in of_kind(picture, "legend")]
    assert "head: 1 class, sigmoid, up-sampled by 2" in told
    rows = [[text.text for text in group.shapes] for group in of_kind(lay_out(Spec(depth=1)), "row")]
    assert rows == [["1"], ["1/2"]]


def test_the_heading_counts_what_a_level_takes():
    spec = Spec.preset("unet++")
    assert [text.text for text in lay_out(spec, 2).groups[0].shapes] == [
        "Level L2 of unet++ of depth 4",
        "6 of 15 nodes, each with its channels; 511,105 of 9,041,700 parameters",
    ]
    assert all(group.used for group in lay_out(spec, "mean").groups)
    assert lay_out(spec, "mean").title == "Mean of all levels of unet++ of depth 4"


@pytest.mark.parametrize("level", [5, 0, "L2", True, 2.0])
def test_a_level_that_is_not_there(level):
    with pytest.raises(InputError, match=r"This network has heads for level 1, 2, 3, 4 or 'mean'\. Received: "):
        lay_out(Spec(), level)
