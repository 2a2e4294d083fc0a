"""What in a network sees the whole of what it is given, so that a tile gives something else than the image."""

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from keras_unetpp.graph.bins import BinPool
from keras_unetpp.spec.designs import NORMALIZATION

_ATTENTION = (layers.Attention, layers.AdditiveAttention, layers.MultiHeadAttention, layers.GroupQueryAttention)


def whole_views(model: keras.Model) -> tuple[str, ...]:
    """Kinds of operations whose outputs hang on every pixel of an image, in words, each once.

    The normalisation of the pixels by the whole image is none of them: who runs a network in tiles does that himself.
    Batch normalisation is none, since its statistics are those of training.
    """
    return tuple(dict.fromkeys(kind for one in _operations(model) if (kind := _kind(one)) is not None))


def _operations(model: keras.Model) -> Iterator[Any]:
    """Those of a model and of the models within it."""
    for one in model.operations:
        if isinstance(one, keras.Model):
            yield from _operations(one)
        elif not isinstance(one, layers.InputLayer) and one.name != NORMALIZATION:
            yield one


def _kind(one: Any) -> str | None:
    if isinstance(one, layers.GroupNormalization):
        return "instance normalization" if one.groups in (-1, one.input.shape[-1]) else "group normalization"
    if isinstance(one, (layers.LayerNormalization, layers.UnitNormalization)) and _over_sides(one):
        return "normalization over all pixels"
    if isinstance(one, _ATTENTION):
        return "attention"
    if isinstance(one, BinPool):
        return "global pooling"
    return "global pooling" if _loses_sides(one) else None


def _over_sides(one: Any) -> bool:
    rank = len(one.input.shape)
    axes = one.axis if isinstance(one.axis, (list, tuple)) else [one.axis]
    return any(0 < axis % rank < rank - 1 for axis in axes)


def _loses_sides(one: Any) -> bool:
    """Whether images go in, and what comes out has no sides, or none but of 1 pixel."""
    sources, results = (keras.tree.flatten(tensors) for tensors in (one.input, one.output))
    rank = max(len(tensor.shape) for tensor in sources)
    # From few pixels on, a strided convolution may also come to 1.
    known = [side for tensor in sources if len(tensor.shape) == rank for side in tensor.shape[1:-1]]
    if rank < 4 or (None not in known and math.prod(known) <= 2 ** len(known)):
        return False
    return all(len(one.shape) <= 2 or (len(one.shape) == rank and set(one.shape[1:-1]) == {1}) for one in results)
