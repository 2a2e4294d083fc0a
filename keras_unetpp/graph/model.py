"""The model class: a functional `keras.Model` whose heads all learn from one `y`.

What it needs of this package beside `spec` is imported late: see `keras_unetpp.registration`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_unetpp.errors import InputError
from keras_unetpp.spec.fields import Spec, check_sides


@keras.saving.register_keras_serializable(package="keras_unetpp")
class UNetPP(keras.Model):
    """A functional model of stock layers with a `spec`, and with deep supervision in `compile`, `fit` and `evaluate`.

    `compile` takes one loss, one list of metrics and one target for all heads; each head has its own copy of every
    metric, named `L1_iou`, `L2_iou`, .. Losses and `loss_weights` may also be told apart by head, as a list in the
    heads' order or a dict by name; Keras' other per-output dicts are accepted as they are. The total is the weighted
    sum over the heads, as in the papers.
    """

    spec: Spec

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        from keras_unetpp.graph.steady import steady

        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        for layer in self.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                steady(layer)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Forward pass; a side that is known and no multiple of 2^depth is an error naming the padded size."""
        spec = getattr(self, "spec", None)
        shape = getattr(inputs, "shape", None)
        if spec is not None and shape is not None and len(shape) == spec.rank + 2:
            check_sides(shape[1:-1], spec.divisor)
        return super().__call__(inputs, *args, **kwargs)

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
                weighted_metrics: Any = None, encoder_learning_rate: float = 1.0, **kwargs: Any) -> None:  # fmt: skip
        """Keras' `compile`, with everything given once and used for every head.

        Args:
            encoder_learning_rate: what the optimizer's learning rate is multiplied by for the weights of the backbone,
                0..1; for any Keras optimizer.
        """
        rate = encoder_learning_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise InputError(f"encoder_learning_rate must be a number from 0 to 1. Received: {rate!r}.")
        if self._heads:
            if isinstance(loss, (list, tuple)):
                loss = _by_head("loss", loss, self._heads)
            loss = self._spread(loss)
            if loss and loss_weights is not None:
                trained = [head for head in self._heads if head in loss]
                loss_weights = _by_head("loss_weights", loss_weights, trained)
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=self._spread(metrics, _copies),
            weighted_metrics=self._spread(weighted_metrics, _copies),
            **kwargs,
        )
        self._encoder_learning_rate = rate
        if rate != 1:
            from keras_unetpp.graph.encoder import encoder_layers
            from keras_unetpp.graph.slow import slow

            slow(self.optimizer, [one for layer in encoder_layers(self).values() for one in layer.weights], rate)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Keras' own, and what `compile` takes besides."""
        config = super().get_compile_config()
        return config and {**config, "encoder_learning_rate": self._encoder_learning_rate}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved model was; Keras leaves this to classes that have a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:  # fmt: skip
        """Weighted sum of the heads' losses, each against the same `y`."""
        y, sample_weight = self._spread(y), self._spread(sample_weight)
        return super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Every head's metrics against the same `y`."""
        y, sample_weight = self._spread(y), self._spread(sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Keras' functional config and the Spec, if there is one: `keras.models.clone_model` leaves it behind."""
        spec = getattr(self, "spec", None)
        return {**super().get_config(), "spec": spec and spec.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "UNetPP":
        """The inverse of `get_config`."""
        config = dict(config)
        spec = config.pop("spec")
        model = super().from_config(config, custom_objects=custom_objects)
        if spec is not None:
            model.spec = Spec.from_dict(spec)
        return model

    @property
    def _heads(self) -> list[str]:
        return list(self.output) if isinstance(self.output, Mapping) else []

    def _spread(self, item: Any, copy: Callable[[Any], Any] = lambda item: item) -> Any:
        """`item` for every head, unless there is only one or the caller has already told the heads apart."""
        if item is None or not self._heads or isinstance(item, Mapping):
            return item
        return {head: copy(item) for head in self._heads}


def _by_head(name: str, values: Any, heads: list[str]) -> dict[str, Any]:
    """One value a head, given in order or by name; Keras itself would pair wrong names in silence."""
    items = list(values) if isinstance(values, (Mapping, list, tuple)) else []
    if isinstance(values, Mapping) and set(items) == set(heads):
        return dict(values)
    if not isinstance(values, Mapping) and len(items) == len(heads):
        return dict(zip(heads, items, strict=True))
    raise InputError(f"{name} must have one entry for each of {', '.join(heads)}. Received: {values!r}.")


def _copies(metrics: Any) -> list[Any]:
    """Fresh metrics of the same configuration: a metric has state, so no two heads may share one."""
    items = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    return [type(item).from_config(item.get_config()) if isinstance(item, keras.Metric) else item for item in items]


# Keras' .h5 files name a model's class alone, without its package.
keras.saving.get_custom_objects()[UNetPP.__name__] = UNetPP
