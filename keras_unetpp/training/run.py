"""A training run's folder: what is in it, how it is written whole, and how a run goes on from it.

run.json      Spec, Recipe, and what data it was trained on
log.csv       one row an epoch: loss, and on validated epochs IoU and Dice per level
last.keras    model and optimizer after the last finished epoch, its number, and the log so far
best.keras    model with the best IoU of any level so far
tensorboard/  if TensorBoard is installed
"""

import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.errors import InputError
from keras_unetpp.files import adopt, check_free, discard, is_placed, knows, make_ready, replacing, write_text
from keras_unetpp.graph.heads import standardization
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.json_files import about, anything, fields, mapping, maybe, read_json, text
from keras_unetpp.recipe import Recipe
from keras_unetpp.saved_models import load_model
from keras_unetpp.spec.fields import FIELDS, Spec
from keras_unetpp.spec.records import resumed
from keras_unetpp.training.log import Row, as_csv, read_log, rows_of
from keras_unetpp.training.record import Record, check_same

DESCRIBED, LOG, BEST, LAST = NAMES = ("run.json", "log.csv", "best.keras", "last.keras")

_LEFT = re.compile(r"\.(run|log|best|last)\.[0-9a-f]{8}\.(json|csv|keras)")
"""Temporary files of version 0.1.0."""

_SHAPE = fields({"spec": mapping(anything), "recipe": mapping(anything)}, {"data": maybe(mapping(mapping(text())))})
_WAY_OUT = "Put back what belongs to this run, or choose another folder."
_DIGITS = 9

EPOCH = "epoch"
"""What `last.keras` holds besides the model and the log: after which epoch it was saved."""


class Run:
    """The folder of one run. `last.keras` alone decides which epoch is finished; the rest follows from it.

    Args:
        folder: it is made if missing.
        overwrite: whether files of a run's names may be replaced that are not ours, or belong to a run that cannot go
            on.
    """

    def __init__(self, folder: str | Path, overwrite: bool = False) -> None:
        self.folder, self.overwrite = Path(folder), overwrite
        self.last = self.folder / LAST
        self.best = self.folder / BEST
        self.log = self.folder / LOG
        self.described = self.folder / DESCRIBED
        self.rows: list[Row] = []
        self.goes_on = _is_model(self.last) and self.described.is_file()

    def before(self) -> dict[str, Any] | None:
        """What `run.json` says of the run that goes on: `spec`, `recipe` and, maybe, `data`; None if none does.

        Raises:
            InputError: it does not describe a run.
        """
        if not self.goes_on:
            return None
        found: dict[str, Any] = read_json(self.described, _SHAPE, _WAY_OUT)
        with about(self.described, _WAY_OUT):
            Spec.from_dict(found["spec"])
            Recipe.from_dict(found["recipe"])
        return found

    def crop_of(self, recipe: Recipe) -> Recipe:
        """The recipe, with the crop of the run that goes on, if it leaves the crop open."""
        before = self.before() if recipe.crop is None else None
        return recipe if before is None else replace(recipe, crop=Recipe.from_dict(before["recipe"]).crop)

    def take_up(self, model: UNetPP) -> Spec:
        """The model's Spec, after it was given what a run of an earlier version here did not say of its own."""
        before = self.before()
        if before is not None:
            own = Spec.from_dict(resumed(before["spec"], model.spec.to_dict(), FIELDS))
            if own != model.spec:
                standardization(model).epsilon = own.standardize_epsilon
                model.spec = own
        return model.spec

    def start(self, spec: Spec, recipe: Recipe, resume: bool, data: Record, data_changed: bool = False) -> None:
        """Claim the folder, or check that the run in it was started with the same settings and data.

        Raises:
            InputError: the folder holds another run, or one that must not be resumed or cannot go on; or files of the
                same names that are not ours.
            OSError: the folder cannot be written.
        """
        described: dict[str, dict[str, Any]] = {"spec": spec.to_dict(), "recipe": recipe.to_dict(), "data": data}
        make_ready(self.log)
        before = self.before()
        if before is None:
            self._check_free()
            write_text(self.described, json.dumps(described, indent=2) + "\n", self.overwrite)
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
        anew = check_same(self.folder, before.get("data"), data, data_changed)
        if not knows(self.folder, NAMES):
            self._take_over()
        adopt(self.folder, [DESCRIBED], anew=True)
        if anew:
            write_text(self.described, json.dumps({**before, "data": data}, indent=2) + "\n")

    def _take_over(self) -> None:
        """Make a run of version 0.1.0 our own, and remove what it left when it was killed."""
        left = [path.name for path in self.folder.iterdir() if _LEFT.fullmatch(path.name)]
        adopt(self.folder, (*NAMES, *left))
        for name in left:
            discard(self.folder / name)

    def _check_free(self) -> None:
        """See to it that a new run replaces nothing but what a run left that was killed in its first epoch."""
        if self.overwrite:
            return
        if is_placed(self.last) and (self.best.exists() or self.log.exists()):
            raise InputError(
                f"{self.folder} holds {' and '.join(path.name for path in (self.best, self.log) if path.exists())} of a"
                f" run that cannot go on: {LAST if not self.last.exists() else DESCRIBED} is gone or no longer what it"
                " was. Put it back, choose another folder, or say overwrite=True (--overwrite) to begin anew."
            )
        check_free([self.described, self.best, self.log, self.last])

    def restore(self, model: keras.Model, steps: int) -> int:
        """Bring a compiled model and its optimizer to the end of the last finished epoch; returns the next epoch.

        The optimizer's step is made that of the epoch, where the data has changed and with it the steps of an epoch, so
        that the learning rate goes on along its schedule.
        """
        if not self.goes_on:
            return 0
        saved: Any = load_model(self.last)
        wanted, found = map(_variables, (model, saved))
        if [one.shape for one in wanted] != [one.shape for one in found]:
            raise InputError(f"{self.last} is not what this run saved: its variables are others. {_WAY_OUT}")
        for own, kept in zip(wanted, found, strict=True):
            own.assign(kept)
        kept_rows, done = _kept(self.last)
        rows = read_log(self.log) if kept_rows is None else kept_rows
        if done is None:
            done = _guess(int(_iterations(model)), steps, int(rows[-1]["epoch"]) if rows else 0)
        if not set(range(1, done + 1)) <= {row["epoch"] for row in rows}:
            raise InputError(f"{self.log} lacks rows of the {done} epochs that are finished. {_WAY_OUT}")
        _iterations(model).assign(done * steps)
        self.rows = [row for row in rows if row["epoch"] <= done]
        adopt(self.folder, [LAST, LOG], anew=True)
        self._check_best()
        return done

    def _check_best(self) -> None:
        """See to it that the best model is ours, and that it is known how good it is."""
        check_free([self.last, self.log, self.best], self.overwrite)
        if self.best.exists() and not self.overwrite and quality(self.best_row() or {}) == -math.inf:
            raise InputError(
                f"{self.log} does not say how good {self.best} is, so a worse model might replace it. Put the log of"
                f" this run back, move {BEST} away, or say overwrite=True (--overwrite)."
            )

    def record(self, model: keras.Model, row: Row) -> None:
        """Write an epoch down: the log first, the best model if it is one, last the model to resume from."""
        best = self.best_row()
        self.rows.append(row)
        with replacing(self.log, self.overwrite) as path:
            path.write_text(as_csv(self.rows), encoding="utf-8", newline="")
        if quality(row) > (-math.inf if best is None else quality(best)):
            _save(model, self.best, {}, self.overwrite)
        _save(model, self.last, {EPOCH: str(int(row["epoch"])), LOG: as_csv(self.rows)}, self.overwrite)

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


def _variables(model: Any) -> list[keras.Variable]:
    """Those of a model and of its optimizer, if it has one."""
    return [*model.variables, *getattr(getattr(model, "optimizer", None), "variables", ())]


def _iterations(model: Any) -> keras.Variable:
    """What the learning rate goes by: the steps of the optimizer within the one that scales losses, if there is one."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer).iterations


def _save(model: keras.Model, path: Path, more: Mapping[str, str], overwrite: bool) -> None:
    with replacing(path, overwrite) as temporary:
        model.save(temporary)
        if more:  # within the one file, so that they cannot disagree
            with zipfile.ZipFile(temporary, "a") as file:
                for name, text in more.items():
                    file.writestr(name, text)


def _kept(path: Path) -> tuple[list[Row] | None, int | None]:
    """The log up to the epoch after which a model was saved, and that epoch; None each of one of version 0.1.0."""
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        rows = rows_of(file.read(LOG), f"{LOG} of {path}") if LOG in names else None
        told = file.read(EPOCH) if EPOCH in names else None
    if told is not None and (not told.isdigit() or len(told) > _DIGITS):
        raise InputError(f"{path} does not tell after which epoch it was saved. {_WAY_OUT}")
    return rows, None if told is None else int(told)


def _is_model(path: Path) -> bool:
    """Whether a file could be what a run saved."""
    try:
        with zipfile.ZipFile(path) as file:
            return "config.json" in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _guess(iterations: int, steps: int, last: int) -> int:
    """The epoch after which a model without a number was saved: the last one in the log, or the one before."""
    likely = [epoch for epoch in (last, last - 1) if epoch > 0]
    exact = [epoch for epoch in likely if iterations == epoch * steps]
    whole = [epoch for epoch in likely if iterations % epoch == 0]  # with the steps that an epoch had then
    return next(iter((*exact, *whole, *likely)), iterations // steps)
