"""Weights by name, `layer/variable` (`x_0_1_conv1/kernel`), in memory and in safetensors files.

Keras' own `.weights.h5` goes by layer class and order, so the weights of another level would land in wrong layers.
Here a name that is missing, extra or misshapen is an error, and then nothing is assigned.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import safetensors
import safetensors.numpy

from keras_unetpp import __version__
from keras_unetpp.files import replacing
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.json_files import anything, check_regular, fields, mapping, maybe, parse_json, text, whole
from keras_unetpp.weights.finite import check_finite

State = dict[str, np.ndarray]

FORMAT = 1
HEADER = "keras_unetpp"
"""The one key of a file's metadata: its value is JSON, since safetensors writes several keys in random order."""

_ABOUT = fields({}, {"format": whole(1), "version": text(), "spec": maybe(mapping(anything))})
_LISTED = 10
_LEAST_BYTES = 2
"""Of a weight, in half precision."""
_NOT_REAL = "cOSUMm"
"""NumPy's letters of types whose values are no numbers, or lose a part on the way to one."""
_DTYPES = ("float16", "float32", None)


def variables(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by name, in its order: moving averages included, seeds of random layers not.

    Raises:
        InputError: two weights have the same name, as those of layers inside a layer may.
    """
    named = {f"{layer.name}/{weight.name}": weight for layer in model.layers for weight in layer.weights}
    if len(named) != len(model.weights):
        raise InputError(
            f"Weights need a name layer/variable each. Received: model {model.name!r}, {len(model.weights)} weights of"
            f" {len(named)} names. Use a model whose layers hold no further layers, such as build() makes."
        )
    return named


def state(model: keras.Model) -> State:
    """A copy of the model's weights by name."""
    return {name: np.array(keras.ops.convert_to_numpy(weight)) for name, weight in variables(model).items()}


def assign(model: keras.Model, state: Mapping[str, Any], *, source: str = "The state") -> None:
    """Give each weight its array, cast to the weight's type; if any name or shape is wrong, none.

    Args:
        model: one whose weights have names of their own, as in `variables`.
        state: name -> array.
        source: what an error calls the state, for example the name of its file.

    Raises:
        InputError: naming everything missing, extra and misshapen, or what is not finite in the weight's type.
    """
    named = variables(model)
    check_names({name: tuple(weight.shape) for name, weight in named.items()}, state, source, model)
    others = [f"{name} ({kind})" for name in named if (kind := np.asarray(state[name]).dtype).kind in _NOT_REAL]
    if others:
        raise InputError(f"{source} must hold real numbers. Received: {listed(others)}. Nothing was assigned.")
    arrays = {name: np.asarray(state[name], dtype=weight.dtype) for name, weight in named.items()}
    check_finite(arrays, source)
    for name, weight in named.items():
        weight.assign(arrays[name])


def check_names(
    expected: Mapping[str, tuple[int, ...]], received: Mapping[str, Any], source: str, model: keras.Model
) -> None:
    """Raise one `InputError` unless `received` has the expected names, all of them and no others, in their shapes.

    Args:
        expected: name -> shape.
        received: name -> array.
        source: what the message calls `received`.
        model: what the arrays are for.
    """
    misshapen = [
        f"{name} (expected {shape}, received {np.shape(received[name])})"
        for name, shape in expected.items()
        if name in received and np.shape(received[name]) != shape
    ]
    faults = {
        "missing": [name for name in expected if name not in received],
        "extra": [name for name in received if name not in expected],
        "of another shape": misshapen,
    }
    found = [f"{len(names)} {fault}: {listed(names)}" for fault, names in faults.items() if names]
    if found:
        raise InputError(
            f"{source} does not fit model {model.name!r}, and nothing was assigned. {'; '.join(found)}."
            " Build the model from the Spec of these weights."
        )


def save(model: keras.Model, path: str | os.PathLike[str], dtype: str | None = None, *,
         overwrite: bool = False) -> None:  # fmt: skip
    """Write the model's weights to a safetensors file, whole or not at all; equal weights make equal bytes.

    The metadata holds, as JSON under `keras_unetpp`, the version of the format and of the package, and the Spec if the
    model has one.

    Args:
        model: one whose weights have names of their own, as in `variables`.
        path: the file, usually `*.safetensors`.
        dtype: `float32`; `float16`, which halves the file, keeps 11 bits and takes what is below 3e-8 to 0; None, the
            weights' own.
        overwrite: whether a file may be replaced that this package did not write.

    Raises:
        InputError: naming the weights that are not finite, or beyond the largest number of `dtype`; or a file in the
            way that is not ours.
        OSError: the file cannot be written.
    """
    if dtype not in _DTYPES:
        raise InputError(f"dtype must be 'float16', 'float32' or None. Received: {dtype!r}.")
    arrays = state(model)
    _check_range(arrays, dtype)
    spec = getattr(model, "spec", None)
    arrays = {name: array.astype(dtype or array.dtype) for name, array in arrays.items()}
    write(arrays, path, {"spec": spec.to_dict() if spec else None}, overwrite)


def write(state: Mapping[str, np.ndarray], path: str | os.PathLike[str], about: Mapping[str, Any],
          overwrite: bool = False) -> None:  # fmt: skip
    """Write arrays by name to a safetensors file, whole or not at all, with what `read` shall tell about them.

    Args:
        state: name -> array.
        path: the file, usually `*.safetensors`.
        about: what JSON can hold; `format` and `version` are added.
        overwrite: whether a file may be replaced that this package did not write.

    Raises:
        InputError: a file is in the way that is not ours.
        OSError: the file cannot be written.
    """
    about = {"format": FORMAT, "version": __version__, **about}
    data = safetensors.numpy.save(dict(state), {HEADER: json.dumps(about)})
    with replacing(path, overwrite) as temporary:
        temporary.write_bytes(data)


def check_enough(path: str | os.PathLike[str], params: int) -> None:
    """Raise `InputError` if a file is too short for that many weights: before memory is taken for them."""
    size = os.stat(path).st_size
    if params > size // _LEAST_BYTES:
        raise InputError(
            f"{os.fspath(path)} must hold the {params:,} weights that its Spec describes. Received: a file of"
            f" {size:,} bytes, which are fewer. Get both again from who made them."
        )


def load(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Give the model the weights of a file that `save` wrote, cast to the types of the model's own.

    Raises:
        InputError: the file is damaged or of a later format, or its names and shapes are not the model's.
        OSError: the file cannot be read.
    """
    arrays, _ = read(path)
    assign(model, arrays, source=os.fspath(path))


def read(path: str | os.PathLike[str]) -> tuple[State, dict[str, Any]]:
    """A file's arrays by name, and what `save` wrote about them: `format`, `version`, `spec`; empty if it did not.

    Raises:
        InputError: the file is damaged or of a later format, or holds weights that are not finite.
        OSError: the file cannot be read.
    """
    try:
        check_regular(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            told = (file.metadata() or {}).get(HEADER, "{}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no mapping, has no iterator
    except OSError as error:
        raise type(error)(f"cannot read {path}: {error}") from error
    except InputError:
        raise
    except (safetensors.SafetensorError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is cut off, damaged, or no safetensors file ({' '.join(str(error).split())}). Write or fetch it"
            " again."
        ) from error
    about: dict[str, Any] = parse_json(told, f"What {path} says about itself", _ABOUT, "Write or fetch it again.")
    if about.get("format", FORMAT) > FORMAT:
        raise InputError(
            f"{path} has format {about['format']}; this keras_unetpp reads formats up to {FORMAT}. Upgrade it to"
            f" {about.get('version')} or later."
        )
    check_finite(arrays, os.fspath(path))
    return arrays, about


def _check_range(arrays: State, dtype: str | None) -> None:
    largest = np.finfo(dtype or "float64").max
    peaks = {name: np.abs(array).max() for name, array in arrays.items()}
    bad = [f"{name} ({peak})" for name, peak in peaks.items() if not peak <= largest]
    if bad:
        raise InputError(
            f"Weights must be finite numbers up to {largest:.6g}, the largest {dtype or 'float64'}. Largest magnitude"
            f" received: {listed(bad)}. Save as float32, or go back to weights from before training diverged."
        )


def listed(names: Sequence[str], most: int = _LISTED) -> str:
    """The first names, and the number of those left out."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")
