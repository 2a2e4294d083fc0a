"""Files of Keras models: the one place that opens them."""

import os
import warnings
from pathlib import Path

import keras

from keras_unetpp.errors import InputError, InputWarning

SUFFIXES = (".keras", ".h5", ".hdf5")
BEST = "best.keras"
"""The file of a training run's folder that stands for the folder."""


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
        InputError: there is no such file, or it holds no model that can be opened; the text says why.
    """
    file = Path(path) / BEST if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError(f"There is no model file {file}.")
    if file.name.lower().endswith(".weights.h5"):
        raise InputError(
            f"A whole model is required, as model.save() writes it. Received: {file}, which holds weights only. Build"
            " the model and give them to its load_weights()."
        )
    try:
        return keras.saving.load_model(file)
    except Exception as error:  # Keras, HDF5 and zipfile share no class of errors
        reason = _reason(error)
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:
        raise InputError(f"{file} is not a readable Keras model: {_reason(error)}.") from error
    warnings.warn(
        f"{file} was compiled with something that is not known here ({reason}), and opens without that. To train it"
        " further, compile it anew.",
        InputWarning,
        stacklevel=2,
    )
    return model


def _reason(error: Exception) -> str:
    """One line of why; Keras' own first lines are long, and what follows them is the configuration of the object."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text.split(" Make sure custom classes")[0].rstrip(".")[:300]
