"""The nodes and heads of a network and who reads whom, taken from its plan."""

from collections.abc import Iterable
from typing import NamedTuple

from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.forms import value
from keras_unetpp.spec.level import Level
from keras_unetpp.spec.names import level_of
from keras_unetpp.spec.ops import Backbone
from keras_unetpp.spec.plan import plan, variables
from keras_unetpp.spec.rows import IMAGE, Row, row_name
from keras_unetpp.spec.topology import Node, nodes


class Part(NamedTuple):
    """A node, a head, or the image.

    Attributes:
        name: `x_0_2`, `L1`, or `image`.
        node: where it stands in the triangle; None of what is no node.
        channels: of its output.
        halvings: how often each axis of its output was halved.
        reads: the names of those that it reads, in reading order.
        backbone: whether it is part of one.
    """

    name: str
    node: Node | None
    channels: int
    halvings: tuple[int, ...]
    reads: tuple[str, ...]
    backbone: bool


def parts(spec: Spec, level: Level = None) -> dict[str, Part]:
    """Those that a level needs, by name, in building order; of the whole network for None.

    >>> [part.name for part in parts(Spec(depth=2), 1).values()]
    ['image', 'x_0_0', 'x_1_0', 'x_0_1', 'L1']
    >>> parts(Spec(depth=2))["x_0_2"].reads
    ('x_1_1', 'x_0_0', 'x_0_1')
    """
    rows = plan(spec, level)
    of_output, values = {row.name: row.part for row in rows}, variables(spec)
    known = {node.name: node for node in nodes(spec.topology, spec.depth)}
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.part == IMAGE or row.part in known or level_of(row.part) is not None:
            found.setdefault(row.part, []).append(row)
    return {
        name: Part(
            *(name, known.get(name), value(own[-1].channels, values), own[-1].halvings),
            reads=_others(name, (of_output[row_name(source)] for row in own for source in row.reads)),
            backbone=any(isinstance(row.operation, Backbone) for row in own),
        )
        for name, own in found.items()
    }


def _others(name: str, read: Iterable[str]) -> tuple[str, ...]:
    return tuple(other for other in dict.fromkeys(read) if other != name)
