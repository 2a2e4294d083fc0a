"""Export to TensorFlow Serving, mobile phones and ONNX: one call, and each file proven before it is put in place."""

import inspect
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from keras_unetpp.artefacts import SUFFIXES
from keras_unetpp.files import write_text
from keras_unetpp.kit.errors import InputError, hint

if TYPE_CHECKING:
    import keras

    from keras_unetpp.exporting.verify import Report

_FOREIGN = (".h5", ".hdf5", ".json", ".keras", ".pb", ".pt", ".pth", ".safetensors", ".zip")


def export(model: "keras.Model", path: str | os.PathLike[str], *, format: str | None = None, levels: Any = None,
           size: Any = None, input: str = "float32", output: str = "probabilities", verify: bool = True,
           tolerance: float | None = None, images: Iterable[Any] | None = None, overwrite: bool = False,
           server_config: bool = False, **options: Any) -> "Report":  # fmt: skip
    """Write a model as a file for another runtime, and prove there that it computes the same.

    The file is written beside `path`, run by its own runtime (TensorFlow without Keras, LiteRT, ONNX Runtime), compared
    with the Keras model level by level, and only then renamed; what was at `path` stays until then. The report goes,
    as JSON, to `path`.json, for a SavedModel to `path`/assets.extra/report.json.

    Args:
        model: any model of this package: whole, pruned or loaded; mixed precision becomes float32.
        path: ending in `.tflite` or `.onnx`; else the folder of a SavedModel, for TensorFlow Serving NAME/VERSION.
        format: "saved_model", "tflite" or "onnx", where the path does not tell.
        levels: a level or several: 1..d, "mean" for the heads' average. Default: all that the model has.
        size: sides of the images in pixels, one number or one per side, None for any. Default: those of the model.
        input: "float32" or "uint8", pixel values 0..255; "image_bytes", encoded PNG or JPEG (SavedModel only).
        output: "probabilities"; "mask", as `segment` gives it; "logits", the values before the heads' activation.
        verify: False leaves the proof out, but that of 8-bit files on their calibration and labelled images.
        tolerance: largest difference of probabilities allowed. Default: the format's, 1e-4 without quantisation.
        images: images to compare on, besides random ones; as `segment` takes them. Of 8-bit files, which have no
            tolerance, the masks of these images are compared by `min_agreement`.
        overwrite: whether files may be replaced that this package did not write, or that were changed since; of a
            folder, only those that such a folder has. A folder that holds anything else is always left alone.
        server_config: write `models.config` and `batching.config` too once a SavedModel is in place, for all models
            beside it; see `serving.write_config`.
        options: of the format, see `write` in its module: `labels`, `opset`, `layout`, `quantize`, `calibration`, ..

    Returns:
        The report: size and, for each level, difference, agreement of the masks and latency.

    Raises:
        InputError: naming what does not fit; a missing package with the extra to install; or where the file differs.
        OSError: `path` cannot be written, told before the work.
    """
    from keras_unetpp.exporting import place, serving
    from keras_unetpp.exporting import signature as signatures
    from keras_unetpp.exporting import verify as proof

    path, format = Path(path), _format(Path(path), format)
    for name, value in {"verify": verify, "server_config": server_config}.items():
        signatures.check_flag(name, value)
    module = proof.module_of(format)
    _check_options(module, format, {**options, **({"server_config": True} if server_config else {})})
    wanted = signatures.signature(model, levels=levels, size=size, input=input, output=output)
    folder = format == "saved_model"
    if server_config:
        serving.check_layout(path)
    beside = serving.config_files(path.parent.parent) if server_config else []
    place.check_target(path, folder, overwrite, beside)
    with place.placing(path, folder, overwrite) as temporary:
        accuracy = module.write(model, temporary, wanted, **options) or ()
        report = proof.describe(temporary, format, wanted)
        if verify:
            limit = proof.tolerance_of(temporary, format) if tolerance is None else tolerance
            least = options.get("min_agreement") if math.isinf(limit) else 0.0
            try:
                report = proof.verify(temporary, format, model, wanted, images, limit, least)
            except InputError as error:
                raise InputError(f"{path} was not put in place. {error}") from error
        report = replace(report, path=str(path), accuracy=tuple(accuracy))
        where = temporary / place.REPORT if folder else place.report_of(path)
        write_text(where, report.to_json() + "\n", overwrite)
    if server_config:
        serving.write_config(path.parent.parent, overwrite=overwrite)
    return report


def _format(path: Path, format: str | None) -> str:
    names = list(SUFFIXES.values())
    if format is not None:
        if format not in names:
            raise InputError(f"format must be one of {', '.join(map(repr, names))}. Received: {format!r}.")
        return format
    if path.suffix.lower() in _FOREIGN:
        raise InputError(f"export writes .tflite, .onnx and SavedModel folders. Received: {path}.")
    return SUFFIXES.get(path.suffix.lower(), "saved_model")


def _check_options(module: ModuleType, format: str, options: Mapping[str, Any]) -> None:
    """Raise `InputError` for an option that the format has not: those of its `write`, and what `export` does after."""
    parameters = inspect.signature(module.write).parameters.values()
    known = [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]
    known += ["server_config"] if format == "saved_model" else []
    for name in options:
        if name not in known:
            raise InputError(f"{format} has no option {name!r}.{hint(name, known)} Options: {', '.join(known)}.")
