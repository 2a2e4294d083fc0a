"""The space of a search: what may be drawn, decided before anything is built. Standard library only."""

import itertools
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from keras_unetpp.kit.errors import InputError, InputWarning, brief, hint
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import FIELDS, Spec
from keras_unetpp.tuning.budget import LATENCY, Budget
from keras_unetpp.tuning.tree import Branch, Point, axis_of, branches, by_axis
from keras_unetpp.tuning.widths import Narrowest, fitting, narrowest

RECIPE = tuple(item.name for item in fields(Recipe))
LISTS = (
    *(name for name, item in FIELDS.items() if isinstance(item.default, tuple)),
    *(item.name for item in fields(Recipe) if item.metadata["numbers"]),
)
"""Fields of Spec and Recipe whose value is itself a list."""

DEPTHS = (2, 3, 4, 5)
"""Depths that are searched unless told otherwise."""

WIDTH, SHARE = "width", "width_share"
MOST_POINTS = 100_000

Measure = Callable[[Spec], float]


class Proposal(NamedTuple):
    """One candidate of a space: a network and how to train it."""

    spec: Spec
    recipe: Recipe


@dataclass(frozen=True)
class Space:
    """Candidates that keep a budget.

    Attributes:
        spec: values of the fields of Spec that are not searched.
        recipe: the training; the fields that are searched have their first value there.
        budget: what every candidate keeps.
        axes: the fields that are searched, each with its values; `width` only if its values were given.
        shares: how many widths a structure is offered, where they were not given: the widest that fits, then each
            1/sqrt(2) of the one before.
        offers: for each combination of the axes that bear on the cost, in the order of `network_axes`, the widths on
            offer, widest first, by their share of the widest (or by the width itself, where they were given).
    """

    spec: dict[str, Any]
    recipe: Recipe
    budget: Budget
    axes: dict[str, tuple[Any, ...]]
    shares: int = 4
    offers: dict[Point, dict[str, int]] = field(default_factory=dict, compare=False)

    @classmethod
    def create(cls, budget: Budget, values: Mapping[str, Any], spec: Spec | None = None, recipe: Recipe | None = None,
               shares: int = 4, measure: Measure | None = None) -> "Space":  # fmt: skip
        """The space of a budget.

        Args:
            budget: with one limit at least.
            values: by field of Spec or Recipe, one value, which holds for all candidates, or a list of those to search.
            spec: values of all other fields; `filters` aside.
            recipe: the same for the training.
            shares: see `Space`.
            measure: milliseconds of a network; needed for a budget of latency.

        Raises:
            InputError: an unknown field or value, or no candidate in the budget, with the smallest that would do.
        """
        described = describe(budget, values, spec, recipe, shares)
        return cls(**described, offers=offers(cls(**described), measure))

    @property
    def network_axes(self) -> tuple[str, ...]:
        """The searched fields on which the widths on offer depend."""
        return tuple(name for name in self.axes if name != WIDTH and (name in FIELDS or name == "crop"))

    @property
    def width_axis(self) -> str:
        """Name of the last axis: `width` where its values were given, else `width_share`."""
        return WIDTH if WIDTH in self.axes else SHARE

    def __len__(self) -> int:
        """How many candidates there are."""
        others = math.prod(len(values) for name, values in self.axes.items() if self._free(name))
        return others * sum(map(len, self.offers.values()))

    def branches(self) -> list[Branch]:
        """All axes with more than one value, as conditions that draw exactly the candidates; values are text."""
        names = [*self.network_axes, self.width_axis]
        points = [(*combination, width) for combination, own in self.offers.items() for width in own]
        free = [Branch(name, tuple(map(word, values))) for name, values in self.axes.items() if self._free(name)]
        found = [*branches(names, points), *free]
        several = {axis_of(one.name) for one in found if len(one.values) > 1 or one.conditions}
        return [one for one in found if axis_of(one.name) in several]

    def proposal(self, drawn: Mapping[str, Any]) -> Proposal:
        """The candidate that values of the branches mean; those that were not drawn have but one value.

        Raises:
            InputError: if the values are no candidate of this space.
        """
        drawn = by_axis(drawn)

        def means(combination: Point) -> bool:
            pairs = zip(self.network_axes, combination, strict=True)
            return all(drawn.get(name, value) == value for name, value in pairs)

        matching = list(filter(means, self.offers))
        widths = self.offers[matching[0]] if matching else {}
        share = drawn.get(self.width_axis, next(iter(widths), None))
        if share not in widths:
            raise InputError(f"This is no candidate of the space. Received: {dict(drawn)}.")
        chosen = dict(zip(self.network_axes, matching[0], strict=True))
        free = {name: drawn.get(name, word(values[0])) for name, values in self.axes.items() if self._free(name)}
        known = {name: self._value(name, text) for name, text in {**chosen, **free}.items()}
        return _proposal(self, known, widths[share])

    def proposals(self) -> list[Proposal]:
        """Every candidate, the widest first; each a fresh object."""
        free = {name: values for name, values in self.axes.items() if self._free(name)}
        found = []
        for combination, widths in self.offers.items():
            own = {name: self._value(name, text)
                   for name, text in zip(self.network_axes, combination, strict=True)}  # fmt: skip
            for width in widths.values():
                for others in itertools.product(*free.values()):
                    found.append(_proposal(self, {**own, **dict(zip(free, others, strict=True))}, width))
        return found

    def settings(self) -> dict[str, Any]:
        """What the space was made from, as plain JSON values; equal settings make equal spaces."""
        return {"spec": dict(self.spec), "recipe": self.recipe.to_dict(), "budget": self.budget.to_dict(),
                "axes": {name: list(values) for name, values in self.axes.items()}, "shares": self.shares}  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The space as plain JSON values."""
        return {**self.settings(), "offers": [[list(one), widths] for one, widths in self.offers.items()]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Space":
        """The inverse of `to_dict`: nothing is decided or measured anew."""
        return cls(dict(values["spec"]), Recipe.from_dict(values["recipe"]),
                   Budget.from_dict(values["budget"]),
                   {name: tuple(own) for name, own in values["axes"].items()}, values["shares"],
                   {tuple(one): widths for one, widths in values["offers"]})  # fmt: skip

    def check_offers(self) -> None:
        """Raise `InputError` unless each width on offer, which a file may have brought, is one of this space's.

        Latency aside, each must keep the budget; what latency it has, training and scoring it shows.
        """
        if not self.offers:
            raise InputError("A space needs one width on offer at least. Received: none.")
        for combination, widths in self.offers.items():
            known = [tuple(map(word, self.axes[name])) for name in self.network_axes]
            fits = len(combination) == len(known) and all(map(tuple.__contains__, known, combination))
            if not fits or not widths:
                raise InputError(f"There is no such combination to offer widths for: {brief(combination)}.")
            values = {name: self._value(name, text) for name, text in zip(self.network_axes, combination, strict=True)}
            for width in widths.values():
                self._check_offer(values, width)

    def _check_offer(self, values: Mapping[str, Any], width: int) -> None:
        if width not in self.axes.get(WIDTH, (width,)):
            raise InputError(f"Width {width} is on offer, and not among those that are searched.")
        if over := self.budget.over(_proposal(self, values, width).spec):
            limits = self.budget.limits()
            broken = ", ".join(f"{name}={value:,} of {limits[name]:,}" for name, value in over.items())
            raise InputError(f"Width {width} is on offer, and breaks the budget: {broken}.")

    def _free(self, name: str) -> bool:
        return name != WIDTH and name not in self.network_axes

    def _value(self, name: str, text: str) -> Any:
        return next(value for value in self.axes[name] if word(value) == text)


def word(value: Any) -> str:
    """A value as the text that tuners and command lines know it by."""
    return "none" if value is None else json.dumps(value).strip('"')


def describe(budget: Budget, values: Mapping[str, Any], spec: Spec | None, recipe: Recipe | None,
             shares: int) -> dict[str, Any]:  # fmt: skip
    """Fields of a Space, those that were given one value apart from those that were given a list."""
    if not budget.limits():
        raise InputError("A search needs a budget: give one limit at least, for example params=500000.")
    if type(shares) is not int or not 1 <= shares <= 16:
        raise InputError(f"shares must be a whole number from 1 to 16. Received: {shares!r}.")
    known = [*FIELDS, *RECIPE, WIDTH]
    axes: dict[str, tuple[Any, ...]] = {}
    fixed: dict[str, Any] = {}
    for name, value in {"depth": DEPTHS, **values}.items():
        if name not in known:
            raise InputError(f"There is no field {name!r} to search.{hint(name, known)} Fields: {', '.join(known)}.")
        if name in ("filters", "decoder_filters"):
            raise InputError(f"The search chooses {name}, by width. Give width= a list to choose from instead.")
        if name in LISTS or not isinstance(value, (list, tuple)):
            fixed[name] = value
        elif not value:
            raise InputError(f"{name} needs one value at least. Received: none.")
        else:
            axes[name] = tuple(dict.fromkeys(tuple(one) if isinstance(one, list) else one for one in value))
    if WIDTH in fixed:
        axes[WIDTH] = (fixed.pop(WIDTH),)
    if spec is not None and spec.decoder_filters:
        raise InputError(
            f"A search scales all widths by that of row 0. Received: a Spec of decoder_filters={spec.decoder_filters}."
            " Search without, by spec.replace(decoder_filters=())."
        )
    base = {**(spec or Spec()).to_dict(), **{name: value for name, value in fixed.items() if name in FIELDS}}
    base = {name: list(value) if isinstance(value, tuple) else value for name, value in base.items()
            if name != "filters" and name not in axes}  # fmt: skip
    training = {**(recipe or Recipe()).to_dict(), **{name: v for name, v in fixed.items() if name in RECIPE}}
    training |= {name: own[0] for name, own in axes.items() if name in RECIPE}
    for name, own in axes.items():
        for value in own if name in RECIPE else ():
            Recipe.from_dict({**training, name: value})
    made = Recipe.from_dict(training)
    if "labels" not in axes and "classes" in base:
        made = made.for_classes(base["classes"])
    return {"spec": base, "recipe": made, "budget": budget, "axes": axes, "shares": shares}


def offers(space: Space, measure: Measure | None) -> dict[Point, dict[str, int]]:
    """The widths on offer for each combination of the axes that bear on the cost, those without any left out."""
    names = space.network_axes
    if math.prod(len(space.axes[name]) for name in names) > MOST_POINTS:
        raise InputError(f"The axes {', '.join(names)} have more than {MOST_POINTS:,} combinations. Give fewer values.")
    found: dict[Point, dict[str, int]] = {}
    refused: list[Narrowest] = []
    invalid: dict[Point, InputError] = {}
    for combination in itertools.product(*(space.axes[name] for name in names)):
        values = dict(zip(names, combination, strict=True))
        point = tuple(map(word, combination))

        def make(width: int, values: dict[str, Any] = values) -> Spec:
            return _proposal(space, values, width).spec

        try:
            widths = fitting(make, space.budget, space.axes.get(WIDTH), space.shares, measure)
            if widths:
                found[point] = widths
            else:
                refused.append(narrowest(make, space.budget, space.axes.get(WIDTH), measure))
        except InputError as error:
            invalid[point] = error.with_traceback(None)  # there may be many, and each would hold its frames
    if found:
        _tell_left_out(space, invalid)
        return found
    if refused:
        raise InputError(_too_small(space.budget, min(refused, key=lambda one: one.excess)))
    raise next(iter(invalid.values()), InputError("The space is empty: no combination of the values is a valid Spec."))


def _tell_left_out(space: Space, invalid: Mapping[Point, InputError]) -> None:
    """Warn of each value that is invalid in every combination, but for depths that nobody asked for."""
    for axis, name in enumerate(space.network_axes):
        for value in map(word, space.axes[name]) if (name, space.axes[name]) != ("depth", DEPTHS) else ():
            reasons = [error for point, error in invalid.items() if point[axis] == value]
            if len(reasons) * len(space.axes[name]) == math.prod(len(space.axes[one]) for one in space.network_axes):
                warnings.warn(f"The search leaves out {name}={value}: {reasons[0]}", InputWarning, stacklevel=4)


def _proposal(space: Space, values: Mapping[str, Any], width: int) -> Proposal:
    chosen = {name: value for name, value in values.items() if name in FIELDS}
    spec = Spec.from_dict({**space.spec, **chosen, WIDTH: width})
    recipe = Recipe.from_dict({**space.recipe.to_dict(), **{name: v for name, v in values.items() if name in RECIPE}})
    recipe.crop_sides(spec.rank, spec.divisors)
    return Proposal(spec, recipe)


def _too_small(budget: Budget, least: Narrowest) -> str:
    limits = budget.limits()
    broken: Sequence[str] = [
        f"{name}={math.ceil(value) if name != LATENCY else math.ceil(10 * value) / 10} (received {limits[name]})"
        for name, value in least.spent.items()
        if value > limits[name]
    ]
    return (
        f"No network of this space keeps the budget. The smallest that would do: {', '.join(broken)}, for depth"
        f" {least.spec.depth} and filters {least.spec.filters}. Raise the budget, or search smaller values."
    )
