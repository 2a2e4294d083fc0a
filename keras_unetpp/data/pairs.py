"""Images with their masks as a caller has them: (images, masks), or pair after pair, told apart by type and shape."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.kit.errors import InputError

_PATHS = (str, bytes, bytearray)


class ImagesAndMasks(NamedTuple):
    """Images, and as many masks."""

    images: list[Any]
    masks: list[Any]


def images_and_masks(data: Any, channels: int, classes: int, rank: int, what: str = "Data") -> ImagesAndMasks:
    """Data as images and masks.

    It is (images, masks), each an array or a list; or pairs (image, mask) in a list, a `tf.data.Dataset` or whatever
    gives them one by one, of which arrays with an axis more are batches. A list of two tuples could be either: then
    only what fits by shape is taken, that is images with the channels of the model, and masks of their sides.

    Args:
        data: see above; an image may be the path of one.
        channels: of the model.
        classes: of the model.
        rank: number of sides, 2 or 3.
        what: the data is called in errors.

    Raises:
        InputError: it is neither, or could be both.
    """
    if isinstance(data, (*_PATHS, Mapping)) or not isinstance(data, Iterable):
        raise _neither(what, type(data).__name__)
    items = [_listed(item) for item in data]
    belong = _Belong(channels, classes, rank)
    known, listed = all(item is not None for item in items), all(isinstance(item, (list, tuple)) for item in items)
    parts = len(items) == 2 and known and len(items[0]) == len(items[1])
    parts = parts and not (listed and not isinstance(data, (list, tuple)))  # what comes one by one are pairs
    pairs = bool(items) and listed and all(len(item) == 2 for item in items)
    fits_parts = parts and all(map(belong, *items))
    fits_pairs = pairs and all(belong(*item) or belong.batches(*item) for item in items)
    if parts and all(isinstance(item, np.ndarray) for item in items) and belong(*items):
        raise InputError(f"{what} must hold several images. Received: one, and its mask. Put each in a list.")
    if fits_parts and fits_pairs:
        fits_parts = _decided(data, items, what)
    # What fits neither is read as what it looks like, so that the text tells what is wrong with an image or mask.
    if fits_parts or (parts and not fits_pairs and not (pairs and belong(*items[0]))):
        return ImagesAndMasks(list(items[0]), list(items[1]))
    if not pairs:
        raise _neither(what, _counted(items))
    found = ImagesAndMasks([], [])
    for pair in items:
        several = belong.batches(*pair)
        for own, value in zip(found, pair, strict=True):
            array = value if _is_path(value) else np.asarray(value)
            own.extend(array if several else [array])
    return found


def _listed(item: Any) -> Any:
    """A part or pair, one that can only be walked through once as a list; None for what is neither."""
    if isinstance(item, (list, tuple, np.ndarray)):
        return item if not isinstance(item, np.ndarray) or item.ndim else None
    if isinstance(item, (*_PATHS, Mapping)) or not isinstance(item, Iterable):
        return None
    return np.asarray(item) if hasattr(item, "__array__") else list(item)


class _Belong:
    """Whether something is an image of the model, and something else a mask of its sides."""

    def __init__(self, channels: int, classes: int, rank: int) -> None:
        self.channels, self.rank, self.last = channels, rank, (1, classes)

    def __call__(self, image: Any, mask: Any) -> bool:
        sides = self._sides(_shape(mask), self.last)
        if _is_path(image):
            return sides is not None
        return sides is not None and sides == self._sides(_shape(image), (self.channels,), self.channels == 1)

    def batches(self, images: Any, masks: Any) -> bool:
        """The same of arrays with an axis more."""
        if not (hasattr(images, "shape") and hasattr(masks, "shape")) or self(images, masks):
            return False
        sizes = [shape[0] if shape else -1 for shape in map(_shape, (images, masks))]
        return sizes[0] == sizes[1] > 0 and all(self(*pair) for pair in zip(images, masks, strict=True))

    def _sides(self, shape: tuple[int, ...], last: tuple[int, ...], bare: bool = True) -> tuple[int, ...] | None:
        """All but the last axis, where that is one of those; all of them, where they may stand alone."""
        if len(shape) == self.rank + 1 and shape[-1] in last:
            return shape[:-1]
        return shape if bare and len(shape) == self.rank else None


def _is_path(value: Any) -> bool:
    return isinstance(value, (*_PATHS, os.PathLike))


def _shape(value: Any) -> tuple[int, ...]:
    try:
        return tuple(np.shape(value))
    except ValueError:  # lists of several lengths
        return ()


def _decided(data: Any, items: list[Any], what: str) -> bool:
    """Whether what fits both readings is (images, masks); True, False, or an error."""
    if isinstance(data, tuple) and all(isinstance(item, list) for item in items):
        return True  # as it is documented
    readings = {True: items, False: [*zip(*items, strict=True)]}
    alike = [parts for parts, (images, masks) in readings.items() if _alike(images) and _alike(masks)]
    if len(alike) == 1:
        return alike[0]
    raise InputError(
        f"{what} can be read as (images, masks) and as two pairs (image, mask), for images and masks are of one shape"
        " and type. Pass (images, masks) with images and masks each in a list or array."
    )


def _alike(values: Iterable[Any]) -> bool:
    """Whether arrays are of one type and rank."""
    return len({(getattr(one, "dtype", None), len(_shape(one))) for one in values}) == 1


def _neither(what: str, found: str) -> InputError:
    return InputError(f"{what} must be (images, masks), as many masks as images. Received: {found}.")


def _counted(items: list[Any]) -> str:
    if len(items) == 2 and all(item is not None for item in items):
        return " and ".join(str(len(item)) for item in items)
    return f"{len(items)} parts" + (", not all of them pairs" if len(items) > 2 else "")
