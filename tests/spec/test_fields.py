"""Spec: a value (equal, hashable, JSON both ways), its presets, and the text of each of its errors."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import BLOCKS, DOWNS, MERGES, PRESETS, SKIPS, UPS, Spec, plan
from keras_unetpp.spec.fields import ACTIVATIONS, FIELDS, check_sides

SHAPE = (64, 64, 3)
NOT_DEFAULT = {
    "input_shape": (16, None, 2),
    "classes": 5,
    "topology": "unet+",
    "depth": 3,
    "filters": (4, 8, 12),
    "max_filters": 16,
    "decoder_filters": (4, 16, 8),
    "block": "preact",
    "decoder_block": "conv",
    "block_layers": (1, 2, 3, 2),
    "strides": (),
    "kernels": ((1, 3), 3, 5, (3, 1)),
    "dilations": (1, 1, 2, 4),
    "growth_rate": 12,
    "cardinality": 2,
    "attention": "scse",
    "squeeze_ratio": 4,
    "context": "pyramid_pooling",
    "bias": False,
    "norm": "group",
    "norm_groups": 4,
    "norm_epsilon": 1e-3,
    "norm_momentum": 0.99,
    "activation": "leaky_relu",
    "activation_slope": 0.01,
    "dropout": 0.25,
    "down": "average",
    "up": "nearest",
    "up_kernel": 3,
    "merge": "add",
    "backbone": "mobilenet_v2",
    "encoder_weights": "imagenet",
    "stem": False,
    "normalization": "standardize",
    "standardize_epsilon": 1e-4,
    "deep_supervision": False,
    "head": "preact",
    "head_kernel": 3,
    "head_activation": "linear",
}


THICK = {"input_shape": (12, 64, 64, 1), "strides": ((1, 2, 2), 2, (1, 2, 2), (2, 2, 2))}
"""What a Spec with a backbone cannot have: volumes of thick slices."""


def plain(value):
    return list(map(plain, value)) if isinstance(value, tuple) else value


def test_defaults():
    spec = Spec()
    assert spec.input_shape == (None, None, 3)
    assert (spec.topology, spec.depth, spec.filters) == ("unet++", 4, (32, 64, 128, 256, 512))
    assert (spec.rank, spec.channels, spec.sides, spec.divisor, spec.levels) == (2, 3, (None, None), 16, (1, 2, 3, 4))


def test_volume():
    spec = Spec((8, 16, 32, 1), depth=3)
    assert (spec.rank, spec.channels, spec.sides, spec.divisor) == (3, 1, (8, 16, 32), 8)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        Spec().depth = 2


def test_equal_by_value():
    assert Spec(SHAPE, width=8) == Spec(list(SHAPE), filters=[8, 16, 32, 64, 128])
    assert hash(Spec(SHAPE, width=8)) == hash(Spec(list(SHAPE), filters=[8, 16, 32, 64, 128]))
    assert Spec(SHAPE) != Spec(SHAPE, classes=2)
    assert {Spec(SHAPE), Spec(SHAPE)} == {Spec(SHAPE)}


def test_every_field_has_help_and_is_in_the_round_trip():
    assert set(NOT_DEFAULT) == set(FIELDS)
    assert all(item.metadata["help"] for item in FIELDS.values())


@pytest.mark.parametrize("spec", [Spec(), Spec(**NOT_DEFAULT), Spec(**THICK), *map(Spec.preset, PRESETS)])
def test_round_trips(spec):
    assert Spec.from_json(spec.to_json()) == spec
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == replace(spec) == spec


def test_json_holds_every_field_and_nothing_else():
    values = json.loads(Spec(**NOT_DEFAULT).to_json())
    assert values == {key: plain(value) for key, value in NOT_DEFAULT.items()}
    assert Spec.from_dict(Spec(**THICK).to_dict()).strides == THICK["strides"]
    assert Spec(**THICK).to_dict()["strides"] == [[1, 2, 2], 2, [1, 2, 2], [2, 2, 2]]


def test_json_may_leave_defaults_out():
    assert Spec.from_json('{"input_shape": [64, 64, 3], "width": 8}') == Spec(SHAPE, width=8)


@pytest.mark.parametrize(
    ("changes", "filters"),
    [
        ({}, (4, 8, 10, 12)),
        ({"depth": 1}, (4, 8)),
        ({"depth": 5}, (4, 8, 10, 12, 24, 48)),
        ({"width": 3}, (3, 6, 12, 24)),
        ({"width": 3, "depth": 1}, (3, 6)),
        ({"filters": (1, 1), "depth": 1}, (1, 1)),
        ({"classes": 9}, (4, 8, 10, 12)),
    ],
)
def test_replace(changes, filters):
    spec = Spec(SHAPE, depth=3, filters=(4, 8, 10, 12))
    changed = spec.replace(**changes)
    assert changed.filters == filters
    assert all(getattr(changed, name) == value for name, value in changes.items() if name != "width")
    assert spec == Spec(SHAPE, depth=3, filters=(4, 8, 10, 12))


@pytest.mark.parametrize(
    ("fields", "changes", "filters", "decoder_filters"),
    [
        ({}, {"max_filters": 10}, (4, 8, 10, 10), (6, 10, 9)),
        ({}, {"max_filters": 16, "depth": 5}, (4, 8, 10, 12, 16, 16), (6, 10, 9, 16, 16)),
        ({}, {"max_filters": 9, "width": 3}, (3, 6, 9, 9), (6, 9, 9)),
        ({"max_filters": 30}, {"depth": 5}, (4, 8, 10, 12, 24, 30), (6, 10, 9, 18, 30)),
        ({"max_filters": 30}, {"depth": 5, "max_filters": None}, (4, 8, 10, 12, 24, 48), (6, 10, 9, 18, 36)),
        ({}, {"depth": 1}, (4, 8), (6,)),
        ({}, {"decoder_filters": ()}, (4, 8, 10, 12), ()),
        ({}, {"decoder_filters": [1, 2, 3]}, (4, 8, 10, 12), (1, 2, 3)),
    ],
)
def test_replace_of_decoder_widths_and_of_where_widths_stop(fields, changes, filters, decoder_filters):
    spec = Spec(SHAPE, depth=3, filters=(4, 8, 10, 12), decoder_filters=(6, 10, 9), **fields)
    changed = spec.replace(**changes)
    assert (changed.filters, changed.decoder_filters) == (filters, decoder_filters)


def test_widths_stop_doubling_at_max_filters():
    assert Spec(max_filters=320).filters == (32, 64, 128, 256, 320)
    assert Spec(max_filters=320, depth=6, width=40).filters == (40, 80, 160, 320, 320, 320, 320)
    assert Spec(max_filters=24).filters == (24,) * 5
    assert Spec(max_filters=24, backbone="mobilenet_v2").filters == (16, 24, 24, 24)
    assert Spec.preset("unet++", max_filters=320).filters == (32, 64, 128, 256, 320)
    level = Spec(depth=3, decoder_filters=(8, 10, 12)).at_level(2)
    assert (level.filters, level.decoder_filters) == ((32, 64, 128), (8, 10))


@pytest.mark.parametrize(
    ("name", "filters", "topology", "deep_supervision"),
    [
        ("unet", (32, 64, 128, 256, 512), "unet", False),
        ("wide_unet", (35, 70, 140, 280, 560), "unet", False),
        ("unet_e", (32, 64, 128, 256, 512), "unet_e", True),
        ("unet+", (32, 64, 128, 256, 512), "unet+", True),
        ("unet++", (32, 64, 128, 256, 512), "unet++", True),
        ("reference", (64, 128, 256, 512, 1024), "unet++", True),
    ],
)
def test_presets(name, filters, topology, deep_supervision):
    spec = Spec.preset(name)
    assert (spec.filters, spec.topology, spec.deep_supervision) == (filters, topology, deep_supervision)


def test_preset_table_is_the_tested_one():
    assert list(PRESETS)[:6] == ["unet", "wide_unet", "unet_e", "unet+", "unet++", "reference"]


@pytest.mark.parametrize(
    ("changes", "filters"),
    [
        ({"depth": 2}, (64, 128, 256)),
        ({"width": 4}, (4, 8, 16, 32, 64)),
        ({"filters": (4, 5, 6, 7, 8)}, (4, 5, 6, 7, 8)),
        ({"filters": (4, 5), "depth": 1}, (4, 5)),
    ],
)
def test_preset_with_changes(changes, filters):
    spec = Spec.preset("reference", **changes)
    assert (spec.filters, spec.up_kernel, spec.head_activation) == (filters, 4, "linear")


@pytest.mark.parametrize("topology", ["unet_e", "unet+", "unet++"])
def test_at_level(topology):
    level = Spec(SHAPE, topology=topology, filters=(3, 4, 5, 6, 7)).at_level(2)
    assert level == Spec(
        SHAPE, topology="unet" if topology == "unet_e" else topology, depth=2, filters=(3, 4, 5), deep_supervision=False
    )


def test_a_level_above_the_lowest_node_has_no_context():
    spec = Spec(SHAPE, depth=2, context="atrous_pyramid")
    assert [spec.at_level(level).context for level in (1, 2)] == ["none", "atrous_pyramid"]


@pytest.mark.parametrize(
    ("classes", "head_activation", "expected"),
    [(1, "auto", "sigmoid"), (3, "auto", "softmax"), (3, "sigmoid", "sigmoid"), (1, "linear", "linear")],
)
def test_output_activation(classes, head_activation, expected):
    assert Spec(SHAPE, classes=classes, head_activation=head_activation).output_activation == expected


NAMES = ", ".join((*FIELDS, "width"))
ERRORS = [
    ({"input_shape": 64}, "Spec.input_shape must be a tuple or list. Received: 64."),
    *(
        (
            {"input_shape": shape},
            "Spec.input_shape must be (height, width, channels) or (depth, height, width, channels), positive whole"
            f" numbers; sides may be None, channels may not. Received: {shape!r}.",
        )
        for shape in [(64, 64), (64, 64, None), (64, 0, 3), (64, -16, 3), (64.0, 64, 3), ("64", 64, 3), (8,) * 5]
    ),
    (
        {"input_shape": (100, 128, 3)},
        "Every side must be a multiple of 16, the reduction of the lowest row."
        " Received: (100, 128). Pad to (112, 128), use a smaller depth,"
        " or call segment(), which pads and crops by itself.",
    ),
    (
        {"input_shape": (None, 30, 3), "depth": 3},
        "Every side must be a multiple of 8, the reduction of the lowest row."
        " Received: (None, 30). Pad to (None, 32), use a smaller depth,"
        " or call segment(), which pads and crops by itself.",
    ),
    ({"depth": 0}, "Spec.depth must be a whole number from 1 to 6. Received: 0."),
    ({"depth": 7}, "Spec.depth must be a whole number from 1 to 6. Received: 7."),
    ({"depth": True}, "Spec.depth must be a whole number from 1 to 6. Received: True."),
    ({"depth": "4"}, "Spec.depth must be a whole number from 1 to 6. Received: '4'."),
    ({"classes": 0}, "Spec.classes must be a whole number from 1 to 65536. Received: 0."),
    ({"classes": 1.0}, "Spec.classes must be a whole number from 1 to 65536. Received: 1.0."),
    ({"width": 0}, "Spec.width must be a whole number from 1 to 65536. Received: 0."),
    ({"width": 8, "filters": (1, 2)}, "Give Spec filters or width, not both. Received: filters=(1, 2), width=8."),
    ({"filters": 8}, "Spec.filters must be a tuple or list. Received: 8."),
    (
        {"filters": (8, 16), "depth": 2},
        "Spec.filters must be depth + 1 = 3 positive whole numbers, one a row. Received: (8, 16).",
    ),
    (
        {"filters": (8, 0), "depth": 1},
        "Spec.filters must be depth + 1 = 2 positive whole numbers, one a row. Received: (8, 0).",
    ),
    ({"max_filters": 0}, "Spec.max_filters must be a whole number from 1 to 65536. Received: 0."),
    (
        {"max_filters": 16, "filters": (8, 17), "depth": 1},
        "Spec.filters must be at most max_filters=16 each. Received: (8, 17). Use a larger max_filters, or none.",
    ),
    (
        {"max_filters": 16, "width": 32},
        "Spec.filters must be at most max_filters=16 each. Received: (32, 16, 16, 16, 16). Use a larger max_filters, or"
        " none.",
    ),
    *(
        (
            {"decoder_filters": widths, "depth": 2},
            f"Spec.decoder_filters must be depth = 2 positive whole numbers, of rows 0..depth-1. Received: {widths}.",
        )
        for widths in [(8,), (8, 16, 32), (8, 0), (8, 8.0)]
    ),
    ({"decoder_filters": 8}, "Spec.decoder_filters must be a tuple or list. Received: 8."),
    (
        {"decoder_filters": (8, 12), "depth": 2, "max_filters": 10, "width": 4},
        "Spec.decoder_filters must be at most max_filters=10 each. Received: (8, 12). Use a larger max_filters, or"
        " none.",
    ),
    (
        {"decoder_filters": (8, 12), "depth": 2, "block": "grouped"},
        "Spec.cardinality must divide all decoder_filters for block='grouped'. Received: cardinality=8, (8, 12). Use a"
        " divisor of 4.",
    ),
    (
        {"decoder_filters": (8, 12), "depth": 2, "norm": "group"},
        "Spec.norm_groups must divide all filters. Received: norm_groups=8, (32, 64, 128, 8, 12).",
    ),
    ({"topology": "unet3+"}, f"Spec.topology must be one of {', '.join(map(repr, SKIPS))}. Received: 'unet3+'."),
    ({"topology": ["unet"]}, f"Spec.topology must be one of {', '.join(map(repr, SKIPS))}. Received: ['unet']."),
    ({"block": "resid"}, f"Spec.block must be one of {', '.join(map(repr, BLOCKS))}. Received: 'resid'."),
    ({"block": None}, f"Spec.block must be one of {', '.join(map(repr, BLOCKS))}. Received: None."),
    ({"decoder_block": "x"}, f"Spec.decoder_block must be one of none, {', '.join(map(repr, BLOCKS))}. Received: 'x'."),
    *(
        (
            {"block_layers": layers, "depth": 2},
            "Spec.block_layers must be one whole number from 1 to 32, or depth + 1 = 3 of them, one a row. Received:"
            f" {layers}.",
        )
        for layers in [(2, 2), (0,), (2, 33, 2), (2.0,)]
    ),
    ({"block_layers": 2}, "Spec.block_layers must be a tuple or list. Received: 2."),
    *(
        (
            {"strides": strides, "depth": 2, "input_shape": (None, None, None, 1)},
            "Spec.strides must be depth = 2 entries, one from each row to the next, or one for all; each is 1 or 2, or"
            " 3 of these, one an axis, as in ((1, 2, 2), 2) or 1x2x2,2. Received:"
            f" {strides!r}.",
        )
        for strides in [2, "1x2xq,2", (2, 2, 2), (4,), ((1, 2),), (0, True), (((1, 2, 2), 2), 2)]
    ),
    *(
        (
            {"kernels": kernels, "depth": 2},
            "Spec.kernels must be depth + 1 = 3 entries, one a row, or one for all; each is an odd number from 1 to 15,"
            f" or 2 of these, one an axis, as in ((1, 3), 3) or 1x3,3. Received: {kernels!r}.",
        )
        for kernels in [3, (2,), (3, 3), (17,), ((1, 3, 3),), None]
    ),
    *(
        (
            {"dilations": dilations, "depth": 2},
            "Spec.dilations must be depth + 1 = 3 entries, one a row, or one for all; each is a whole number from 1 to"
            f" 32. Received: {dilations!r}.",
        )
        for dilations in [2, (0,), (1, 2), (33,), ((1, 2),), (1.0,)]
    ),
    (
        {"backbone": "resnet50", "strides": (2,)},
        "Spec.strides is for networks without a backbone, whose rows halve every side. Received: strides=(2,),"
        " backbone='resnet50'. Leave one of them out.",
    ),
    ({"growth_rate": 0}, "Spec.growth_rate must be a whole number from 1 to 65536. Received: 0."),
    ({"cardinality": 0}, "Spec.cardinality must be a whole number from 1 to 65536. Received: 0."),
    (
        {"decoder_block": "grouped", "width": 12, "depth": 1},
        "Spec.cardinality must divide all filters for decoder_block='grouped'. Received: cardinality=8, (12, 24). Use a"
        " divisor of 12.",
    ),
    (
        {"block": "dense", "norm": "group", "growth_rate": 12},
        "Spec.norm_groups must divide growth_rate for block='dense'. Received: norm_groups=8, growth_rate=12. Use"
        " another norm, or a multiple of 8 as growth_rate.",
    ),
    ({"squeeze_ratio": 0}, "Spec.squeeze_ratio must be a whole number from 1 to 65536. Received: 0."),
    ({"attention": "cbam"}, "Spec.attention must be one of 'none', 'se', 'scse'. Received: 'cbam'."),
    (
        {"attention": "se", "width": 12, "depth": 1},
        "Spec.squeeze_ratio must divide all filters for attention='se'. Received: squeeze_ratio=8, (12, 24). Use a"
        " divisor of 12.",
    ),
    ({"context": "psp"}, "Spec.context must be one of 'none', 'pyramid_pooling', 'atrous_pyramid'. Received: 'psp'."),
    (
        {"context": "pyramid_pooling", "filters": (8, 18), "depth": 1},
        "Spec.context='pyramid_pooling' needs a multiple of 4 channels in the lowest row, of filters or of the"
        " backbone. Received: 18. Use 20 filters there, or another context.",
    ),
    (
        {"context": "atrous_pyramid", "norm": "instance"},
        "Spec.norm='instance' leaves nothing of the single cell that context='atrous_pyramid' makes of an image. Use"
        " 'none' or 'batch' or 'group' or 'layer'.",
    ),
    (
        {"context": "pyramid_pooling", "norm": "group", "filters": (8, 32), "depth": 1},
        "Spec.norm_groups must divide the 8 channels of each part of context='pyramid_pooling', and be fewer. Received:"
        " norm_groups=8. Use another norm, or wider filters.",
    ),
    ({"bias": 0}, "Spec.bias must be True or False. Received: 0."),
    ({"activation_slope": -0.1}, "Spec.activation_slope must be a number from 0.0 to 1.0. Received: -0.1."),
    ({"norm": "BN"}, "Spec.norm must be one of 'none', 'batch', 'group', 'instance', 'layer'. Received: 'BN'."),
    ({"norm_groups": 0}, "Spec.norm_groups must be a whole number from 1 to 65536. Received: 0."),
    (
        {"norm": "group", "norm_groups": 3, "width": 8, "depth": 1},
        "Spec.norm_groups must divide all filters. Received: norm_groups=3, (8, 16).",
    ),
    ({"norm_epsilon": -1e-5}, "Spec.norm_epsilon must be a number from 0.0 to 1.0. Received: -1e-05."),
    ({"norm_epsilon": float("nan")}, "Spec.norm_epsilon must be a number from 0.0 to 1.0. Received: nan."),
    (
        {"standardize_epsilon": 0.0},
        "Spec.standardize_epsilon must be a number from 1e-08 to 10000.0. Received: 0.0.",
    ),
    ({"norm_momentum": "0.9"}, "Spec.norm_momentum must be a number from 0.0 to 1.0. Received: '0.9'."),
    (
        {"activation": "ReLU"},
        f"Spec.activation must be one of {', '.join(map(repr, ACTIVATIONS))}. Received: 'ReLU'.",
    ),
    ({"dropout": 1}, "Spec.dropout must be a number from 0.0 to 0.95. Received: 1."),
    ({"dropout": True}, "Spec.dropout must be a number from 0.0 to 0.95. Received: True."),
    ({"down": "stride"}, f"Spec.down must be one of {', '.join(map(repr, DOWNS))}. Received: 'stride'."),
    ({"merge": "sum"}, f"Spec.merge must be one of {', '.join(map(repr, MERGES))}. Received: 'sum'."),
    ({"up": "pixel"}, f"Spec.up must be one of {', '.join(map(repr, UPS))}. Received: 'pixel'."),
    (
        {"up": "bilinear", "input_shape": (16, 16, 16, 1)},
        "Spec.up='bilinear' is for 2-D: Keras has none for 3-D. Use"
        f" {' or '.join(repr(name) for name, row in UPS.items() if 3 in row.ranks)}.",
    ),
    (
        {"up": "bottleneck", "filters": (4, 6), "depth": 1},
        "Spec.filters must be multiples of 4 for up='bottleneck'. Received: (4, 6). Use other widths.",
    ),
    (
        {"up": "bottleneck", "filters": (4, 8), "decoder_filters": (6,), "depth": 1},
        "Spec.filters must be multiples of 4 for up='bottleneck'. Received: (4, 8, 6). Use other widths.",
    ),
    (
        {"up": "bottleneck", "filters": (8, 16), "norm": "group", "norm_groups": 4, "depth": 1},
        "Spec.filters must be multiples of 4 times norm_groups=4 for up='bottleneck'. Received: (8, 16). Use other"
        " widths, or another norm.",
    ),
    ({"up_kernel": 1}, "Spec.up_kernel must be a whole number from 2 to 16. Received: 1."),
    (
        {"normalization": "imagenet"},
        "Spec.normalization must be one of 'auto', 'none', 'rescale', 'standardize'. Received: 'imagenet'.",
    ),
    (
        {"backbone": "resnet_50"},
        "Unknown backbone 'resnet_50'. Did you mean 'resnet50'? keras_unetpp.backbones() lists them;"
        " register_backbone() adds your own.",
    ),
    (
        {"backbone": "resnet50", "depth": 6},
        "Backbone 'resnet50' reaches down to reduction 32, so Spec.depth must be at most 5. Received: 6.",
    ),
    (
        {"backbone": "convnext_tiny", "depth": 4, "stem": False},
        "Backbone 'convnext_tiny' reaches down to reduction 32, so Spec.depth must be at most 3 with stem=False."
        " Received: 4.",
    ),
    (
        {"backbone": "resnet50", "filters": (8, 16, 24, 32, 40), "depth": 4},
        "Spec.filters must be depth = 4 positive whole numbers, one for each row but those that only a backbone fills."
        " Received: (8, 16, 24, 32, 40).",
    ),
    (
        {"backbone": "resnet50", "input_shape": (64, 64, 64, 3)},
        "Backbones are for 2-D. Received: backbone='resnet50' and input_shape=(64, 64, 64, 3).",
    ),
    (
        {"backbone": "resnet50", "input_shape": (48, 64, 3), "stem": False},
        "Every side must be a multiple of 32, the reduction of the lowest row."
        " Received: (48, 64). Pad to (64, 64), use"
        " a smaller depth, or call segment(), which pads and crops by itself.",
    ),
    (
        {
            "backbone": "efficientnet_lite0",
            "norm": "group",
            "norm_groups": 16,
            "decoder_block": "preact",
            "depth": 3,
            "width": 16,
        },
        "Spec.norm_groups must divide all filters and taps. Received: norm_groups=16, (16, 32, 64, 16, 24, 40).",
    ),
    (
        {"encoder_weights": "imagenet"},
        "Spec.encoder_weights is for backbones. Received: encoder_weights='imagenet' and no backbone.",
    ),
    (
        {"backbone": "resnet50", "encoder_weights": "noisy-student"},
        "Spec.encoder_weights must be none, 'imagenet', 'own', or a file ending in .safetensors, .h5, .pth. Received:"
        " 'noisy-student'.",
    ),
    ({"stem": False}, "Spec.stem is for backbones. Received: stem=False and no backbone."),
    ({"stem": 1}, "Spec.stem must be True or False. Received: 1."),
    ({"deep_supervision": 1}, "Spec.deep_supervision must be True or False. Received: 1."),
    ({"head": "dense"}, "Spec.head must be one of 'conv', 'preact'. Received: 'dense'."),
    ({"head_kernel": 2}, "Spec.head_kernel must be odd. Received: 2."),
    ({"head_kernel": 17}, "Spec.head_kernel must be a whole number from 1 to 15. Received: 17."),
    (
        {"head_activation": "tanh"},
        "Spec.head_activation must be one of 'auto', 'sigmoid', 'softmax', 'linear'. Received: 'tanh'.",
    ),
    (
        {"head_activation": "softmax"},
        "Spec.head_activation='softmax' over one class is always 1. Use 'sigmoid', or classes=2.",
    ),
    (
        {"topology": "unet_e", "deep_supervision": False},
        "Spec.topology='unet_e' needs deep_supervision=True: without the heads of L1..L(d-1) no loss reaches the"
        " decoder nodes of those levels. Use topology='unet' for a single U-Net.",
    ),
    (
        {"up": "unpool", "down": "strided"},
        "Spec.up='unpool' undoes down='max'. Received: down='strided'. Use down='max', or another up.",
    ),
    (
        {"up": "unpool", "backbone": "resnet50"},
        "Spec.up='unpool' reads where the own encoder's pooling found its values,"
        " which a backbone does not tell. Received: backbone='resnet50'. Use another up, or no backbone.",
    ),
    (
        {"merge": "none", "depth": 2},
        "Spec.merge='none' reads no skips, and topology='unet++' differs from others by its"
        f" skips alone. Use topology={' or '.join(repr(name) for name in SKIPS if '+' not in name)}, or another merge.",
    ),
    ({"topolgy": "unet"}, f"Spec has no field 'topolgy'. Did you mean 'topology'? Fields: {NAMES}."),
    ({"filter": (1, 2)}, f"Spec has no field 'filter'. Did you mean 'filters'? Fields: {NAMES}."),
    ({"zzz": 1}, f"Spec has no field 'zzz'. Fields: {NAMES}."),
]


@pytest.mark.parametrize(("values", "text"), ERRORS, ids=[str(values) for values, _ in ERRORS])
def test_errors(values, text):
    with pytest.raises(InputError) as caught:
        Spec.from_dict(values)
    assert str(caught.value) == text


@pytest.mark.parametrize(("values", "text"), ERRORS, ids=[str(values) for values, _ in ERRORS])
def test_replace_raises_the_same(values, text):
    if "filters" in values and "width" not in values and "depth" not in values:
        values = {**values, "depth": 4}
    with pytest.raises(InputError) as caught:
        Spec().replace(**values)
    assert str(caught.value) == text


def test_every_field_has_an_error_test():
    assert {name for values, _ in ERRORS for name in values} >= set(FIELDS)


@pytest.mark.parametrize("depth", [10**9, 2.0, [2], None])
def test_replace_refuses_any_depth_that_spec_refuses(depth):
    with pytest.raises(InputError, match=r"^Spec\.depth must be a whole number from 1 to 6\. Received: "):
        Spec().replace(depth=depth)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unet+++", "Unknown preset 'unet+++'. Did you mean 'unet++'?"),
        ("referense", "Unknown preset 'referense'. Did you mean 'reference'?"),
        ("zzz", "Unknown preset 'zzz'."),
    ],
)
def test_unknown_preset(name, text):
    with pytest.raises(InputError) as caught:
        Spec.preset(name)
    more = "".join(f", {one}" for one in list(PRESETS)[6:])
    assert str(caught.value) == f"{text} Presets: unet, wide_unet, unet_e, unet+, unet++, reference{more}."


@pytest.mark.parametrize("level", [0, 5, "mean", None])
def test_at_level_names_the_levels(level):
    with pytest.raises(InputError) as caught:
        Spec().at_level(level)
    assert str(caught.value) == f"This network has heads for level 1, 2, 3, 4. Received: {level!r}."


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("{", "A Spec is no JSON, or cut off: "),
        ("[1, 2]", "A Spec must hold other values: an object is required, received [1, 2]. Take one as to_json() "),
        ('{"depht": 2}', "Spec has no field 'depht'. Did you mean 'depth'?"),
    ],
)
def test_json_errors(text, start):
    with pytest.raises(InputError) as caught:
        Spec.from_json(text)
    assert str(caught.value).startswith(start)


def test_unet_e_of_depth_1_is_a_unet_and_needs_no_deep_supervision():
    assert Spec(topology="unet_e", depth=1, deep_supervision=False).levels == (1,)


@pytest.mark.parametrize("fields", [{"topology": "unet"}, {"topology": "unet_e"}, {"depth": 1}], ids=str)
def test_segnet_is_three_fields_and_a_topology_without_skips_of_its_own(fields):
    spec = Spec(**{"depth": 2, "down": "max", "up": "unpool", "merge": "none", **fields})
    assert {row.kind for row in plan(spec)} >= {"max_pool", "max_place", "unpool"}
    assert not any(row.kind == "concat" for row in plan(spec))


def test_check_sides_accepts_multiples_and_unknown():
    check_sides((32, None, 48), 16)


def test_the_docstring_tells_every_field():
    for name, item in FIELDS.items():
        assert f"        {name}: {item.metadata['help']}" in Spec.__doc__
    assert "norm: normalisation inside a node: none, batch, group, instance, layer." in Spec.__doc__
