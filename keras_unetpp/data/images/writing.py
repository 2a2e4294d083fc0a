"""Pictures written to files and painted for people."""

import numpy as np

from keras_unetpp.data.images.formats import FilePath
from keras_unetpp.files import replacing
from keras_unetpp.kit.errors import InputError


def write_png(path: FilePath, array: np.ndarray, overwrite: bool = False) -> None:
    """Write a PNG whole or not at all.

    Args:
        path: the file; an old one is replaced only when the new one is complete.
        array: (height, width[, 1]) of uint8, uint16 or bool (True becomes 255), or (height, width, 3) of uint8.
        overwrite: whether a file may be replaced that this package did not write.

    Raises:
        InputError: any other shape or type; a file in the way that is not ours.
        OSError: the file cannot be written; the text names it.
    """
    from PIL import Image

    pixels = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    rgb = pixels.ndim == 3 and pixels.shape[-1] == 3
    if not (rgb or pixels.ndim == 2) or pixels.dtype not in ((np.uint8,) if rgb else (np.uint8, np.uint16)):
        raise InputError(
            "a PNG takes (height, width) of uint8, uint16 or bool, or (height, width, 3) of uint8; "
            f"got {array.dtype} of shape {array.shape} for {path}"
        )
    with replacing(path, overwrite) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG")


_PALETTE = np.array(
    [(255, 200, 0), (0, 180, 255), (255, 80, 80), (80, 220, 100), (220, 100, 255), (255, 140, 0), (0, 230, 200),
     (255, 120, 200), (160, 160, 255), (190, 230, 60)], np.float32
)  # fmt: skip


def overlay(
    image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int] | None = None, tint: float = 0.3
) -> np.ndarray:
    """Return a picture for people, uint8 (height, width, 3): the image with its mask tinted and outlined.

    A dark image is stretched to the full range; 1 channel is shown grey, 2 as red and green, of more the first 3.

    Args:
        image: (height, width[, channels]), pixel values 0..255.
        mask: (height, width[, 1]) of integer ids or bool; 0 is left clear.
        color: RGB 0..255 for every id; None gives ten colours in turn.
        tint: share of the colour inside an outline, 0..1.

    Raises:
        InputError: image and mask differ in size.
    """
    ids = np.asarray(mask).astype(np.int64)
    ids = ids[..., 0] if ids.ndim == 3 else ids
    if ids.shape != image.shape[:2]:
        raise InputError(f"image and mask must be of one size; got {image.shape[:2]} and {ids.shape}")
    picture = _displayed(image)
    inside, edge = ids != 0, _outlines(ids)
    colors = np.asarray(color, np.float32) + np.zeros_like(picture) if color else _PALETTE[(ids - 1) % len(_PALETTE)]
    share = (tint * inside + (1 - tint) * edge)[..., None]
    return np.rint(picture * (1 - share) + colors * share).astype(np.uint8)


def _displayed(image: np.ndarray) -> np.ndarray:
    pixels = image.astype(np.float32).reshape(*image.shape[:2], -1)
    count = pixels.shape[-1]
    if count == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    elif count == 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)
    pixels = pixels[..., :3]
    low, high = np.percentile(pixels, (1, 99.8))
    if high < 128:
        pixels = (pixels - low) * (255 / max(high - low, 1.0))
    return np.clip(pixels, 0, 255)


def _outlines(ids: np.ndarray) -> np.ndarray:
    """Return the pixels of an object that touch another id above, below, left or right."""
    framed = np.pad(ids, 1, mode="edge")
    neighbours = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    return (ids != 0) & np.any([neighbour != ids for neighbour in neighbours], axis=0)
