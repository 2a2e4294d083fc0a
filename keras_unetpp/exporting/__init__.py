"""Export to TensorFlow Serving, mobile phones and ONNX: one call, and each file proven before it is put in place."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unetpp.files import write_text
from keras_unetpp.formats import FORMATS, Format, named, of_path
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
        format: a name of `FORMATS`: "saved_model", "tflite", "onnx"; where the path does not tell.
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
            beside it; see `write_config` in `formats.saved_model.serving`.
        options: of the format, see `write` in its module: `labels`, `opset`, `layout`, `quantize`, ..; of one that can
            lose, see `Losses` in `attempts`: `calibration`, `labelled`, `max_drop`, `min_agreement`.

    Returns:
        The report: size and, for each level, difference, agreement of the masks and latency.

    Raises:
        InputError: naming what does not fit; a missing package with the extra to install; or where the file differs.
        OSError: `path` cannot be written, told before the work.
    """
    from keras_unetpp.exporting import attempts, place
    from keras_unetpp.exporting import verify as proof
    from keras_unetpp.formats import functions as signatures
    from keras_unetpp.formats.saved_model import serving

    path, row = Path(path), _format(Path(path), format)
    for name, value in {"verify": verify, "server_config": server_config}.items():
        signatures.check_flag(name, value)
    if tolerance is not None and not (isinstance(tolerance, (int, float)) and tolerance >= 0):
        raise InputError(f"tolerance must be a number of at least 0. Received: {tolerance!r}.")
    known = [*attempts.options_of(row), *(["server_config"] if row.served else [])]
    _check_options(row, known, {**options, **({"server_config": True} if server_config else {})})
    wanted = signatures.signature(model, levels=levels, size=size, input=input, output=output)
    if server_config:
        serving.check_layout(path)
    beside = serving.config_files(path.parent.parent) if server_config else []
    place.check_target(path, row.parts, overwrite, beside)
    with place.placing(path, row.parts, overwrite) as temporary:
        accuracy = attempts.written(row, model, temporary, wanted, options)
        report = proof.report(temporary, row.name, wanted)
        if verify:
            limit = row.tolerance_of(temporary) if tolerance is None else tolerance
            least = options.get("min_agreement") if math.isinf(limit) else 0.0
            try:
                report = proof.verify(temporary, row.name, model, wanted, images, limit, least)
            except InputError as error:
                raise InputError(f"{path} was not put in place. {error}") from error
        report = replace(report, path=str(path), accuracy=accuracy)
        where = temporary / place.REPORT if row.parts else place.report_of(path)
        write_text(where, report.to_json() + "\n", overwrite)
    if server_config:
        serving.write_config(path.parent.parent, overwrite=overwrite)
    return report


def _format(path: Path, format: str | None) -> Format:
    if format is None and path.suffix.lower() in _FOREIGN:
        raise InputError(f"export writes {_listed()}. Received: {path}.")
    return of_path(path) if format is None else named(format)


def _listed() -> str:
    """What can be written, in words."""
    *words, last = (row.suffix or f"{row.title} folders" for row in FORMATS.values())
    return f"{', '.join(words)} and {last}"


def _check_options(row: Format, known: Sequence[str], options: Iterable[str]) -> None:
    """Raise `InputError` for an option that the format has not."""
    for name in options:
        if name not in known:
            raise InputError(f"{row.name} has no option {name!r}.{hint(name, known)} Options: {', '.join(known)}.")
