"""Whether a training fits the memory that is free, told before its first step; and the crops that volumes get."""

import statistics
import warnings
from collections.abc import Sequence

import keras

from keras_unetpp.data.folders import Sample
from keras_unetpp.data.images import image_size
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.kit.machine import GIB, free_memory
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.memory import largest_batch, largest_crop, training_bytes

TIGHT, SURE = 0.8, 1.2
"""What is said to be needed is right within a fifth: beyond this share of what is free, it may not fit; beyond that, it
does not."""

SHARE = 0.5
"""Of the free memory, which a crop that was left open may take."""
UNKNOWN = 8 * GIB
"""Free memory where the system does not tell."""
MOST_SIDE = 128
"""Voxels of the sides of a volume's crop, unless it is given."""
MOST_LOOKED_AT = 64


def with_crop(recipe: Recipe, spec: Spec, samples: Sequence[Sample]) -> Recipe:
    """The recipe with the crop that it leaves open: the network's own sides where they are fixed, else 192 for images.

    Of volumes the sides are the data's middle ones, up to 128 voxels, cut down until training takes at most half of
    the memory that is free.
    """
    if recipe.crop is not None:
        return recipe
    steps = spec.divisors
    usual = recipe.crop_sides(spec.rank, steps)
    if spec.rank == 2 or None not in spec.sides:
        sides = tuple(side or usual[at] for at, side in enumerate(spec.sides))
    else:
        looked = samples[:: max(len(samples) // MOST_LOOKED_AT, 1)]
        sizes = zip(*(image_size(one.image, spec.rank) for one in looked), strict=True)
        middle = [min(int(statistics.median(own)), MOST_SIDE) for own in sizes]
        most = tuple(side or max(middle[at] // steps[at], 1) * steps[at] for at, side in enumerate(spec.sides))
        free = free_memory() or UNKNOWN
        fitting = largest_crop(spec, most, recipe.batch_size, round(SHARE * free))
        sides = fitting or steps
    return recipe.replace(crop=sides[0] if len(set(sides)) == 1 else sides)


def check_memory(spec: Spec, crop: Sequence[int], batch: int) -> None:
    """Compare what training takes with what is free, where it runs on the CPU and the system tells.

    Raises:
        InputError: it does not fit, with the crop and the batch that would. Where it may not, that is an
            `InputWarning`.
    """
    free = free_memory()
    if free is None or _on_accelerator():
        return
    needed = training_bytes(spec, crop, batch)
    if needed <= TIGHT * free:
        return
    room = round(TIGHT * free)
    fewer, smaller = largest_batch(spec, crop, batch, room), largest_crop(spec, crop, batch, room)
    least = largest_crop(spec, crop, 1, room)
    ways = [
        *([f"batch_size={fewer} with this crop"] if fewer else []),
        *([f"crop={_written(smaller)} with this batch_size"] if smaller else []),
    ] or [f"crop={_written(least)} with batch_size=1" if least else "a smaller width or depth"]
    text = (
        f"Training takes about {needed / GIB:.2g} GiB of memory, and {free / GIB:.2g} GiB are free. Received: crop"
        f" {_written(crop)}, batch_size {batch}. What would fit: {', or '.join(ways)}."
    )
    if needed > SURE * free:
        raise InputError(f"{text} To try nevertheless, say check_memory=False (--no-memory-check).")
    warnings.warn(f"{text} It may be that the system ends this process.", InputWarning, stacklevel=3)


def _written(sides: Sequence[int]) -> str:
    return ",".join(map(str, sides)) if len(set(sides)) > 1 else str(sides[0])


def _on_accelerator() -> bool:
    """Whether Keras computes somewhere else than in the machine's own memory."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))
    if backend == "jax":
        import jax

        return bool(jax.default_backend() != "cpu")
    import torch

    return bool(torch.cuda.is_available())
