"""A training run's folder: what is in it, how it is written whole, and how a run goes on from it.

run.json      Spec, Recipe, and what data it was trained on
log.csv       one row an epoch: loss, and on validated epochs IoU and Dice per level
last.keras    model and optimizer after the last finished epoch, its number, and the log so far
best.keras    model with the best IoU of any level so far, and the number of its epoch
tensorboard/  if TensorBoard is installed
"""

import json
import math
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.files import adopt, check_free, discard, is_placed, knows, make_ready, replacing, write_text
from keras_unetpp.formats.keras_file import load_model
from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.kit.json_files import about, anything, fields, mapping, maybe, read_json, text
from keras_unetpp.recipe import Recipe
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
"""What a model's file holds besides the model: after which epoch it was saved."""


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
        self.held: Row | None = None
        """That of the epoch whose model is in `best.keras`; None if there is none."""
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
        return recipe if before is None else recipe.replace(crop=Recipe.from_dict(before["recipe"]).crop)

    def take_up(self, model: UNetPP, spec: Spec) -> Spec:
        """The model's Spec, after it was given what a run of an earlier version here did not say of its own."""
        before = self.before()
        if before is not None:
            own = Spec.from_dict(resumed(before["spec"], spec.to_dict(), FIELDS))
            if own != spec:
                normalize: Any = describe(model).standardization
                normalize.epsilon = own.standardize_epsilon
                model.spec = spec = own
        return spec

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
                f" run that cannot go on: {DESCRIBED if _is_model(self.last) else LAST} is gone or no longer what it"
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
        if getattr(saved, "spec", None) != getattr(model, "spec", None):
            raise InputError(f"{self.last} is not what this run saved: its network is another. {_WAY_OUT}")
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
        return done

    def secure(self, model: keras.Model, more: bool) -> None:
        """See to it that log and best model of the run that goes on are there, ours, and what they should be.

        Args:
            model: as `restore` left it.
            more: whether there are epochs to come.

        Raises:
            InputError: the best model is gone or another, and may be worse than that of an epoch to come.
        """
        if not self.goes_on:
            return
        check_free([self.last, self.log, self.best], self.overwrite)
        if not self._is_logged():
            with replacing(self.log, self.overwrite) as path:
                path.write_text(as_csv(self.rows), encoding="utf-8", newline="")
            self._warn(f"{self.log} did not hold the rows of all epochs that are finished. It was written anew from"
                       f" those that {LAST} holds.")  # fmt: skip
        best = self.best_row()
        if _is_model(self.best):
            self.held = self._of_best() or best
            if quality(self.held or {}) == -math.inf and not self.overwrite:
                raise InputError(
                    f"{self.log} does not say how good {self.best} is, so a worse model might replace it. Put the log"
                    f" of this run back, move {BEST} away, or say overwrite=True (--overwrite)."
                )
        elif best is not None and quality(best) > -math.inf:
            self._replace_best(model, best, more)

    def _is_logged(self) -> bool:
        """Whether the log on disk holds all rows; what it holds beyond is of an epoch that was not finished."""
        try:
            return read_log(self.log)[: len(self.rows)] == self.rows
        except InputError:
            return False

    def _of_best(self) -> Row | None:
        """The row that `best.keras` names; None if it is of a version that named none, or of an unfinished epoch."""
        _, epoch = _kept(self.best)
        return next((row for row in self.rows if row["epoch"] == epoch), None)

    def _replace_best(self, model: keras.Model, best: Row, more: bool) -> None:
        """Deal with a best model that is gone or damaged."""
        gone = f"{self.best}, of epoch {best['epoch']} with an IoU of {quality(best):.4f}, is gone or damaged"
        if best is self.rows[-1]:
            _save(model, self.best, {EPOCH: str(best["epoch"])}, self.overwrite)
            self.held = best
            self._warn(f"{gone}. It was written anew from {LAST}, which is of the same epoch.")
        elif not more:
            self._warn(f"{gone}. {LAST} holds the model of epoch {self.rows[-1]['epoch']}.")
        elif self.overwrite:
            self._warn(f"{gone}. The best of the epochs to come takes its place.")
        else:
            raise InputError(f"{gone}. Put it back, or say overwrite=True (--overwrite) to keep the best of the epochs"
                             " to come.")  # fmt: skip

    def _warn(self, text: str) -> None:
        warnings.warn(text, InputWarning, stacklevel=5)

    def summary(self) -> str:
        """Where the best model is, and how good it is."""
        if self.held is None:
            validated = quality(self.best_row() or {}) > -math.inf
            return f"There is no {BEST}." if validated else "No epoch was validated."
        name, value = max(_scores(self.held).items(), key=lambda one: one[1])
        level = name.removeprefix("val_").removesuffix("_iou")
        return f"The best model, of epoch {self.held['epoch']} with an IoU of {value:.4f} at {level}, is {self.best}."

    def record(self, model: keras.Model, row: Row) -> None:
        """Write an epoch down: the log first, the best model if it is one, last the model to resume from."""
        self.rows.append(row)
        with replacing(self.log, self.overwrite) as path:
            path.write_text(as_csv(self.rows), encoding="utf-8", newline="")
        if quality(row) > quality(self.held or {}):
            _save(model, self.best, {EPOCH: str(int(row["epoch"]))}, self.overwrite)
            self.held = row
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
    return max(_scores(row).values(), default=-math.inf)


def _scores(row: Row) -> Row:
    return {name: value for name, value in row.items() if name.startswith("val_") and name.endswith("_iou")}


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
    except Exception:  # damaged archives raise whatever is nearest
        return False


def _guess(iterations: int, steps: int, last: int) -> int:
    """The epoch after which a model without a number was saved: the last one in the log, or the one before."""
    likely = [epoch for epoch in (last, last - 1) if epoch > 0]
    exact = [epoch for epoch in likely if iterations == epoch * steps]
    whole = [epoch for epoch in likely if iterations % epoch == 0]  # with the steps that an epoch had then
    return next(iter((*exact, *whole, *likely)), iterations // steps)
