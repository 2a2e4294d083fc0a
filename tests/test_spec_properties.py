"""Any valid Spec: what must hold for all of them, with Specs drawn by hypothesis."""

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.spec import (
    ATTENTIONS,
    BLOCKS,
    CONTEXTS,
    DOWNS,
    MERGES,
    SKIPS,
    UPS,
    Spec,
    cost,
    node_costs,
    plan,
    receptive_radius,
)
from keras_unetpp.training.losses import CrossEntropy

SMALL = "small_stages"
pytestmark = pytest.mark.usefixtures("small_backbone")


def of_rank(table, rank):
    return [name for name, row in table.items() if rank in row.ranks]


@st.composite
def specs(draw):
    """Small networks over every field; sides of 8..32 pixels, 8..16 in volumes."""
    depth = draw(st.sampled_from([1, 1, 2, 2, 3]))
    rank = draw(st.sampled_from([2, 2, 3]))
    backbone = draw(st.sampled_from([None, SMALL])) if rank == 2 else None
    stem = depth == 3 or backbone is None or draw(st.booleans())
    least = 2 ** (depth + (not stem))
    blocks = st.integers(-(-8 // least), (32 if rank == 2 else 16) // least)
    classes = draw(st.integers(1, 3))
    norm = draw(st.sampled_from(["none", "batch", "group", "instance", "layer"]))
    merge = draw(st.sampled_from(of_rank(MERGES, rank)))
    nested = ["unet+", "unet++", "unet++"] if MERGES[merge].skips or depth == 1 else []
    topology = draw(
        st.sampled_from(["unet", "unet_e", *nested, *(name for name in SKIPS if name not in ("unet+", "unet++"))])
    )
    down = draw(st.sampled_from(of_rank(DOWNS, rank)))
    own = backbone is None
    by_row = own and topology in ("unet", "unet_e", "unet+", "unet++")
    ups = [name for name in of_rank(UPS, rank)
           if UPS[name].down in ((None, down) if by_row else (None,)) and (own or UPS[name].multiple == 1)]  # fmt: skip
    up = draw(st.sampled_from(ups))
    step = 2 * UPS[up].multiple
    context = draw(st.sampled_from(["none", "none", *CONTEXTS])) if norm in ("none", "batch", "layer") else "none"
    last = (2 if context == "none" else 4) * UPS[up].multiple
    return Spec(
        (*(least * draw(blocks) for _ in range(rank)), draw(st.integers(1, 4))),
        classes=classes,
        topology=topology,
        depth=depth,
        filters=(*(step * draw(st.integers(1, 4)) for _ in range(depth - (not own))), last * draw(st.integers(1, 2))),
        decoder_filters=draw(st.sampled_from([(), (), (3 * step, step, 2 * step)[:depth]])),
        max_filters=draw(st.sampled_from([None, 4 * step])),
        backbone=backbone,
        stem=stem,
        block=draw(st.sampled_from(of_rank(BLOCKS, rank))),
        decoder_block=draw(st.sampled_from([None, *of_rank(BLOCKS, rank)])),
        block_layers=draw(st.sampled_from([(), (), (1,), (3, 2, 1, 2)[: depth + 1]])),
        growth_rate=draw(st.sampled_from([2, 4])),
        cardinality=draw(st.sampled_from([1, 2])),
        attention=draw(st.sampled_from(["none", "none", *ATTENTIONS])),
        squeeze_ratio=draw(st.sampled_from([1, 2])),
        bias=draw(st.booleans()),
        context=context,
        norm=norm,
        norm_groups=draw(st.sampled_from([1, 2])),
        norm_epsilon=draw(st.sampled_from([1e-5, 1e-3])),
        standardize_epsilon=draw(st.sampled_from([1e-5, 0.1])),
        norm_momentum=draw(st.sampled_from([0.9, 0.99])),
        activation=draw(st.sampled_from(["relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "tanh"])),
        activation_slope=draw(st.sampled_from([0.01, 0.2])),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        down=down,
        merge=merge,
        up=up,
        up_kernel=draw(st.integers(2, 4)),
        normalization=draw(st.sampled_from(["auto", "none", "rescale", "standardize"])),
        deep_supervision=topology == "unet_e" or draw(st.booleans()),
        head=draw(st.sampled_from(["conv", "preact"])),
        head_kernel=draw(st.sampled_from([1, 3])),
        head_activation=draw(st.sampled_from(["auto", "sigmoid", "linear", *(["softmax"] if classes > 1 else [])])),
    )


@given(specs())
@settings(max_examples=200, derandomize=True, deadline=None)
def test_on_paper(spec):
    assert Spec.from_json(spec.to_json()) == spec
    assert hash(Spec.from_dict(spec.to_dict())) == hash(spec)
    assert spec.replace() == spec
    whole = cost(spec)
    assert whole.params == sum(part.params for part in node_costs(spec).values())
    assert whole.macs == sum(part.macs for part in node_costs(spec).values())
    for level in spec.levels:
        assert cost(spec, level) == cost(spec.at_level(level))
        assert receptive_radius(spec, level) == receptive_radius(spec.at_level(level))
        assert {row.name for row in plan(spec, level)} <= {row.name for row in plan(spec)}
    radii = [receptive_radius(spec, level) for level in spec.levels]
    assert radii == sorted(set(radii))


@given(specs(), st.integers(0, 2**31))
@settings(max_examples=12, derandomize=True, deadline=None, phases=[Phase.generate])
def test_built(tmp_path_factory, spec, seed):
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 255, (2, *spec.input_shape)).astype("float32")
    y = rng.integers(0, max(spec.classes, 2), (2, *spec.sides))

    model = build(spec)
    assert model.count_params() == cost(spec).params
    multi_label = spec.classes > 1 and spec.output_activation == "sigmoid"
    loss = CrossEntropy(from_logits=spec.output_activation == "linear", multi_label=multi_label)
    model.compile("sgd", loss, run_eagerly=True)
    assert np.isfinite(model.train_on_batch(x, y)).all()

    outputs = dict(zip(describe(model).outputs, keras.tree.flatten(model(x)), strict=True))
    for level in spec.levels:
        assert np.array_equal(select(model, level)(x), outputs[f"L{level}"])

    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.spec == spec
    assert all(np.array_equal(*pair) for pair in zip(keras.tree.flatten(loaded(x)), outputs.values(), strict=True))
