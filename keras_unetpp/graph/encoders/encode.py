"""The backbone of a model: cut at the deepest tap that is needed, its layers made anew under the names of our rows."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_unetpp.compat.keras import copied
from keras_unetpp.graph.encoders.registry import template
from keras_unetpp.graph.walk import running_order
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.names import layer_name, node_name


def encode(spec: Spec, source: Any) -> dict[str, Any]:
    """The backbone of a Spec on a tensor of normalised images: layer of each tap that is needed -> its output.

    A layer that row i needs and no row above it is called `x_{i}_0_` and the name that it has in the backbone.
    """
    whole = template(spec.backbone or "")
    taps = {tap.layer: tap.row - spec.shift for tap in spec.taps}
    rows = _rows(whole, taps)
    made: dict[str, keras.layers.Layer] = {}

    def renamed(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in made:
            config = {**layer.get_config(), "name": layer_name(node_name(rows[layer.name], 0), layer.name)}
            made[layer.name] = type(layer).from_config(config)
        return made[layer.name]

    cut = keras.Model(whole.input, [whole.get_layer(name).output for name in taps])
    outputs = copied(cut, source, renamed)
    return dict(zip(taps, keras.tree.flatten(outputs), strict=True))


def _rows(whole: keras.Model, taps: Mapping[str, int]) -> dict[str, int]:
    """The first row that needs a layer, by the layer's name in the backbone."""
    rows: dict[str, int] = {}
    group: list[str] = []
    for layer in running_order(whole, [whole.get_layer(name).output for name in taps]):
        group.append(layer.name)
        if layer.name in taps:
            rows |= dict.fromkeys(group, taps[layer.name])
            group.clear()
    return rows
