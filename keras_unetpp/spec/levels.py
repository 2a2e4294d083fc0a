"""The levels of a network as a table: what each costs when cut out, and room for what was measured."""

from dataclasses import dataclass
from typing import Any

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.tables import giga, mega, score, table
from keras_unetpp.spec.cost import Cost, cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.geometry import padded
from keras_unetpp.spec.level import MEAN, Level
from keras_unetpp.spec.names import head_name
from keras_unetpp.spec.topology import draw, needed

DEFAULT_SIDES = {2: 256, 3: 64}
"""Rank -> pixels of a side that is open; a volume of 256 would be as much as an image of 4096."""


@dataclass(frozen=True)
class LevelRow:
    """One level cut out.

    Attributes:
        level: 1..d, or "mean" for all of them and the heads' average.
        nodes: how many it keeps.
        cost: for one image, see `Cost`.
        latency: milliseconds for one image, or None if not measured.
        iou: mean IoU over images, or None if not measured.
        dice: mean Dice over images, or None if not measured.
    """

    level: Level
    nodes: int
    cost: Cost
    latency: float | None = None
    iou: float | None = None
    dice: float | None = None

    @property
    def name(self) -> str:
        """`L1`, .. or `mean`."""
        return head_name(MEAN if self.level is None else self.level)


class LevelTable(tuple[LevelRow, ...]):
    """Rows L1..Ld and, with several heads, `mean`; printing it shows the table."""

    def __str__(self) -> str:
        headings = ["level", "nodes", "parameters", "MACs", "weights", "activations", "latency", "IoU", "Dice"]
        return table(headings, (_cells(row) for row in self))

    __repr__ = __str__


def picture(spec: Spec) -> str:
    """The nodes of a network as text, one line a row, with the row's filters and what it has of a backbone.

    >>> print(picture(Spec(topology="unet", depth=1)))
    x_0_0  x_0_1    32 filters
       x_1_0        64 filters
    """
    widths = [f"{filters} filters" for filters in spec.filters] + [""] * (spec.depth + 1 - len(spec.filters))
    for tap in spec.taps:
        row, text = tap.row - spec.shift, f"{tap.channels} channels of {spec.backbone}"
        widths[row] = text if spec.decoder_filters or not widths[row] else f"{widths[row]}, {text}"
    for row, filters in enumerate(spec.decoder_filters):
        widths[row] += f", {filters} in the decoder"
    return draw(spec.topology, spec.depth, widths)


def default_size(spec: Spec) -> tuple[int, ...]:
    """The sides of the Spec; those it leaves open are 256, of volumes 64, or the next multiples of its divisors."""
    least = padded((DEFAULT_SIDES[spec.rank],) * spec.rank, spec.divisors)
    return tuple(side or other for side, other in zip(spec.sides, least, strict=True))


def level_costs(spec: Spec, size: tuple[int, ...] | None = None) -> LevelTable:
    """Nodes and cost of every level, at the sides given in pixels or those of `default_size`."""
    sides = size or default_size(spec)
    every: list[Level] = [*spec.levels, *([MEAN] if len(spec.levels) > 1 else [])]
    return LevelTable(LevelRow(level, _nodes(spec, level), cost(spec, level, sides)) for level in every)


def check_max_drop(max_drop: Any) -> None:
    """Raise `InputError` unless it is a number from 0 to 1."""
    if not isinstance(max_drop, (int, float)) or not 0 <= max_drop <= 1:
        raise InputError(f"max_drop must be a number from 0 to 1. Received: {max_drop!r}.")


def cheapest(rows: LevelTable, max_drop: float) -> int:
    """The single level of fewest multiply-accumulates whose IoU is within `max_drop` of the best single level's."""
    single = [(row.level, row.cost.macs or 0, row.iou or 0.0) for row in rows if isinstance(row.level, int)]
    least = max(iou for _, _, iou in single) - max_drop
    return min((macs, level) for level, macs, iou in single if iou >= least)[1]


def _nodes(spec: Spec, level: Level) -> int:
    wanted = [level] if isinstance(level, int) else spec.levels
    return len({node for one in wanted for node in needed(spec.topology, spec.depth, one)})


def _cells(row: LevelRow) -> list[str]:
    latency = "-" if row.latency is None else f"{row.latency:.1f} ms"
    return [
        *(row.name, str(row.nodes), f"{row.cost.params:,}", giga(row.cost.macs), mega(row.cost.weight_bytes)),
        *(mega(row.cost.activation_bytes), latency, score(row.iou), score(row.dice)),
    ]
