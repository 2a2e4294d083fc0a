import keras
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.graph.memory import OVERHEAD
from keras_unetpp.spec import cost

FIELDS = [
    {},
    {"norm": "none", "depth": 3},
    {"topology": "unet", "norm": "instance"},
    {"topology": "unet_e"},
    {"block": "preact", "up": "bilinear"},
    {"width": 32, "depth": 1, "norm": "group", "normalization": "standardize"},
    {"input_shape": (None, None, None, 2), "up": "nearest"},
    {"input_shape": (48, 32, 3), "decoder_block": "preact", "dropout": 0.1},
]


@pytest.mark.parametrize("fields", FIELDS)
def test_what_is_read_off_the_graph_is_the_closed_form(fields):
    model = build(**{"input_shape": (None, None, 3), "width": 8, **fields})
    spec = model.spec
    sides = (2**spec.depth,) * spec.rank
    expected = OVERHEAD * cost(spec, size=sides).activation_bytes / 2 ** (spec.depth * spec.rank)
    assert describe(model).bytes_per_pixel == pytest.approx(expected)


def test_levels_and_reloaded_models_tell_it_as_well(tmp_path):
    model = build((None, None, 3), width=8, depth=3)
    levels = [select(model, level) for level in (1, 2, 3)]
    sizes = [describe(level).bytes_per_pixel for level in levels]
    assert sizes == sorted(set(sizes))
    levels[1].save(tmp_path / "L2.keras")
    assert describe(keras.models.load_model(tmp_path / "L2.keras")).bytes_per_pixel == sizes[1]


def test_torch_frees_nothing(monkeypatch):
    model = build((None, None, 3), width=8, depth=2)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    rows = [int(layer.name[2]) if layer.name.startswith("x_") else 0 for layer in model.layers]
    every = sum(layer.output.shape[-1] / 4**row for layer, row in zip(model.layers, rows, strict=True))
    assert describe(model).bytes_per_pixel == pytest.approx(OVERHEAD * 4 * every)
