"""KerasTuner's oracles, made to survive: kills at any moment, failed trials, workers that fall silent."""

import copy
import json
import time
from collections.abc import Callable
from typing import Any

from keras_unetpp.compat.keras_tuner import OpenOracle, check_hooks
from keras_unetpp.files import NUMBER, inside, write_text
from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.kit.requirements import require
from keras_unetpp.tuning.hypermodel import OBJECTIVE

TUNERS = ("random", "bayesian", "hyperband", "grid")
PROJECT = "tuner"
"""Folder of KerasTuner's own files within that of the search."""


class Durable(OpenOracle):
    """What is added to an oracle of KerasTuner 1.4, which by itself

    - writes its files in place, so that a kill can leave half of one: here each is written beside and renamed;
    - forgets after a kill who ran what, and runs a finished trial again: here trials stay with their worker;
    - starts a grid anew, and then stops: here its order is rebuilt;
    - waits for ever for a worker that died: here another one goes on with its trial once it is silent too long;
    - ends a search after three failed trials: here they are only counted.
    """

    silence: float = 0.0
    deadline: float | None = None
    on_begin: Callable[[Any], None] | None = None
    on_end: Callable[[Any], None] | None = None

    def create_trial(self, tuner_id: str) -> Any:
        """The trial for a worker to run: its own unfinished one, that of a worker fallen silent, or a new one."""
        self.heard[tuner_id] = time.monotonic()
        if tuner_id not in self.ongoing_trials:
            self._adopt(tuner_id)
        late = self.deadline is not None and time.monotonic() > self.deadline
        if late and tuner_id not in self.ongoing_trials:
            trial = self._no_trial("STOPPED")
        else:
            trial = super().create_trial(tuner_id)
            self.tuner_ids.add(tuner_id)
        if trial.status == "STOPPED" and self.ongoing_trials and not late:
            trial.status = "IDLE"
        if trial.status == "STOPPED":
            self.told.add(tuner_id)
        elif trial.status == "RUNNING" and self.on_begin is not None:
            self.on_begin(trial)
        return trial

    def get_trial(self, trial_id: str) -> Any:
        """A trial by its id; workers ask for theirs as a sign of life."""
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self.heard[tuner_id] = time.monotonic()
        return super().get_trial(trial_id)

    def end_trial(self, trial: Any) -> None:
        """Take the outcome of a trial down."""
        super().end_trial(trial)
        self.save()
        if self.on_end is not None:
            self.on_end(self.trials[trial.trial_id])

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values for a new trial; those of a trial that was had already are drawn anew."""
        answer = super().populate_space(trial_id)
        values = answer.get("values")
        if answer["status"] == "RUNNING" and "tuner/round" not in values and self.tried(values):
            values = self.values_not_tried()
            answer = {"status": "STOPPED" if values is None else "RUNNING", "values": values}
        return answer

    def finished(self) -> bool:
        """Whether every worker that is alive has been told that there is nothing left to do."""
        living = [one for one in list(self.heard) if not self._silent(one)]
        return bool(self.told) and all(one in self.told for one in living) and not self._running()

    def save(self) -> None:
        """Write the oracle's state, whole or not at all."""
        write_text(inside(self.folder, f"{PROJECT}/oracle.json"), json.dumps(self.get_state()))

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what was saved, and remember who ran which trial."""
        ids = (*self.trials, *state["start_order"], *state["end_order"], *state["retry_queue"])
        for name in (*ids, *state["ongoing_trials"].values()):
            inside(self.project_folder, name, NUMBER)
        super().set_state(state)
        self.held = dict(state["ongoing_trials"])

    def reload(self) -> None:
        """Go on from the files: finished trials are finished, unfinished ones go to their worker or to the next."""
        super().reload()
        # A trial that was written, but not the state after it, was never handed out: it will be drawn again.
        self.trials = {name: self.trials[name] for name in self.start_order}
        unfinished = [name for name in self.start_order if self.trials[name].status in ("RUNNING", "INVALID")]
        self.end_order += [name for name in self.start_order if name not in (*unfinished, *self.end_order)]
        self.ongoing_trials = {one: self.trials[name] for one, name in self.held.items() if name in unfinished}
        self.retry([name for name in reversed(unfinished) if name not in self.held.values()])
        self.heard = dict.fromkeys(self.ongoing_trials, time.monotonic()) if self.silence else {}
        self.reorder_grid(list(self.start_order))

    def write_trial(self, trial: Any) -> None:
        """Write a trial down, whole or not at all."""
        path = inside(self.folder, f"{PROJECT}/trial_{trial.trial_id}/trial.json", rf"{PROJECT}/trial_{NUMBER}/.*")
        write_text(path, json.dumps(trial.get_state()))

    def _adopt(self, tuner_id: str) -> None:
        for other in list(self.ongoing_trials):
            if self._silent(other):
                self.ongoing_trials[tuner_id] = self.ongoing_trials.pop(other)
                self.save()
                return

    def _silent(self, tuner_id: str) -> bool:
        last = self.heard.get(tuner_id)
        return last is None or time.monotonic() - last > self.silence

    def _running(self) -> bool:
        return any(not self._silent(one) for one in list(self.ongoing_trials))

    def _no_trial(self, status: str) -> Any:
        from keras_tuner.engine.trial import Trial

        return Trial(hyperparameters=self.hyperparameters.copy(), trial_id="", status=status)


def make_oracle(tuner: Any, max_trials: int, epochs: int, seed: int) -> Any:
    """An oracle by the name of its tuner, or a copy of the caller's own, made durable.

    Args:
        tuner: "random", "bayesian", "hyperband" or "grid"; or an instance of `keras_tuner.Oracle` that maximises
            `val_iou`, which stays as it is.
        max_trials: trials in all; Hyperband has as many as its brackets need.
        epochs: of the longest training, for Hyperband.
        seed: the same seed draws the same trials.

    Raises:
        InputError: KerasTuner, or what the tuner needs, is not installed; the tuner is unknown, cannot be copied or has
            trials already.
    """
    require("search", "keras_tuner")
    import keras_tuner
    from keras_tuner import oracles

    if isinstance(tuner, keras_tuner.Oracle):
        oracle = _copy(tuner)
    elif tuner not in TUNERS:
        raise InputError(
            f"tuner must be one of {', '.join(TUNERS)}, or a keras_tuner.Oracle.{hint(tuner, TUNERS)} Received:"
            f" {tuner!r}."
        )
    else:
        # KerasTuner takes a seed of 0 for none.
        own = {"objective": keras_tuner.Objective(OBJECTIVE, "max"), "seed": seed + 1}
        if tuner == "hyperband":
            oracle = oracles.HyperbandOracle(max_epochs=epochs, **own)
        elif tuner == "bayesian":
            require("search", "sklearn", "scipy")
            oracle = oracles.BayesianOptimizationOracle(max_trials=max_trials, **own)
        elif tuner == "grid":
            oracle = oracles.GridSearchOracle(max_trials=max_trials, **own)
        else:
            oracle = oracles.RandomSearchOracle(max_trials=max_trials, **own)
    check_hooks(oracle)
    oracle.__class__ = type(f"Durable{type(oracle).__name__}", (Durable, type(oracle)), {})
    oracle.heard, oracle.told, oracle.held = {}, set(), {}
    oracle.max_consecutive_failed_trials = None
    oracle.verbose = 0
    return oracle


def _copy(own: Any) -> Any:
    """A copy of the caller's oracle, which serves any number of searches."""
    if own.trials:
        raise InputError(
            f"The oracle of a search must have no trials yet. Received: a {type(own).__name__} with {len(own.trials)}."
            " Make a new one, or resume the search that it belongs to with one that was made as it was."
        )
    try:
        return copy.deepcopy(own)
    except Exception as error:  # whatever an object in it raises
        raise InputError(
            f"A search works on a copy of an oracle, and this {type(own).__name__} cannot be copied"
            f" ({type(error).__name__}: {' '.join(str(error).split())[:200]}). Give one that copy.deepcopy takes."
        ) from error
