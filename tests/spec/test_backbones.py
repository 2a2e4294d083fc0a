"""Backbones in Specs, plans and costs: what each row reads, and that the closed form is the built network."""

from itertools import pairwise

import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec, cost, level_costs, node_costs, picture, plan, receptive_radius
from keras_unetpp.spec.backbones import Backbone, Registry, Tap, backbone, names
from keras_unetpp.spec.forms import value
from keras_unetpp.spec.plan import variables

LITE = "efficientnet_lite0"


def rows(spec, *, of):
    return [row for row in plan(spec) if row.part == of]


def test_own_rows_stand_above_the_first_tap():
    spec = Spec(backbone="convnext_tiny", width=8)
    assert rows(spec, of="x_0_0")[0].kind == "conv"
    assert [row.kind for row in rows(spec, of="x_1_0")][:2] == ["max_pool", "conv"]
    assert [(row.kind, row.reads, row.resolution) for row in rows(spec, of="x_2_0")] == [
        ("backbone", ("normalization",), 2)
    ]
    assert [(row.kind, row.reads, row.resolution) for row in rows(spec, of="x_3_0")] == [
        ("backbone", ("x_2_0_backbone",), 3)
    ]
    assert value(rows(spec, of="x_3_0")[0].channels, variables(spec)) == 192
    assert spec.divisor == 16


def test_without_stem_row_0_is_the_first_tap_and_heads_up_sample():
    spec = Spec(backbone="convnext_tiny", depth=3, stem=False)
    assert (spec.shift, spec.divisor) == (2, 32)
    assert [(row.kind, row.resolution) for row in rows(spec, of="x_0_0")] == [("backbone", 2)]
    assert [(row.name, row.kind, row.resolution) for row in rows(spec, of="L2")] == [
        ("L2_conv", "conv", 2),
        ("L2_up1", "bilinear", 1),
        ("L2_up2", "bilinear", 0),
        ("L2", "output", 0),
    ]
    nearest = spec.replace(up="nearest")
    assert [row.kind for row in rows(nearest, of="L2")][1:3] == ["nearest", "nearest"]


def test_a_tap_at_full_resolution_leaves_nothing_to_a_stem():
    assert [row.kind for row in rows(Spec(backbone="vgg16"), of="x_0_0")] == ["backbone"]
    assert plan(Spec(backbone="vgg16")) == plan(Spec(backbone="vgg16", stem=False))


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({}, ["affine"]),
        ({"normalization": "rescale"}, ["rescale"]),
        ({"normalization": "none"}, []),
        ({"normalization": "standardize"}, ["standardize", "affine"]),
    ],
)
def test_pixels(fields, kinds):
    assert [row.kind for row in rows(Spec(backbone=LITE, **fields), of="image")][1:] == kinds
    plain = [kind for kind in kinds if kind != "affine"] or (["rescale"] if not fields else [])
    assert [row.kind for row in rows(Spec(**fields), of="image")][1:] == plain


def test_filters():
    assert Spec(backbone=LITE).filters == (16, 32, 64, 128)
    assert Spec(backbone=LITE, depth=5, width=4).filters == (4, 8, 16, 32, 64)
    spec = Spec(backbone=LITE, filters=(4, 6, 8), depth=3)
    assert spec.replace(depth=5).filters == (4, 6, 8, 16, 32)
    assert spec.replace(depth=2).filters == (4, 6)
    assert spec.replace(backbone=None).filters == (4, 6, 8, 16)
    assert spec.replace(backbone=None).replace(backbone="vgg16") == spec.replace(backbone="vgg16")


def test_a_level_is_a_spec_of_its_own():
    spec = Spec((64, 64, 3), backbone=LITE, depth=4, encoder_weights="imagenet")
    for level in spec.levels:
        alone = spec.at_level(level)
        assert (alone.depth, alone.backbone, alone.filters) == (level, LITE, spec.filters[:level])
        assert cost(spec, level) == cost(alone)
        assert receptive_radius(spec, level) == receptive_radius(alone)


def test_a_level_above_the_first_tap_is_all_own_rows():
    spec = Spec(backbone="convnext_tiny", width=4).at_level(1)
    assert (spec.filters, spec.taps, spec.divisor) == ((4, 8), (), 2)
    assert cost(spec) == cost(Spec(backbone="convnext_tiny", width=4), 1)
    assert {row.kind for row in plan(spec)} == {row.kind for row in plan(Spec(depth=1))} - {"rescale"} | {"affine"}


def test_picture_and_table():
    assert picture(Spec(backbone=LITE, depth=2)).splitlines() == [
        "x_0_0  x_0_1  x_0_2    16 filters",
        "   x_1_0  x_1_1        32 filters, 16 channels of efficientnet_lite0",
        "      x_2_0            24 channels of efficientnet_lite0",
    ]
    assert picture(Spec(backbone=LITE, depth=2, decoder_filters=(8, 12))).splitlines() == [
        "x_0_0  x_0_1  x_0_2    16 filters, 8 in the decoder",
        "   x_1_0  x_1_1        16 channels of efficientnet_lite0, 12 in the decoder",
        "      x_2_0            24 channels of efficientnet_lite0",
    ]
    assert [row.nodes for row in level_costs(Spec(backbone=LITE))] == [3, 6, 10, 15, 15]


@pytest.mark.parametrize(
    "fields",
    [
        {"backbone": LITE, "depth": 4},
        {"backbone": LITE, "depth": 4, "stem": False, "up": "nearest"},
        {"backbone": "mobilenet_v3_small", "depth": 5, "norm": "instance", "topology": "unet_e"},
        {"backbone": "convnext_tiny", "depth": 3, "decoder_block": "preact", "input_shape": (64, 96, 1)},
        {"backbone": "vgg11", "depth": 2, "input_shape": (32, 32, 4), "topology": "unet+", "head": "preact"},
    ],
    ids=str,
)
def test_closed_form_is_the_built_model(fields):
    spec = Spec(**{"input_shape": (64, 64, 3), **fields}, width=4, classes=2)
    model = build(spec)
    assert describe(model).divisor == spec.divisor
    for level in (None, *spec.levels):
        own, whole = cost(spec, level), model if level is None else select(model, level)
        trained = sum(weight.value.shape.num_elements() for weight in whole.trainable_weights)
        assert (own.params, own.trainable_params) == (whole.count_params(), trained)
        parts = node_costs(spec, level).values()
        assert sum(part.macs for part in parts) == own.macs
        assert own.macs == sum(map(macs, whole.layers))
    assert cost(spec, size=(128, 96)).params == cost(spec).params


def macs(layer):
    """Of one image: kernels are applied once at each pixel of the output, of transposed convolutions of the input."""
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]
    tensor = layer.input if "Transpose" in type(layer).__name__ else layer.output
    pixels = 1
    for side in tensor.shape[1:-1]:
        pixels *= side
    return sum(pixels * weight.value.shape.num_elements() for weight in kernels)


def test_many_specs_are_judged_without_keras_layers():
    sizes = [cost(Spec((64, 64, 3), backbone="efficientnet_b0", width=width)).params for width in range(1, 50)]
    assert all(one < other for one, other in pairwise(sizes))


def test_facts_of_every_name():
    assert len(names()) >= 61
    for name in names():
        one = backbone(name)
        assert one.name == name
        assert all(other.reduction == 2 * tap.reduction for tap, other in pairwise(one.taps))
        assert all(tap.live <= tap.values for tap in one.taps)
        assert [tap.image > 0 for tap in one.taps] == [True] + [False] * (len(one.taps) - 1)


def made(name="own", *reductions):
    taps = tuple(Tap("layer", reduction, *range(2, 14)) for reduction in reductions or (2, 4))
    return Backbone(name, taps, "layer", (0.0,) * 3, (1.0,) * 3, "", "")


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (made("resnet50"), r"There is a backbone 'resnet50' already\. Choose another name\."),
        (made("my-own"), r"A backbone's name must be letters, digits and underscores\. Received: 'my-own'\."),
        (
            made("own", 2, 8),
            r"The taps of a backbone must be at reductions that double, .* \(2, 8\) for 'own'",
        ),
        (made("own", 32, 64, 128), r"The taps of a backbone must be at reductions that double, up to 64\."),
    ],
)
def test_what_cannot_be_registered(one, text):
    registry = Registry()
    with pytest.raises(InputError, match=f"^{text}"):
        registry.add(one)
    assert not registry
