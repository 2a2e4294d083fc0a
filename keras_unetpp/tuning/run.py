"""The search itself: a space under a budget, a tuner, trials, a result; all of it in one folder.

space.json     what is searched: settings, the widths on offer, and the data it is searched on
latency.json   latencies measured to decide that, if the budget has one
tuner/         KerasTuner's own files
trials/ID/     one trial each; see `keras_unetpp.tuning.trial`
result/        the result, which stands by itself: result.json, pareto.txt, pareto.png, weights/
"""

import contextlib
import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_unetpp.compat.keras_tuner import without_prints
from keras_unetpp.data.data_folder import data_folder
from keras_unetpp.files import FolderLock, check_text, write_text
from keras_unetpp.kit.errors import InputError, check_whole, shown_lines
from keras_unetpp.kit.json_files import about, anything, each, fields, mapping, maybe, pair, read_json, text, whole
from keras_unetpp.kit.requirements import require
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import FIELDS, Spec
from keras_unetpp.spec.limits import MOST_CHANNELS
from keras_unetpp.spec.records import as_before, resumed
from keras_unetpp.tuning.budget import LATENCY, Budget
from keras_unetpp.tuning.display import Display
from keras_unetpp.tuning.folder import (
    LATENCY_FILE,
    PICTURE,
    RESULT,
    SPACE,
    TABLE,
    TRIALS,
    claim,
    take_over,
    trial_folder,
)
from keras_unetpp.tuning.hypermodel import UNetPPHyperModel
from keras_unetpp.tuning.latency import Latency
from keras_unetpp.tuning.oracle import PROJECT, make_oracle
from keras_unetpp.tuning.outcome import OUTCOME, Outcome
from keras_unetpp.tuning.result import SearchResult, collect
from keras_unetpp.tuning.space import Space, describe, offers
from keras_unetpp.tuning.state import WAY_OUT, check_state, reading
from keras_unetpp.tuning.workers import Chief, Role, role, serve, work

_SHAPE = fields(
    {
        **dict.fromkeys(("spec", "recipe", "budget"), mapping(anything)),
        "axes": mapping(each(anything)),
        "shares": whole(1, 16),
        "offers": each(pair(each(text()), mapping(whole(1, MOST_CHANNELS)))),
    },
    {"data": maybe(mapping(mapping(text()))), "tuner": text()},
)


def search(data: Any, out: str | Path, budget: Budget, *, tuner: Any = "random", max_trials: int = 20,
           max_minutes: float | None = None, spec: Spec | None = None, recipe: Recipe | None = None,
           shares: int = 4, repeat: int = 5, worker_timeout: float = 60.0, data_changed: bool = False,
           overwrite: bool = False, progress: bool = True, **fields: Any) -> SearchResult:  # fmt: skip
    """Search depth and width, and whatever else is given a list of values, under a budget that no trial breaks.

    Each trial trains one deeply supervised network by the package's own `fit` and scores all its levels. Stopped or
    killed, the same call goes on: finished trials stay, unfinished ones go on after their last finished epoch. On
    several machines that share the folder, KerasTuner's environment variables say who is chief; see `docs/search.md`.

    Args:
        data: a folder as `read_folder` takes it, a `DataFolder`, or samples; on every machine the same.
        out: the folder of the search.
        budget: what every network keeps; decided by closed form before anything is built, latency by measuring.
        tuner: "random", "bayesian", "hyperband", "grid", or a `keras_tuner.Oracle` without trials that maximises
            `val_iou`; the search works on a copy of it.
        max_trials: trials in all; a resumed search may be given more. Hyperband has as many as its brackets need.
        max_minutes: no trial begins later than this after the call; those under way are finished.
        spec: values of the fields of Spec that are not searched.
        recipe: the same for the training; its `seed` is that of the search too.
        shares: widths on offer for each structure: the widest that fits, then each 1/sqrt(2) of the one before.
        repeat: timed runs of each trained level; 0 measures no latency.
        worker_timeout: seconds of silence after which another worker goes on with a worker's trial.
        data_changed: go on though the data has changed since; finished trials keep their scores on what it was.
        overwrite: replace files of a search's names too that this package did not write, or that were changed since.
        progress: tell trials done, the best so far and time left.
        fields: fields of Spec and Recipe, by name: one value for all trials, or a list to search. `depth` is searched
            over 2..5 unless given; `width` may be given a list to choose from. Fields of `DataFolder` too, one value.

    Returns:
        All levels of all trials. A worker returns what there is when it ends.

    Raises:
        InputError: settings that cannot work; no network in the budget, naming the smallest that would do; another
            search in the folder, or files that are not ours, or the same search running; a missing package.
        OSError: the folder cannot be written.
    """
    require("search", "keras_tuner", "tensorboard")
    _check_numbers(max_trials, max_minutes, repeat, worker_timeout)
    own, root = role(), Path(out)
    check_text(root, "a search")
    data = data_folder(data, fields)
    wanted = Space(**describe(budget, fields, spec, recipe, shares))
    if tuner == "hyperband" and "epochs" in wanted.axes:
        raise InputError("Hyperband chooses the epochs itself. Give epochs one value: that of the longest training.")
    seen = _seen(data, wanted)
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    oracle = make_oracle(tuner, max_trials, wanted.recipe.epochs, wanted.recipe.seed)
    lock = contextlib.nullcontext() if own.worker else FolderLock(root, "search")
    with lock, without_prints(), warnings.catch_warnings():
        # KerasTuner's Gaussian process warns at each fit.
        warnings.filterwarnings("ignore", module=r"(sklearn|keras_tuner)\.")
        chief: Any = Chief(oracle, own) if own.worker else oracle
        space = _space(root, wanted, tuner, own.worker, seen, data_changed, overwrite)
        hypermodel = UNetPPHyperModel(space)
        run = _runner(root, hypermodel, data, repeat, progress, data_changed, chief if own.worker else None)
        if own.worker:
            work(chief, own.tuner_id, run)
            return collect(root / TRIALS, budget)
        _describe(data, space, progress)
        total = None if oracle.max_trials is None else min(oracle.max_trials, len(space))
        display = Display(root / TRIALS, total, deadline, progress)
        oracle.on_begin, oracle.on_end, oracle.deadline = display.on_begin, display.on_end, deadline
        _load(oracle, root, hypermodel, own, worker_timeout)
        display.start(len(space), len(oracle.end_order))
        try:
            serve(oracle, own.address) if own.chief else work(oracle, own.tuner_id, run)
        finally:
            result = _finish(root, budget, overwrite)
    return result


def _seen(data: Any, wanted: Space) -> Any:
    """The record of the data, whose headers are checked."""
    from keras_unetpp.data.summary import contents
    from keras_unetpp.training.record import record

    return record(contents(data, _rank(wanted))[0])


def _rank(space: Space) -> int:
    return Spec(space.spec["input_shape"], depth=1).rank


def _check_numbers(max_trials: int, max_minutes: float | None, repeat: int, worker_timeout: float) -> None:
    check_whole("max_trials", max_trials, 1)
    check_whole("repeat", repeat, 0)
    for name, value in (("max_minutes", max_minutes), ("worker_timeout", worker_timeout)):
        if value is not None and (type(value) not in (int, float) or not value > 0):
            raise InputError(f"{name} must be a positive number. Received: {value!r}.")


def _space(root: Path, wanted: Space, tuner: Any, worker: bool, seen: Any, data_changed: bool,
           overwrite: bool) -> Space:  # fmt: skip
    """The space of the folder: the one that a search there has, or a new one, which it then has."""
    path = root / SPACE
    if not worker:
        claim(root, overwrite)
    settings = {**wanted.settings(), "tuner": tuner if isinstance(tuner, str) else type(tuner).__name__}
    if path.is_file():
        from keras_unetpp.training.record import check_same

        before = read_json(path, _SHAPE, WAY_OUT)
        noted = before.pop("data", None)
        if wanted.recipe.crop is None:
            settings["recipe"]["crop"] = before["recipe"].get("crop")
        settings["spec"] = resumed(before["spec"], wanted.spec, FIELDS)
        # Fields that came later and make no difference here are as they are wanted.
        written = {**settings["spec"], **as_before(before["spec"])}
        before["spec"] |= {name: value for name, value in written.items() if name in wanted.spec}
        earlier, now = _flat(before), _flat(json.loads(json.dumps(settings)))
        for name in {**now, **earlier}:
            if name != "offers" and earlier.get(name) != now.get(name):
                raise InputError(
                    f"{root} holds a search with other settings: {name} was {earlier.get(name)}. Received:"
                    f" {now.get(name)}. Resume with the same settings, or choose another folder."
                )
        with about(path, WAY_OUT):
            known = Space.from_dict(before)
            known.check_offers()
        anew = check_same(root, noted, seen, data_changed)
        if not worker:
            take_over(root, overwrite)
            if anew:
                write_text(path, json.dumps({**before, "data": seen}, indent=1) + "\n", overwrite)
        return known
    if worker:
        raise InputError(f"There is no {path}. Chief and workers must share the folder of the search.")
    measure = Latency(wanted.budget, root / LATENCY_FILE, overwrite) if LATENCY in wanted.budget.limits() else None
    space = dataclasses.replace(wanted, offers=offers(wanted, measure))
    write_text(path, json.dumps({**space.to_dict(), **settings, "data": seen}, indent=1) + "\n", overwrite)
    return space


def _describe(data: Any, space: Space, progress: bool) -> None:
    """Tell what the data is and what is odd about it, once for all trials."""
    from keras_unetpp.data.summary import describe_data

    recipe, searched = space.recipe, {"labels", "ignore_index"} & space.axes.keys()
    known: dict[str, Any] = {} if searched else {"labels": recipe.labels, "ignore_index": recipe.ignore_index}
    known |= {"classes": space.spec["classes"], "ndim": _rank(space)}
    summary = describe_data(data, progress=progress, **known)
    if progress:
        print(shown_lines(summary), end="\n\n", file=sys.stderr)
    summary.tell()


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by names such as `budget.params`."""
    parts = {name: value if isinstance(value, dict) else {"": value} for name, value in settings.items()}
    return {f"{name}.{own}".strip("."): value for name, part in parts.items() for own, value in part.items()}


def _load(oracle: Any, root: Path, hypermodel: Any, own: Role, worker_timeout: float) -> None:
    """Give the oracle its folder and space, or bring it to where the search in the folder was."""
    oracle.silence = worker_timeout if own.chief else 0.0
    oracle.set_folder(str(root), PROJECT)
    if Path(oracle.state_file).is_file():
        check_state(root / PROJECT)
        with reading(root / PROJECT):
            oracle.reload()
        return
    space = oracle.get_space()
    hypermodel.declare_hyperparameters(space)
    oracle.update_space(space)
    oracle.save()


def _runner(root: Path, hypermodel: Any, data: Any, repeat: int, progress: bool, data_changed: bool,
            chief: Chief | None) -> Callable[[Any], Outcome | None]:  # fmt: skip
    """What runs a trial: a failure becomes an outcome with a reason, except what would fail all others too."""
    from keras_unetpp.tuning.trial import Abandoned, run_trial

    def run(trial: Any) -> Outcome | None:
        values = trial.hyperparameters.values
        proposal = hypermodel.proposal(trial.hyperparameters)
        until = int(values.get("tuner/epochs", proposal.recipe.epochs))
        name = values.get("tuner/trial_id")
        folder, earlier = trial_folder(root, trial.trial_id), None if name is None else trial_folder(root, name)
        try:
            return run_trial(
                folder,
                proposal,
                data,
                until,
                hypermodel.space.budget.sides(proposal.spec),
                earlier=earlier,
                repeat=repeat,
                progress=progress,
                data_changed=data_changed,
                beat=lambda: None if chief is None else chief.beat(trial.trial_id),
            )
        except Abandoned:
            return None
        except OSError:
            raise
        except Exception as error:  # NaN, memory, an operation the machine lacks: the next trial may do better
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            outcome = Outcome(trial.trial_id, proposal.spec, proposal.recipe, until, failed=reason)
            write_text(folder / OUTCOME, outcome.to_json())
            return outcome

    return run


def _finish(root: Path, budget: Budget, overwrite: bool) -> SearchResult:
    """Write the result of the trials that are finished."""
    from importlib.util import find_spec

    result = collect(root / TRIALS, budget)
    folder = root / RESULT
    result.save(folder, overwrite=overwrite)
    write_text(folder / TABLE, f"{result}\n", overwrite)
    if result.candidates and find_spec("matplotlib"):
        result.plot(folder / PICTURE, overwrite=overwrite)
    return result
