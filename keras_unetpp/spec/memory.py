"""How much memory a network takes to be made and to be trained, by closed form, before a layer is built."""

from collections.abc import Sequence

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.choices import remembered
from keras_unetpp.spec.cost import BYTES_PER_VALUE, cost, node_costs
from keras_unetpp.spec.fields import Spec

MOST_PARAMS = 2**31
"""Weights of a network: 8 GiB in float32, and four times that in training."""

SCRATCH = 1.25
"""Peak of a training step over the outputs of all layers, which the backward pass reads."""

FIXED = 0.16 * 2**30
"""Bytes that a training step takes whatever the network, for threads, their pools and the compiled function."""

GRADIENTS = 3
"""Copies of the weights that the first step adds: gradients, and the optimizer's two moments, untouched till then."""


def check_params(spec: Spec) -> None:
    """Raise `InputError` if a network has more weights than any machine's memory is meant for."""
    params = cost(spec).params
    if params > MOST_PARAMS:
        raise InputError(
            f"A network has at most {MOST_PARAMS:,} weights. Received: a Spec of {params:,}, with filters"
            f" {(*spec.filters, *spec.decoder_filters)}, {spec.channels:,} channels and {spec.classes:,} classes. Use a"
            " smaller width or depth."
        )


def training_bytes(spec: Spec, crop: Sequence[int], batch: int) -> int:
    """Bytes that training takes on top of what the built and compiled model takes already, in float32 on CPU.

    SCRATCH * sum of all layers' outputs * batch + GRADIENTS * weights + FIXED. Measured with TensorFlow 2.21 by
    `tools/bench_training_memory.py`, it is right within 20 %.

    Args:
        spec: the network.
        crop: sides of what is trained on, in pixels.
        batch: crops a step.

    Raises:
        InputError: a crop that the network cannot take.
    """
    return round(
        SCRATCH * batch * _outputs(spec, tuple(crop)) + GRADIENTS * BYTES_PER_VALUE * cost(spec).params + FIXED
    )


@remembered(256)
def _outputs(spec: Spec, crop: tuple[int, ...]) -> int:
    return sum(one.activation_bytes or 0 for one in node_costs(spec, size=crop).values())


def largest_batch(spec: Spec, crop: Sequence[int], most: int, free: int) -> int:
    """The largest batch up to `most` of crops of these sides that fits `free` bytes; 0 if none does."""
    fixed = training_bytes(spec, crop, 0)
    each = training_bytes(spec, crop, 1) - fixed
    return max(min(most, (free - fixed) // each), 0)


def largest_crop(spec: Spec, most: Sequence[int], batch: int, free: int) -> tuple[int, ...] | None:
    """The largest crop up to `most` that fits `free` bytes; its longest sides are cut first. None if none does."""
    steps = spec.divisors
    sides = [max(side // step * step, step) for side, step in zip(most, steps, strict=True)]
    while training_bytes(spec, sides, batch) > free:
        longest = max(range(len(sides)), key=lambda at: (sides[at] > steps[at], sides[at], at))
        step = steps[longest]
        if sides[longest] == step:
            return None
        # By a sixteenth at a time, so that even the widest is soon found.
        sides[longest] -= max(sides[longest] // 16 // step, 1) * step
    return tuple(sides)
