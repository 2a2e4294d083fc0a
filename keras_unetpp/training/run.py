"""A training run's folder: what is in it, how it is written whole, and how a run goes on from it.

run.json      Spec and Recipe
log.csv       one row an epoch: loss, and on validated epochs IoU and Dice per level
last.keras    model and optimizer after the last finished epoch
best.keras    model with the best IoU of any level so far
tensorboard/  if TensorBoard is installed
"""

import csv
import json
import math
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.errors import InputError
from keras_unetpp.files import replacing, write_text
from keras_unetpp.graph.heads import standardization
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import FIELDS, Spec
from keras_unetpp.spec.records import resumed

Row = dict[str, float]


class Run:
    """The folder of one run. `last.keras` alone decides which epoch is finished; the rest follows from it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.last = self.folder / "last.keras"
        self.best = self.folder / "best.keras"
        self.log = self.folder / "log.csv"
        self.rows: list[Row] = []

    def take_up(self, model: UNetPP) -> Spec:
        """The model's Spec, after it was given what a run of an earlier version here did not say of its own."""
        if self.last.exists():
            before = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            own = Spec.from_dict(resumed(before["spec"], model.spec.to_dict(), FIELDS))
            if own != model.spec:
                standardization(model).epsilon = own.standardize_epsilon
                model.spec = own
        return model.spec

    def start(self, spec: Spec, recipe: Recipe, resume: bool) -> None:
        """Claim the folder, or check that the run in it was started with the same settings.

        Raises:
            InputError: the folder holds another run, or one that must not be resumed.
            OSError: the folder cannot be written.
        """
        described = {"spec": spec.to_dict(), "recipe": recipe.to_dict()}
        path = self.folder / "run.json"
        if not self.last.exists():
            write_text(path, json.dumps(described, indent=2) + "\n")
            return
        if not resume:
            raise InputError(f"{self.folder} holds a run already. Choose another folder, or resume it.")
        before = json.loads(path.read_text(encoding="utf-8"))
        before["spec"] = Spec.from_dict(before["spec"]).to_dict()
        for part, values in described.items():
            for name, value in values.items():
                if before[part].get(name) != value:
                    raise InputError(
                        f"{self.folder} holds a run with {part}.{name} = {before[part].get(name)!r}. Received:"
                        f" {value!r}. Resume with the same settings, or choose another folder."
                    )

    def restore(self, model: keras.Model, steps: int) -> int:
        """Bring a compiled model and its optimizer to the end of the last finished epoch; returns the next epoch."""
        if not self.last.exists():
            return 0
        saved = keras.saving.load_model(self.last)
        pairs = zip((*model.variables, *model.optimizer.variables),
                    (*saved.variables, *saved.optimizer.variables), strict=True)  # fmt: skip
        for own, kept in pairs:
            own.assign(kept)
        done = int(model.optimizer.iterations) // steps
        self.rows = [row for row in read_log(self.log) if row["epoch"] <= done]
        return done

    def record(self, model: keras.Model, row: Row) -> None:
        """Write an epoch down: the log first, the best model if it is one, last the model to resume from."""
        best = self.best_row()
        self.rows.append(row)
        names = list(dict.fromkeys(name for one in self.rows for name in one))
        with replacing(self.log) as path, open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        if quality(row) > (-math.inf if best is None else quality(best)):
            _save(model, self.best)
        _save(model, self.last)

    def best_row(self) -> Row | None:
        """The row of the best validation so far, the first of equals."""
        return max(self.rows, key=quality, default=None)

    def stale(self) -> int:
        """Epochs since the best validation."""
        best = self.best_row()
        return 0 if best is None else int(self.rows[-1]["epoch"] - best["epoch"])


def quality(row: Row) -> float:
    """What makes one epoch better than another: the IoU of its best level; unvalidated epochs have none."""
    return max((value for name, value in row.items() if name.startswith("val_") and name.endswith("_iou")),
               default=-math.inf)  # fmt: skip


def _save(model: keras.Model, path: Path) -> None:
    with replacing(path) as temporary:
        model.save(temporary)


def read_log(path: Path) -> list[Row]:
    """The rows of a run's `log.csv`."""
    with open(path, newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    return [
        {name: int(value) if name == "epoch" else float(value) for name, value in row.items() if value} for row in rows
    ]
