"""Prediction at any size: normalise the whole image, pad or tile it, run in batches, blend, crop back."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unetpp.errors import InputError
from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.heads import divisor, head_activation, heads, select
from keras_unetpp.images import read_image
from keras_unetpp.progress import track
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.plan import Level
from keras_unetpp.windows import Axis, axis, windows

MEMORY = 2**29
"""Bytes of layer outputs that one pass may take, if the caller does not say."""
TILE = 512
MAX_BATCH = 16
UNKNOWN_BYTES_PER_PIXEL = 4096
"""Assumed for a model without a Spec, such as a pruned one loaded from a file."""

Heads = dict[str, np.ndarray]


def segment(model: keras.Model, image: np.ndarray | str | Path, level: Level = None, *, output: str = "probabilities",
            threshold: float = 0.5, progress: bool = False, **options: Any) -> np.ndarray:  # fmt: skip
    """Segment one image of any size.

    Args:
        model: a model of this package, whole, pruned or loaded from a file.
        image: pixel values 0..255, (height, width, channels), with a leading depth for volumes; the channel axis may
            be missing for a 1-channel model; or the path of an image file.
        level: 1..d, or "mean" for the heads' average (accurate mode); default the deepest.
        output: "probabilities", or "mask".
        threshold: of the mask, where classes do not exclude each other.
        progress: show a progress bar for work of many tiles.
        options: of `Predictor`. For many images, make one `Predictor` and call it.

    Returns:
        Probabilities (*sides, classes) float32. Or the mask, uint8: (*sides) of 0/1 for one class, (*sides) of class
        ids, or (*sides, classes) of 0/1 for classes that do not exclude each other.

    Raises:
        InputError: naming what does not fit: shape, channels, NaN pixels, level, tile.
    """
    if output not in ("probabilities", "mask"):
        raise InputError(f"output must be 'probabilities' or 'mask'. Received: {output!r}.")
    predictor = Predictor(select(model, level), spec=getattr(model, "spec", None), **options)
    (probabilities,) = predictor(image, progress=progress).values()
    return probabilities if output == "probabilities" else predictor.mask(probabilities, threshold)


class Predictor:
    """A model made ready once for many images of any size: image in, probabilities of every head out.

    Normalisation per image sees the whole image, and tiles start at multiples of 2^depth. So a pixel whose receptive
    field lies inside its tiles gets what the untiled image would give.

    Args:
        model: any model of this package; `graph.heads.select` picks a level.
        spec: what it was built from, to tell how much memory it takes; default the model's own.
        tile: side of a tile in pixels, or one per side. Default: no tiles where the whole image fits `memory`, else
            as large as fits, at most 512.
        overlap: pixels shared by neighbouring tiles; default a quarter of the tile.
        memory: bytes that the layer outputs of one batch may take.
    """

    def __init__(self, model: keras.Model, spec: Any = None, *, tile: int | tuple[int, ...] | None = None,
                 overlap: int | None = None, memory: int = MEMORY) -> None:  # fmt: skip
        self.spec = spec or getattr(model, "spec", None)
        self.names = tuple(heads(model))
        self.channels = int(model.inputs[0].shape[-1])
        self.sides: tuple[int | None, ...] = tuple(model.inputs[0].shape[1:-1])
        self.classes = int(next(iter(heads(model).values())).shape[-1])
        self.divisor = divisor(model)
        self.activation = head_activation(model)
        self.tile, self.overlap, self.memory = tile, overlap, memory
        self._normalization = next((layer for layer in model.layers if layer.name == "normalization"), None)
        start = model.inputs[0] if self._normalization is None else self._normalization.output
        self._run = compiled(keras.Model(start, model.output))

    def __call__(self, image: np.ndarray | str | Path, progress: bool = False) -> Heads:
        """Probabilities of each head, (*sides, classes) float32, for one image or image file."""
        pixels = self.read(image)
        sides = pixels.shape[:-1]
        if self._normalization is not None:
            pixels = keras.ops.convert_to_numpy(self._normalization(pixels[None]))[0]
        axes, batch = self._layout(sides)
        whole = tuple(one.starts[-1] + one.weights.shape[1] for one in axes)
        margins = [
            ((full - side) // 2, full - side - (full - side) // 2) for full, side in zip(whole, sides, strict=True)
        ]
        pixels = np.pad(pixels, [*margins, (0, 0)], mode="reflect")
        result = self._blend(pixels, axes, batch, progress)
        inner = tuple(slice(low, low + side) for (low, _), side in zip(margins, sides, strict=True))
        return {name: value[inner] for name, value in result.items()}

    def read(self, image: np.ndarray | str | Path) -> np.ndarray:
        """The image as float32 (*sides, channels), checked against the model."""
        rank = len(self.sides)
        if isinstance(image, (str, Path)):
            image = read_image(image, self.channels, rank)
        pixels = np.asarray(image, "float32")
        if pixels.ndim == rank and self.channels == 1:
            pixels = pixels[..., None]
        if pixels.ndim != rank + 1 or pixels.shape[-1] != self.channels or 0 in pixels.shape:
            wanted = ("height, width", "depth, height, width")[rank - 2]
            raise InputError(f"An image must be ({wanted}, {self.channels}). Received an array {np.shape(image)}.")
        if not np.isfinite(pixels).all():
            raise InputError("An image must not hold NaN or infinite pixels. Replace them, for example by the mean.")
        return pixels

    def mask(self, probabilities: np.ndarray, threshold: float = 0.5) -> np.ndarray:
        """Probabilities -> the mask described in `segment`."""
        if self.activation == "softmax" or (self.activation == "linear" and probabilities.shape[-1] > 1):
            return probabilities.argmax(-1).astype(np.uint8 if probabilities.shape[-1] <= 256 else np.uint16)
        mask = (probabilities > threshold).astype(np.uint8)
        return mask[..., 0] if mask.shape[-1] == 1 else mask

    def _layout(self, sides: tuple[int, ...]) -> tuple[tuple[Axis, ...], int]:
        """Tiles along each side, and how many run at once."""
        padded = tuple(-(-side // self.divisor) * self.divisor for side in sides)
        tiles = self._tiles(padded)
        padded = tuple(max(side, tile) for side, tile in zip(padded, tiles, strict=True)) if any(self.sides) else padded
        tiles = tuple(map(min, tiles, padded))
        axes = tuple(
            axis(
                side, tile, tile // 4 if self.overlap is None else min(self.overlap, tile - self.divisor), self.divisor
            )
            for side, tile in zip(padded, tiles, strict=True)
        )
        return axes, max(1, min(MAX_BATCH, self.memory // self._bytes(tiles)))

    def _tiles(self, padded: tuple[int, ...]) -> tuple[int, ...]:
        if any(self.sides):
            return tuple(side or own for side, own in zip(self.sides, padded, strict=True))
        if self.tile is not None:
            return (self.tile,) * len(padded) if isinstance(self.tile, int) else tuple(self.tile)
        if self._bytes(padded) <= self.memory:
            return padded
        tile = max(TILE // self.divisor, 1) * self.divisor
        while tile > self.divisor and self._bytes((tile,) * len(padded)) > self.memory:
            tile -= self.divisor
        return (tile,) * len(padded)

    def _bytes(self, sides: tuple[int, ...]) -> int:
        if self.spec is None:
            return UNKNOWN_BYTES_PER_PIXEL * math.prod(sides)
        return int(cost(self.spec, size=sides).activation_bytes or 0)

    def _blend(self, pixels: np.ndarray, axes: tuple[Axis, ...], batch: int, progress: bool) -> Heads:
        """Weighted sum of all tiles' outputs."""
        work = list(windows(axes))
        result: Heads = {}
        groups = [work[first : first + batch] for first in range(0, len(work), batch)]
        for group in track(groups, "tiles", progress and len(work) > 1):
            outputs = self._run(np.stack([pixels[slices] for slices, _ in group]))
            named = outputs if isinstance(outputs, dict) else {self.names[0]: outputs}
            for name, values in named.items():
                total = result.setdefault(name, np.zeros((*pixels.shape[:-1], values.shape[-1]), np.float32))
                for (slices, weight), value in zip(group, values, strict=True):
                    total[slices] += weight * self._probabilities(value)
        return result

    def _probabilities(self, value: np.ndarray) -> np.ndarray:
        """Heads that give logits: sigmoid of one class, softmax of several."""
        if self.activation != "linear":
            return value
        function = keras.ops.sigmoid if value.shape[-1] == 1 else keras.ops.softmax
        return keras.ops.convert_to_numpy(function(value))
