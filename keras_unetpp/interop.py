"""Weights of UNet++ networks from elsewhere: a table of names for each layout, read strictly.

A layout says what each of our layers is called there. From it and a built model follow all names and shapes that a
state dict must have, so anything missing, extra or misshapen is reported in the state dict's own names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.spec import Spec
from keras_unetpp.weights import assign, check_names, variables


@dataclass(frozen=True)
class Layout:
    """How a network's state dict names what we build.

    Attributes:
        preset: the preset whose structure it has.
        modules: our layer's name -> its module's; `{i}` is a row, `{j}` a column, `{k}` a level. The first that fits
            counts.
        ignored: last parts of names that hold no weights.
    """

    preset: str
    modules: Mapping[str, str]
    ignored: frozenset[str]

    def tensor(self, weight: str) -> str:
        """What our weight `layer/variable` is called there."""
        layer, variable = weight.split("/")
        for ours, theirs in self.modules.items():
            if match := re.fullmatch(re.sub(r"\{(\w)\}", r"(?P<\1>\\d+)", ours), layer):
                return f"{theirs.format_map(match.groupdict())}.{TENSORS[variable]}"
        raise LookupError(f"no rule of the layout names {weight}")


LAYOUTS = {
    "reference": Layout(
        preset="reference",
        modules={
            "x_{i}_0_conv1": "stage_{i}.Conv_forward.0",
            "x_{i}_0_norm1": "stage_{i}.Conv_forward.1",
            "x_{i}_0_conv2": "stage_{i}.Conv_forward.3",
            "x_{i}_0_norm2": "stage_{i}.Conv_forward.4",
            "x_{i}_{j}_up": "upsample_{i}_{j}",
            "x_{i}_{j}_norm1": "CONV{i}_{j}.Conv_forward.0",
            "x_{i}_{j}_conv1": "CONV{i}_{j}.Conv_forward.2",
            "x_{i}_{j}_norm2": "CONV{i}_{j}.Conv_forward.3",
            "x_{i}_{j}_conv2": "CONV{i}_{j}.Conv_forward.5",
            "L{k}_norm": "final_super_0_{k}.0",
            "L{k}_conv": "final_super_0_{k}.2",
        },
        ignored=frozenset({"num_batches_tracked"}),
    ),
}
"""The layouts that `load_torch` reads."""

TENSORS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras' name of a variable -> PyTorch's."""

_FREE = frozenset(
    {"input_shape", "classes", "depth", "filters", "max_filters", "decoder_filters", "dropout", "normalization"}
    | {"norm_groups", "norm_momentum", "head_activation"}
)
"""The fields of Spec in which a model may differ from the preset and still mean the same by its weights."""


def load_torch(model: keras.Model, state: Mapping[str, Any], layout: str = "reference") -> None:
    """Give the model the weights of a PyTorch state dict; if any name or shape is wrong, none.

    Kernels are (out, in, *sides) there, those of transposed convolutions (in, out, *sides); Keras has (*sides, in, out)
    and (*sides, out, in). Pixel values stay the caller's affair: a network trained on 0..1 gives the same outputs
    for 0..255 in a model with `normalization="rescale"`.

    Args:
        model: of the layout's preset; the input's shape, classes, depth, filters, dropout, normalisation of pixels
            and activation of heads are free.
        state: name -> PyTorch tensor, NumPy array or anything that NumPy makes an array of.
        layout: a name from `LAYOUTS`.

    Raises:
        InputError: the model is of another structure; or naming everything missing, extra and misshapen.
    """
    if layout not in LAYOUTS:
        raise InputError(f"Unknown layout {layout!r}.{hint(layout, LAYOUTS)} Layouts: {', '.join(LAYOUTS)}.")
    rules = LAYOUTS[layout]
    _check_structure(model, rules.preset)
    weights = variables(model)
    theirs = {name: rules.tensor(name) for name in weights}
    arrays = {name: _array(value) for name, value in state.items() if name.rpartition(".")[2] not in rules.ignored}
    expected = {theirs[name]: _their_shape(tuple(weight.shape)) for name, weight in weights.items()}
    check_names(expected, arrays, "The state dict", model)
    assign(model, {name: our_order(arrays[theirs[name]]) for name in weights})


def _check_structure(model: keras.Model, preset: str) -> None:
    """Raise `InputError` unless the model differs from the preset in free fields only."""
    spec = getattr(model, "spec", None)
    if spec is None:
        raise InputError(
            f"load_torch() needs a model of preset {preset!r}. Received: model {model.name!r}, which has no Spec. Load"
            " into the model that build() made, then prune it."
        )
    wanted = Spec.preset(preset).to_dict()
    other = [
        f"{name}={value!r} instead of {wanted[name]!r}"
        for name, value in spec.to_dict().items()
        if name not in _FREE and value != wanted[name]
    ]
    if other:
        raise InputError(
            f"load_torch() needs a model of preset {preset!r}. Received: {', '.join(other)}. Build it with"
            f" build({spec.input_shape}, preset={preset!r}, ..), and see load_torch() for what may differ."
        )


def _array(value: Any) -> np.ndarray:
    """A tensor or array as NumPy; float32 first, since NumPy lacks bfloat16."""
    return value.detach().cpu().float().numpy() if hasattr(value, "detach") else np.asarray(value)


def _their_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) < 2 else (shape[-1], shape[-2], *shape[:-2])


def our_order(array: np.ndarray) -> np.ndarray:
    """A view of PyTorch's kernel with Keras' axes: (out, in, *sides) -> (*sides, in, out)."""
    return array if array.ndim < 2 else np.transpose(array, (*range(2, array.ndim), 1, 0))
