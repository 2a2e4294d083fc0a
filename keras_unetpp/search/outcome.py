"""What came of one trial, as plain JSON: the scores of its levels, or why there are none."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import Spec

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
        own = dict(values)
        spec, recipe = Spec.from_dict(own.pop("spec")), Recipe.from_dict(own.pop("recipe"))
        levels = tuple(Scored(**level) for level in own.pop("levels"))
        return cls(spec=spec, recipe=recipe, levels=levels, **own)

    @classmethod
    def read(cls, folder: Path) -> "Outcome | None":
        """The outcome in a trial's folder, or None."""
        path = folder / OUTCOME
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
