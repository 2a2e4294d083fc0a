"""ONNX files in ONNX Runtime."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_unetpp.formats import FORMATS, process
from keras_unetpp.formats.runtime import LONGEST, SHAPE, Opened, as_dtype, first_line
from keras_unetpp.kit.errors import InputError


def open(path: str | os.PathLike[str], threads: int | None = None, inside: bool = False,
         trusted: bool = False) -> Opened:  # fmt: skip
    """A file with its levels by name, each run alone.

    Args:
        path: the file.
        threads: how many to run on; default all cores.
        inside: run it in this process, for files just written: Ctrl-C does not end one that runs on for ever.
        trusted: of no effect.

    Raises:
        InputError: ONNX Runtime is not installed, or the file is none of its files.
    """
    FORMATS["onnx"].check_runs()
    return opened(path, threads) if inside else process.open("onnx", path, threads)


def opened(path: str | os.PathLike[str], threads: int | None = None, trusted: bool = False) -> Opened:
    """What `open` gives, in this process."""
    try:
        return of_bytes(os.fspath(path), threads)
    except Exception as error:  # ONNX Runtime's classes have no common base but this
        raise InputError(f"ONNX Runtime cannot open {path}: {first_line(error)}") from error


def runtime() -> Any:
    """ONNX Runtime; where it is loaded here first, it reports nothing to its makers unless the user's environment says.

    Without that it writes an identifier of the machine into the user's folder, and what it sends, when it is imported.
    """
    if "onnxruntime" not in sys.modules:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def of_bytes(source: str | bytes, threads: int | None = None) -> Opened:
    """What `opened` gives, of a file's bytes, or of a path."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    about = dict(session.get_modelmeta().custom_metadata_map)
    first = about.get("layout") == "NCHW"
    image, *others = session.get_inputs()
    if others:
        raise ValueError(f"it must have one input, has {len(others) + 1}")
    alone = onnxruntime.RunOptions()
    alone.add_run_config_entry("only_execute_path_to_fetches", "1")
    dtype = np.uint8 if image.type == "tensor(uint8)" else np.float32

    def level(name: str) -> Callable[[np.ndarray], np.ndarray]:
        def call(images: np.ndarray) -> np.ndarray:
            images = np.moveaxis(images, -1, 1) if first else images
            try:
                (result,) = session.run([name], {image.name: as_dtype(images, dtype)}, alone)
            except Exception as error:  # as in `open`
                raise InputError(f"ONNX Runtime cannot run {name} of the file: {first_line(error)}") from error
            return np.moveaxis(result, 1, -1) if first and about.get("output") != "mask" else result

        return call

    _, *sides = (side if isinstance(side, int) else None for side in image.shape)
    shape = (*sides[1:], sides[0]) if first else tuple(sides)
    long = [name for name, text in about.items() if len(text) > LONGEST]
    if long:
        raise ValueError(f"{', '.join(long)} in its metadata must be texts of at most {LONGEST} letters")
    return Opened(
        {output.name: level(output.name) for output in session.get_outputs()}, about | {SHAPE: json.dumps(shape)}
    )
