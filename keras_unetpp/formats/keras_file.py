"""Files of Keras models: the one place that opens them."""

import math
import os
import re
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.weights.finite import check_finite
from keras_unetpp.weights.h5_files import check_h5

SUFFIXES = (".keras", ".h5", ".hdf5")
BEST = "best.keras"
"""The file of a training run's folder that stands for the folder."""

_MOST_UNPACKED = 200
"""Times that a member of an archive may be longer unpacked; Keras packs nothing, other programs twice to ten times."""
_SPARE = 2**20
"""Weights that a file may describe beyond one for each bit that it holds."""

_lock = threading.RLock()


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Whether a name means a file of a Keras model, or the folder of a run, rather than an entry of the zoo."""
    return Path(path).suffix.lower() in SUFFIXES or (Path(path) / BEST).is_file()


def load_model(path: str | os.PathLike[str]) -> keras.Model:
    """A Keras model from its file, or the best one of a run from its folder.

    It is compiled as it was when it was saved. Where that names a loss, metric or optimizer that is not known here, the
    model comes without, and an `InputWarning` says so.

    Args:
        path: `.keras` or `.h5` file, as `model.save` writes it; or the folder of a run.

    Raises:
        InputError: there is no such file, it is damaged, its weights are not finite, or it holds no model that can be
            opened; the text says why.
    """
    file = Path(path) / BEST if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError(f"There is no model file {file}.")
    if file.name.lower().endswith(".weights.h5"):
        raise InputError(
            f"A whole model is required, as model.save() writes it. Received: {file}, which holds weights only. Build"
            " the model and give them to its load_weights()."
        )
    held = _checked_bytes(file)
    try:
        return _opened(file, held)
    except InputError:
        raise
    except Exception as error:  # Keras, HDF5 and zipfile share no class of errors
        reason = _reason(error)
    try:
        model = _opened(file, held, compile=False)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{file} is not a readable Keras model: {_reason(error)}.") from error
    warnings.warn(
        f"{file} was compiled with something that is not known here ({reason}), and opens without that. To train it"
        " further, compile it anew.",
        InputWarning,
        stacklevel=2,
    )
    return model


def _opened(file: Path, held: int, **options: Any) -> keras.Model:
    with _no_more_weights(8 * held + _SPARE, file):
        model = keras.saving.load_model(file, **options)
    if not isinstance(model, keras.Model):
        raise InputError(f"{file} must hold a Keras model. Received: {type(model).__name__}.")
    own = [*model.variables, *(model.optimizer.variables if getattr(model, "optimizer", None) else ())]
    check_finite({one.path: keras.ops.convert_to_numpy(one) for one in own if _has_numbers(one)}, file)
    return model


def _has_numbers(variable: Any) -> bool:
    return not isinstance(variable.dtype, str) or variable.dtype.startswith(("float", "bfloat"))


def _checked_bytes(file: Path) -> int:
    """Bytes of a file, unpacked, after its check sums were compared: Keras reads past them where it jumps about.

    Raises:
        InputError: a `.keras` file is damaged, or would unpack to more than models do.
    """
    size = file.stat().st_size
    if file.suffix.lower() != ".keras" or not size:
        check_h5(file, size)
        return size
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            packed = [one.filename for one in members if one.file_size > _MOST_UNPACKED * max(one.compress_size, 1)]
            if packed or sum(one.compress_size for one in members) > size:
                raise InputError(
                    f"{file} is not a readable Keras model: its parts would unpack to far more than they are"
                    f" ({', '.join(packed[:3]) or 'they lie over each other'})."
                )
            broken = archive.testzip()
            unpacked = sum(one.file_size for one in members)
            for one in members if broken is None else ():
                if one.filename.endswith(".h5"):
                    check_h5(file, one.file_size, one.filename)
    except InputError:
        raise
    except Exception as error:  # damaged headers end in errors of many classes
        broken, unpacked = _reason(error), 0
    if broken is not None:
        raise InputError(
            f"{file} is not a readable Keras model: it is cut off or damaged ({broken}). Fetch it again, or take an"
            " earlier copy."
        )
    return unpacked


@contextmanager
def _no_more_weights(most: int, file: Path) -> Iterator[None]:
    """Let no layer make weights, here, once they are more than a file can hold: it would be memory for nothing."""
    made, own = 0, threading.get_ident()
    with _lock:
        plain = keras.Layer.add_weight

        def add_weight(layer: keras.Layer, shape: Any = None, *args: Any, **options: Any) -> Any:
            nonlocal made
            if threading.get_ident() == own and shape is not None:
                made += math.prod(shape if isinstance(shape, (list, tuple)) else (shape,))
                if made > most:
                    raise InputError(
                        f"{file} is not a readable Keras model: layer {layer.name!r} brings the weights that it"
                        f" describes to {made:,}, and it holds fewer."
                    )
            return plain(layer, shape, *args, **options)

        keras.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.Layer.add_weight = plain


def _reason(error: Exception) -> str:
    """One line of why: what Keras met, which it tells at the end, after the configuration of the object."""
    told = re.split(r"(?:Exception|Error) encountered[^:\n]*:", str(error))[-1]
    text = next((line.strip() for line in told.splitlines() if line.strip()), type(error).__name__)
    return text.split(" Make sure custom classes")[0].rstrip(".")[:300]
