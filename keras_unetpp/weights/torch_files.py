"""State dicts of PyTorch checkpoints as NumPy arrays, without PyTorch and without running what the file says.

Two formats: the one until PyTorch 1.5, pickles one after another and then the numbers; and the one since, a zip archive
with `data.pkl` and a file for each run of numbers.
"""

import errno
import math
import mmap
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.json_files import check_regular
from keras_unetpp.weights import torch_pickle
from keras_unetpp.weights.finite import check_finite
from keras_unetpp.weights.torch_pickle import Forbidden, Malformed, Storage, Tensor

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file in the old format."""

NESTED = ("state_dict", "model_state_dict", "model")
"""Keys under which a training checkpoint may keep the state dict."""

_ZIP = b"PK\x03\x04"
_RANK = 32
_DAMAGE = (Malformed, zipfile.BadZipFile, struct.error, EOFError, RuntimeError, LookupError, ValueError, OverflowError)
"""What reading a damaged file raises, here and in `zipfile`."""


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by name, in its order.

    The arrays are read-only; those of tensors that share numbers share them too. bfloat16 comes as float32, which
    holds it exactly; all other types stay. Before memory is taken for numbers, their claimed count is compared with
    what the file has left, so that the arrays are no longer than the file; those of bfloat16 twice that.

    Args:
        path: what `torch.save(model.state_dict(), path)` wrote, in either format; or a dict that has the state
            dict under one of `NESTED`.

    Raises:
        InputError: the file is cut off, damaged or something else; a tensor is not finite; or its pickle names a
            function or class that a state dict does not need.
        OSError: the file cannot be read.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            found, arrays = (_read_zip if file.peek(4)[:4] == _ZIP else _read_old)(file, size)
        tensors = _tensors(found)
        state = {name: _view(tensor, arrays[tensor.storage.key], name) for name, tensor in tensors.items()}
    except Forbidden as error:
        raise InputError(
            f"{os.fspath(path)} refers to {error}, which is no part of a state dict; nothing of it was run. Write the"
            " weights alone, in PyTorch: torch.save(model.state_dict(), path)."
        ) from error
    except _DAMAGE as error:
        raise InputError(
            f"{os.fspath(path)} is cut off, damaged, or no PyTorch state dict ({error}). Fetch it again, or write it"
            " with torch.save(model.state_dict(), path)."
        ) from error
    check_finite(state, os.fspath(path))
    return state


def _read_old(file: BinaryIO, size: int) -> tuple[Any, dict[str, np.ndarray]]:
    """What the pickles describe, and the numbers, each run with its count in front."""
    if not size:
        raise Malformed("the file is empty")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if torch_pickle.read(data)[0] != MAGIC:
            raise Malformed("it does not begin as a checkpoint does")
        for _ in ("version of the format", "machine it was written on"):
            torch_pickle.read(data)
        found, storages = torch_pickle.read(data)
        keys, _ = torch_pickle.read(data)
        if not isinstance(keys, list) or any(type(key) is not str for key in keys) or set(keys) != set(storages):
            raise Malformed("its list of storages is not the one that its tensors need")
        arrays = {}
        for key in keys:
            count = int.from_bytes(data.read(8), "little", signed=True)
            if count != storages[key].size:
                raise Malformed(f"storage {key} has {count} numbers where its tensors need {storages[key].size}")
            arrays[key] = _numbers(storages[key], data.read, size - data.tell(), "<")
    return found, arrays


def _read_zip(file: BinaryIO, size: int) -> tuple[Any, dict[str, np.ndarray]]:
    """What `data.pkl` describes, and the numbers, from the archive's files."""
    with _archive(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        # PyTorch does not compress: an archive that does, or whose parts overlap, may unpack to any size.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise Malformed("the archive is compressed, which PyTorch's are not")
        if sum(entry.file_size for entry in entries.values()) > size:
            raise Malformed("the archive claims to hold more than the file is long")
        programs = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
        if len(programs) != 1:
            raise Malformed(f"the archive has {len(programs)} files data.pkl instead of one")
        folder = programs[0].removesuffix("data.pkl")
        with archive.open(programs[0]) as stream:
            found, storages = torch_pickle.read(stream)
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in entries else b"little"
        arrays = {}
        for key, storage in storages.items():
            name = f"{folder}data/{key}"
            with archive.open(name) as stream:
                arrays[key] = _numbers(storage, stream.read, entries[name].file_size, ">" if order == b"big" else "<")
                stream.read()  # to the end, where the check sum is compared
    return found, arrays


@contextmanager
def _archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise Malformed("the archive's list points outside of the file") from error
        raise


def _numbers(storage: Storage, read: Callable[[int], bytes], left: int, order: str) -> np.ndarray:
    """A storage's numbers, if the bytes left hold as many."""
    half = storage.kind == "bfloat16"
    dtype = np.dtype(f"{order}{'u2' if half else storage.kind}")
    length = storage.size * dtype.itemsize
    data = read(length) if length <= left else b""
    if len(data) != length:
        raise Malformed(f"storage {storage.key} needs {length} bytes, {left} are left")
    array = np.frombuffer(data, dtype)
    if half:
        wide = array.astype("u4")
        wide <<= 16
        array = wide.view("f4")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def _tensors(found: Any) -> Mapping[str, Tensor]:
    """The state dict in what a checkpoint holds."""
    if not isinstance(found, dict):
        raise Malformed(f"it holds a {type(found).__name__} instead of a dict")
    nested = next((found[key] for key in NESTED if isinstance(found.get(key), dict)), found)
    other = [name for name, value in nested.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if other or not nested:
        raise Malformed(f"its dict has {'no tensors' if not nested else f'{other[0]!r}, which is no tensor'}")
    return nested


def _view(tensor: Tensor, numbers: np.ndarray, name: str) -> np.ndarray:
    """A tensor's array, if it lies within its storage and does not repeat it."""
    count = math.prod(tensor.shape)
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True))
    if count > numbers.size or (count and last >= numbers.size) or len(tensor.shape) > _RANK:
        raise Malformed(f"tensor {name!r} of shape {tensor.shape} goes beyond its {numbers.size} numbers")
    if not count:
        return np.empty(tensor.shape, numbers.dtype)
    steps = [step * numbers.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, steps, writeable=False)
