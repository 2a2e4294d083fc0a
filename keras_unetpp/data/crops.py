"""Samples as random crops for `fit`."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_unetpp.data.folders import Look, Sample, load, read_folder
from keras_unetpp.data.images import image_size
from keras_unetpp.kit.errors import InputError

__all__ = ["Crops", "Sample", "load", "read_folder"]

_AREA_CAP = 4.0  # a large image gives at most this many times the crops of one of the crop's size

# augment(images, masks, seed) -> images, masks; `seed` is (seed, epoch, batch index)
Augmentation = Callable[[np.ndarray, np.ndarray, tuple[int, ...]], tuple[np.ndarray, np.ndarray]]


class Crops(keras.utils.PyDataset):
    """Random crops: x (batch, height, width, channels) float32 0..255, y (batch, height, width, 1) as in `load`.

    With three crop sides, volumes: (batch, depth, height, width, channels). A batch depends only on `seed`, the epoch
    and its index, so neither worker threads nor a resumed run change it. Call `fit(..., shuffle=False)`: the crops are
    shuffled already, and Keras would otherwise reorder the batches by Python's global random state.

    How often an image is drawn is proportional to count(its kind) ** -balance times sqrt(area / crop area), the latter
    kept within 1..4; systematic resampling keeps each image within one of its expected number of crops an epoch.
    An image smaller than the crop is continued by reflection, and its mask likewise.

    Args:
        samples: what to draw from; all of them, whatever their split.
        crop: sides (height, width), or (depth, height, width), in pixels.
        batch_size: crops a batch; every batch is full.
        channels: see `read_image`.
        labels: see `load`.
        classes: see `load`.
        ignore_index: see `load`.
        augment: called with (x, y, (seed, epoch, index)); None leaves the crops as they are.
        seed: at least 0.
        balance: 0 draws each image alike, 1 draws each kind alike.
        crops_per_epoch: rounded up to whole batches; the number of samples if None.
        cache: keep decoded files in memory, read at once, so that a broken file shows before training starts.
        cache_bytes: bound of that memory; the rest is read when drawn.
        look: is shown every sample that is read at once, from several threads; see `load`. Then `surveyed` tells `fit`
            not to judge the crops, which augmentation changes.
        kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Raises:
        InputError: an argument out of range, or what `load` raises.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        crop: Sequence[int],
        batch_size: int = 8,
        channels: int = 3,
        labels: str = "auto",
        classes: int = 1,
        ignore_index: int | None = None,
        augment: Augmentation | None = None,
        seed: int = 0,
        balance: float = 0.5,
        crops_per_epoch: int | None = None,
        cache: bool = True,
        cache_bytes: int = 2**30,
        look: Look | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.samples, self.crop = tuple(samples), tuple(crop)
        _check_crops(self.samples, self.crop, balance)
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("crops_per_epoch", crops_per_epoch, 1),
            ("seed", seed, 0),
        ):
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        self.batch_size, self.augment, self.seed = batch_size, augment, seed
        self.surveyed = look is not None
        self._read = partial(
            load, channels=channels, labels=labels, classes=classes, ignore_index=ignore_index, ndim=len(self.crop)
        )
        self._batches = math.ceil((crops_per_epoch or len(self.samples)) / batch_size)
        self._weights = _weights(self.samples, self.crop, balance)
        self._cache = self._decoded(cache_bytes, partial(self._read, look=look)) if cache else {}
        self.set_epoch(0)

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        key = (self.seed, self.epoch, index)
        rng = np.random.default_rng(key)
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        crops = [_random_crop(*self._load(row), self.crop, rng) for row in rows]
        x = np.stack([image for image, _ in crops], dtype=np.float32)
        y = np.stack([target for _, target in crops])
        return (x, y) if self.augment is None else self.augment(x, y, key)

    def set_epoch(self, epoch: int) -> None:
        """Make the next batches those of `epoch`, counted from 0.

        `fit` ends an epoch once before its first one, so batches and epochs agree only if a callback says which:
        `keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: crops.set_epoch(epoch))`.
        """
        self.epoch = epoch
        self._order = self._draw()

    def on_epoch_end(self) -> None:
        """Go on to the next epoch; Keras calls it while no worker reads."""
        self.set_epoch(self.epoch + 1)

    def _draw(self) -> np.ndarray:
        """Return the row of each crop of the epoch: evenly spaced picks along the summed weights, shuffled."""
        rng = np.random.default_rng((self.seed, self.epoch))
        count = self._batches * self.batch_size
        picks = (np.arange(count) + rng.random()) / count
        rows = np.searchsorted(np.cumsum(self._weights), picks, side="right")
        return rng.permutation(np.minimum(rows, len(self.samples) - 1))

    def _load(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self._cache.get(row) or self._read(self.samples[row])

    def _decoded(self, limit: int, read: Callable[..., Any]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return the samples decoded, by row, as many as fit `limit` bytes."""
        kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        size = 0
        with ThreadPoolExecutor(4) as pool:
            for first in range(0, len(self.samples), 64):  # in portions, to stop reading where the limit is met
                rows = range(first, min(first + 64, len(self.samples)))
                pairs = pool.map(read, self.samples[first : first + 64])
                for row, pair in zip(rows, pairs, strict=True):
                    size += sum(array.nbytes for array in pair)
                    if size > limit:
                        return kept
                    kept[row] = pair
        return kept


def _check_crops(samples: Sequence[Sample], crop: tuple[int, ...], balance: float) -> None:
    if not samples:
        raise InputError("crops need at least one sample, got none")
    if len(crop) not in (2, 3) or min(crop) < 1:
        raise InputError(f"crop must be (height, width) or (depth, height, width) in pixels, got {crop}")
    if not 0 <= balance <= 1:
        raise InputError(f"balance must lie in 0..1, got {balance}")


def _weights(samples: Sequence[Sample], crop: tuple[int, ...], balance: float) -> np.ndarray:
    """Return the share of the crops that each sample gives; they sum to 1."""
    counts = Counter(sample.kind for sample in samples)
    kinds = np.array([counts[sample.kind] for sample in samples], float) ** -balance
    areas = np.array([math.prod(image_size(sample.image, len(crop))) for sample in samples])
    weights = kinds * np.clip(np.sqrt(areas / math.prod(crop)), 1, _AREA_CAP)
    return weights / weights.sum()


def _random_crop(
    image: np.ndarray, target: np.ndarray, crop: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    missing = [max(side - size, 0) for side, size in zip(crop, image.shape, strict=False)]
    if any(missing):
        margins = [(extra // 2, extra - extra // 2) for extra in missing] + [(0, 0)]
        image, target = np.pad(image, margins, "reflect"), np.pad(target, margins, "reflect")
    starts = [rng.integers(size - side + 1) for side, size in zip(crop, image.shape, strict=False)]
    window = tuple(slice(start, start + side) for start, side in zip(starts, crop, strict=True))
    return image[window], target[window]
