"""Images and masks that a user gives along, brought to the sides of a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.data.folders import read_folder
from keras_unetpp.data.images import read_mask, read_samples
from keras_unetpp.data.masks import all_as_ids, as_ids
from keras_unetpp.data.pairs import images_and_masks
from keras_unetpp.data.pixels import Ranges, to_255
from keras_unetpp.formats.signature import Sides, Signature
from keras_unetpp.kit.errors import InputError

Pair = tuple[np.ndarray, np.ndarray]
"""An image, (1, *sides, channels), and its mask, (1, *sides), of 0/1 or class ids."""


class Calibration(NamedTuple):
    """Batches of one image each, and whether any holds values that its type does not let expect."""

    images: list[np.ndarray]
    odd: bool


def batches(images: Iterable[Any], signature: Signature, purpose: str) -> Calibration:
    """Images, (height, width, channels) or paths, of any size, as (1, *sides, channels) float32 pixel values 0..255.

    They are cropped around the centre or padded by reflection to sides that are fixed. Integers count as `segment`
    counts them. Values of another range are told, once, as those of `purpose`.

    Raises:
        InputError: an image has another rank or other channels, or holds NaN or infinite pixels.
    """
    ranges = Ranges(purpose)
    found = [fitted(read(image, signature, ranges), signature.sides)[None] for image in images]
    ranges.tell()
    return Calibration(found, ranges.odd > 0)


def pairs(labelled: Iterable[Any], signature: Signature) -> list[Pair]:
    """Images as in `batches`, each with its mask as `keras_unetpp.data.masks.as_ids` takes it.

    Args:
        labelled: as `data.pairs.images_and_masks` takes them.
        signature: of the file.

    Raises:
        InputError: as `batches`; images and masks differ in number or size; or a mask means nothing.
    """
    found, ranges, rank = [], Ranges("Labelled images"), len(signature.sides)
    images, masks = images_and_masks(labelled, signature.channels, signature.classes, rank, "labelled")
    if not images:
        raise InputError("labelled must hold images and as many masks, at least one. Received: none.")
    targets = all_as_ids(masks, signature.classes, exclusive=signature.exclusive, rank=rank)
    for image, ids in zip(images, targets, strict=True):
        pixels = read(image, signature, ranges)
        if ids.shape[:rank] != pixels.shape[:-1]:
            raise InputError(
                f"labelled must hold masks of the size of their images. Received: {ids.shape} for an image of"
                f" {pixels.shape}."
            )
        found.append((fitted(pixels, signature.sides)[None], fitted(ids, signature.sides)[None]))
    ranges.tell()
    return found


def labelled_folder(data: str | Path, classes: int = 1, ndim: int = 2) -> tuple[list[Path], list[np.ndarray]]:
    """The `val` images of a folder, as `keras-unetpp train` takes it, and their masks, for `pairs`.

    Args:
        data: the folder.
        classes: of the model: for one class every id above 0 is foreground; else class ids, as `pairs` reads them.
        ndim: 2, or 3 for volumes.

    Raises:
        InputError: naming the file at fault.
    """
    samples = [sample for sample in read_folder(data, ndim=ndim) if sample.split == "val"]
    masks = [as_ids(read_mask(one.mask, ndim), classes, rank=ndim, name=str(one.mask)) for one in samples]
    return [one.image for one in samples], masks


def read(image: Any, signature: Signature, ranges: Ranges) -> np.ndarray:
    """An image or its path as (*sides, channels) float32 pixel values 0..255, of a size of its own.

    Raises:
        InputError: it has another rank or other channels, or holds NaN or infinite pixels.
    """
    rank, path = len(signature.sides), isinstance(image, (str, Path))
    pixels = read_samples(image, signature.channels, rank) if path else np.asarray(image)
    if pixels.ndim == rank and signature.channels == 1:
        pixels = pixels[..., None]
    if pixels.ndim != rank + 1 or pixels.shape[-1] != signature.channels or 0 in pixels.shape:
        wanted = ("height, width", "depth, height, width")[rank - 2]
        raise InputError(f"Images must be ({wanted}, {signature.channels}). Received: {np.shape(image)}.")
    if pixels.dtype.kind not in "buif":
        raise InputError(f"Images must hold real numbers. Received: dtype {pixels.dtype}.")
    if not np.isfinite(pixels).all():
        raise InputError("An image for calibration or scoring holds NaN or infinite pixels. Leave it out.")
    ranges.look(pixels, image if path else "")
    return to_255(pixels).astype(np.float32)


def fitted(pixels: np.ndarray, sides: Sides) -> np.ndarray:
    """An array (*sides, ..) cropped around its centre, or padded by reflection, to the sides that are fixed."""
    for axis, side in enumerate(sides):
        spare = 0 if side is None else pixels.shape[axis] - side
        if spare < 0:
            around = [(0, 0)] * pixels.ndim
            around[axis] = (-spare // 2, -spare - -spare // 2)
            pixels = np.pad(pixels, around, mode="reflect")
        elif spare:
            pixels = np.take(pixels, np.arange(spare // 2, pixels.shape[axis] - spare + spare // 2), axis)
    return pixels
