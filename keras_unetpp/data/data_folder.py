"""`DataFolder`: where images and masks are in a folder, and how they are split. Standard library only."""

import os
from dataclasses import dataclass, fields, replace
from typing import Any

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.validated import described
from keras_unetpp.spec.limits import MOST_PIXELS


@dataclass(frozen=True)
class DataFolder:
    """A data folder, and where its images and masks are; what takes the path of a data folder takes this as well.

    Layout: `root/images/NAME.png` and `root/masks/NAME.png` (any supported extension; the names must agree).
    The split comes from `root/index.csv` (columns file and, if wanted, split, kind and group; images not listed are
    left out), else from sub-folders `train` and `val` that each hold both folders, or that both folders hold, else from
    a hash of the name and `split_seed`, so that files added later do not move the others. So does it where the index
    has no column split; then the images of a group stay together.

    Args:
        root: the folder.
        images: name of the image folder.
        masks: name of the mask folder; with a `mask_suffix` it may be that of the images.
        mask_suffix: what masks' names have after those of their images: `_mask` for a.png and a_mask.png.
        val_fraction: expected share of `val` where the hash decides, between 0 and 1.
        split_seed: changes which names the hash picks.
        max_pixels: pixels or voxels that a file may have, since each is read whole; see `images.read_image`.
    """

    root: str | os.PathLike[str]
    images: str = described("images", "name of the folder of images within DIR")
    masks: str = described("masks", "name of the folder of masks within DIR")
    mask_suffix: str = described("", "what the names of masks have after those of images, for example _mask")
    val_fraction: float = described(0.2, "share of images to validate on where no index.csv or sub-folder says which")
    split_seed: int = described(0, "changes which images that share is")
    max_pixels: int = described(MOST_PIXELS, "pixels that an image may have (default 2^29)")


OPTIONS = {item.name: item for item in fields(DataFolder) if item.name != "root"}
"""What can be said of a data folder, by name."""

FOLDERS = (str, os.PathLike, DataFolder)
"""What names a data folder."""


def data_folder(data: Any, options: dict[str, Any]) -> Any:
    """`data` with those of `options` that are about a data folder, which are taken out of `options`.

    Raises:
        InputError: there are some, but `data` is no folder.
    """
    own = {name: options.pop(name) for name in OPTIONS if name in options}
    if not own:
        return data
    if not isinstance(data, FOLDERS):
        raise InputError(f"{', '.join(own)} say how a data folder is read. Received: {type(data).__name__} as data.")
    return replace(data, **own) if isinstance(data, DataFolder) else DataFolder(data, **own)
