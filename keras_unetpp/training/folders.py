"""Folders of images and masks as samples."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_unetpp.errors import InputError
from keras_unetpp.images import JPEG, image_size, list_images, read_image, read_mask
from keras_unetpp.labels import resolved_labels

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Sample:
    """One image with its mask; `split` is train or val, `kind` an optional group such as the stain."""

    name: str
    image: Path
    mask: Path
    split: str
    kind: str = ""


def read_folder(
    data_dir: str | Path,
    images: str = "images",
    masks: str = "masks",
    val_fraction: float = 0.2,
    seed: int = 0,
    ndim: int = 2,
) -> list[Sample]:
    """Return the samples of a data folder, sorted by name, after checking every file's header.

    Layout: `data_dir/images/NAME.png` and `data_dir/masks/NAME.png` (any supported extension; the names must agree).
    The split comes from `data_dir/index.csv` (columns file, split and, if wanted, kind; images not listed are left
    out), else from sub-folders `train` and `val` that each hold both folders, else from a hash of the name and `seed`,
    so that files added later do not move the others.

    Args:
        data_dir: the folder.
        images: name of the image folder.
        masks: name of the mask folder.
        val_fraction: expected share of `val` where the hash decides, between 0 and 1.
        seed: changes which names the hash picks.
        ndim: 2, or 3 for volumes (multi-page TIFF).

    Raises:
        InputError: naming the file at fault: no mask, a mask of another size, an unreadable file, a row without a
            file, two files of one name, an empty folder or split.
    """
    root = Path(data_dir)
    index = root / "index.csv"
    if index.is_file():
        samples = _from_index(index, _pairs(root, images, masks))
    elif all((root / split / images).is_dir() for split in SPLITS):
        samples = [
            Sample(name, *pair, split) for split in SPLITS for name, pair in _pairs(root / split, images, masks).items()
        ]
    else:
        samples = _by_hash(_pairs(root, images, masks), val_fraction, seed, root)
    for split in SPLITS:
        if not any(sample.split == split for sample in samples):
            raise InputError(f"{root} needs samples of both splits, train and val; there is none of {split}")
    for sample in samples:
        _check_sizes(sample, ndim)
    return sorted(samples, key=lambda sample: sample.name)


def _pairs(root: Path, images: str, masks: str) -> dict[str, tuple[Path, Path]]:
    """Map each image's name without extension to its image and mask file."""
    image_of, mask_of = _by_stem(root / images), _by_stem(root / masks)
    for name, path in image_of.items():
        if name not in mask_of:
            raise InputError(f"each image needs a mask; {path} has none: add {root / masks / name}.png, or remove it")
    return {name: (path, mask_of[name]) for name, path in image_of.items()}


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in found:
            raise InputError(f"names must be unique without extension; got {found[path.stem]} and {path.name}")
        found[path.stem] = path
    return found


def _from_index(index: Path, pairs: dict[str, tuple[Path, Path]]) -> list[Sample]:
    with open(index, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := {"file", "split"} - set(reader.fieldnames or ()):
            raise InputError(f"{index} needs the columns file and split; missing: {', '.join(sorted(missing))}")
        rows = [(reader.line_num, row) for row in reader]
    samples: dict[str, Sample] = {}
    for line, row in rows:
        name, split = Path(row["file"]).stem, row["split"]
        if split not in SPLITS:
            raise InputError(f"{index} line {line}: split must be train or val, got {split!r}")
        if name not in pairs or pairs[name][0].name != row["file"]:
            raise InputError(f"{index} line {line}: no image {row['file']!r} in the image folder")
        if name in samples:
            raise InputError(f"{index} line {line}: {row['file']!r} is listed twice")
        samples[name] = Sample(name, *pairs[name], split, row.get("kind") or "")
    return list(samples.values())


def _by_hash(pairs: dict[str, tuple[Path, Path]], val_fraction: float, seed: int, root: Path) -> list[Sample]:
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction must lie between 0 and 1 (exclusive), got {val_fraction}")
    if len(pairs) < 2:
        raise InputError(f"{root} needs at least 2 images, one to train on and one to validate on; got {len(pairs)}")

    def place(name: str) -> float:
        return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]) / 2**64

    names = sorted(pairs, key=place)
    count = sum(place(name) < val_fraction for name in names)
    count = min(max(count, 1), len(names) - 1)  # neither split may be empty, however few the files
    return [Sample(name, *pairs[name], "val" if i < count else "train") for i, name in enumerate(names)]


def _check_sizes(sample: Sample, ndim: int) -> None:
    if sample.mask.suffix.lower() in JPEG:
        read_mask(sample.mask, ndim)  # raises: JPEG changes label ids
    _check_same_size(sample, image_size(sample.image, ndim), image_size(sample.mask, ndim))


def _check_same_size(sample: Sample, size: tuple[int, ...], mask_size: tuple[int, ...]) -> None:
    if size != mask_size:
        raise InputError(
            f"an image and its mask must be of one size; {sample.image} is {_sides(size)} (height x width), "
            f"{sample.mask} {_sides(mask_size)}"
        )


def _sides(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def load(
    sample: Sample,
    channels: int | None = None,
    labels: str = "auto",
    classes: int = 1,
    ignore_index: int | None = None,
    ndim: int = 2,
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

    Raises:
        InputError: unreadable file, sizes that differ, an id out of range, unknown `labels`.
    """
    labels = resolved_labels(labels, classes)
    image, ids = read_image(sample.image, channels, ndim), read_mask(sample.mask, ndim)[..., None]
    _check_same_size(sample, image.shape[:-1], ids.shape[:-1])
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
    return image, target
