"""Prediction of image files: what can be checked is checked before the first image, and a bad one stops no other."""

import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from keras_unetpp.data.images import FilePath, image_size, list_images, write_png
from keras_unetpp.data.images import overlay as painted
from keras_unetpp.data.pixels import Ranges, to_255
from keras_unetpp.files import check_length, prepare, replacing
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.kit.progress import track
from keras_unetpp.prediction.networks import Segmenter, at_level
from keras_unetpp.prediction.predictor import Predictor, check_output
from keras_unetpp.spec.level import Level


def predict_folder(model: Segmenter, source: FilePath, out: FilePath, *, level: Level = None, output: str = "mask",
                   threshold: float = 0.5, overlay: bool = True, skip_existing: bool = False, overwrite: bool = False,
                   progress: bool = False, **options: Any) -> "Written":  # fmt: skip
    """Segment an image file, or all images of a folder, into a folder.

    For `NAME.*` it writes, each file whole or not at all:

    | output | classes | file | content |
    |---|---|---|---|
    | mask | 1 | `NAME.png` | 0 and 255 |
    | mask | that exclude each other | `NAME.png` | class ids; 16-bit from 257 classes on |
    | mask | that do not | `NAME_class0.png`, `NAME_class1.png`, .. | 0 and 255 |
    | probabilities | any | `NAME.npy` | (\\*sides, classes) float32 |
    | either, if `overlay` | any | `NAME_overlay.png` | the image with its mask tinted and outlined |

    Masks of volumes are multi-page `.tif` instead of `.png`, without an overlay.

    Args:
        model: a model of this package, or an exported file; see `segment`.
        source: an image file, or a folder of such; sub-folders are left out.
        out: folder to write to, made if missing; files of the same names that this package wrote are replaced.
        level: 1..d, or "mean"; default the deepest.
        output: "mask" or "probabilities".
        threshold: of the mask, 0..1, where classes do not exclude each other.
        overlay: write overlays; of classes that do not exclude each other, they show the most probable.
        skip_existing: leave out the images whose files are all there, to go on with an interrupted run.
        overwrite: replace files of the same names too that this package did not write, or that were changed since.
        progress: show a progress bar.
        options: of `Predictor`.

    Returns:
        The files written, in the order of the images. An image that cannot be read, or that the model does not take,
        stops no other: `failed` says why, by its path, and an `InputWarning` says that there are such.

    Raises:
        InputError: before any prediction: two images that would give a file of the same name, no image, `out` holding
            the images, files in `out` that are not ours, names that would be too long, or what `Predictor` raises. At
            the end: not one image could be segmented.
        OSError: `out` cannot be written, told before any prediction; or a file later. The text names the path.
    """
    check_output(output, threshold)
    predictor = Predictor(at_level(model, level), **options)
    predictor.check_gives(output, threshold)
    rank = len(predictor.sides)
    overlay = overlay and rank == 2
    paths, failed = _images(Path(source), Path(out), predictor)
    names = {path: _names(path.stem, predictor, output, overlay) for path in paths}
    _check_names(names)
    files = {path: [Path(out, name) for name in own] for path, own in names.items() if path not in failed}
    if skip_existing:
        files = {path: own for path, own in files.items() if not all(file.is_file() for file in own)}
    _check_writable(Path(out), (file for own in files.values() for file in own), overwrite)
    alone, ranges = len(files) == 1, Ranges("Images to segment")
    with _Writer(overwrite) as writer:
        for path, own in track(files.items(), "segmenting", progress and not alone, len(files)):
            try:
                contents = _contents(predictor, path, output, threshold, overlay, progress and alone, ranges)
            except InputError as error:
                failed[path] = error
                continue
            writer.put(own, contents)
    ranges.tell()
    return _told([file for path, own in files.items() if path not in failed for file in own], failed, len(paths))


class Written(list[Path]):
    """The files that were written, and why there are none for some images.

    Attributes:
        failed: path of an image -> what is wrong with it.
    """

    failed: dict[Path, str]


def _told(files: list[Path], failed: dict[Path, InputError], count: int) -> Written:
    """What `predict_folder` returns."""
    written = Written(files)
    written.failed = {path: str(error) for path, error in failed.items()}
    if failed:
        first = next(iter(failed.values()))
        if len(failed) == count:
            raise InputError(f"{f'None of {count} images could be segmented: ' if count > 1 else ''}{first}") from first
        warnings.warn(
            f"{len(failed)} of {count} images could not be segmented; the first: {first}", InputWarning, stacklevel=3
        )
    return written


def _images(source: Path, out: Path, predictor: Predictor) -> tuple[list[Path], dict[Path, InputError]]:
    """The images, those among them whose headers cannot be read with the reason, and `out` known to lie elsewhere."""
    if not source.exists():
        raise InputError(f"no such image or folder: {source}")
    folder = source if source.is_dir() else source.parent
    if out.exists() and not out.is_dir():
        raise InputError(f"a folder is required to write to; {out} is a file")
    if out.exists() and os.path.samefile(folder, out):
        raise InputError(f"masks would mix with, or replace, the images in {out}; name another folder to write to")
    paths, failed = list_images(source) if source.is_dir() else [source], {}
    for path in paths:
        try:
            image_size(path, len(predictor.sides), predictor.channels)
        except InputError as error:
            failed[path] = error
    if len(failed) == len(paths):
        _told([], failed, len(paths))
    return paths, failed


def _names(stem: str, predictor: Predictor, output: str, overlay: bool) -> list[str]:
    """Names of the files that one image gives, in the order of `_contents`."""
    extension = ".png" if len(predictor.sides) == 2 else ".tif"
    if output == "probabilities":
        names = [f"{stem}.npy"]
    elif predictor.exclusive or predictor.classes == 1:
        names = [stem + extension]
    else:
        names = [f"{stem}_class{index}{extension}" for index in range(predictor.classes)]
    return [*names, f"{stem}_overlay.png"] if overlay else names


def _check_names(names: dict[Path, list[str]]) -> None:
    """Raise `InputError` naming two images of one stem, or whose names differ only by what is appended here.

    So is an image told whose name is too long with that.
    """
    owners: dict[str, Path] = {}
    for path, own in names.items():
        for name in own:
            check_length(name, path)
            if name in owners:
                raise InputError(f"{owners[name]} and {path} would both give {name}; rename one of them")
            owners[name] = path


def _check_writable(out: Path, files: Iterable[Path] = (), overwrite: bool = False) -> None:
    prepare([*files] or [out / "any.png"], overwrite)


def _contents(predictor: Predictor, path: Path, output: str, threshold: float, overlay: bool,
              progress: bool, ranges: Ranges) -> list[np.ndarray]:  # fmt: skip
    """What to write for one image; bool stands for 0 and 255."""
    pixels = predictor.read(path)
    (probabilities,) = predictor(pixels, progress, ranges, path).values()
    mask = predictor.mask(probabilities, threshold)
    if output == "probabilities":
        contents = [probabilities]
    elif predictor.exclusive:
        contents = [mask]
    else:
        contents = list(np.moveaxis(mask.reshape(probabilities.shape) > 0, -1, 0))
    if overlay:
        ids = mask if mask.ndim == 2 else np.where(mask.any(-1), 1 + probabilities.argmax(-1), 0)
        contents.append(painted(to_255(pixels), ids))
    return contents


class _Writer:
    """Writes the files of one image while the next one is segmented: the disk takes its time to keep them."""

    def __init__(self, overwrite: bool) -> None:
        self.overwrite = overwrite
        self._pool = ThreadPoolExecutor(1)
        self._before: Future[None] | None = None

    def __enter__(self) -> "_Writer":
        return self

    def put(self, files: Sequence[Path], contents: Sequence[np.ndarray]) -> None:
        """Write contents once those before are written; an error of these is raised here."""
        self._wait()
        self._before = self._pool.submit(self._write, files, contents)

    def __exit__(self, *_: object) -> None:
        with self._pool:
            self._wait()

    def _wait(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            before.result()

    def _write(self, files: Sequence[Path], contents: Sequence[np.ndarray]) -> None:
        for file, content in zip(files, contents, strict=True):
            _write(file, content, self.overwrite)


def _write(path: Path, content: np.ndarray, overwrite: bool) -> None:
    if path.suffix == ".png":
        write_png(path, content, overwrite)
        return
    with replacing(path, overwrite) as temporary:
        if path.suffix == ".npy":
            with open(temporary, "wb") as file:  # numpy.save would hide what a disk says that takes no more
                whole = np.ascontiguousarray(content)
                npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(whole))
                file.write(whole.data)
            return
        from tifffile import imwrite

        pages = content * np.uint8(255) if content.dtype == bool else content
        imwrite(temporary, pages, compression="zlib", photometric="minisblack")
