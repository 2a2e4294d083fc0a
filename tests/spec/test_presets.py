"""Presets: each row is explained, and says how far it is from the parameters that its source states."""

import itertools

import pytest

from keras_unetpp.cli import main
from keras_unetpp.spec import PRESETS, Spec, cost

DEVIATION = {
    **{"unet": 0.0, "wide_unet": 1.7, "unet++": 0.0},
    "resunet": 15.4,  # 0.77 M of convolutions with strides, 0.43 M of 1x1 shortcuts
    "linknet": 0.8,
    "fcn8s": -88.8,  # 119.5 M of fully connected layers turned into convolutions, which are not there
    **{"tiramisu56": -0.6, "tiramisu67": 7.4, "tiramisu103": 1.4},
}
"""By how many percent the trained parameters are more than those stated."""


@pytest.mark.parametrize("name", PRESETS)
def test_a_row_says_what_it_is_and_where_it_comes_from(name):
    preset = PRESETS[name]
    assert preset.text
    assert preset.source
    assert not preset.departs.endswith(".")
    assert set(preset.fields) <= {*Spec().to_dict(), "width"}
    assert Spec.preset(name) == Spec(**preset.fields)


@pytest.mark.parametrize("name", PRESETS)
def test_how_far_it_is_from_what_is_stated(name):
    stated = PRESETS[name].stated
    found = cost(Spec.preset(name)).trainable_params / 1e6
    assert (None if stated is None else round(100 * (found / stated - 1), 1)) == DEVIATION.get(name)


def test_the_first_u_net_has_the_layers_of_its_figure():
    """Ronneberger et al., figure 1: two 3x3 convolutions a node, 2x2 up-convolutions, a last one of kernel 1."""
    widths = (64, 128, 256, 512, 1024)
    layers = [(9, 1, 64), (9, 64, 64), (1, 64, 2)]
    for above, width in itertools.pairwise(widths):
        layers += [(9, above, width), (9, width, width), (4, width, above), (9, 2 * above, above), (9, above, above)]
    count = sum(cells * before * after + after for cells, before, after in layers)
    assert count == cost(Spec.preset("unet_2015")).params == 31_030_658


@pytest.mark.parametrize(
    ("name", "layers", "growth", "widths"),
    [
        ("tiramisu56", 56, 12, (96, 144, 192, 240, 288)),
        ("tiramisu67", 67, 16, (128, 208, 288, 368, 448)),
        ("tiramisu103", 103, 16, (112, 192, 304, 464, 656)),
    ],
)
def test_a_tiramisu_has_the_layers_of_its_table(name, layers, growth, widths):
    """Jegou et al., tables 1 and 2: channels of each row of the encoder; convolutions in all, transposed ones too."""
    spec = Spec.preset(name)
    assert (spec.filters[:-1], spec.growth_rate) == (widths, growth)
    blocks = 2 * sum(spec.block_layers) - spec.block_layers[-1]
    assert blocks + 2 * spec.depth + 2 == layers
    assert spec.decoder_filters == tuple(growth * count for count in spec.block_layers[:-1])


def test_changes_come_after_the_row():
    assert Spec.preset("tiramisu56", width=8, decoder_filters=()).filters == (8, 16, 32, 64, 128, 256)
    assert Spec.preset("tiramisu103", depth=2).block_layers == (4, 5, 7)
    assert Spec.preset("nnunet", depth=6).filters == (32, 64, 128, 256, 320, 320, 320)
    assert Spec.preset("vnet", input_shape=(None, None, 3)).rank == 2


def test_designs_lists_them_with_their_cost(capsys):
    assert main(["designs"]) == 0
    lines = capsys.readouterr().out.partition("--preset")[2].splitlines()
    row = next(line for line in lines if line.startswith("  unet_2015 "))
    assert "31.03 M parameters" in row
    assert "48.10 G MACs at 256 x 256" in row
    assert row.endswith("Ronneberger et al., MICCAI 2015")
    assert lines[lines.index(row) + 1] == "    departs: convolutions pad, so that sides stay; no dropout"
    stated = next(line for line in lines if line.startswith("  tiramisu103 "))
    assert "9.64 M parameters (stated: 9.4 M)" in stated
    assert [line.split()[0] for line in lines[1:] if not line.startswith("    ")] == list(PRESETS)
