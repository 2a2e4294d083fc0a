"""The plan: names, kinds, order and channels of the layers."""

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec, cost, plan
from keras_unetpp.spec.forms import value
from keras_unetpp.spec.plan import keep, variables
from keras_unetpp.spec.topology import SKIPS

SHAPE = (16, 16, 3)


def names(spec, level=None):
    return [row.name for row in plan(spec, level)]


def facts(spec, rows):
    """Rows with their channels counted, so that plans of different depths compare."""
    return [(*row[:3], value(row.channels, variables(spec)), *row[4:]) for row in rows]


def test_all_rows_of_the_smallest_network():
    spec = Spec((8, 8, 3), classes=2, depth=1, filters=(4, 5), dropout=0.1)
    v = variables(spec)
    assert v == (1, 3, 2, 4, 5)
    found = [(row.name, row.kind, row.reads, value(row.channels, v), row.resolution, row.kernel) for row in plan(spec)]
    assert found == [
        ("image", "input", (), 3, 0, 0),
        ("normalization", "rescale", ("image",), 3, 0, 0),
        ("x_0_0_conv1", "conv", ("normalization",), 4, 0, 3),
        ("x_0_0_norm1", "batch", ("x_0_0_conv1",), 4, 0, 0),
        ("x_0_0_act1", "activation", ("x_0_0_norm1",), 4, 0, 0),
        ("x_0_0_dropout", "dropout", ("x_0_0_act1",), 4, 0, 0),
        ("x_0_0_conv2", "conv", ("x_0_0_dropout",), 4, 0, 3),
        ("x_0_0_norm2", "batch", ("x_0_0_conv2",), 4, 0, 0),
        ("x_0_0_act2", "activation", ("x_0_0_norm2",), 4, 0, 0),
        ("x_1_0_pool", "max_pool", ("x_0_0_act2",), 4, 1, 0),
        ("x_1_0_conv1", "conv", ("x_1_0_pool",), 5, 1, 3),
        ("x_1_0_norm1", "batch", ("x_1_0_conv1",), 5, 1, 0),
        ("x_1_0_act1", "activation", ("x_1_0_norm1",), 5, 1, 0),
        ("x_1_0_dropout", "dropout", ("x_1_0_act1",), 5, 1, 0),
        ("x_1_0_conv2", "conv", ("x_1_0_dropout",), 5, 1, 3),
        ("x_1_0_norm2", "batch", ("x_1_0_conv2",), 5, 1, 0),
        ("x_1_0_act2", "activation", ("x_1_0_norm2",), 5, 1, 0),
        ("x_0_1_up", "transpose", ("x_1_0_act2",), 4, 0, 2),
        ("x_0_1_concat", "concat", ("x_0_1_up", "x_0_0_act2"), 8, 0, 0),
        ("x_0_1_conv1", "conv", ("x_0_1_concat",), 4, 0, 3),
        ("x_0_1_norm1", "batch", ("x_0_1_conv1",), 4, 0, 0),
        ("x_0_1_act1", "activation", ("x_0_1_norm1",), 4, 0, 0),
        ("x_0_1_dropout", "dropout", ("x_0_1_act1",), 4, 0, 0),
        ("x_0_1_conv2", "conv", ("x_0_1_dropout",), 4, 0, 3),
        ("x_0_1_norm2", "batch", ("x_0_1_conv2",), 4, 0, 0),
        ("x_0_1_act2", "activation", ("x_0_1_norm2",), 4, 0, 0),
        ("L1_conv", "conv", ("x_0_1_act2",), 2, 0, 1),
        ("L1", "output", ("L1_conv",), 2, 0, 0),
    ]


def steps(spec, part):
    """Names of a part's layers without the prefix."""
    return [row.name.removeprefix(part + "_") for row in plan(spec) if row.part == part]


@pytest.mark.parametrize(
    ("fields", "encoder", "decoder"),
    [
        ({}, "pool conv1 act1 conv2 act2", "up concat conv1 act1 conv2 act2"),
        ({"block": "preact"}, "pool act1 conv1 act2 conv2", "up concat act1 conv1 act2 conv2"),
        ({"decoder_block": "preact"}, "pool conv1 act1 conv2 act2", "up concat act1 conv1 act2 conv2"),
        ({"block": "preact", "decoder_block": "conv"}, "pool act1 conv1 act2 conv2", "up concat conv1 act1 conv2 act2"),
        (
            {"norm": "batch", "dropout": 0.5, "decoder_block": "preact"},
            "pool conv1 norm1 act1 dropout conv2 norm2 act2",
            "up concat norm1 act1 conv1 dropout norm2 act2 conv2",
        ),
    ],
)
def test_order_within_a_node(fields, encoder, decoder):
    spec = Spec(SHAPE, depth=2, **{"norm": "none", **fields})
    assert steps(spec, "x_1_0") == encoder.split()
    assert steps(spec, "x_0_2") == decoder.split()


def test_preact_leaves_the_raw_image_alone():
    assert steps(Spec(SHAPE, block="preact"), "x_0_0") == ["conv1", "norm2", "act2", "conv2"]


@pytest.mark.parametrize(
    ("head", "expected"), [("conv", ["conv", "L1"]), ("preact", ["norm", "act", "conv", "L1"])], ids=str
)
def test_head(head, expected):
    assert steps(Spec(SHAPE, head=head), "L1") == expected


def test_no_normalization_row_unless_asked():
    assert names(Spec(SHAPE, normalization="none"))[:2] == ["image", "x_0_0_conv1"]


@pytest.mark.parametrize(("up", "width"), [("transpose", 5), ("nearest", 7), ("bilinear", 7)])
def test_only_the_transposed_convolution_changes_the_width(up, width):
    spec = Spec(SHAPE, depth=1, filters=(5, 7), up=up)
    row = next(row for row in plan(spec) if row.name == "x_0_1_up")
    assert (value(row.channels, variables(spec)), row.kernel) == (width, 2 if up == "transpose" else 0)


@pytest.mark.parametrize("topology", SKIPS)
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_row_reads_only_rows_before_it(topology, depth):
    seen = set()
    for row in plan(Spec(topology=topology, depth=depth)):
        assert seen.issuperset(row.reads)
        assert row.name not in seen
        seen.add(row.name)


def test_specs_that_differ_in_numbers_of_channels_share_one_plan():
    assert plan(Spec(SHAPE, width=3)) is plan(Spec((64, 64, 1), width=5, classes=4))
    assert plan(Spec(SHAPE)) is not plan(Spec(SHAPE, dropout=0.1))


def test_decoder_nodes_have_widths_of_their_own():
    spec = Spec(SHAPE, classes=2, depth=2, filters=(4, 5, 6), decoder_filters=(7, 8))
    v = variables(spec)
    assert v == (1, 3, 2, 4, 5, 6, 7, 8)
    last = {row.part: value(row.channels, v) for row in plan(spec)}
    assert last == {
        **{"image": 3, "x_0_0": 4, "x_1_0": 5, "x_2_0": 6, "x_0_1": 7, "x_1_1": 8, "x_0_2": 7, "L1": 2, "L2": 2}
    }
    rows = {row.name: row for row in plan(spec)}
    assert value(rows["x_0_1_up"].channels, v) == 7
    assert value(rows["x_0_2_concat"].channels, v) == 7 + 4 + 7
    other = Spec(SHAPE, depth=2, filters=(1, 2, 3), decoder_filters=(4, 5))
    assert plan(spec) is plan(other)
    assert plan(spec) is not plan(other.replace(decoder_filters=()))
    assert cost(spec.replace(decoder_filters=(4, 5))) == cost(spec.replace(decoder_filters=()))


@pytest.mark.parametrize("topology", ["unet_e", "unet+", "unet++"])
def test_a_level_is_the_network_of_that_depth(topology):
    spec = Spec(SHAPE, topology=topology, filters=(3, 4, 5, 6, 7), block="preact", dropout=0.1)
    for level in spec.levels:
        alone = spec.at_level(level)
        assert facts(spec, plan(spec, level)) == facts(alone, plan(alone))


def test_a_level_has_no_other_heads():
    assert [name for name in names(Spec(SHAPE), 3) if name.startswith("L")] == ["L3_conv", "L3"]


def test_mean_reads_all_heads():
    rows = plan(Spec(SHAPE, classes=2), "mean")
    assert rows[:-1] == plan(Spec(SHAPE, classes=2))
    assert rows[-1][:3] == ("mean", "average", ("L1", "L2", "L3", "L4"))
    assert value(rows[-1].channels, variables(Spec(SHAPE, classes=2))) == 2


def test_keep_goes_back_to_the_image():
    rows = plan(Spec(SHAPE, depth=2))
    assert [row.name for row in keep(rows, ["x_1_0_pool"])] == [row.name for row in rows[:9]]


@pytest.mark.parametrize(
    ("fields", "level", "text"),
    [
        ({}, 0, "This network has heads for level 1, 2, 3, 4 or 'mean'. Received: 0."),
        ({}, 5, "This network has heads for level 1, 2, 3, 4 or 'mean'. Received: 5."),
        ({}, "L1", "This network has heads for level 1, 2, 3, 4 or 'mean'. Received: 'L1'."),
        ({}, True, "This network has heads for level 1, 2, 3, 4 or 'mean'. Received: True."),
        ({"deep_supervision": False}, 3, "This network has heads for level 4. Received: 3."),
        ({"deep_supervision": False}, "mean", "This network has heads for level 4. Received: 'mean'."),
        ({"topology": "unet"}, 1, "This network has heads for level 4. Received: 1."),
    ],
)
def test_unknown_level(fields, level, text):
    with pytest.raises(InputError) as caught:
        plan(Spec(SHAPE, **fields), level)
    assert str(caught.value) == text


def test_a_residual_path_is_as_long_as_its_node_is_far_to_the_right():
    spec = Spec(SHAPE, topology="unet", depth=3, filters=(4, 5, 6, 7), norm="none", merge="residual_path")
    for node, count in {"x_2_1": 1, "x_1_2": 2, "x_0_3": 3}.items():
        labels = [f"path1_{what}{step}" for step in range(1, count + 1) for what in ("conv", "shortcut", "add")]
        assert [name for name in steps(spec, node) if name.startswith("path") and "act" not in name] == labels
    rows = {row.name: row for row in plan(spec)}
    assert rows["x_0_3_path1_shortcut2"].reads == rows["x_0_3_path1_conv2"].reads == ("x_0_3_act_path1_add1",)
    assert rows["x_0_3_concat"].reads == ("x_0_3_up", "x_0_3_act_path1_add3")
    assert {value(rows[f"x_0_3_path1_{one}1"].channels, variables(spec)) for one in ("conv", "add")} == {4}


def test_linknets_decoder():
    """Chaurasia and Culurciello, VCIP 2017, figure 2: a sum with the encoder, then 1x1, transposed, 1x1."""
    fields = {"up": "bottleneck", "up_kernel": 3, "merge": "add", "decoder_block": "pass"}
    spec = Spec(SHAPE, topology="unet", depth=2, filters=(4, 8, 16), norm="none", **fields)
    found = [(row.name, value(row.channels, variables(spec)), row.kernel) for row in plan(spec) if row.part == "x_1_1"]
    assert found == [
        ("x_1_1_up_reduce", 4, 1),
        ("x_1_1_act_up_reduce", 4, 0),
        ("x_1_1_up", 4, 3),
        ("x_1_1_act_up", 4, 0),
        ("x_1_1_up_expand", 8, 1),
        ("x_1_1_act_up_expand", 8, 0),
        ("x_1_1_sum", 8, 0),
    ]
    assert steps(Spec(SHAPE, topology="unet", depth=1, merge="concat", decoder_block="pass"), "x_0_1")[-1] == "fit"
