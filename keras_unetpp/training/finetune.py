"""Pretrained encoders in training: frozen, batch statistics and all, and thawed row by row."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.names import row_of


def freeze_encoder(model: UNetPP, batch_norm: bool = True) -> None:
    """Let training leave the backbone of a model as it is; own rows above it stay trainable.

    A frozen batch normalisation uses its moving averages in training too, and does not update them. May be called
    before or after `compile`.

    Args:
        model: with a backbone.
        batch_norm: False leaves the backbone's batch normalisations trainable, their statistics included.

    Raises:
        InputError: the model has no backbone.
    """
    _build_optimizer(model)
    _set(layers_of(model), False, batch_norm)
    _renew(model)


def unfreeze_encoder(model: UNetPP) -> None:
    """The inverse of `freeze_encoder`. If the model was frozen before `compile`, compile it again.

    Raises:
        InputError: the model has no backbone.
    """
    _set(layers_of(model), True)
    _renew(model)


class GradualUnfreezing(keras.callbacks.Callback):
    """Freezes the backbone when training begins and thaws it row by row, the lowest first.

    Which rows are frozen depends on the number of the epoch alone, so a resumed run goes on as it would have. Between
    epochs nothing is frozen: a model saved then has no frozen layer. (Howard & Ruder, arXiv:1801.06146, for text.)

    Args:
        frozen: epochs in which all of the backbone stays as it is.
        every: epochs from one row's thaw to the next; 0 thaws all rows at once.
        batch_norm: as in `freeze_encoder`.

    Raises:
        InputError: numbers below 0. When training begins: no backbone, or Keras runs on JAX, whose optimizers take
            no part of the variables.
    """

    def __init__(self, frozen: int, every: int = 0, batch_norm: bool = True) -> None:
        super().__init__()
        if any(type(value) is not int or value < 0 for value in (frozen, every)):
            raise InputError(f"frozen and every must be whole numbers of at least 0. Received: {frozen!r}, {every!r}.")
        self.frozen, self.every, self.batch_norm = frozen, every, batch_norm

    def rows(self, epoch: int, taps: Iterable[int]) -> frozenset[int]:
        """The rows of the backbone that are frozen in an epoch, counted from 0.

        >>> callback = GradualUnfreezing(frozen=2, every=1)
        >>> [sorted(callback.rows(epoch, (1, 2, 3))) for epoch in range(5)]
        [[1, 2, 3], [1, 2, 3], [1, 2], [1], []]
        """
        ordered = sorted(taps)
        if epoch < self.frozen:
            return frozenset(ordered)
        if not self.every:
            return frozenset()
        return frozenset(ordered[: max(len(ordered) - 1 - (epoch - self.frozen) // self.every, 0)])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Make room in the optimizer for what will be thawed."""
        if keras.backend.backend() == "jax":
            raise InputError(
                "GradualUnfreezing needs Keras on TensorFlow or PyTorch. Received: JAX. Use freeze_encoder(), train,"
                " unfreeze_encoder(), compile and train again."
            )
        layers_of(self.model)
        _build_optimizer(self.model)
        self.now: frozenset[int] = frozenset()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Freeze what this epoch leaves alone."""
        layers = layers_of(self.model)
        rows = self.rows(epoch, {row_of(layer.name) or 0 for layer in layers})
        _set([layer for layer in layers if row_of(layer.name) in rows], False, self.batch_norm)
        if rows != self.now:
            self.now = rows
            _renew(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Thaw all; the compiled step goes on as it was traced."""
        _set(layers_of(self.model), True)


def layers_of(model: UNetPP) -> list[keras.layers.Layer]:
    """The layers of the backbone.

    Raises:
        InputError: the model has none.
    """
    layers = list(describe(model).encoder.values())
    if not layers:
        raise InputError(
            f"This is about backbones, and model {model.name!r} has none. Build one with build(.., backbone=NAME)."
        )
    return layers


def _set(layers: Iterable[keras.layers.Layer], trainable: bool, batch_norm: bool = True) -> None:
    for layer in layers:
        if batch_norm or not isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = trainable


def _build_optimizer(model: UNetPP) -> None:
    """Give the optimizer its variables for all weights while all are trainable."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def _renew(model: UNetPP) -> None:
    """What trains was traced with the layers that were trainable then."""
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)
