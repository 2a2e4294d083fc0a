"""The table of backbones: what must hold of every row before any network is built."""

import pytest

from keras_unetpp.spec.backbone_table import BACKBONES, COARSEST, FAMILIES, SCALINGS

ROWS = list(BACKBONES.values())


def test_names():
    assert len(ROWS) == sum(len(tuple(family.rows())) for family in FAMILIES) == 61
    assert all(row.name == row.name.lower() and row.name.isidentifier() for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row):
    assert row.template == "applications" if row.builder else row.template in ("lite", "resnet", "vgg")
    assert row.reductions == tuple(COARSEST >> step for step in reversed(range(len(row.taps))))
    assert row.reductions[0] in (1, 2, 4)
    layers = [layer for _, layer in row.taps]
    assert len({*layers, row.stem}) == len(layers) + (row.stem not in layers)
    assert not any(mark in layer for layer in (*layers, row.stem) for mark in "{} /")
    assert row.mean == SCALINGS[row.scaling].mean
    assert all(std > 0 for std in row.std)
    assert row.bgr == (row.scaling == "caffe")
    assert "arXiv:" in row.paper
    assert row.licence


def test_first_taps():
    assert {row.name for row in ROWS if row.reductions[0] == 1} == {"vgg11", "vgg13", "vgg16", "vgg19"}
    assert {row.builder[:8] for row in ROWS if row.reductions[0] == 4} == {"ConvNeXt"}


def test_no_two_rows_are_one_network():
    assert len({(row.builder or row.name, row.arguments) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("name", "taps"),
    [
        ("resnet101", "conv1_relu conv2_block3_out conv3_block4_out conv4_block23_out conv5_block3_out"),
        ("resnet152_v2", "conv1_conv conv2_block2_out conv3_block7_out conv4_block35_out post_relu"),
        ("efficientnet_b7", "block1d_add block2g_add block3g_add block5j_add block7d_add"),
        ("efficientnet_v2_l", "block1d_add block2g_add block3g_add block5s_add block7g_add"),
        ("efficientnet_lite4", "block1a_project_bn block2d_add block3d_add block5f_add block7a_project_bn"),
        ("convnext_base", "add_2 add_5 add_32 add_35"),
    ],
)
def test_taps(name, taps):
    assert [layer for _, layer in BACKBONES[name].taps] == taps.split()
