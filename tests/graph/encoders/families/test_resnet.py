import keras
import numpy as np
import pytest

from keras_unetpp.graph.encoders.families.resnet import blocks, resnet
from keras_unetpp.kit.errors import InputError
from keras_unetpp.weights import variables

STOCK = {"InputLayer", "Conv2D", "BatchNormalization", "Activation", "Add", "ZeroPadding2D", "MaxPooling2D"}


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_176_512), (34, 21_284_672)])
def test_as_many_parameters_as_in_torchvision_without_its_classifier(depth, parameters):
    model = resnet(depth)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    assert len(variables(model)) == len(model.weights)
    assert {type(layer).__name__ for layer in model.layers} == STOCK


@pytest.mark.parametrize("sides", [(64, 96), (50, 75)])
def test_the_declared_blocks_are_the_real_tensors(sides):
    model, rows = resnet(18), list(blocks(18))
    stem = [model.get_layer(name).output for name in ("conv1_relu", "pool1_pool")]
    taps = keras.Model(model.input, stem + [model.get_layer(block.output).output for block in rows])
    found = taps(np.zeros((1, *sides, 3), "float32"), training=False)
    expected = [(2, 64), (4, 64)] + [(block.reduction, block.outputs) for block in rows]
    for (reduction, channels), tensor in zip(expected, found, strict=True):
        assert tuple(tensor.shape) == (1, *(-(-side // reduction) for side in sides), channels)
    assert [block.reduction for block in rows if block.last] == [4, 8, 16, 32]


def test_names_as_in_keras_applications():
    names = {layer.name for layer in resnet(18).layers if layer.weights}
    original = {layer.name for layer in keras.applications.ResNet50(weights=None, include_top=False).layers}
    assert names <= original


@pytest.mark.parametrize("depth", [17, 50])
def test_another_depth_is_refused(depth):
    with pytest.raises(InputError, match=rf"^depth must be 18 or 34\. Received: {depth}\.$"):
        resnet(depth)
