"""The result of a search: every level of every trial, what it costs and how good it is."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_unetpp.files import NUMBER, check_free, inside, replacing, write_text
from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.kit.json_files import about, anything, check, each, fields, mapping, maybe, read_json, text, whole
from keras_unetpp.kit.tables import giga, mega, score, table
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.cost import Cost, cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.names import head_name
from keras_unetpp.tuning.budget import Budget
from keras_unetpp.tuning.outcome import SHAPE, WEIGHTS, Outcome, Scored

FORMAT = 1
FILE = "result.json"
_WEIGHTS = fields({}, {"weights": maybe(text())})
_SHAPE = fields({"budget": mapping(anything), "trials": each(lambda one: SHAPE(one) or _WEIGHTS(one))})
_WAY_OUT = "Save the result of the search anew, or get it from who made it."
COSTS = ("params", "macs", "latency", "weight_bytes", "activation_bytes")
"""What candidates are compared by."""
FRONTS = ("params", "macs", "latency")
"""The costs whose Pareto fronts the table and the picture show."""


@dataclass(frozen=True)
class Candidate:
    """One level of one trial.

    Attributes:
        outcome: the trial.
        scored: the level's scores.
        cost: of the level cut out, at the size of the result.
        weights: file of the whole network's weights.
    """

    outcome: Outcome
    scored: Scored
    cost: Cost
    weights: Path

    @property
    def spec(self) -> Spec:
        """The whole network: `keras_unetpp.build` takes it."""
        return self.outcome.spec

    @property
    def recipe(self) -> Recipe:
        """How it was trained."""
        return self.outcome.recipe

    @property
    def level(self) -> int:
        """The level, 1..d: `keras_unetpp.prune(candidate.model(), candidate.level)` cuts it out."""
        return self.scored.level

    @property
    def iou(self) -> float:
        """Validation IoU, 0..1."""
        return self.scored.iou

    def value(self, by: str) -> float | None:
        """One of its costs by name; None if it was not measured or the size is unknown."""
        return self.scored.latency if by == "latency" else getattr(self.cost, by)

    def model(self) -> Any:
        """The whole trained network, ready for `prune` and `export`.

        Raises:
            InputError: the file of the weights is missing, damaged or of another network.
        """
        from keras_unetpp import weights
        from keras_unetpp.graph.build import assemble

        if not self.weights.is_file():
            raise InputError(f"{self.weights} is missing. Keep the folder of a result together, or save() it anew.")
        weights.check_enough(self.weights, cost(self.spec).params)
        model = assemble(self.spec)
        weights.load(model, self.weights)
        return model


@dataclass(frozen=True)
class SearchResult:
    """All levels of all trials; printing it shows those on a Pareto front.

    Attributes:
        budget: that every trial kept; its size is that of the costs.
        outcomes: of all trials, in the order of their ids, failed ones too.
        weights: file of each trial's weights, by its id.
    """

    budget: Budget
    outcomes: tuple[Outcome, ...]
    weights: dict[str, Path]
    candidates: tuple[Candidate, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = tuple(
            Candidate(one, scored, cost(one.spec, scored.level, self.budget.sides(one.spec)), self.weights[one.trial])
            for one in self.outcomes
            for scored in one.levels
        )
        object.__setattr__(self, "candidates", found)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The trials that failed; `failed` of each says why."""
        return tuple(one for one in self.outcomes if one.failed)

    def best(self, *, min_iou: float | None = None, by: str = "params", **limits: float) -> Candidate:
        """The best candidate: of the highest IoU; or, of those with `min_iou`, the cheapest.

        Args:
            min_iou: validation IoU that is enough.
            by: with `min_iou`, the cost that is to be least: params, macs, latency, weight_bytes or activation_bytes.
            limits: `max_params`, `max_macs`, `max_latency`, `max_weight_bytes`, `max_activation_bytes`.

        Raises:
            InputError: no candidate does, with the nearest that there is; or an unknown limit.
        """
        _check_cost(by)
        for name in limits:
            known = [f"max_{cost}" for cost in COSTS]
            if name not in known:
                raise InputError(f"There is no limit {name!r}.{hint(name, known)} Limits: {', '.join(known)}.")
        within = [one for one in self.candidates if all(_at_most(one.value(name.removeprefix("max_")), most)
                                                        for name, most in limits.items())]  # fmt: skip
        enough = [one for one in within if min_iou is None or one.iou >= min_iou]
        if not enough:
            raise InputError(self._nothing(within, min_iou, limits))
        if min_iou is None:
            return max(enough, key=lambda one: (one.iou, -one.cost.params))
        return min(enough, key=lambda one: (_or_inf(one.value(by)), -one.iou))

    def pareto(self, by: str = "params") -> list[Candidate]:
        """The candidates that no other beats, being as good and cheaper or as cheap and better; cheapest first."""
        _check_cost(by)
        known = [one for one in self.candidates if one.value(by) is not None]
        front: list[Candidate] = []
        for one in sorted(known, key=lambda one: (_or_inf(one.value(by)), -one.iou)):
            if not front or one.iou > front[-1].iou:
                front.append(one)
        return front

    def __str__(self) -> str:
        fronts = {by: self.pareto(by) for by in FRONTS}
        shown = sorted({id(one): one for front in fronts.values() for one in front}.values(),
                       key=lambda one: (one.cost.params, one.iou))  # fmt: skip
        headings = ["trial", "level", "depth", "width", "parameters", "MACs", "weights", "latency", "IoU", "Dice"]
        rows = [[*_cells(one), " ".join(by for by in FRONTS if one in fronts[by])] for one in shown]
        text = table([*headings, "best by"], rows)
        failed = "".join(f"\ntrial {one.trial} failed: {one.failed}" for one in self.failed)
        return f"{text}\n{len(self.candidates)} levels of {len(self.outcomes)} trials{failed}"

    __repr__ = __str__

    def plot(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Draw quality against parameters, MACs and latency, all candidates and the Pareto fronts, into a picture.

        Raises:
            InputError: Matplotlib is not installed; or a file is in the way that is not ours, unless `overwrite`.
        """
        from keras_unetpp.tuning.picture import draw

        draw(self.candidates, {by: self.pareto(by) for by in FRONTS}, path, overwrite)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the result, weights included, into a folder that stands by itself.

        Raises:
            InputError: files are in the way that are not ours, unless `overwrite`; or a trial's id is no number.
        """
        root = Path(folder)
        files = {one.trial: _weights_name(root, one.trial) for one in self.outcomes if one.levels}
        others = {trial: root / name for trial, name in files.items()
                  if self.weights[trial].resolve() != (root / name).resolve()}  # fmt: skip
        check_free([*others.values(), root / FILE], overwrite)
        for trial, path in others.items():
            with replacing(path, overwrite) as temporary:
                shutil.copyfile(self.weights[trial], temporary)
        trials = [{**one.to_dict(), "weights": files.get(one.trial)} for one in self.outcomes]
        described = {"format": FORMAT, "budget": self.budget.to_dict(), "trials": trials}
        write_text(root / FILE, json.dumps(described, indent=2) + "\n", overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> "SearchResult":
        """The inverse of `save`.

        Raises:
            InputError: there is no result in the folder, one of a later format, or one that names files elsewhere.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise InputError(f"There is no result of a search at {path}.")
        values = read_json(path, fields({"format": whole(1)}), _WAY_OUT)
        if values["format"] > FORMAT:
            raise InputError(f"{path} has format {values['format']}; this keras_unetpp reads up to {FORMAT}.")
        check(values, path, _SHAPE, _WAY_OUT)
        files = {one["trial"]: one.get("weights") for one in values["trials"]}
        for trial in files:
            inside(path.parent, trial, NUMBER)
        weights = {trial: inside(path.parent, name) for trial, name in files.items() if name}
        with about(path, _WAY_OUT):
            outcomes = tuple(map(Outcome.from_dict, values["trials"]))
            if lost := [one.trial for one in outcomes if one.levels and one.trial not in weights]:
                raise InputError(f"Trial {lost[0]} has scores, and no file of weights.")
            return cls(Budget.from_dict(values["budget"]), outcomes, weights)

    def _nothing(self, within: Sequence[Candidate], min_iou: float | None, limits: dict[str, float]) -> str:
        wanted = ", ".join(f"{name}={value}" for name, value in limits.items())
        if not self.candidates:
            return "This result has no candidates: all trials failed, or none was run."
        if within:
            most = max(one.iou for one in within)
            return (
                f"No candidate reaches min_iou={min_iou}; the best{' with ' + wanted if wanted else ''} has {most:.4f}."
            )
        least = ", ".join(f"{name.removeprefix('max_')} {_least(self.candidates, name.removeprefix('max_'))}"
                          for name in limits)  # fmt: skip
        return f"No candidate keeps {wanted}. The smallest there are: {least}."


def collect(trials: str | Path, budget: Budget) -> SearchResult:
    """The result of the finished trials in a folder."""
    outcomes = [one for path in Path(trials).glob("*/outcome.json") if (one := Outcome.read(path.parent))]
    for one in outcomes:
        inside(trials, one.trial, NUMBER)
    outcomes.sort(key=lambda one: int(one.trial))
    weights = {one.trial: inside(trials, f"{one.trial}/{WEIGHTS}") for one in outcomes if one.levels}
    return SearchResult(budget, tuple(outcomes), weights)


def _weights_name(root: Path, trial: str) -> str:
    """Where a trial's weights lie in the folder of a result."""
    inside(root, trial, NUMBER)
    return f"weights/{trial}.safetensors"


def _check_cost(by: str) -> None:
    if by not in COSTS:
        raise InputError(f"There is no cost {by!r}.{hint(by, COSTS)} Costs: {', '.join(COSTS)}.")


def _or_inf(value: float | None) -> float:
    return float("inf") if value is None else value


def _at_most(value: float | None, most: float) -> bool:
    return value is not None and value <= most


def _least(candidates: Iterable[Candidate], by: str) -> float:
    return min(_or_inf(one.value(by)) for one in candidates)


def _cells(one: Candidate) -> list[str]:
    latency = "-" if one.scored.latency is None else f"{one.scored.latency:.1f} ms"
    return [
        *(
            one.outcome.trial,
            head_name(one.level),
            str(one.spec.depth),
            str(one.spec.filters[0]),
            f"{one.cost.params:,}",
        ),
        *(giga(one.cost.macs), mega(one.cost.weight_bytes), latency, score(one.iou), score(one.scored.dice)),
    ]
