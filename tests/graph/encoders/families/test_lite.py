import keras
import numpy as np
import pytest

from keras_unetpp.graph.encoders.families.lite import VARIANTS, blocks, efficientnet_lite
from keras_unetpp.kit.errors import InputError
from keras_unetpp.weights import variables

STOCK = {"InputLayer", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Add"}


def parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("number", range(5))
def test_as_many_parameters_as_published(number):
    model = efficientnet_lite(number, classes=1000)
    assert parameters(model) / 1e6 == pytest.approx(VARIANTS[number].params, abs=0.05)
    assert len(variables(model)) == len(model.weights)


def test_lite0_has_the_original_parameters():
    assert parameters(efficientnet_lite(0, classes=1000)) == 4_652_008


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "1a_project_bn 16, 2b_add 24, 3b_add 40, 5c_add 112, 7a_project_bn 320"),
        (1, "1a_project_bn 16, 2c_add 24, 3c_add 40, 5d_add 112, 7a_project_bn 320"),
        (2, "1a_project_bn 16, 2c_add 24, 3c_add 48, 5d_add 120, 7a_project_bn 352"),
        (3, "1a_project_bn 24, 2c_add 32, 3c_add 48, 5e_add 136, 7a_project_bn 384"),
        (4, "1a_project_bn 24, 2d_add 32, 3d_add 56, 5f_add 160, 7a_project_bn 448"),
    ],
)
def test_the_last_blocks_of_each_resolution(number, expected):
    last = [block for block in blocks(number) if block.last]
    assert ", ".join(f"{block.output.removeprefix('block')} {block.outputs}" for block in last) == expected
    assert [block.reduction for block in last] == [2, 4, 8, 16, 32]


@pytest.mark.parametrize("sides", [(64, 96), (50, 75)])
def test_the_declared_blocks_are_the_real_tensors(sides):
    model = efficientnet_lite(0)
    taps = keras.Model(model.input, [model.get_layer(block.output).output for block in blocks(0)])
    found = taps(np.zeros((1, *sides, 3), "float32"), training=False)
    for block, tensor in zip(blocks(0), found, strict=True):
        assert tuple(tensor.shape) == (1, *(-(-side // block.reduction) for side in sides), block.outputs)


def test_stock_layers_named_as_in_keras_applications():
    model = efficientnet_lite(0)
    assert {type(layer).__name__ for layer in model.layers} == STOCK
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    original = keras.applications.EfficientNetB0(include_top=False, weights=None)
    names = {layer.name for layer in model.layers if layer.weights or layer.name.endswith("_add")}
    assert names <= {layer.name for layer in original.layers}
    assert model.output_shape == (None, None, None, 1280)


def test_no_expansion_where_nothing_widens():
    names = {layer.name for layer in efficientnet_lite(0).layers}
    assert "block1a_dwconv" in names
    assert "block1a_expand_conv" not in names


def test_an_unknown_number_is_refused():
    with pytest.raises(InputError, match=r"^EfficientNet-Lite has the numbers 0\.\.4\. Received: 5\.$"):
        efficientnet_lite(5)
