import pytest

from keras_unetpp.spec import Spec, names, plan


def test_what_is_made_is_read():
    assert names.part_of(names.layer_name(names.node_name(3, 12), "conv1")) == "x_3_12"
    assert names.row_of(names.layer_name(names.node_name(3, 12), "conv1")) == 3
    assert names.up_of(names.layer_name(names.head_name(2), names.up_label(4))) == 4
    assert names.level_of(names.head_name(11)) == 11
    assert names.head_name("mean") == "mean"
    assert names.backbone_layer(names.layer_name(names.node_name(2, 0), "block_1_expand")) == (2, "block_1_expand")


@pytest.mark.parametrize(
    "name", ["image", "normalization", "x_0", "x_0_a_conv", "L", "Lx", "mean", "my_x_0_0_conv", "L1x"]
)
def test_other_names_are_of_no_part(name):
    assert (names.part_of(name), names.row_of(name), names.level_of(name), names.up_of(name)) == (None,) * 4


@pytest.mark.parametrize("backbone", [None, "mobilenet_v2"])
def test_every_row_of_a_plan_tells_its_part(backbone):
    for row in plan(Spec((None, None, 3), depth=3, backbone=backbone, stem=backbone is None)):
        assert names.part_of(row.name) == (row.part if row.part != "image" else None)
