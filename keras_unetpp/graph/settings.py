"""Settings of a model's layers, to know whether what was compiled from them still holds."""

from typing import Any

import keras

_PLAIN = (bool, int, float, str, tuple, list, dict, type(None))


class Settings:
    """All attributes that the layers of a model say in their configurations, as they were when this was made.

    Weights are none of them, nor what only training heeds.
    """

    def __init__(self, model: keras.Model) -> None:
        self._values = [
            (layer, name, getattr(layer, name))
            for layer in model.layers
            for name in layer.get_config()
            if name not in ("name", "trainable") and hasattr(layer, name)
        ]

    def changed(self) -> bool:
        """Whether any of them is another one now."""
        return any(not _same(value, getattr(layer, name)) for layer, name, value in self._values)


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, _PLAIN) and type(one) is type(other) and one == other)
