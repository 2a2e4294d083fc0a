"""Models that carry their Spec wherever they go: copied, cloned, pickled, saved and opened again."""

from typing import Any
from weakref import WeakKeyDictionary

import keras

from keras_unetpp.compat.keras import written_as_functional
from keras_unetpp.spec.fields import Spec


class Carrier(keras.Model):
    """A functional model with a Spec.

    Copies, pickles and files carry it in the configuration. `keras.models.clone_model`, and whoever makes a model of a
    subclass from the tensors of another, calls the class with tensors alone: the model then has the Spec of a living
    one whose layers have the same names and settings.

    Attributes:
        spec: of its network; None where it was made of layers that no Spec is known of.
    """

    spec: Spec

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        spec = kwargs.pop("spec", None)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        # Who builds a model knows that it has one, and should not have to ask for it each time.
        self.spec = _of_the_same_layers(self) if spec is None else spec  # type: ignore[assignment]
        _carriers[self] = None

    def get_config(self) -> dict[str, Any]:
        """Keras' functional config and the Spec."""
        return {**super().get_config(), "spec": self.spec and self.spec.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Carrier":
        """The inverse of `get_config`."""
        config = dict(config)
        spec = config.pop("spec", None)
        model: Carrier = super().from_config(config, custom_objects=custom_objects)
        if spec is not None:
            model.spec = Spec.from_dict(spec)
        return model


@keras.saving.register_keras_serializable(package="keras_unetpp", name="Cut")
@written_as_functional
class Cut(Carrier):
    """One level that was cut out: stock layers, one output, and the Spec of what it is.

    In files it is Keras' own functional model, and so it opens where this package is not installed.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Keras' own, but for how it names the class, which `pickle` would look for in vain."""
        maker, arguments = super().__reduce__()
        return _made_by, (maker.__name__, *arguments)


def _made_by(name: str, *arguments: Any) -> Cut:
    made: Cut = getattr(Cut, name)(*arguments)
    return made


_carriers: WeakKeyDictionary[Carrier, None] = WeakKeyDictionary()
"""Those alive, the youngest last."""


def _of_the_same_layers(model: keras.Model) -> Spec | None:
    layers, shape = _layers(model), tuple(model.inputs[0].shape[1:])
    names = [layer.name for layer in layers]
    for other in reversed(list(_carriers)):
        own = _layers(other)
        if other.spec is not None and names == [one.name for one in own] and all(map(_alike, layers, own)):
            return other.spec if other.spec.input_shape == shape else other.spec.replace(input_shape=shape)
    return None


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All but the inputs, which may have other sides, and other names."""
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def _alike(one: keras.layers.Layer, other: keras.layers.Layer) -> bool:
    return one is other or (type(one) is type(other) and _settings(one) == _settings(other))


def _settings(layer: keras.layers.Layer) -> dict[str, Any]:
    """What a layer says of itself, but for its numeric type and whether it is trained."""
    return {name: value for name, value in layer.get_config().items() if name not in ("dtype", "trainable")}
