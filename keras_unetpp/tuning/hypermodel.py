"""The space of a search as a KerasTuner hypermodel, for this package's search and for tuner code of one's own."""

from typing import Any

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import Spec
from keras_unetpp.tuning.budget import LATENCY, Budget
from keras_unetpp.tuning.space import Proposal, Space

OBJECTIVE = "val_iou"
"""What a search maximises: the validation IoU of a network's best level."""


class UNetPPHyperModel:
    """A `keras_tuner.HyperModel` whose every point keeps a budget; nothing over it is ever built.

    With KerasTuner's own tuners: `keras_tuner.RandomSearch(UNetPPHyperModel(Budget(params=500_000)),
    keras_tuner.Objective("val_iou", "max"), max_trials=20).search(images, masks, validation_data=..., epochs=10)`.
    `build` compiles with the recipe's optimizer and loss and with IoU; `fit` adds `val_iou`, that of the best level, to
    what it returns. `keras_unetpp.search` trains with the package's own `fit` instead.

    Args:
        budget: what every network keeps; or a `Space` that is made already.
        steps: optimizer steps an epoch, for the learning rate's schedule.
        spec: values of the fields that are not searched.
        recipe: the same for the training.
        fields: fields of Spec or Recipe, by name: one value, or a list to search.

    Raises:
        InputError: KerasTuner is not installed; or what `Space.create` raises.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> "UNetPPHyperModel":
        """An instance that is a `keras_tuner.HyperModel` as well; KerasTuner is not imported before one is made."""
        require("search", "keras_tuner")
        import keras_tuner

        if not issubclass(cls, keras_tuner.HyperModel):
            cls = type(cls.__name__, (cls, keras_tuner.HyperModel), {"__doc__": cls.__doc__})
        return object.__new__(cls)

    def __init__(self, budget: Budget | Space, steps: int = 100, spec: Spec | None = None,
                 recipe: Recipe | None = None, **fields: Any) -> None:  # fmt: skip
        if isinstance(budget, Budget):
            if LATENCY in budget.limits():
                raise InputError("A budget of latency needs Space.create(.., measure=..): pass that space instead.")
            budget = Space.create(budget, fields, spec, recipe)
        self.space, self.steps = budget, steps
        super().__init__()

    def declare_hyperparameters(self, hp: Any) -> None:
        """Register all axes with the tuner, as choices of text under conditions.

        Text, since KerasTuner's choices take neither None nor mixed types; only choices, since what it sends between
        machines is regrouped by kind, and a condition must not come before what it is about.
        """
        from keras_tuner.engine.hyperparameters import Choice

        for branch in self.space.branches():
            conditions = [{"class_name": "Parent", "config": {"name": name, "values": list(values)}}
                          for name, values in branch.conditions]  # fmt: skip
            config = {"name": branch.name, "values": list(branch.values), "conditions": conditions}
            hp.merge([Choice.from_config(config)], overwrite=False)

    def proposal(self, hp: Any) -> Proposal:
        """The network and recipe that a tuner's values mean."""
        self.declare_hyperparameters(hp)
        hp.ensure_active_values()  # those sent between machines come with defaults of branches that do not hold
        return self.space.proposal({name: value for name, value in hp.values.items() if not name.startswith("tuner/")})

    def build(self, hp: Any) -> Any:
        """The network of a tuner's values, compiled."""
        import keras

        from keras_unetpp.graph.build import build
        from keras_unetpp.training.fit import prepare
        from keras_unetpp.training.metrics import IoU

        spec, recipe = self.proposal(hp)
        keras.utils.set_random_seed(recipe.seed)
        model = build(spec)
        prepare(model, recipe, self.steps)
        multiple = spec.classes > 1 and spec.output_activation == "sigmoid"
        score = IoU(from_logits=spec.output_activation == "linear", multi_label=multiple)
        rate = recipe.encoder_learning_rate
        options: Any = {"metrics": [score], "jit_compile": False, "encoder_learning_rate": rate}
        model.compile(model.optimizer, loss=model.loss, **options)
        return model

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train by Keras' own `fit`; returns the metrics of the best epoch and `val_iou`, its best level's."""
        if "batch_size" in self.space.axes:
            kwargs["batch_size"] = self.proposal(hp).recipe.batch_size
        history = model.fit(*args, **kwargs).history
        epochs = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
        for epoch in epochs:
            scores = [v for name, v in epoch.items() if name.startswith("val_") and name.endswith("iou")]
            if not scores:
                raise InputError("A search needs validation: pass validation_data= to the tuner's search().")
            epoch[OBJECTIVE] = max(scores)
        return max(epochs, key=lambda epoch: epoch[OBJECTIVE])
