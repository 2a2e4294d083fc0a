"""The model class: a functional `keras.Model` whose heads all learn from one `y`.

What it needs of this package beside `spec` is imported late: see `keras_unetpp.kit.registration`.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_unetpp.graph.batches import Feed
from keras_unetpp.graph.carrier import Carrier
from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.inputs import Inputs
from keras_unetpp.graph.readings import contradiction, reading
from keras_unetpp.graph.streams import Teller
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.spec.geometry import check_sides

_HALF = "mixed_float16"


@keras.saving.register_keras_serializable(package="keras_unetpp")
class UNetPP(Carrier):
    """A functional model of stock layers with a `spec`, and with deep supervision in `compile`, `fit` and `evaluate`.

    `compile` takes one loss, one list of metrics and one target for all heads; each head has its own copy of every
    metric, named `L1_iou`, `L2_iou`, .. Losses and `loss_weights` may also be told apart by head, as a list in the
    heads' order or a dict by name; Keras' other per-output dicts are accepted as they are. The total is the weighted
    sum over the heads, as in the papers.

    `fit`, `evaluate`, `predict` and their like for one batch look at images and y, whatever gives them: arrays,
    tensors, `tf.data`, `PyDataset` or generator. As in `segment`, the type of pixels tells their unit: 0..65535 in
    uint16 and False/True in bool become 0..255, all else is taken as it is; NaN is an `InputError`; and an
    `InputWarning` tells values of another range, those of arrays before training starts, of all else after the first
    batches. A plain call, `model(x)`, does none of this: it is the network itself, for numbers of 0..255.

    Labels that mean nothing to the loss, such as masks of 0 and 255, are an `InputError` before a step is taken on
    them. `sample_weight` may weigh pixels, (batch, *sides) or (batch, *sides, 1), for all heads alike, and
    `class_weight` is turned into such weights: for one class {0: background, 1: foreground}, for several by id.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        from keras_unetpp.graph.steady import steady

        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        for layer in self.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                steady(layer)
        if any(layer.dtype_policy.name == _HALF for layer in self.layers):
            # That of the layers, wherever the model is opened: `compile` scales losses by it.
            self.dtype_policy = keras.DTypePolicy(_HALF)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Forward pass; a side that is known and no multiple of `Spec.divisors` is an error naming the padded size."""
        spec = getattr(self, "spec", None)
        shape = getattr(inputs, "shape", None)
        if spec is not None and shape is not None and len(shape) == spec.rank + 2:
            check_sides(shape[1:-1], spec.divisors)
        return super().__call__(inputs, *args, **kwargs)

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
                weighted_metrics: Any = None, encoder_learning_rate: float = 1.0, **kwargs: Any) -> None:  # fmt: skip
        """Keras' `compile`, with everything given once and used for every head.

        Args:
            encoder_learning_rate: what the optimizer's learning rate is multiplied by for the weights of the backbone,
                0..1; for any Keras optimizer.

        Raises:
            InputError: a loss, of this package or of Keras, takes logits where the heads give probabilities, or the
                other way round; or it lets classes overlap that exclude each other, or the other way round.
        """
        text = self._contradiction(loss)
        if text:
            raise InputError(text)
        self._compile(optimizer, loss, loss_weights, metrics, weighted_metrics, encoder_learning_rate, **kwargs)

    def _compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
                 weighted_metrics: Any = None, encoder_learning_rate: float = 1.0, **kwargs: Any) -> None:  # fmt: skip
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
        for one in (metrics, weighted_metrics):
            _warn(self._contradiction(one), stacklevel=3)
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=self._spread(metrics, _copies),
            weighted_metrics=self._spread(weighted_metrics, _copies),
            **kwargs,
        )
        self._encoder_learning_rate = rate
        from keras_unetpp.graph.slow import slow

        if rate == 1 and self.optimizer is not None:
            slow(self.optimizer, (), 1)  # it may come from an earlier `compile` of another rate
        elif rate != 1:
            slow(self.optimizer, [one for layer in describe(self).encoder.values() for one in layer.weights], rate)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Keras' own, and what `compile` takes besides."""
        config = super().get_compile_config()
        if not config:
            return config
        config["encoder_learning_rate"] = self._encoder_learning_rate
        if self.dtype_policy.name == _HALF:
            config["auto_scale_loss"] = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved model was; Keras leaves this to classes that have a `compile` of their own."""
        own = keras.saving.deserialize_keras_object(config)
        _warn(self._contradiction(own.get("loss")), stacklevel=2)  # a file of before must open
        self._compile(**own)
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Keras' `fit`; images and y are looked at, and `class_weight` made weights of pixels."""
        call = inspect.signature(super().fit).bind(x, y, *args, **kwargs)
        given = call.arguments
        told: list[str] = []
        feed = self._feed("Images to train on", told, class_weight=given.pop("class_weight", None))
        if feed.class_weight and given.get("validation_split") and given.get("validation_data") is None:
            given.update(_split(given))  # weights of classes are for training, not for validation
        given["x"], given["y"], given["sample_weight"] = feed(
            given["x"], given["y"], given.get("sample_weight"), doubts=True
        )
        held_out, feed_held_out = given.get("validation_data"), self._feed("Images to validate on", told)
        if isinstance(held_out, (tuple, list)):
            if len(held_out) not in (2, 3):
                raise InputError(
                    f"validation_data must be (x, y) or (x, y, sample_weight). Received: {len(held_out)} parts."
                )
            x, y, weight = (*held_out, None)[:3]
            held_out = feed_held_out(x, y, weight)
        elif held_out is not None:
            held_out, _, _ = feed_held_out(held_out, None, None)
        given["validation_data"] = held_out
        _let_tell(given, feed, feed_held_out)
        with feed.telling(), feed_held_out.telling():
            history = super().fit(*call.args, **call.kwargs)
        _tell_loss(history)
        return history

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Keras' `evaluate`; images and y are looked at."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` calls, and has looked
            return super().evaluate(x, y, *args, **kwargs)
        call = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs)
        given, feed = call.arguments, self._feed("Images to score")
        given["x"], given["y"], given["sample_weight"] = feed(x, y, given.get("sample_weight"))
        _let_tell(given, feed)
        with feed.telling():
            return super().evaluate(*call.args, **call.kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Keras' `predict`; images are looked at. `segment` takes those of any size."""
        call = inspect.signature(super().predict).bind(x, *args, **kwargs)
        given, feed = call.arguments, self._feed("Images to predict", labels=False)
        given["x"], _, _ = feed(x, None, None)
        _let_tell(given, feed)
        with feed.telling():
            return super().predict(*call.args, **call.kwargs)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
                       **kwargs: Any) -> Any:  # fmt: skip
        """Keras' `train_on_batch`; images and y are looked at, and `class_weight` made weights of pixels."""
        x, y, sample_weight = self._feed("Images to train on", class_weight=class_weight)(x, y, sample_weight)
        return super().train_on_batch(x, y, sample_weight=sample_weight, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Keras' `test_on_batch`; images and y are looked at."""
        x, y, sample_weight = self._feed("Images to score")(x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight=sample_weight, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """Keras' `predict_on_batch`; images are looked at."""
        x, _, _ = self._feed("Images to predict", labels=False)(x, None, None)
        return super().predict_on_batch(x)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:  # fmt: skip
        """Weighted sum of the heads' losses, each against the same `y`."""
        y, sample_weight = self._spread(y), self._spread(sample_weight)
        return super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Every head's metrics against the same `y`."""
        y, sample_weight = self._spread(y), self._spread(sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    @property
    def _heads(self) -> list[str]:
        return list(self.output) if isinstance(self.output, Mapping) else []

    def _feed(self, purpose: str, told: list[str] | None = None, labels: bool = True,
              class_weight: Mapping[int, float] | None = None) -> Feed:  # fmt: skip
        """What looks at the images of one call, and at the targets of this model as it is compiled."""
        about = describe(self)
        inputs = Inputs(tuple(about.image.shape), about.intake, about.divisors, purpose, [] if told is None else told)
        return Feed(self._readings() if labels else None, inputs, class_weight)

    def _readings(self) -> dict[str, Any]:
        return {name: reading(output, loss) for name, output, loss in self._pairs(getattr(self, "loss", None))}

    def _pairs(self, item: Any) -> list[tuple[str, Any, Any]]:
        """Each head's name, "" of one alone, its output, and its part of what was given for all or by head."""
        if isinstance(self.output, Mapping):
            parts = item if isinstance(item, Mapping) else dict.fromkeys(self.output, item)
            return [(name, output, parts.get(name)) for name, output in self.output.items()]
        return [] if isinstance(self.output, list) else [("", self.output, item)]

    def _contradiction(self, given: Any) -> str | None:
        """What losses or metrics cannot make of the heads that they are for; None if all agree."""
        activation = describe(self).activation
        if isinstance(given, (list, tuple)) and len(given) == len(self._heads):
            given = dict(zip(self._heads, given, strict=True))
        for name, output, item in self._pairs(given):
            for one in item if isinstance(item, (list, tuple)) else [item]:
                if text := contradiction(name, activation, int(output.shape[-1]), one):
                    return text
        return None

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


def _split(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `fit` in which `validation_split` has been carried out, as Keras does: the last images."""
    x, y = given["x"], given["y"]
    first = math.floor(len(keras.tree.flatten(y)[0]) * (1 - given["validation_split"]))
    early, late = (keras.tree.map_structure(lambda part, cut=cut: part[cut], (x, y))
                   for cut in (slice(first), slice(first, None)))  # fmt: skip
    return {"x": early[0], "y": early[1], "validation_data": late, "validation_split": 0.0}


def _let_tell(given: dict[str, Any], *feeds: Feed) -> None:
    """Give Keras a callback that raises what is found in batches, where it must."""
    if not any(feed.late for feed in feeds):
        return
    callbacks = given.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(Teller(*feeds))
        return
    several = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks is not None else []
    given["callbacks"] = [Teller(*feeds), *several]


def _warn(text: str | None, stacklevel: int) -> None:
    if text:
        warnings.warn(text, InputWarning, stacklevel + 1)


def _tell_loss(history: Any) -> None:
    losses = getattr(history, "history", {}).get("loss", ())
    if losses and not math.isfinite(losses[-1]):
        warnings.warn(
            "The loss is not finite, and the weights are most likely lost. Lower the learning rate; where y could not"
            " be looked at, check that it holds only labels that the loss knows, or ignore_index.",
            InputWarning,
            stacklevel=3,
        )


# Keras' .h5 files name a model's class alone, without its package.
keras.saving.get_custom_objects()[UNetPP.__name__] = UNetPP
