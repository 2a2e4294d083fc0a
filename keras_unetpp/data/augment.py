"""Random changes of a training batch, image and mask together, for microscopy and the like."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_unetpp.kit.errors import InputError

# change(images, masks, rng) -> images, masks; images float32 0..255, masks float32 ids
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


class Row(NamedTuple):
    """One kind of change: its name, the share of images it meets by default, and what makes it."""

    name: str
    probability: float
    make: Callable[[], Change]
    ranks: tuple[int, ...] = (4,)  # of the images: 4 for (batch, height, width, channels), 5 for volumes
    colour: bool = False  # needs RGB

    def fits(self, images: np.ndarray) -> bool:
        """Tell whether the change is defined for such images."""
        return images.ndim in self.ranks and (not self.colour or images.shape[-1] == 3)


def _flip(axis: int) -> Change:
    return lambda images, masks, rng: (np.flip(images, axis), np.flip(masks, axis))


def _pixels(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    return lambda images, masks, rng: (change(images, rng), masks)


def _per_image(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).reshape(-1, *[1] * (images.ndim - 1))


def _gamma(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bend the curve between black and the brightest pixel of each image, so that dark images change too."""
    exponent = _per_image(np.exp(rng.uniform(-0.7, 0.7, len(images))), images)
    top = images.max(tuple(range(1, images.ndim)), keepdims=True) + np.float32(1e-3)
    return top * (images / top) ** exponent


def _noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add white noise of up to a fifth of each image's own contrast."""
    contrast = images.std(tuple(range(1, images.ndim)), keepdims=True)
    scale = contrast * _per_image(rng.uniform(0, 0.2, len(images)), images)
    return images + scale * rng.standard_normal(images.shape, np.float32)


def _layer(layer: Any, moves: bool = False) -> Change:
    """Wrap a Keras preprocessing layer; `moves` says that it moves pixels, so that the mask must follow.

    The random numbers come from a generator made for this one call: a layer's own state would depend on the order in
    which worker threads call it. They are drawn anew for the mask, since PyTorch's affine transform overwrites the
    matrix that it is given.
    """

    def change(images: np.ndarray, masks: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        seed = int(rng.integers(2**31))
        tensor = keras.ops.convert_to_tensor(images)

        def drawn() -> Any:
            return layer.get_random_transformation(tensor, training=True, seed=keras.random.SeedGenerator(seed))

        changed = keras.ops.convert_to_numpy(layer.transform_images(tensor, drawn(), training=True))
        if moves:
            moved = layer.transform_segmentation_masks(keras.ops.convert_to_tensor(masks), drawn(), training=True)
            masks = keras.ops.convert_to_numpy(moved)
        return changed, masks

    return change


# Brightness and contrast are off: a network that standardizes each image does not see them, and a shift downwards cuts
# off what a dark fluorescence image shows. Elastic deformation is left out: Keras' layer draws its field anew for the
# mask, so that image and mask part, and takes some 0.4 s a batch on a CPU.
ROWS = (
    Row("flip_horizontal", 0.5, lambda: _flip(-2), ranks=(4, 5)),
    Row("flip_vertical", 0.5, lambda: _flip(-3), ranks=(4, 5)),
    Row("flip_depth", 0.5, lambda: _flip(-4), ranks=(5,)),
    Row("rotation", 0.5, lambda: _layer(keras.layers.RandomRotation(0.5, "reflect", dtype="float32"), moves=True)),
    Row("zoom", 0.5, lambda: _layer(keras.layers.RandomZoom((-0.4, 0.3), dtype="float32"), moves=True)),
    Row("hue", 0.2, lambda: _layer(keras.layers.RandomHue(0.15, dtype="float32")), colour=True),
    Row("saturation", 0.2, lambda: _layer(keras.layers.RandomSaturation((0.3, 0.6), dtype="float32")), colour=True),
    Row("grayscale", 0.1, lambda: _layer(keras.layers.RandomGrayscale(1.0, dtype="float32")), colour=True),
    Row("brightness", 0.0, lambda: _layer(keras.layers.RandomBrightness(0.2, dtype="float32"))),
    Row("contrast", 0.0, lambda: _layer(keras.layers.RandomContrast(0.3, dtype="float32"))),
    Row("gamma", 0.3, lambda: _pixels(_gamma), ranks=(4, 5)),
    Row("invert", 0.1, lambda: _pixels(lambda images, rng: 255 - images), ranks=(4, 5)),
    Row("blur", 0.1, lambda: _layer(keras.layers.RandomGaussianBlur((1, 1), 7, (0.5, 1.5), dtype="float32"))),
    Row("noise", 0.2, lambda: _pixels(_noise), ranks=(4, 5)),
)
"""The changes in the order in which they are applied."""


class Augment:
    """Random changes to a batch: flips, rotation, zoom, colour, gamma, inversion, blur and noise.

    Masks move with their images by nearest neighbour, so ids never mix; what enters at a border is a reflection.
    Pixel values stay within 0..255. Colour changes apply to 3 channels only; volumes, (batch, depth, height, width,
    channels), get the flips, gamma, inversion and noise. The result depends only on the batch and the seed, and a
    change that is turned off leaves the others as they were.

    Args:
        options: by name of a row of `ROWS`, the share of images that meet it, 0..1; 0 turns it off.

    Raises:
        InputError: an unknown name, or a share outside 0..1.
    """

    def __init__(self, **options: float) -> None:
        default = {row.name: row.probability for row in ROWS}
        for name, value in options.items():
            if name not in default:
                raise InputError(f"augmentations are {', '.join(default)}; got {name!r}")
            if not 0 <= value <= 1:
                raise InputError(f"{name} must be a share of the images, 0..1, got {value}")
        self.options = default | options
        self._changes = [
            (number, row, row.make(), self.options[row.name])
            for number, row in enumerate(ROWS)
            if self.options[row.name]
        ]

    def __call__(self, images: np.ndarray, masks: np.ndarray, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch changed.

        Args:
            images: (batch, height, width, channels), pixel values 0..255.
            masks: (batch, height, width, 1), ids below 2**24.
            seed: integers of at least 0, such as (seed, epoch, batch index).

        Returns:
            Images as float32 0..255, masks of the type given.
        """
        x, y = np.array(images, np.float32), np.array(masks, np.float32)
        with keras.device("cpu"):
            for number, row, change, share in self._changes:
                rng = np.random.default_rng((*seed, number))
                chosen = rng.random(len(x)) < share
                if chosen.any() and row.fits(x):
                    changed, y[chosen] = change(x[chosen], y[chosen], rng)
                    x[chosen] = np.clip(changed, 0, 255)
        return x, y.astype(masks.dtype)


def augmentation(choice: str | Mapping[str, float] | None) -> Augment | None:
    """Return the augmentation by name, "default" or "none", or by the shares that differ from the default.

    Raises:
        InputError: an unknown name or option.
    """
    if choice is None or choice == "none":
        return None
    if choice == "default":
        return Augment()
    if isinstance(choice, str):
        raise InputError(f"augmentation must be default, none, or shares by name such as rotation=0; got {choice!r}")
    return Augment(**choice)
