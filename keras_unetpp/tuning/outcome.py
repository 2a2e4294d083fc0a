"""What came of one trial, as plain JSON: the scores of its levels, or why there are none."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.json_files import about, anything, each, fields, mapping, maybe, number, read_json, text, whole
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.limits import MAX_DEPTH
from keras_unetpp.tuning.state import trial_id

SHAPE = fields(
    {
        "trial": trial_id,
        "spec": mapping(anything),
        "recipe": mapping(anything),
        "epochs": whole(0),
        "levels": each(
            fields(
                {"level": whole(1, MAX_DEPTH), "iou": number(0, 1), "dice": number(0, 1)}, {"latency": maybe(number(0))}
            )
        ),
    },
    {"best_epoch": whole(0), "failed": text(), "seconds": number(0)},
)
_WAY_OUT = "Remove it to have the trial scored again, or put it back."

OUTCOME, WEIGHTS = "outcome.json", "weights.safetensors"


@dataclass(frozen=True)
class Scored:
    """One level.

    Attributes:
        level: 1..d.
        iou: validation IoU at the best epoch, 0..1.
        dice: validation Dice there, 0..1.
        latency: milliseconds of the level cut out, batch 1, where it was trained; None if not measured.
    """

    level: int
    iou: float
    dice: float
    latency: float | None = None


@dataclass(frozen=True)
class Outcome:
    """One trial.

    Attributes:
        trial: its id.
        spec: the network.
        recipe: the training.
        epochs: that it was trained for.
        best_epoch: the epoch whose weights were kept.
        levels: their scores; none if the trial failed.
        failed: why it failed, in one line; empty if it did not.
        seconds: that it took here, since it was last begun.
    """

    trial: str
    spec: Spec
    recipe: Recipe
    epochs: int
    best_epoch: int = 0
    levels: tuple[Scored, ...] = ()
    failed: str = ""
    seconds: float = 0.0

    @property
    def best(self) -> Scored:
        """The level of the highest IoU, the shallowest of equals."""
        return max(self.levels, key=lambda level: level.iou)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        own = {name: getattr(self, name) for name in ("trial", "epochs", "best_epoch", "failed", "seconds")}
        scored = [asdict(level) for level in self.levels]
        return {**own, "levels": scored, "spec": self.spec.to_dict(), "recipe": self.recipe.to_dict()}

    def to_json(self) -> str:
        """The outcome as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Outcome":
        """The inverse of `to_dict`."""
        spec, recipe = Spec.from_dict(values["spec"]), Recipe.from_dict(values["recipe"])
        names = [item.name for item in dataclasses.fields(Scored)]
        levels = tuple(Scored(**{name: one[name] for name in names if name in one}) for one in values["levels"])
        if other := [one.level for one in levels if one.level not in spec.levels]:
            raise InputError(f"Trial {values['trial']} has scores of level {other[0]}, for which it has no head.")
        plain = ("trial", "epochs", "best_epoch", "failed", "seconds")
        own = {name: values[name] for name in plain if name in values}
        return cls(spec=spec, recipe=recipe, levels=levels, **own)

    @classmethod
    def read(cls, folder: Path) -> "Outcome | None":
        """The outcome in a trial's folder, or None."""
        path = folder / OUTCOME
        if not path.is_file():
            return None
        values = read_json(path, SHAPE, _WAY_OUT)
        with about(path, _WAY_OUT):
            return cls.from_dict(values)
