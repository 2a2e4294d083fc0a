"""Closed-form cost: the published figures, and equality with built models whose layers are counted one by one."""

import itertools
import random

import pytest
from counting import built, counted, counted_parts

from keras_unetpp.graph.describe import select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec, cost, node_costs, plan

UNETPP = {1: 100_961, 2: 511_105, 3: 2_204_961, 4: 9_041_601}
UNET = {1: 100_961, 2: 465_953, 3: 1_925_025, 4: 7_759_521}
UNETPP_GIGA_MACS = {1: 3.48, 2: 8.88, 3: 17.44, 4: 29.75}
REFERENCE_TRAINABLE = 47_190_724

AXES = {
    "topology": ("unet", "unet_e", "unet+", "unet++"),
    "depth": (1, 2, 3),
    "block": ("conv", "preact"),
    "decoder_block": (None, "conv", "preact"),
    "norm": ("none", "batch", "group", "instance", "layer"),
    "up": (("transpose", 2), ("transpose", 3), ("transpose", 4), ("nearest", 2), ("bilinear", 2)),
    "head": ("conv", "preact"),
    "head_kernel": (1, 3),
    "deep_supervision": (True, False),
    "sides": ((16, 24), (8, 16, 8)),
    "normalization": ("none", "rescale", "standardize"),
    "dropout": (0.0, 0.2),
}


def spec_of(choice):
    """The Spec of one value for each axis, or None if they exclude each other."""
    fields = dict(choice)
    up, up_kernel = fields.pop("up")
    filters = (4, 6, 10, 12)[: fields["depth"] + 1]
    shape = (*fields.pop("sides"), 3)
    try:
        return Spec(shape, classes=2, filters=filters, norm_groups=2, up=up, up_kernel=up_kernel, **fields)
    except InputError:
        return None


def covering():
    """Specs that between them hold every possible pair of values of two axes; few, chosen greedily."""
    draw = random.Random(0)
    pool = [{axis: draw.choice(values) for axis, values in AXES.items()} for _ in range(2000)]
    pool = [(spec, set(itertools.combinations(choice.items(), 2))) for choice in pool if (spec := spec_of(choice))]
    missing = set().union(*(pairs for _, pairs in pool))
    while missing:
        spec, pairs = max(pool, key=lambda item: len(item[1] & missing))
        missing -= pairs
        yield spec


@pytest.fixture(scope="module")
def unetpp():
    return built(Spec.preset("unet++"))


@pytest.fixture(scope="module")
def reference():
    return built(Spec.preset("reference"))


@pytest.mark.parametrize("level", UNETPP)
def test_unetpp_levels(unetpp, level):
    model, order = unetpp
    by_formula = cost(Spec.preset("unet++"), level)
    assert by_formula.params == by_formula.trainable_params == UNETPP[level]
    assert round(by_formula.macs / 1e9, 2) == UNETPP_GIGA_MACS[level]
    assert counted(select(model, level), order) == by_formula


def test_unetpp_with_all_heads(unetpp):
    assert cost(Spec.preset("unet++")).params == 9_041_700
    assert counted(*unetpp) == cost(Spec.preset("unet++"))


@pytest.mark.parametrize("depth", UNET)
def test_unet_of_each_depth(depth):
    spec = Spec.preset("unet", depth=depth)
    assert cost(spec).params == UNET[depth]
    assert counted(*built(spec)) == cost(spec)


@pytest.mark.parametrize("level", UNET)
def test_ensemble_of_unets_has_the_unets(level):
    spec = Spec.preset("unet_e")
    assert cost(spec, level) == cost(Spec.preset("unet", depth=level))


def test_wide_unet():
    assert cost(Spec.preset("wide_unet")).params == 9_282_246


def test_reference(reference):
    assert cost(Spec.preset("reference")).trainable_params == REFERENCE_TRAINABLE
    assert counted(*reference) == cost(Spec.preset("reference"))


COVERING = list(covering())


def test_covering_leaves_no_possible_pair_out():
    assert len(COVERING) < 45
    for (one, ones), (other, others) in itertools.combinations(
        {axis: values for axis, values in AXES.items() if axis not in ("up", "sides")}.items(), 2
    ):
        found = {(getattr(spec, one), getattr(spec, other)) for spec in COVERING}
        assert found == set(itertools.product(ones, others))
    ups = {(spec.rank, spec.up, spec.up_kernel) for spec in COVERING}
    assert ups == {(rank, *up) for rank in (2, 3) for up in AXES["up"]} - {(3, "bilinear", 2)}


@pytest.mark.parametrize("spec", COVERING, ids=lambda spec: f"{spec.topology}-{spec.depth}-{spec.norm}-{spec.up}")
def test_closed_form_is_the_built_model(spec):
    model, order = built(spec)
    assert counted(model, order) == cost(spec)
    for level in (*spec.levels, *(["mean"] if len(spec.levels) > 1 else [])):
        assert counted(select(model, level), order) == cost(spec, level)
    by_formula = node_costs(spec)
    found = {part: (item.params, item.macs, item.activation_bytes) for part, item in by_formula.items()}
    assert found == counted_parts(order)


@pytest.mark.parametrize("level", [None, 1, 3, "mean"])
def test_parts_add_up(level):
    spec = Spec((32, 32, 3), width=4)
    total, parts = cost(spec, level), node_costs(spec, level).values()
    for fact in ("params", "trainable_params", "macs", "weight_bytes"):
        assert sum(getattr(part, fact) for part in parts) == getattr(total, fact)


def test_parts_of_a_level():
    assert list(node_costs(Spec((32, 32, 3)), 1)) == ["image", "x_0_0", "x_1_0", "x_0_1", "L1"]


def test_peak_by_hand():
    """2 x 2 pixels, filters 3 and 5: widest when x_0_1_concat (6) is made while x_0_1_up (3), x_0_0 (3) live."""
    spec = Spec((2, 2, 1), depth=1, filters=(3, 5), norm="none", normalization="none")
    assert cost(spec).activation_bytes == 4 * 4 * (3 + 3 + 6)


def test_size_replaces_the_sides():
    open_sides, fixed = Spec((None, None, 3), width=4), Spec((32, 48, 3), width=4)
    assert cost(open_sides, size=(32, 48)) == cost(fixed)
    assert node_costs(open_sides, 2, size=(32, 48)) == node_costs(fixed, 2)
    assert cost(fixed, size=[64, 96]).macs == 4 * cost(fixed).macs


def test_unknown_sides_leave_pixel_counts_out():
    found = cost(Spec((None, 32, 3), width=4))
    assert found == cost(Spec((32, 32, 3), width=4))._replace(macs=None, activation_bytes=None)


@pytest.mark.parametrize(
    ("size", "received"), [((32,), "(32,)"), ((32, 32, 3), "(32, 32, 3)"), ((32, 0), "(32, 0)"), (64, "64")]
)
def test_bad_size(size, received):
    with pytest.raises(InputError) as caught:
        cost(Spec(), size=size)
    assert str(caught.value) == f"size must be 2 positive whole numbers, without channels. Received: {received}."


def test_indivisible_size():
    with pytest.raises(InputError) as caught:
        cost(Spec(), size=(32, 40))
    assert str(caught.value) == (
        "Every side must be a multiple of 16, the reduction of the lowest row."
        " Received: (32, 40). Pad to (32, 48), use a smaller depth, or"
        " call segment(), which pads and crops by itself."
    )


@pytest.mark.parametrize("ask", [cost, node_costs, plan])
def test_unknown_level(ask):
    with pytest.raises(InputError, match=r"^This network has heads for level 1, 2, 3, 4 or 'mean'\. Received: 7\.$"):
        ask(Spec(), 7)
