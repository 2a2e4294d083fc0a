"""A training run's folder: what is in it, how it is written whole, and how a run goes on from it.

run.json      Spec, Recipe, and what data it was trained on
log.csv       one row an epoch: loss, and on validated epochs IoU and Dice per level
last.keras    model and optimizer after the last finished epoch, and its number
best.keras    model with the best IoU of any level so far
tensorboard/  if TensorBoard is installed
"""

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.errors import InputError
from keras_unetpp.files import replacing, sweep, write_text
from keras_unetpp.graph.heads import standardization
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.json_files import about, anything, fields, mapping, maybe, read_json, text
from keras_unetpp.recipe import Recipe
from keras_unetpp.saved_models import load_model
from keras_unetpp.spec.fields import FIELDS, Spec
from keras_unetpp.spec.records import resumed
from keras_unetpp.training.log import Row, read_log, write_log
from keras_unetpp.training.record import Record, check_same

_SHAPE = fields({"spec": mapping(anything), "recipe": mapping(anything)}, {"data": maybe(mapping(mapping(text())))})
_WAY_OUT = "Put back the file that belongs to this run, or choose another folder."

_DIGITS = 9
EPOCH = "epoch"
"""What `last.keras` holds besides the model: after which epoch it was saved."""


class Run:
    """The folder of one run. `last.keras` alone decides which epoch is finished; the rest follows from it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.last = self.folder / "last.keras"
        self.best = self.folder / "best.keras"
        self.log = self.folder / "log.csv"
        self.rows: list[Row] = []

    def described(self) -> dict[str, Any] | None:
        """What `run.json` says of the run that is here: `spec`, `recipe` and, maybe, `data`; None if none is here.

        Raises:
            InputError: it is missing, or does not describe a run.
        """
        if not self.last.exists():
            return None
        path = self.folder / "run.json"
        if not path.is_file():
            raise InputError(f"{path} is missing, so that the run there cannot go on. {_WAY_OUT}")
        found: dict[str, Any] = read_json(path, _SHAPE, _WAY_OUT)
        with about(path, _WAY_OUT):
            Spec.from_dict(found["spec"]), Recipe.from_dict(found["recipe"])
        return found

    def take_up(self, model: UNetPP) -> Spec:
        """The model's Spec, after it was given what a run of an earlier version here did not say of its own."""
        before = self.described()
        if before is not None:
            own = Spec.from_dict(resumed(before["spec"], model.spec.to_dict(), FIELDS))
            if own != model.spec:
                standardization(model).epsilon = own.standardize_epsilon
                model.spec = own
        return model.spec

    def crop_of(self, recipe: Recipe) -> Recipe:
        """The recipe, with the crop of the run that is here if it leaves it open."""
        before = self.described() if recipe.crop is None else None
        return recipe if before is None else replace(recipe, crop=Recipe.from_dict(before["recipe"]).crop)

    def start(self, spec: Spec, recipe: Recipe, resume: bool, data: Record, data_changed: bool = False) -> None:
        """Claim the folder, or check that the run in it was started with the same settings and data.

        Raises:
            InputError: the folder holds another run, or one that must not be resumed.
            OSError: the folder cannot be written.
        """
        described: dict[str, dict[str, Any]] = {"spec": spec.to_dict(), "recipe": recipe.to_dict(), "data": data}
        path = self.folder / "run.json"
        sweep(path, self.log, self.best, self.last)
        before = self.described()
        if before is None:
            write_text(path, json.dumps(described, indent=2) + "\n")
            return
        if not resume:
            raise InputError(f"{self.folder} holds a run already. Choose another folder, or resume it.")
        known = {
            "spec": Spec.from_dict(before["spec"]).to_dict(),
            "recipe": Recipe.from_dict(before["recipe"]).to_dict(),
        }
        for part, earlier in known.items():
            for name, value in described[part].items():
                if earlier[name] != value:
                    raise InputError(
                        f"{self.folder} holds a run with {part}.{name} = {earlier[name]!r}. Received: {value!r}. Resume"
                        " with the same settings, or choose another folder."
                    )
        if check_same(self.folder, before.get("data"), data, data_changed):
            write_text(path, json.dumps({**before, "data": data}, indent=2) + "\n")

    def restore(self, model: keras.Model, steps: int) -> int:
        """Bring a compiled model and its optimizer to the end of the last finished epoch; returns the next epoch.

        The optimizer's step is made that of the epoch, where the data has changed and with it the steps of an epoch, so
        that the learning rate goes on along its schedule.
        """
        if not self.last.exists():
            return 0
        saved: Any = load_model(self.last)
        if getattr(saved, "optimizer", None) is None:
            raise InputError(f"{self.last} lacks its optimizer, so the run cannot go on. {_WAY_OUT}")
        wanted = [*model.variables, *model.optimizer.variables]
        found = [*saved.variables, *saved.optimizer.variables]
        if [tuple(one.shape) for one in wanted] != [tuple(one.shape) for one in found]:
            raise InputError(f"{self.last} holds another network than the one to train. {_WAY_OUT}")
        for own, kept in zip(wanted, found, strict=True):
            own.assign(kept)
        rows = read_log(self.log)
        done = _epoch(self.last)
        if done is None:
            done = _guess(int(model.optimizer.iterations), steps, int(rows[-1]["epoch"]) if rows else 0)
        if not set(range(1, done + 1)) <= {row["epoch"] for row in rows}:
            raise InputError(f"{self.log} lacks rows of the {done} epochs that are finished. {_WAY_OUT}")
        model.optimizer.iterations.assign(done * steps)
        self.rows = [row for row in rows if row["epoch"] <= done]
        return done

    def record(self, model: keras.Model, row: Row) -> None:
        """Write an epoch down: the log first, the best model if it is one, last the model to resume from."""
        best = self.best_row()
        self.rows.append(row)
        write_log(self.log, self.rows)
        if quality(row) > (-math.inf if best is None else quality(best)):
            _save(model, self.best)
        _save(model, self.last, epoch=int(row["epoch"]))

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


def _save(model: keras.Model, path: Path, epoch: int | None = None) -> None:
    with replacing(path) as temporary:
        model.save(temporary)
        if epoch is not None:  # within the one file, so that the two cannot disagree
            with zipfile.ZipFile(temporary, "a") as file:
                file.writestr(EPOCH, str(epoch))


def _epoch(path: Path) -> int | None:
    """The epoch after which a model was saved; None of one that version 0.1.0 saved."""
    with zipfile.ZipFile(path) as file:
        told = file.read(EPOCH) if EPOCH in file.namelist() else None
    if told is None:
        return None
    if not told.isdigit() or len(told) > _DIGITS:
        raise InputError(f"{path} does not tell after which epoch it was saved. {_WAY_OUT}")
    return int(told)


def _guess(iterations: int, steps: int, last: int) -> int:
    """The epoch after which a model without a number was saved: the last one in the log, or the one before."""
    likely = [epoch for epoch in (last, last - 1) if epoch > 0]
    exact = [epoch for epoch in likely if iterations == epoch * steps]
    whole = [epoch for epoch in likely if iterations % epoch == 0]  # with the steps that an epoch had then
    return next(iter((*exact, *whole, *likely)), iterations // steps)
