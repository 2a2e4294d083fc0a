"""Folders of images and masks as samples."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.data.contents import LeftOut, Pair, others, pairs, split_places
from keras_unetpp.data.data_folder import DataFolder
from keras_unetpp.data.images import MAX_PIXELS, check_mask, image_size, read_mask, read_samples
from keras_unetpp.data.index import FILE, GROUP, KIND, NAME, SPLIT, SPLITS, Row, normal, read_index
from keras_unetpp.data.labels import check_ignore_index, resolved_labels
from keras_unetpp.data.pixels import to_255
from keras_unetpp.data.splits import by_share
from keras_unetpp.kit.errors import InputError


@dataclass(frozen=True)
class Sample:
    """One image with its mask.

    Attributes:
        name: of the image file, without extension.
        image: its file.
        mask: its mask's file.
        split: train or val.
        kind: of image, such as the stain; scores are told by kind, and rare kinds are drawn more often.
        group: what the image comes from, such as the patient or slide; all images of one belong in one split.
        max_pixels: pixels that each of its files may have.
    """

    name: str
    image: Path
    mask: Path
    split: str
    kind: str = ""
    group: str = ""
    max_pixels: int = MAX_PIXELS


def read_folder(
    data_dir: str | os.PathLike[str] | DataFolder,
    images: str = "images",
    masks: str = "masks",
    val_fraction: float = 0.2,
    seed: int = 0,
    ndim: int = 2,
    mask_suffix: str = "",
) -> list[Sample]:
    """Return the samples of a data folder, sorted by name, after checking every file's header.

    Args:
        data_dir: the folder, or a `DataFolder`, which says itself what the arguments up to `seed` and `mask_suffix`
            would.
        images: see `DataFolder`, as for the others.
        masks: name of the mask folder.
        val_fraction: expected share of `val` where nothing else decides.
        seed: changes which images that share is.
        ndim: 2, or 3 for volumes (multi-page TIFF).
        mask_suffix: what masks' names have after those of their images.

    Raises:
        InputError: naming the file at fault: no mask, a mask of another size, an unreadable file, a row without a
            file, two files of one name, an empty folder or split.
    """
    if not isinstance(data_dir, DataFolder):
        data_dir = DataFolder(data_dir, images, masks, mask_suffix, val_fraction, seed)
    return scan(data_dir, ndim).samples


class Contents(NamedTuple):
    """What a data folder holds: its samples, sorted by name, and what was left out."""

    samples: list[Sample]
    left_out: tuple[LeftOut, ...]


def scan(folder: DataFolder, ndim: int = 2) -> Contents:
    """The samples of a data folder, as `read_folder` gives them, and what it leaves out."""
    root = Path(folder.root)
    index = root / NAME
    within = (folder.images, folder.masks, folder.mask_suffix)
    left_out: list[LeftOut] = []
    if index.is_file():
        found = pairs(root, *within, left_out)
        samples = _from_index(index, found, folder, left_out)
    elif places := split_places(root, folder.images, folder.masks):
        of_split = {split: pairs(*place, folder.mask_suffix, left_out) for split, place in places.items()}
        samples = [Sample(name, *pair, split) for split, found in of_split.items() for name, pair in found.items()]
    else:
        found = pairs(root, *within, left_out)
        val = by_share(dict.fromkeys(found, ""), folder.val_fraction, folder.split_seed, root)
        samples = [Sample(name, *pair, SPLITS[name in val]) for name, pair in found.items()]
    for split in SPLITS:
        if not any(sample.split == split for sample in samples):
            raise InputError(f"{root} needs samples of both splits, train and val; there is none of {split}")
    samples = [replace(sample, max_pixels=folder.max_pixels) for sample in samples]
    for sample in samples:
        _check_sizes(sample, ndim)
    used = {sample.image.parent for sample in samples} | {sample.mask.parent for sample in samples}
    return Contents(sorted(samples, key=lambda sample: sample.name), (*left_out, *others(root, folder.images, used)))


def _from_index(index: Path, found: dict[str, Pair], folder: DataFolder, left_out: list[LeftOut]) -> list[Sample]:
    columns, rows = read_index(index)
    samples: dict[str, Sample] = {}
    for name, line, cells in match_rows(index, rows, found):
        split = cells.get(SPLIT)
        if SPLIT in columns and split not in SPLITS:
            raise InputError(f"{index} line {line}: split must be train or val, got {split!r}")
        samples[name] = Sample(name, *found[name], split or "", cells.get(KIND, ""), cells.get(GROUP, ""))
    unlisted = [pair[0].name for name, pair in found.items() if name not in samples]
    left_out.append(LeftOut(f"images that {NAME} does not list", tuple(unlisted), told=True))
    if SPLIT in columns:
        return list(samples.values())
    groups = {name: sample.group for name, sample in samples.items()}
    val = by_share(groups, folder.val_fraction, folder.split_seed, index.parent)
    return [replace(sample, split=SPLITS[name in val]) for name, sample in samples.items()]


def match_rows(index: Path, rows: Sequence[Row], found: dict[str, Pair]) -> Iterator[tuple[str, int, dict[str, str]]]:
    """The name of the image that each row of an index is about, with the row's line and cells.

    Raises:
        InputError: naming the line: no such image, or one that is listed twice.
    """
    names = {normal(pair[0].name): name for name, pair in found.items()}
    for line, cells in rows:
        file = cells.get(FILE, "")
        name = names.pop(normal(file), None)
        if name is None:
            twice = any(normal(file) == normal(pair[0].name) for pair in found.values())
            problem = f"{file!r} is listed twice" if twice else f"no image {file!r} in the image folder"
            raise InputError(f"{index} line {line}: {problem}")
        yield name, line, cells


def _check_sizes(sample: Sample, ndim: int) -> None:
    check_mask(sample.mask)
    _check_same_size(sample, image_size(sample.image, ndim), image_size(sample.mask, ndim, channels=1))


def _check_same_size(sample: Sample, size: tuple[int, ...], mask_size: tuple[int, ...]) -> None:
    if size != mask_size:
        raise InputError(
            f"an image and its mask must be of one size; {sample.image} is {_sides(size)} (height x width), "
            f"{sample.mask} {_sides(mask_size)}"
        )


def _sides(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


Look = Callable[[Sample, np.ndarray, np.ndarray], None]
"""Shown a sample, its image in the file's own type (*sides, channels) and the ids of its mask (*sides)."""


def read_pair(sample: Sample, channels: int | None = None, ndim: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A sample's image in the file's own type (*sides, channels), and the ids of its mask (*sides)."""
    pixels = read_samples(sample.image, channels, ndim, max_pixels=sample.max_pixels)
    ids = read_mask(sample.mask, ndim, max_pixels=sample.max_pixels)
    _check_same_size(sample, pixels.shape[:-1], ids.shape)
    return pixels, ids


def load(
    sample: Sample,
    channels: int | None = None,
    labels: str = "auto",
    classes: int = 1,
    ignore_index: int | None = None,
    ndim: int = 2,
    look: Look | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return one whole image (height, width, channels) and its target (height, width, 1).

    The target is uint8 0/1 for `labels="foreground"` (any id above 0), int32 ids for `labels="classes"`; pixels of
    `ignore_index` keep that id, which makes the target int32.

    Args:
        sample: what to read.
        channels: see `read_image`.
        labels: "foreground", "classes", or "auto": classes if there are several.
        classes: ids run from 0 to classes - 1; one class means ids 0 and 1.
        ignore_index: an id that marks pixels to leave out of the loss.
        ndim: 2, or 3 for volumes with a leading depth axis.
        look: is shown what was read.

    Raises:
        InputError: unreadable file, sizes that differ, an id out of range, unknown `labels`.
    """
    pixels, mask = read_pair(sample, channels, ndim)
    if look is not None:
        look(sample, pixels, mask)
    return to_255(pixels), target_of(sample, mask, labels, classes, ignore_index)


def target_of(sample: Sample, mask: np.ndarray, labels: str = "auto", classes: int = 1,
              ignore_index: int | None = None) -> np.ndarray:  # fmt: skip
    """The target (*sides, 1) that `load` gives, of the ids (*sides) of a sample's mask; arguments as there."""
    labels = resolved_labels(labels, classes)
    check_ignore_index(ignore_index, labels)
    ids = mask[..., None]
    ignored = np.zeros_like(ids, bool) if ignore_index is None else ids == ignore_index
    if labels == "foreground":
        target = (ids > 0).astype(np.uint8)
    else:
        target, limit = ids.astype(np.int32), max(classes, 2)
        wrong = ids[~ignored & ((target < 0) | (target >= limit))]
        if wrong.size:
            raise InputError(
                f"label ids must lie in 0..{limit - 1} for {classes} class(es); {sample.mask} holds {wrong[0]}: raise "
                "classes, set ignore_index, or use labels='foreground' for instance ids"
            )
    if ignore_index is not None:
        target = np.where(ignored, np.int32(ignore_index), target)
    return target


def check_samples(samples: Sequence[Any], splits: Sequence[str] = SPLITS) -> list[Sample]:
    """A sequence of samples as a list.

    Raises:
        InputError: something else is in it, or nothing of one split.
    """
    for one in samples:
        if not isinstance(one, Sample):
            raise InputError(
                "data must be a folder, or samples as read_folder gives them; arrays are for model.fit. Received:"
                f" {type(one).__name__}."
            )
    for split in splits:
        if not any(sample.split == split for sample in samples):
            raise InputError(f"data needs samples of both splits, train and val; there is none of {split}")
    return list(samples)
