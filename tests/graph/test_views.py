"""What in a network sees the whole of what it is given."""

import keras
import pytest
from keras import layers

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import select
from keras_unetpp.graph.views import whole_views


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"norm": "batch", "normalization": "standardize"}, ()),
        ({"norm": "layer", "up": "bilinear", "block": "preact"}, ()),
        ({"norm": "none"}, ()),
        ({"norm": "group", "norm_groups": 2}, ("group normalization",)),
        ({"norm": "instance"}, ("instance normalization",)),
        ({"norm": "instance", "input_shape": (4, 4, 3)}, ("instance normalization",)),
        ({"norm": "group", "norm_groups": 2, "input_shape": (None, None, None, 1)}, ("group normalization",)),
        ({"input_shape": (2, 2, 1)}, ()),
        ({"attention": "se", "squeeze_ratio": 2}, ("global pooling",)),
        ({"backbone": "efficientnet_lite0", "depth": 2}, ()),
        ({"backbone": "efficientnet_b0", "depth": 2}, ("global pooling",)),
        (
            {"backbone": "mobilenet_v3_small", "depth": 2, "norm": "instance"},
            ("global pooling", "instance normalization"),
        ),
    ],
)
def test_networks_of_this_package(fields, expected):
    model = build(**{"input_shape": (None, None, 3), "depth": 1, "width": 4, **fields})
    assert whole_views(model) == whole_views(select(model)) == expected


def test_only_what_a_level_needs_counts():
    model = build((None, None, 3), backbone="mobilenet_v3_small", depth=3, width=4)
    assert [whole_views(select(model, level)) for level in (1, 3)] == [(), ("global pooling",)]


ENDS = {
    "global pooling": [
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.Lambda(lambda x: keras.ops.mean(x, (1, 2), keepdims=True)),
        layers.AveragePooling2D(8),
        layers.Flatten(),
    ],
    "normalization over all pixels": [layers.LayerNormalization(axis=(1, 2, 3)), layers.UnitNormalization(axis=(1, 2))],
    "group normalization": [layers.GroupNormalization(2)],
    None: [
        layers.LayerNormalization(),
        layers.UnitNormalization(),
        layers.AveragePooling2D(2),
        layers.Conv2D(2, 8, padding="same"),
        layers.BatchNormalization(),
        layers.Lambda(lambda x: keras.ops.mean(x, -1, keepdims=True)),
    ],
}


@pytest.mark.parametrize(("kind", "layer"), [(kind, layer) for kind, own in ENDS.items() for layer in own])
def test_layers_of_others(kind, layer):
    image = keras.Input((8, 8, 4))
    inner = keras.Model(image, layer(image))
    outer = keras.Input((8, 8, 4))
    assert whole_views(inner) == whole_views(keras.Model(outer, inner(outer))) == (() if kind is None else (kind,))


def test_operations_and_attention():
    image = keras.Input((None, None, 4))
    assert whole_views(keras.Model(image, image * keras.ops.mean(image, (1, 2), keepdims=True))) == ("global pooling",)
    flat = layers.Reshape((-1, 4))(image)
    assert whole_views(keras.Model(image, layers.MultiHeadAttention(1, 2)(flat, flat))) == ("attention",)
