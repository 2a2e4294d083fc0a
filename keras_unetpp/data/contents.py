"""What lies in a data folder: pairs of image and mask, and all that is left out, with the reason."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from keras_unetpp.data.images import EXTENSIONS, list_images
from keras_unetpp.data.index import SPLITS, normal
from keras_unetpp.files import RECORD
from keras_unetpp.kit.errors import InputError

Pair = tuple[Path, Path]
"""File of an image, file of its mask."""

PICTURES = {
    ".apng", ".avif", ".bmp", ".btf", ".cr2", ".czi", ".dcm", ".dicom", ".dng", ".exr", ".gif", ".gz", ".hdr",
    ".heic", ".heif", ".ims", ".jfif", ".jp2", ".jpe", ".jpx", ".jxl", ".lif", ".lsm", ".mha", ".mhd", ".mrc",
    ".mrxs", ".nd2", ".ndpi", ".nef", ".nii", ".npy", ".npz", ".nrrd", ".oib", ".oif", ".pbm", ".pgm", ".pnm", ".ppm",
    ".psd", ".scn", ".stk", ".svg", ".svs", ".tga", ".vsi", ".webp", ".zarr",
}  # fmt: skip
"""Extensions of files that hold images, of which one may think that they are read."""

_LOOKED_AT = 10_000  # entries of a sub-folder, to see whether images are in it
_NAMED = 3


class LeftOut(NamedTuple):
    """Files that were left out: why, their names, and whether that is worth a warning."""

    reason: str
    names: tuple[str, ...]
    told: bool = False

    def __str__(self) -> str:
        return f"{len(self.names)} {self.reason} ({listed(self.names)})"


class Place(NamedTuple):
    """Where the images and masks of a split are: names of folders within `root`."""

    root: Path
    images: str
    masks: str


def split_places(root: Path, images: str, masks: str) -> dict[str, Place]:
    """Where each split is, if folders say so: `train/images`, .. or, without images beside them, `images/train`, ..

    Raises:
        InputError: the images are in sub-folders of another layout.
    """
    if all((root / split / images).is_dir() for split in SPLITS):
        return {split: Place(root / split, images, masks) for split in SPLITS}
    if not (root / images).is_dir() or _pictures(root / images):
        return {}
    if all((root / part / split).is_dir() for part in (images, masks) for split in SPLITS):
        return {split: Place(root, f"{images}/{split}", f"{masks}/{split}") for split in SPLITS}
    deeper = [path.name for path in (root / images).iterdir() if path.is_dir() and _pictures(path)]
    if deeper:
        raise InputError(
            f"{root / images} holds images in sub-folders alone ({listed(deeper)}). They are read where they are all in"
            f" {images}/, with their masks in {masks}/ and the split in index.csv if wanted; or in train/{images},"
            f" train/{masks}, val/{images} and val/{masks}; or in {images}/train, {masks}/train, {images}/val and"
            f" {masks}/val."
        )
    return {}


def _pictures(folder: Path) -> bool:
    """Whether images lie right in a folder."""
    return any(path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") for path in folder.iterdir())


def listed(names: Iterable[str]) -> str:
    """A few names, and whether there are more.

    >>> listed(["b", "a", "d", "c"])
    'a, b, c, ..'
    """
    few = sorted(names)
    return ", ".join(few[:_NAMED]) + (", .." if len(few) > _NAMED else "")


def pairs(root: Path, images: str, masks: str, suffix: str, left_out: list[LeftOut]) -> dict[str, Pair]:
    """Map each image's name without extension to its image and mask file; what else there is goes to `left_out`.

    Raises:
        InputError: no folder, no image, two of one name, or one without a mask.
    """
    image_dir, mask_dir = root / images, root / masks
    same = image_dir.resolve() == mask_dir.resolve()
    if same and not suffix:
        raise InputError(
            f"images and masks in one folder need a mask_suffix to tell them apart. Received: {image_dir}."
        )
    suffix = normal(suffix)

    def is_mask(path: Path) -> bool:
        return normal(path.stem).endswith(suffix)

    image_of = _by_stem(path for path in list_images(image_dir) if not (same and is_mask(path)))
    mask_of = _by_stem(path for path in list_images(mask_dir) if is_mask(path))
    without = [name for name in image_of if name + suffix not in mask_of]
    if without:
        raise InputError(_no_mask(image_of[without[0]], mask_dir, suffix, len(without), mask_of))
    if not image_of:
        raise InputError(f"{image_dir} holds no image whose name does not end in {suffix}")
    wanted = {name + suffix for name in image_of}
    extra = [path.name for name, path in mask_of.items() if name not in wanted]
    left_out.append(LeftOut("masks without an image", tuple(extra), told=True))
    if not same and suffix:
        plain = [path.name for path in list_images(mask_dir) if not is_mask(path)]
        left_out.append(LeftOut(f"masks without the suffix {suffix}", tuple(plain), told=True))
    meant = {name.removesuffix(suffix) for name in mask_of if name not in wanted}
    read = {one for path in (image_dir, mask_dir) for one in (path, *path.parents)}
    left_out += _not_images(image_dir, meant, read, root)
    if not same:
        left_out += _not_images(mask_dir, set(), read, root)
    return {path.stem: (path, mask_of[name + suffix]) for name, path in image_of.items()}


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their names without extension, written in one way: see `normal`."""
    found: dict[str, Path] = {}
    for path in paths:
        name = normal(path.stem)
        if name in found:
            raise InputError(f"names must be unique without extension; got {found[name]} and {path.name}")
        found[name] = path
    return found


def _no_mask(image: Path, mask_dir: Path, suffix: str, count: int, masks: dict[str, Path]) -> str:
    more = f" ({count} images have none)" if count > 1 else ""
    own = normal(image.stem)
    near = next((name for name in masks if not suffix and name != own and name.startswith(own)), None)
    guess = f". If {near} is its mask, set mask_suffix={near.removeprefix(own)!r}" if near else ""
    return (
        f"each image needs a mask; {image} has none: add {mask_dir / (image.stem + suffix)}.png, or remove it"
        f"{more}{guess}"
    )


def _not_images(folder: Path, meant: set[str], read: set[Path], root: Path) -> Iterator[LeftOut]:
    """What lies in a folder of images or masks and is none; `meant` are names for which there is a mask."""
    hidden: list[str] = []
    unread: list[str] = []
    other: list[str] = []
    deeper: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name == RECORD:
            continue
        if path.name.startswith("."):
            hidden.append(path.name)
        elif path.is_dir():
            if path not in read and folder != root and _holds_images(path):
                deeper.append(f"{path.relative_to(root)}/")
        elif path.suffix.lower() not in EXTENSIONS:
            picture = path.suffix.lower() in PICTURES or normal(path.stem) in meant
            (unread if picture else other).append(path.name)
    where = folder.relative_to(root) if folder != root else Path(folder.name)
    yield LeftOut(f"folders with images within {where}", tuple(deeper), told=True)
    yield LeftOut(f"images in {where} of a format that is not read", tuple(unread), told=True)
    yield LeftOut(f"files of other types in {where}", tuple(other))
    yield LeftOut(f"hidden files in {where}", tuple(hidden))


def others(root: Path, images: str, used: set[Path]) -> Iterator[LeftOut]:
    """Further folders of images in a data folder, such as those of a test set, or of splits that an index overrules."""
    beside = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    known = {one for path in used for one in (path, *path.parents)}
    names = [f"{path.name}/" for path in beside if path not in known and (path / images).is_dir()]
    own = root / images
    if own not in known and own.is_dir() and _holds_images(own):
        names.append(f"{images}/")
    elif own in known and own not in used:
        deeper = [path for path in sorted(own.iterdir()) if path.is_dir() and path not in known and _holds_images(path)]
        names += [f"{images}/{path.name}/" for path in deeper]
    yield LeftOut("folders beside those that are read", tuple(names), told=bool(own not in known and names))


def _holds_images(folder: Path) -> bool:
    found = (name for _, _, names in os.walk(folder) for name in names)
    return any(Path(name).suffix.lower() in EXTENSIONS for name in islice(found, _LOOKED_AT))
