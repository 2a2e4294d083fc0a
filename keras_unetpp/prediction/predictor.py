"""Prediction at any size: normalise the whole image, pad or tile it, run in batches, blend, crop back."""

import itertools
import math
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.data.images import MAX_PIXELS, check_limit, read_samples
from keras_unetpp.data.pixels import Ranges, moments
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.progress import track
from keras_unetpp.prediction.networks import Network, Segmenter, network, network_at
from keras_unetpp.prediction.windows import Axis, axis, check_tile, evened, windows
from keras_unetpp.spec.geometry import padded
from keras_unetpp.spec.level import Level

MEMORY = 2**30
"""Bytes that one batch may take, if the caller does not say."""
TILE = 1024
OVERLAP = 128
MAX_BATCH = 16
OUTPUTS = ("probabilities", "mask")

Heads = dict[str, np.ndarray]


def segment(model: Segmenter, image: np.ndarray | str | Path, level: Level = None, *, output: str = "probabilities",
            threshold: float = 0.5, progress: bool = False, **options: Any) -> np.ndarray:  # fmt: skip
    """Segment one image of any size.

    Args:
        model: a model of this package, whole, pruned or loaded from a file; or an exported file, an `Artefact` or its
            path, which runs in its own runtime.
        image: (height, width, channels), with a leading depth for volumes; the channel axis may be missing for a
            1-channel model. Pixel values 0..255, but 0..65535 in uint16 and False/True in bool, as in image files.
            Or the path of an image file.
        level: 1..d, or "mean" for the heads' average (accurate mode); default the deepest.
        output: "probabilities", or "mask".
        threshold: of the mask, 0..1, where classes do not exclude each other.
        progress: show a progress bar for work of many tiles.
        options: of `Predictor`.

    Returns:
        Probabilities (*sides, classes) float32. Or the mask, uint8: (*sides) of 0/1 for one class, (*sides) of class
        ids (uint16 from 257 classes on), or (*sides, classes) of 0/1 for classes that do not exclude each other.

    Raises:
        InputError: naming what does not fit: shape, channels, NaN pixels, level, output, threshold, tile, overlap; or
            probabilities that are not finite.

    Pixels are never rescaled by their values: an `InputWarning` names a range that does not fit their type, and numbers
    that look like those for missing data. To a network that normalises each image, unit and gain are all the same, so
    there they are told only if the constant that it adds to the variance counts.

    In a loop this is as fast as a `Predictor`: what was made ready stays with the model, or with the path of a file.

    An exported file that normalises each image does so with what it is given. Where its sides are fixed, it so sees a
    smaller image with its padding, and of a larger one tile after tile: as in the app that it is for, but not as the
    model, and an `InputWarning` says so. With open sides it is given the whole image, as long as that fits `memory`.
    """
    check_output(output, threshold)
    predictor = Predictor(network_at(model, level), **options)
    predictor.check_gives(output, threshold)
    (probabilities,) = predictor(image, progress=progress).values()
    return probabilities if output == "probabilities" else predictor.mask(probabilities, threshold)


def check_output(output: str, threshold: float) -> None:
    """Raise `InputError` unless `output` and `threshold` are what `segment` takes."""
    if output not in OUTPUTS:
        raise InputError(f"output must be 'probabilities' or 'mask'. Received: {output!r}.")
    if not isinstance(threshold, Real) or not 0 <= threshold <= 1:
        raise InputError(f"threshold must be a number from 0 to 1. Received: {threshold!r}.")


class Predictor:
    """A model made ready once for many images of any size: image in, probabilities of every head out.

    Per-image normalisation of the pixels sees the whole image, and tiles start at multiples of `Spec.divisors`. So
    where tiles overlap by at least 4 receptive radii, the result is that of the untiled image; with less, tiles are
    blended where they see most. Where anything else in the network sees the whole of what it is given, as group and
    instance normalisation and squeeze-and-excitation do, it sees a tile, and an `InputWarning` says so once.

    Args:
        model: any model of this package, or an exported file; `networks.at_level` picks a level. Or a `Network`.
        tile: side of a tile in pixels, or one per side. Default: no tiles where the whole image fits `memory`, else
            as large as fits, at most 1024, and no larger than as many tiles need. A model of fixed sides has its own.
        overlap: pixels shared by neighbouring tiles, at least; default a quarter of the tile, at most 128.
        memory: bytes that running one batch may take, the model and the image itself aside. Where even the smallest
            tile takes more, it is used all the same.
        max_pixels: pixels or voxels that an image file may have, since it is read whole.

    Raises:
        InputError: tile, overlap or memory out of range; no model of this package.
    """

    def __init__(self, model: Segmenter | Network, *, tile: int | tuple[int, ...] | None = None,
                 overlap: int | None = None, memory: float = MEMORY, max_pixels: int = MAX_PIXELS) -> None:  # fmt: skip
        own = self._network = model if isinstance(model, Network) else network(model)
        self.names, self.channels, self.sides, self.classes = own.names, own.channels, own.sides, own.classes
        self.exclusive, self.steps = own.exclusive, own.steps
        check_limit(max_pixels)
        self.overlap, self.memory, self.max_pixels = overlap, memory, max_pixels
        self.asked, self.tile = tile is not None, self._checked(tile)
        self._warned = False

    def __call__(self, image: np.ndarray | str | Path, progress: bool = False, ranges: Ranges | None = None,
                 name: object = "") -> Heads:  # fmt: skip
        """Probabilities of each head, (*sides, classes) float32, for one image or image file; see `segment`.

        Args:
            image: see `segment`.
            progress: show a progress bar for work of many tiles.
            ranges: takes in what is odd about the values, for a caller of many images who tells it once.
            name: of the image, for that text; default its path, if that is given.
        """
        pixels = self.read(image)
        own = Ranges("Image to segment") if ranges is None else ranges
        own.add(self._network.intake.odd(pixels), name or (image if isinstance(image, (str, Path)) else ""))
        if ranges is None:
            own.tell()
        center, scale = self._scaling(pixels)
        axes = self._axes(pixels.shape[:-1])
        self._warn(axes, own)
        missing = [one.length - side for one, side in zip(axes, pixels.shape, strict=False)]
        inner = tuple(slice(more // 2, more // 2 + side) for more, side in zip(missing, pixels.shape, strict=False))
        if any(missing):
            pixels = np.pad(pixels, [*((more // 2, more - more // 2) for more in missing), (0, 0)], mode="reflect")
        result: Heads = {}
        for slices, weight, outputs in self._tiles(pixels, center, scale, axes, progress):
            for name in self.names:
                if name not in result:
                    result[name] = np.zeros((*pixels.shape[:-1], self.classes), np.float32)
                result[name][slices] += weight * outputs[name]
        return {name: total[inner] for name, total in result.items()}

    def read(self, image: np.ndarray | str | Path) -> np.ndarray:
        """The image as (*sides, channels) in a type of its own, checked against the model."""
        rank = len(self.sides)
        if isinstance(image, (str, Path)):
            return read_samples(image, self.channels, rank, max_pixels=self.max_pixels)
        pixels = np.asarray(image)
        if pixels.ndim == rank and self.channels == 1:
            pixels = pixels[..., None]
        if pixels.ndim != rank + 1 or pixels.shape[-1] != self.channels or 0 in pixels.shape:
            wanted = ("height, width", "depth, height, width")[rank - 2]
            raise InputError(
                f"This model takes one image at a time, ({wanted}, {self.channels}). Received: {np.shape(image)}."
                " Index a batch; add, drop or repeat channels to fit."
            )
        if pixels.dtype.kind not in "buif":
            raise InputError(f"An image must hold real numbers. Received: dtype {pixels.dtype}.")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise InputError("An image must not hold NaN or infinite pixels. Replace them, for example by the mean.")
        return pixels

    def mask(self, probabilities: np.ndarray, threshold: float = 0.5) -> np.ndarray:
        """Probabilities -> the mask described in `segment`."""
        if self.exclusive:
            return probabilities.argmax(-1).astype(np.uint8 if self.classes <= 256 else np.uint16)
        mask = (probabilities > threshold).astype(np.uint8)
        return mask[..., 0] if self.classes == 1 else mask

    def check_gives(self, output: str, threshold: float) -> None:
        """Raise `InputError` if the network gives masks only and anything else is asked for."""
        if self._network.masks and (output != "mask" or threshold != 0.5):
            raise InputError(
                f"This file gives masks at threshold 0.5 only. Received: output={output!r}, threshold={threshold!r}."
                " Export with output='probabilities'."
            )

    def _checked(self, tile: Any) -> tuple[int | None, ...]:
        """Sides of a tile: the model's own where fixed, else the caller's, else None."""
        if not isinstance(self.memory, Real) or not self.memory > 0:
            raise InputError(f"memory must be a positive number of bytes. Received: {self.memory!r}.")
        if self.overlap is not None and (not isinstance(self.overlap, (int, np.integer)) or self.overlap < 0):
            raise InputError(f"overlap must be a whole number of pixels, 0 or more. Received: {self.overlap!r}.")
        rank = len(self.sides)
        asked = tuple(tile) if isinstance(tile, (tuple, list)) else (tile,) * rank
        if len(asked) != rank:
            raise InputError(f"tile must be one side in pixels, or {rank}. Received: {tile!r}.")
        for fixed, side, step in zip(self.sides, asked, self.steps, strict=True):
            if None not in (fixed, side) and fixed != side:
                raise InputError(f"This model takes tiles of {self.sides} pixels only. Received: tile={tile!r}.")
            if fixed or side is not None:
                check_tile(fixed or side, self.overlap or 0, step)
        return tuple(fixed or side for fixed, side in zip(self.sides, asked, strict=True))

    def _scaling(self, pixels: np.ndarray) -> tuple[float, float]:
        """Centre and scale such that the network's input is (pixels - centre) * scale.

        That of `normalization="standardize"`, which must see the whole image, is computed here in float64, a slice at
        a time, for Keras' layer would hold several copies of a large image; one that works pixel by pixel stays in
        the network.
        """
        own = self._network.intake
        factor = own.factor(pixels.dtype)
        if own.epsilon is None or self._network.standardizes:
            return 0.0, factor
        mean, variance = moments(pixels)
        return mean, factor / math.sqrt(factor**2 * variance + own.epsilon)

    def _axes(self, sides: tuple[int, ...]) -> tuple[Axis, ...]:
        """Tiles along each side of an image."""
        steps = self.steps
        whole = [max(side, fixed or 0) for side, fixed in zip(padded(sides, steps), self.sides, strict=True)]
        # All sides of a tile are cut down alike, in steps that are right for each of them.
        step = max(steps)
        least = step - -(self.overlap or 0) // step * step

        def tiles(limit: int) -> list[int]:
            return [asked or min(limit, side) for asked, side in zip(self.tile, whole, strict=True)]

        limits = (max(whole), *range(TILE // step * step, least, -step))
        limit = next((one for one in limits if self._bytes(tiles(one)) <= self.memory), least)
        axes = []
        for own, side, tile, asked, step in zip(sides, whole, tiles(limit), self.tile, steps, strict=True):
            if side <= tile:
                length = own if self._network.pads and asked is None else side
                axes.append(axis(length, length, 0, 1))
                continue
            overlap = min(tile // 4, OVERLAP, tile - step) if self.overlap is None else self.overlap
            axes.append(axis(side, asked or evened(side, tile, overlap, step), overlap, step))
        return tuple(axes)

    def _warn(self, axes: tuple[Axis, ...], ranges: Ranges) -> None:
        """Say once that what sees the whole of what it is given sees less than the image."""
        own = self._network
        if self._warned or all(len(one.starts) == 1 for one in axes) or not (own.standardizes or own.whole_views):
            return
        self._warned = True
        does = "normalises each tile" if own.standardizes else f"uses {' and '.join(own.whole_views)} on each tile"
        if None in self.sides:
            way = "leave out tile=" if self.asked else "raise memory="
        else:
            way = f"{'export with a larger size=' if own.pads else 'build it with open sides'}, or shrink the image"
        ranges.say(
            f"The {'file' if own.pads else 'model'} {does} of {' x '.join(str(one.tile) for one in axes)} pixels by"
            f" itself, so the result is not that of the whole image. For that, {way}."
        )

    def _bytes(self, sides: list[int]) -> float:
        return max(self._network.bytes_per_pixel, 1) * math.prod(sides)

    def _tiles(self, pixels: np.ndarray, center: float, scale: float, axes: tuple[Axis, ...],
               progress: bool) -> Iterator[tuple[tuple[slice, ...], np.ndarray, Heads]]:  # fmt: skip
        """Every tile's slices, weights and outputs, run in batches."""
        size = int(min(MAX_BATCH, max(1, self.memory // self._bytes([one.tile for one in axes]))))
        count = math.ceil(math.prod(len(one.starts) for one in axes) / size)
        for group in track(_batches(windows(axes), size), "tiles", progress and count > 1, count):
            with np.errstate(over="ignore"):  # told below, by what comes of it
                batch = np.stack([pixels[slices] for slices, _ in group]).astype(np.float32)
            if center:  # in float64, for rounded to float32 it would shift images of large numbers and small contrast
                np.subtract(batch, center, out=batch, dtype=np.float64, casting="same_kind")
            batch *= scale
            outputs = self._network.run(batch)
            _check_finite(outputs)
            for index, (slices, weight) in enumerate(group):
                yield slices, weight, {name: value[index] for name, value in outputs.items()}


def _check_finite(outputs: Heads) -> None:
    for name, values in outputs.items():
        if not np.isfinite(values.sum(dtype=np.float64)):
            raise InputError(
                f"Probabilities must be finite. Received: NaN or infinity of {name}. The weights hold such numbers, or"
                " pixels are too large for float32: load a good checkpoint, or bring pixels to 0..255."
            )


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while group := list(itertools.islice(items, size)):
        yield group
