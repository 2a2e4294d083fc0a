"""What is measured of backbones: every row of the table against its network, and single layers against arithmetic."""

import keras
import numpy as np
import pytest
from keras import layers
from sampling import sampled

from keras_unetpp.graph.encoders.measure import first_convolution, measure, tapped_layers
from keras_unetpp.graph.encoders.registry import template
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.backbone_table import BACKBONES
from keras_unetpp.spec.backbones import backbone

SIZES = ((64, 64), (160, 96))


@pytest.fixture
def no_random_weights(monkeypatch):
    """Shapes do not need the 350 million random numbers of the largest network."""
    kinds = [keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal]
    for kind in [*kinds, *keras.initializers.VarianceScaling.__subclasses__()]:
        monkeypatch.setattr(kind, "__call__", lambda self, shape, dtype=None, **_: keras.ops.zeros(shape, dtype))


QUICK = ("vgg11", "resnet18", "mobilenet_v2_035", "efficientnet_lite0", "efficientnet_v2_b0", "densenet121")


@pytest.mark.parametrize("name", sampled(BACKBONES, QUICK))
def test_every_backbone_is_as_declared(name, no_random_weights):
    keras.utils.clear_session()
    model, known = template(name), backbone(name)
    names = [tap.layer for tap in known.taps]
    assert measure(model, names) == known.taps
    assert first_convolution(tapped_layers(model, names)).name == known.first
    cut = keras.Model(model.input, [model.get_layer(name).output for name in names])
    for height, width in SIZES:
        tensors = cut(np.zeros((1, height, width, 3), "float32"))
        assert [tuple(tensor.shape) for tensor in keras.tree.flatten(tensors)] == [
            (1, height // tap.reduction, width // tap.reduction, tap.channels) for tap in known.taps
        ]


def network():
    image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(1, name="pad")(image)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem")(x)
    half = layers.BatchNormalization(name="half")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", dilation_rate=2, name="wide")(half)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    x = layers.Multiply(name="scaled")([x, layers.Conv2D(6, 1, name="excite")(squeezed)])
    return keras.Model(image, layers.AveragePooling2D(2, name="quarter")(x))


def test_by_hand():
    half, quarter = measure(network(), ["half", "quarter"])
    assert (half.reduction, half.channels, quarter.reduction, quarter.channels) == (2, 4, 4, 6)
    assert (half.trained, half.frozen, half.image) == (2 * 4, 2 * 4, 9 * 4)
    assert (half.macs, half.fixed, half.image_macs) == (0, 0, 9 * 4)
    depthwise, pointwise = 9 * 4, 4 * 6
    assert (quarter.trained, quarter.frozen) == (depthwise + pointwise + 6 + 6 * 6 + 6, 0)
    assert (quarter.macs, quarter.fixed) == (4 * (depthwise + pointwise), 6 * 6)
    # A pixel of `half` is 2 x 2 of the padded image, 4 + 4 values; `wide`, `scaled` are 2 x 2 x 6 each, then 6.
    assert (half.values, half.live) == (4 * 3 + 4 + 4, 4 * 3 + 4)
    assert (quarter.values, quarter.live) == (24 + 24 + 6, 48)
    assert (half.layers, quarter.layers) == (3, 5)
    # 3 x 3 at stride 2 with a pixel of padding, then 5 x 5 every 2 pixels, then 2 x 2.
    assert (half.before, half.after) == (1, 0)
    assert (quarter.before, quarter.after) == (1 + 4, 4)


@pytest.mark.parametrize("make", [network, lambda: template("efficientnet_lite0")])
def test_the_view_is_what_gradients_reach(make):
    import tensorflow as tf

    model = make()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            continue
        # Averages: nothing grows, no ReLU6 saturates; what is squeezed has no say.
        inputs = [weight.shape[:2] if "depthwise" in weight.path or "dw" in weight.path else weight.shape[:-1]
                  for weight in layer.weights]  # fmt: skip
        layer.set_weights([np.full(weight.shape, (layer.name != "excite") / np.prod(shape))
                           for weight, shape in zip(layer.weights, inputs, strict=True)])  # fmt: skip
        if layer.name == "excite":
            layer.bias.assign(np.ones(6))
    names = ["half", "quarter"] if make is network else [tap.layer for tap in backbone("efficientnet_lite0").taps[:3]]
    taps = measure(model, names)
    side = 256
    image = tf.Variable(np.full((1, side, side, 3), 0.1, "float32"))
    for tap in taps:
        part = keras.Model(model.input, model.get_layer(tap.layer).output)
        cell = side // tap.reduction // 2
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(part(image)[0, cell, cell])
        gradient = np.abs(tape.gradient(value, image)[0]).sum((1, 2))
        seen = np.flatnonzero(gradient > 0)
        start = cell * tap.reduction
        assert (start - seen[0], seen[-1] - start - tap.reduction + 1) == (tap.before, tap.after)


@pytest.mark.parametrize(
    ("make", "taps", "message"),
    [
        (
            lambda x: layers.Conv2D(4, 3, strides=2, name="odd")(x),
            ["odd"],
            r"The sides of a tap must be those of the image over a power of 2\. Received: layer 'odd' gives"
            r" \(383, 383\) for an image of \(768, 768\)\. Use padding='same', or another layer\.",
        ),
        (
            lambda x: layers.Conv2D(4, 3, padding="same", name="one")(layers.BatchNormalization(name="norm")(x)),
            ["one"],
            r"The first layer with weights of a backbone must be a convolution\. Received: 'norm'\.",
        ),
        (
            lambda x: layers.Conv2D(4, 3, padding="same", name="one")(x),
            ["two"],
            r"Model 'made' has no layer 'two' to tap\. See its summary\(\)\.",
        ),
        (
            lambda x: layers.Add(name="sum")(
                [
                    layers.Conv2D(2, 1, name="one")(x),
                    layers.ZeroPadding2D(1)(layers.Conv2D(2, 3, name="inner")(x)),
                ]
            ),
            ["sum"],
            r"The work of a backbone must grow with the pixels of the image\. Up to layer 'sum' it is .*"
            r"Use padding='same' throughout\.",
        ),
    ],
)
def test_networks_that_cannot_be_backbones(make, taps, message):
    image = keras.Input((None, None, 3))
    with pytest.raises(InputError, match=f"^{message}$"):
        measure(keras.Model(image, make(image), name="made"), taps)
