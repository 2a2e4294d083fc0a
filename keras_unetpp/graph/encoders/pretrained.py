"""Pretrained weights for the backbone of a built model, wherever they come from."""

from pathlib import Path

import keras
import numpy as np

from keras_unetpp import weights
from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.encoders.families import application_weights, torch_weights
from keras_unetpp.graph.encoders.registry import template
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.backbone_table import BACKBONES
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.names import backbone_layer
from keras_unetpp.weights import State

_ALLOWED = {
    "applications": "'imagenet', an .h5 file or ",
    "lite": "'imagenet' (Lite0..2), a .pth file or ",
    "resnet": "a .pth file of torchvision or ",
    "vgg": "or ",
    "own": "'own' or ",
}
"""What a backbone's weights can be, by where it comes from."""


def read(spec: Spec) -> State:
    """The weights that a Spec's `encoder_weights` means, by `layer/variable` of its backbone, for images of 3 channels.

    Raises:
        InputError: there are none for this backbone, or they cannot be had or read; the text says what to do.
        OSError: a file cannot be read.
    """
    name, source = str(spec.backbone), str(spec.encoder_weights)
    kind = BACKBONES[name].template if name in BACKBONES else "own"
    if source == "own" and kind == "own":
        return weights.state(template(name))
    if source == "imagenet" and kind == "applications":
        return application_weights.imagenet(name)
    if source == "imagenet" and kind == "lite":
        return torch_weights.lite_weights(int(name[-1]))
    suffix = Path(source).suffix
    if suffix == ".safetensors":
        return _stripped(weights.read(source)[0])
    if suffix == ".h5" and kind == "applications":
        return application_weights.from_file(name, source)
    if suffix == ".pth" and kind in ("lite", "resnet"):
        return torch_weights.state_from_torch(source, name)
    raise InputError(
        f"encoder_weights of {name!r} must be None, {_ALLOWED[kind]}a .safetensors file. Received: {source!r}."
    )


def give(model: keras.Model, state: State, source: str) -> None:
    """Give the backbone of a built model weights by the names of the backbone's own layers.

    Weights for layers that the model does not need are left out. For images of one channel the kernel that reads the
    image is summed over red, green and blue, so a grey image gives what its three equal channels would; for other
    numbers of channels its slices are repeated in turn and scaled by 3 / channels.

    Raises:
        InputError: naming everything missing and misshapen; then nothing is assigned.
    """
    ours = {name: layer.name for name, layer in describe(model).encoder.items()}
    found: State = {}
    for name, array in state.items():
        layer, _, variable = name.rpartition("/")
        if layer in ours:
            found[f"{ours[layer]}/{variable}"] = array
    encoder = model.spec.encoder
    kernel = f"{ours.get(encoder.first)}/kernel"
    if kernel in found:
        found[kernel] = for_channels(found[kernel], model.spec.channels)
    rest = {name: array for name, array in weights.state(model).items() if name.split("/")[0] not in ours.values()}
    weights.assign(model, rest | found, source=source)


def for_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A kernel (height, width, 3, filters) for images of another number of channels; see `give`."""
    if channels == kernel.shape[2]:
        return kernel
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(channels) % 3] * np.float32(3 / channels)


def _stripped(state: State) -> State:
    """Names of a backbone's own layers, of a file of it or of a whole network, where they carry their rows.

    Of two equal names the one of the lower row counts: own rows lie above those of the backbone.
    """

    found = {name: backbone_layer(name) or (0, name) for name in state}
    return {found[name][1]: state[name] for name in sorted(state, key=lambda name: found[name][0])}
