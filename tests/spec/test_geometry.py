"""Strides, kernels and dilations by row and axis: what a Spec makes of them, and that networks are as they say."""

import keras
import numpy as np
import pytest
from counting import built, counted, counted_parts, farthest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import BLOCKS, DOWNS, Spec, cost, level_costs, node_costs, plan, receptive_radius
from keras_unetpp.spec.geometry import check_sides
from keras_unetpp.spec.ops import TransposedConv

THICK = ((1, 2, 2), 2, (1, 2, 2), (2, 2, 2))
"""Strides of volumes whose slices are thick: the first axis is halved twice, the others four times."""

VOLUME = Spec((12, 32, 32, 1), strides=THICK, filters=(2, 3, 4, 5, 6))
OPEN = {"norm": "none", "head_activation": "linear"}


def rows(spec, part):
    return {row.name.removeprefix(f"{part}_"): row for row in plan(spec) if row.part == part}


def test_sides_are_divided_by_the_product_of_strides():
    assert (VOLUME.divisors, VOLUME.divisor, Spec().divisors, Spec().divisor) == ((4, 16, 16), 16, (16, 16), 16)
    assert Spec((5, 7, 1), strides=(1,)).divisors == (1, 1)
    assert Spec((6, 6, 1), strides=((1, 2), (2, 1), 1, 1)).divisors == (2, 2)
    found = {row.halvings for row in plan(VOLUME) if row.part.endswith("_0") or row.part == "x_4_0"}
    assert found == {(0, 0, 0), (0, 1, 1), (1, 2, 2), (1, 3, 3), (2, 4, 4)}
    assert level_costs(VOLUME)[-1].cost == cost(VOLUME, "mean")
    assert level_costs(VOLUME.replace(input_shape=(None, None, None, 1)))[0].cost.macs


def test_all_entries_2_and_3_and_1_are_the_network_without():
    usual = Spec((16, 16, 16, 1), depth=2, width=2)
    said = usual.replace(strides=(2, (2, 2, 2)), kernels=((3, 3, 3),), dilations=(1,))
    assert plan(said) == plan(usual)
    assert (cost(said), receptive_radius(said)) == (cost(usual), receptive_radius(usual))


def test_a_new_depth_cuts_entries_off_or_goes_on_with_the_last():
    spec = VOLUME.replace(kernels=((1, 3, 3), 3, 3, 3, 5), dilations=(1, 1, 1, 2, 4))
    level = spec.at_level(2)
    assert (level.strides, level.kernels, level.dilations) == (THICK[:2], ((1, 3, 3), 3, 3), (1, 1, 1))
    deeper = spec.replace(depth=6, input_shape=(None, None, None, 1))
    assert (deeper.strides, deeper.dilations) == ((*THICK, *THICK[-1:] * 2), (1, 1, 1, 2, 4, 4, 4))
    assert deeper.kernels == ((1, 3, 3), 3, 3, 3, 5, 5, 5)
    assert spec.replace(depth=2, strides=(2, 1), input_shape=(8, 8, 8, 1)).strides == (2, 1)
    assert Spec(strides=(1,), kernels=(5,)).replace(depth=6).strides == (1,)
    for one in spec.levels:
        assert cost(spec, one) == cost(spec.at_level(one))
        assert receptive_radius(spec, one) == receptive_radius(spec.at_level(one))


@pytest.mark.parametrize(("up", "found"), [("transpose", {"up"}), ("nearest", set())])
@pytest.mark.parametrize("down", DOWNS)
def test_where_the_resolution_stays_nothing_is_written_but_what_a_width_needs(up, down, found):
    spec = Spec((8, 8, 1), depth=2, filters=(2, 4, 6), strides=(1, 2), up=up, down=down, norm="none")
    assert next(iter(rows(spec, "x_1_0"))) == "conv1"
    above = rows(spec, "x_0_1")
    assert set(above) - {"concat", "conv1", "act1", "conv2", "act2"} == found
    if found:
        assert (above["up"].operation.kernel, above["up"].kind, above["up"].channels) == (1, "conv", (0, 0, 0, 1, 0, 0))
    assert {row.kind for row in rows(spec, "x_1_1").values()} >= {up}
    assert counted(*built(spec)) == cost(spec)


def test_a_transposed_kernel_is_1_along_an_axis_that_is_not_up_sampled():
    spec = VOLUME.replace(up_kernel=4)
    found = {(row.operation.kernel, row.operation.strides) for row in plan(spec) if row.kind == "transpose"}
    assert found == {((1, 4, 4), (1, 2, 2)), (4, (2, 2, 2))}
    assert TransposedConv((1, 4, 4), (1, 2, 2)).reach(5, 0) == (5, 5)


@pytest.mark.parametrize("block", [name for name in BLOCKS if name != "pass"])
def test_each_block_has_the_kernel_and_the_dilation_of_its_row(block):
    spec = Spec((16, 16, 2), depth=1, filters=(4, 8), block=block, norm="none", cardinality=2, growth_rate=2)
    wide = spec.replace(kernels=((1, 5), 7), dilations=(2, 3))
    for part, kernel, dilation in (("x_0_0", (1, 5), 2), ("x_1_0", 7, 3), ("x_0_1", (1, 5), 2)):
        usual = [row.name for row in plan(spec) if row.part == part and row.kernel == 3]
        changed = [row for row in plan(wide) if row.part == part and row.kernel not in (0, 1) and row.kind == "conv"]
        assert [row.name for row in changed] == usual
        assert {(row.kernel, row.operation.dilation) for row in changed} == {(kernel, dilation)}
    assert counted(*built(wide)) == cost(wide)


SEEN = [
    {"input_shape": (None,) * 3 + (1,), "strides": ((1, 2, 2),), "up_kernel": 3},
    {"input_shape": (None,) * 3 + (1,), "strides": ((1, 2, 2),), "kernels": ((1, 3, 3), (3, 1, 3)), "down": "strided"},
    {"input_shape": (None, None, 1), "depth": 2, "filters": (4, 4, 4), "strides": (2, 1), "dilations": (1, 2, 4)},
    {"input_shape": (None, None, 1), "strides": ((2, 1),), "kernels": ((5, 1), 3), "block": "separable",
     "up": "bilinear"},
    {"input_shape": (None, None, 1), "strides": (1,), "dilations": (3, 2), "block": "inverted", "up": "nearest"},
]  # fmt: skip


@pytest.mark.parametrize("fields", SEEN, ids=str)
def test_it_sees_along_each_axis_as_far_as_the_gradient_reaches(fields):
    spec = Spec(**{"depth": 1, "filters": (4, 4), "deep_supervision": False, **OPEN, **fields})
    model = build(spec)
    found = [farthest(model, spec.divisor, receptive_radius(spec), axis) for axis in range(spec.rank)]
    assert found == [receptive_radius(spec, axis=axis) for axis in range(spec.rank)]
    assert receptive_radius(spec) == max(found)


def test_a_thick_volume_is_counted_node_by_node_and_level_by_level():
    spec = VOLUME.replace(kernels=((1, 3, 3), 3, 3, 3, 1), down="average", merge="add")
    model, order = built(spec)
    assert counted(model, order) == cost(spec)
    for level in (1, 3, "mean"):
        assert counted(select(model, level), order) == cost(spec, level)
    found = {part: (one.params, one.macs, one.activation_bytes) for part, one in node_costs(spec).items()}
    assert found == counted_parts(order)
    x = np.random.default_rng(0).uniform(0, 255, (1, *spec.input_shape)).astype("float32")
    assert [one.shape for one in keras.tree.flatten(model(x))] == [(1, 12, 32, 32, 1)] * 4


@pytest.mark.parametrize("axis", [-1, 2, True, "x"])
def test_an_axis_that_is_none_is_refused(axis):
    with pytest.raises(InputError) as caught:
        receptive_radius(Spec(), axis=axis)
    assert str(caught.value) == f"axis must be a whole number from 0 to 1, or None. Received: {axis!r}."


def test_sides_of_their_own_divisors():
    check_sides((12, None, 48), (4, 16, 16))
    with pytest.raises(InputError) as caught:
        Spec((12, 30, 32, 1), strides=THICK)
    assert str(caught.value) == (
        "Sides must be multiples of (4, 16, 16), the reductions of the lowest row. Received: (12, 30, 32). Pad to"
        " (12, 32, 32), use a smaller depth, or call segment(), which pads and crops by itself."
    )
    with pytest.raises(InputError, match=r"^Every side must be a multiple of 8, the reduction of the lowest row\."):
        check_sides((12, 16, 16), (8, 8, 8))
