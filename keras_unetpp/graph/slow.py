"""A lower learning rate for some of the weights, whatever the optimizer."""

from collections.abc import Sequence
from typing import Any

import keras


def slow(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable], factor: float) -> None:
    """Let an optimizer move some variables by `factor` times what it would.

    For every optimizer whose step is proportional to its learning rate, weight decay included, this is a learning rate
    of `factor` times the others'. Keras has one learning rate for all. The optimizer stays a stock one: nothing of this
    is saved with it. Called again for the same optimizer, the last factor holds; 1 leaves the optimizer as it came.
    """
    while hasattr(optimizer, "inner_optimizer"):  # of loss scaling, which JAX calls past the outer one's `apply`
        optimizer = optimizer.inner_optimizer
    whole = getattr(optimizer.apply, "whole", optimizer.apply)
    if factor == 1:
        if hasattr(optimizer.apply, "whole"):
            optimizer.apply = whole
        return

    def apply(grads: Any, trainable_variables: Any = None) -> None:
        moved = [variable for variable in variables if variable.trainable]
        before = [keras.ops.copy(variable.value) for variable in moved]
        whole(grads, trainable_variables)
        for variable, old in zip(moved, before, strict=True):
            variable.assign(old + factor * (variable.value - old))

    apply.whole = whole  # type: ignore[attr-defined]
    optimizer.apply = apply
