"""The networks of `keras.applications` as flat graphs of stock layers, and their weights by name.

A network of `keras.applications` is read into a recipe, one step a layer, and the recipe is built anew. It differs from
the original in this:

- The image comes in normalised (the table of backbones says how) and in RGB: leading rescaling and normalisation layers
  are left out, and `convert` turns the first kernel of weights trained on BGR round.
- Names are the same in every process: where the original leaves a layer to Keras' counter, which goes on counting from
  model to model, the recipe counts from 0 within the network (`activation_0`, `activation_1`, ..).
- Nested models are laid flat, and what is no stock layer becomes one: the sums and products of tensors, the scaled sum
  of Inception-ResNet, and ConvNeXt's layer scale and grouped convolution, both as depthwise convolutions. ConvNeXt's
  stochastic depth, of rate 0 in all its variants, is left out.
- A window that overlaps its neighbours and has no padding at all (Inception, Inception-ResNet, Xception, the stem of
  NASNet) is padded, `padding="same"`: a side that is a multiple of 32 is then halved exactly. ImageNet weights fit, but
  they were trained without that border.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.backbone_table import BACKBONES, Entry

State = dict[str, np.ndarray]

IMAGE = "image"
"""Name of a template's input layer."""

_NORMALISING = ("Rescaling", "Normalization")
_WINDOWED = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D")
_SIDES = {"NASNetMobile": 225, "NASNetLarge": 225}
"""NASNet decides by static sides: at 225 its unpadded stem gives 112, and later paddings are those of even sides."""


class Step(NamedTuple):
    """One layer of a recipe: its name, class in `keras.layers`, configuration, sources, and layer of the original."""

    name: str
    kind: str
    config: dict[str, Any]
    reads: tuple[str, ...]
    origin: str | None = None


def application(name: str) -> keras.Model:
    """A network of `keras.applications` without its classifier, random weights, as this module's text describes.

    Args:
        name: a row of the table of backbones that `keras.applications` builds.

    Returns:
        A functional model from (batch, height, width, 3), normalised RGB with open sides, to the last layer of the
        original.

    Raises:
        InputError: for a name that is no such row.
    """
    return assemble(_recipe_of(name), name)


def original(name: str, weights: str | None = None) -> keras.Model:
    """The model that `keras.applications` itself builds for a row, without its classifier.

    Args:
        name: as in `application`.
        weights: None for random ones, or what `keras.applications` takes: `imagenet`, which downloads, or a path.
    """
    row = _row(name)
    make = getattr(keras.applications, row.builder)
    side = _SIDES.get(row.builder, 224)
    return make(include_top=False, weights=weights, input_shape=(side, side, 3), **dict(row.arguments))


def convert(source: keras.Model, name: str) -> State:
    """The weights of a model that `original` made as those of `application(name)`, by name.

    Args:
        source: the network of row `name` as `keras.applications` builds it, with weights.
        name: as in `application`.

    Returns:
        `layer/variable` -> array. Arrays are reshaped where the template has another layer, and the first kernel takes
        RGB where the original takes BGR.
    """
    row = _row(name)
    layers = {layer.name: layer for layer in _flat(source)}
    found: State = {}
    for step in recipe(source):
        layer = layers.get(step.origin or "")
        for variable in layer.weights if layer else ():
            array = np.array(keras.ops.convert_to_numpy(variable))
            if type(layer).__name__ == "LayerScale":
                found[f"{step.name}/kernel"] = array.reshape(1, 1, -1, 1)
            elif step.kind != type(layer).__name__ and variable.name == "kernel":
                found[f"{step.name}/kernel"] = array.transpose(0, 1, 3, 2)
            else:
                found[f"{step.name}/{variable.name}"] = array
    if row.bgr:
        found[f"{row.stem}/kernel"] = found[f"{row.stem}/kernel"][:, :, ::-1].copy()
    return found


def recipe(source: keras.Model, padded: bool = True) -> tuple[Step, ...]:
    """The steps that build a network of `keras.applications` anew, in an order in which each reads earlier ones.

    Args:
        source: a functional model; its layers may hold Sequential models.
        padded: whether windows that overlap and have no padding get it.
    """
    items = source.get_config()["layers"]
    names = _names(items)
    steps: dict[str, Step] = {}
    gives: dict[str, str] = {}
    for item in items:
        tensors, constants = _operands(item)
        reads = tuple(gives[tensor] for tensor in tensors)
        last = reads[0] if reads else IMAGE
        for step in _steps(item, names[item["name"]], reads, constants):
            steps[step.name] = _padded(step, steps) if padded else step
            last = step.name
        gives[item["name"]] = last
    return tuple(steps.values())


def assemble(steps: Iterable[Step], name: str) -> keras.Model:
    """The functional model of a recipe, with open sides; its output is the last step's."""
    tensors: dict[str, Any] = {IMAGE: keras.Input((None, None, 3), name=IMAGE)}
    for step in steps:
        layer = getattr(keras.layers, step.kind).from_config(deepcopy(step.config) | {"name": step.name})
        sources = [tensors[read] for read in step.reads]
        tensors[step.name] = layer(sources if len(sources) > 1 else sources[0])
    return keras.Model(tensors[IMAGE], tensors[step.name], name=name)


def _row(name: str) -> Entry:
    row = BACKBONES.get(name)
    if row is None or not row.builder:
        known = ", ".join(other.name for other in BACKBONES.values() if other.builder)
        raise InputError(f"keras.applications has no {name!r}. It has {known}.")
    return row


@cache
def _recipe_of(name: str) -> tuple[Step, ...]:
    return recipe(original(name))


def _flat(model: keras.Model) -> Iterable[keras.layers.Layer]:
    for layer in model.layers:
        yield from _flat(layer) if isinstance(layer, keras.Model) else (layer,)


def _names(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Name in the original -> name here. Keras' counter runs in building order, whatever it starts from."""
    counted: dict[str, list[tuple[int, str]]] = {}
    names = {item["name"]: item["name"] for item in items}
    for item in items:
        stem = _snake(item["class_name"])
        match = re.fullmatch(rf"{stem}(?:_(\d+))?", item["name"])
        if match:
            counted.setdefault(stem, []).append((int(match[1] or 0), item["name"]))
    for stem, found in counted.items():
        names.update((name, f"{stem}_{place}") for place, (_, name) in enumerate(sorted(found)))
    return names


def _snake(name: str) -> str:
    """`ZeroPadding2D` -> `zero_padding2d`: what Keras makes of a class to name its layers."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


def _operands(item: Mapping[str, Any]) -> tuple[list[str], list[float]]:
    """Names of the layers whose outputs a layer takes, and the plain numbers it takes."""
    tensors: list[str] = []
    constants: list[float] = []

    def visit(value: Any) -> None:
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            tensors.append(value["config"]["keras_history"][0])
        elif isinstance(value, (list, tuple)):
            for part in value:
                visit(part)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            constants.append(value)

    for call in item["inbound_nodes"]:
        visit(call["args"])
    return tensors, constants


def _steps(item: Mapping[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    """The steps in whose place a layer of the original stands, none if it is left out."""
    kind = item["class_name"]
    config = {key: value for key, value in item["config"].items() if key not in ("name", "dtype", "trainable")}
    if kind in _REWRITTEN:
        return _REWRITTEN[kind](config, name, reads, constants)
    if kind == "InputLayer" or (kind in _NORMALISING and reads == (IMAGE,)):
        return []
    if kind == "Conv2D" and config["groups"] > 1:
        return [_depthwise(config, name, reads)]
    return [Step(name, kind, config, reads, item["name"])]


def _depthwise(config: dict[str, Any], name: str, reads: tuple[str, ...]) -> Step:
    """A convolution of as many groups as filters and channels, as ConvNeXt has it: not all runtimes know groups."""
    kept = ("kernel_size", "strides", "padding", "use_bias", "bias_initializer")
    changed = {"depthwise_initializer": config["kernel_initializer"]}
    return Step(name, "DepthwiseConv2D", {key: config[key] for key in kept} | changed, reads, name)


def _nested(config: dict[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    """The layers of a Sequential one after the other."""
    steps: list[Step] = []
    for item in config["layers"]:
        inner = _steps({**item, "name": item["config"]["name"]}, item["config"]["name"], reads, [])
        reads = (inner[-1].name,) if inner else reads
        steps += inner
    return steps


def _sum(config: dict[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    if constants:
        return [Step(name, "Rescaling", {"scale": 1.0, "offset": constants[0]}, reads)]
    return [Step(name, "Add", {}, reads)]


def _product(config: dict[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    if constants:
        return [Step(name, "Rescaling", {"scale": constants[0], "offset": 0.0}, reads)]
    return [Step(name, "Multiply", {}, reads)]


def _scaled_sum(config: dict[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    scale = Step(f"{name}_scale", "Rescaling", {"scale": config["scale"], "offset": 0.0}, reads[1:])
    return [scale, Step(name, "Add", {}, (reads[0], scale.name))]


def _layer_scale(config: dict[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    start = {"class_name": "Constant", "config": {"value": config["init_values"]}}
    options = {"kernel_size": 1, "padding": "same", "use_bias": False, "depthwise_initializer": start}
    return [Step(name, "DepthwiseConv2D", options, reads, name)]


def _left_out(config: dict[str, Any], name: str, reads: tuple[str, ...], constants: list[float]) -> list[Step]:
    return []


_REWRITTEN: dict[str, Callable[[dict[str, Any], str, tuple[str, ...], list[float]], list[Step]]] = {
    "Sequential": _nested,
    "Add": _sum,
    "Multiply": _product,
    "CustomScaleLayer": _scaled_sum,
    "LayerScale": _layer_scale,
    "StochasticDepth": _left_out,
}


def _padded(step: Step, before: Mapping[str, Step]) -> Step:
    """The step with padding if its window overlaps its neighbours and nothing has padded for it."""
    if step.kind not in _WINDOWED or step.config["padding"] != "valid":
        return step
    window = max(_pair(step.config.get("kernel_size", step.config.get("pool_size"))))
    source = before.get(step.reads[0])
    if window <= max(_pair(step.config["strides"])) or (source and source.kind == "ZeroPadding2D"):
        return step
    return step._replace(config=step.config | {"padding": "same"})


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
