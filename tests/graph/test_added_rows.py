"""A design choice more is one row of a table: everything works with it, and nothing else is edited."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
from counting import built, counted, counted_parts, farthest

from keras_unetpp.cli import main
from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.graph.layers import MAKERS
from keras_unetpp.kit.errors import InputError
from keras_unetpp.pruning import prune
from keras_unetpp.spec import (
    BLOCKS,
    DOWNS,
    MERGES,
    UPS,
    Spec,
    cost,
    facts,
    level_costs,
    node_costs,
    plan,
    receptive_radius,
)
from keras_unetpp.spec.designs import Block, Design
from keras_unetpp.spec.facts import OneLayer, Operation, Pointwise, Weightless
from keras_unetpp.spec.forms import share
from keras_unetpp.spec.merges import Merge
from keras_unetpp.spec.ops import Add, Concat, Conv, Nearest
from keras_unetpp.spec.plan import keep
from keras_unetpp.spec.ups import Up
from keras_unetpp.tuning.budget import Budget
from keras_unetpp.tuning.space import Space


def residual(writer, width):
    """Two convolutions and the sum with what the node is given, of the same width."""
    given = writer.tip
    writer.add("conv1", Conv(3), width=width)
    writer.norm_act("1")
    inner = writer.add("conv2", Conv(3), width=width)
    skip = given if writer.channels(given) == width else writer.add("skip", Conv(1, bias=False), [given], width)
    writer.add("add", Add(), [inner, skip])
    writer.norm_act("2")


def bottleneck(writer, width):
    """Through half the width."""
    writer.add("reduce", Conv(1), width=share(width, 2))
    writer.add("conv", Conv(3, dilation=2), width=share(width, 2))
    writer.norm_act()
    writer.add("expand", Conv(1), width=width)


def strided(writer, strides):
    """A convolution as wide as what it reads."""
    writer.add("down", Conv(3, strides), width=writer.channels(writer.tip))


def resized(writer, strides, width):
    """Repeated pixels, smoothed to the width of the row above."""
    writer.add("up", Nearest(strides))
    writer.add("smooth", Conv(2), width=width)


def added(writer, parts, width):
    """The sum of all, brought to the width of the node where need be."""
    fitted = [
        part if writer.channels(part) == width else writer.add(f"fit{number}", Conv(1), [part], width)
        for number, part in enumerate(parts)
    ]
    writer.add("sum", Add(), fitted)


ROWS = {
    "residual": (BLOCKS, "block", Block("two convolutions and a sum", "He et al., CVPR 2016", residual)),
    "bottleneck": (
        BLOCKS,
        "block",
        Block("through half the width", "Yu and Koltun, ICLR 2016", bottleneck, (2,), multiple=4),
    ),
    "strided": (DOWNS, "down", Design("convolution of stride 2", "Springenberg et al., ICLR 2015 workshops", strided)),
    "resized": (UPS, "up", Up("repeated and convolved", "Odena et al., Distill 2016", resized, Nearest)),
    "added": (MERGES, "merge", Merge("sum", "Long et al., CVPR 2015", added)),
}


@pytest.fixture(params=ROWS)
def chosen(request, monkeypatch):
    """Fields of a Spec that choose a row which the test adds."""
    table, field, row = ROWS[request.param]
    monkeypatch.setitem(table, request.param, row)
    return {field: request.param}


def spec_of(fields, rank=2, **more):
    sides = (16, 8) if rank == 2 else (8, 4, 8)
    return Spec((*sides, 3), **{"depth": 2, "filters": (4, 8, 12), **fields, **more})


def ranks(fields):
    return next(row.ranks for _, field, row in ROWS.values() if field in fields and ROWS[fields[field]][2] is row)


def test_it_is_counted_and_seen(chosen):
    for rank in ranks(chosen):
        spec = spec_of(chosen, rank, norm="batch")
        model, order = built(spec)
        for level in (1, 2, "mean"):
            assert counted(select(model, level), order) == cost(spec, level)
        assert counted(model, order) == cost(spec)
        found = {part: (one.params, one.macs, one.activation_bytes) for part, one in node_costs(spec).items()}
        assert found == counted_parts(order)
        assert cost(spec) != cost(spec_of({}, rank, norm="batch"))
        open_sides = spec.replace(input_shape=(*(None,) * rank, 1), norm="none", head_activation="linear")
        radius, single = receptive_radius(open_sides, 1), select(built(open_sides)[0], 1)
        assert {farthest(single, spec.divisor, radius, axis) for axis in range(rank)} == {radius}


def test_it_is_pruned_saved_and_opened(chosen, tmp_path):
    spec = spec_of(chosen)
    model = built(spec)[0]
    x = np.random.default_rng(0).uniform(0, 255, (1, *spec.input_shape)).astype("float32")
    names = describe(model).outputs
    outputs = {name: np.array(value) for name, value in zip(names, keras.tree.flatten(model(x)), strict=True)}
    model.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    assert opened.spec == spec == Spec.from_json(spec.to_json())
    small = prune(opened, level=1)
    assert small.count_params() == cost(spec, 1).params == level_costs(spec)[0].cost.params
    assert np.array_equal(small(x), outputs["L1"])
    small.save(tmp_path / "small.keras")
    assert np.array_equal(keras.models.load_model(tmp_path / "small.keras")(x), outputs["L1"])


def test_it_is_exported(chosen, tmp_path):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'keras-unetpp[onnx]'")
    spec = spec_of(chosen, depth=1, filters=(4, 8))
    model = build(spec)
    export(model, tmp_path / "model.onnx", verify=False)
    x = np.random.default_rng(0).uniform(0, 255, (1, *spec.input_shape)).astype("float32")
    artefact = Artefact(tmp_path / "model.onnx")
    assert artefact.spec == spec
    assert np.abs(artefact(x)["L1"] - np.array(model(x)["L1"])).max() < 1e-5


def test_it_is_chosen_by_name_while_it_is_there(chosen, capsys, monkeypatch):
    ((field, name),) = chosen.items()
    table = ROWS[name][0]
    assert main(["levels", "--depth", "2", "--width", "8", f"--{field}", name]) == 0
    assert main(["designs"]) == 0
    assert ROWS[name][2].text in capsys.readouterr().out
    space = Space.create(Budget(params=10**5), {field: list(table), "depth": 2})
    assert {getattr(one.spec, field) for one in space.proposals()} == set(table)
    monkeypatch.delitem(table, name)
    with pytest.raises(InputError, match=rf"^Spec\.{field} must be one of .*\. Received: '{name}'\.$"):
        Spec(**chosen)
    assert main(["levels", f"--{field}", name]) == 2


def test_another_row_under_the_same_name_is_another_network(monkeypatch):
    monkeypatch.setitem(BLOCKS, "toy", ROWS["residual"][2])
    spec = spec_of({"block": "toy"})
    before = cost(spec), plan(spec)
    monkeypatch.setitem(BLOCKS, "toy", ROWS["bottleneck"][2])
    assert all(one != other for one, other in zip(before, (cost(spec), plan(spec)), strict=True))


def test_what_no_head_needs_is_no_part_of_the_network(monkeypatch):
    def detour(writer, width):
        given = writer.tip
        writer.add("unread", Conv(5), width=width)
        writer.add("conv", Conv(3), [given], width)

    monkeypatch.setitem(BLOCKS, "detour", Block("a layer that none reads", "none", detour))
    spec = spec_of({"block": "detour"})
    assert not any("unread" in row.name for row in plan(spec))
    assert built(spec)[0].count_params() == cost(spec).params


def test_rows_that_cannot_be_are_told(monkeypatch):
    def twice(writer, width):
        writer.add("conv", Conv(3), width=width)
        writer.add("conv", Conv(3), width=width)

    monkeypatch.setitem(BLOCKS, "twice", Block("two rows of one name", "none", twice))
    with pytest.raises(ValueError, match=r"^There are two rows x_0_0_conv\.$"):
        plan(spec_of({"block": "twice"}))
    monkeypatch.setitem(DOWNS, "none", Design("nothing", "none", lambda writer, strides: None))
    with pytest.raises(ValueError, match=r"^x_1_0_act2 halves the sides \(0, 0\) times, and not \(1, 1\) times\.$"):
        plan(spec_of({"down": "none"}))
    monkeypatch.setitem(BLOCKS, "third", Block("a share", "none", lambda writer, width: writer.add(
        "conv", Conv(1), width=share(width, 3))))  # fmt: skip
    with pytest.raises(ValueError, match="is not whole: its design must name the multiple that it needs"):
        build(spec_of({"block": "third"}))


def test_a_row_says_what_it_needs_of_the_other_fields(monkeypatch):
    monkeypatch.setitem(BLOCKS, "bottleneck", ROWS["bottleneck"][2])
    with pytest.raises(InputError) as caught:
        Spec(filters=(4, 6), depth=1, decoder_block="bottleneck")
    assert str(caught.value) == (
        "Spec.filters must be multiples of 4 for decoder_block='bottleneck'. Received: (4, 6)."
    )
    with pytest.raises(InputError) as caught:
        Spec((8, 8, 8, 1), filters=(4, 8), depth=1, decoder_block="bottleneck")
    assert str(caught.value) == (
        "Spec.decoder_block='bottleneck' is for 2-D: Keras has none for 3-D."
        f" Use {' or '.join(repr(name) for name, row in BLOCKS.items() if 3 in row.ranks)}."
    )
    spec = spec_of({"block": "bottleneck"}, norm="group", norm_groups=4)
    with pytest.raises(InputError) as caught:
        build(spec)
    assert str(caught.value) == "Spec.norm_groups must divide the 2 channels of layer x_0_0_norm. Received: 4."


@dataclass(frozen=True)
class _Facts(Pointwise, Weightless, OneLayer):
    """Those of an operation that cuts channels in two halves."""

    kind = "split"

    def channels(self, reads, width):
        return share(reads[0], 2), share(reads[0], 2)


@keras.saving.register_keras_serializable("tests")
class Split(keras.layers.Layer):
    """Its layer."""

    def call(self, x):
        return keras.ops.split(x, 2, axis=-1)


def halves(writer, width):
    """Half of the channels goes past a convolution."""
    writer.add("conv1", Conv(3), width=width)
    split = writer.add("split", halves.operation())
    inner = writer.add("conv2", Conv(3), width=share(width, 2))
    writer.add("join", Concat(), [inner, f"{split}:1"])


def test_an_operation_may_have_several_outputs(monkeypatch, tmp_path):
    monkeypatch.setattr(facts, "OPERATIONS", [])
    operation = type("Halves", (_Facts, Operation), {})
    monkeypatch.setattr(halves, "operation", operation, raising=False)
    monkeypatch.setitem(MAKERS, operation, lambda one, row, spec: Split(name=row.name))
    monkeypatch.setitem(BLOCKS, "halves", Block("half of the channels past a convolution", "CSP", halves, multiple=2))
    spec = spec_of({"block": "halves"})
    rows = {row.name: row for row in plan(spec)}
    assert list(rows["x_0_0_split"].outputs) == ["x_0_0_split", "x_0_0_split:1"]
    assert [row.name for row in keep(plan(spec), ["x_0_0_split:1"])] == list(rows)[:4]
    model, order = built(spec)
    assert counted(model, order) == cost(spec)
    for level in (1, 2, "mean"):
        assert counted(select(model, level), order) == cost(spec, level)
    assert {part: one.activation_bytes for part, one in node_costs(spec).items()} == {
        part: bytes for part, (_, _, bytes) in counted_parts(order).items()
    }
    model.save(tmp_path / "model.keras")
    x = np.ones((1, *spec.input_shape), "float32")
    opened = keras.models.load_model(tmp_path / "model.keras")
    assert all(np.array_equal(opened(x)[name], value) for name, value in model(x).items())


def test_rows_may_halve_some_axes_and_not_others():
    spec = Spec((4, 8, 8, 1), depth=2, filters=(4, 8, 12), strides=((1, 2, 2), 2), norm="none",
                head_activation="linear")  # fmt: skip
    model, order = built(spec)
    assert model.get_layer("x_2_0_act2").output.shape[1:-1] == (2, 2, 2)
    assert counted(model, order) == cost(spec)
    found = {part: (one.params, one.macs, one.activation_bytes) for part, one in node_costs(spec).items()}
    assert found == counted_parts(order)
    deepest = select(built(spec.replace(input_shape=(None, None, None, 1)))[0])
    seen = [farthest(deepest, spec.divisor, receptive_radius(spec), axis) for axis in (0, 1, 2)]
    assert seen[0] < seen[1] == seen[2] == receptive_radius(spec)
