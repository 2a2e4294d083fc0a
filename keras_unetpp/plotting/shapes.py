"""What a picture consists of: boxes, lines, curves, arrow heads and texts, which each renderer draws in its own way.

Lengths are in pixels of a picture at its natural size; x grows to the right, y downwards.
"""

from typing import NamedTuple

WIDEST = 0.6
"""Width of a letter over the size of its font, on average, in the widest sans-serif fonts in use."""

Point = tuple[float, float]


class Style(NamedTuple):
    """How an outline and what it encloses look.

    Attributes:
        stroke: colour of the line, #rrggbb; empty for none.
        fill: colour inside; empty for none.
        width: of the line.
        dash: lengths of dash and gap; empty for a solid line.
    """

    stroke: str
    fill: str = ""
    width: float = 1.5
    dash: tuple[float, ...] = ()


class Box(NamedTuple):
    """A rectangle with rounded corners."""

    left: float
    top: float
    width: float
    height: float
    style: Style
    radius: float = 7

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.left + self.width / 2, self.top + self.height / 2


class Line(NamedTuple):
    """A straight line of two points, or a cubic Bezier curve of four."""

    points: tuple[Point, ...]
    style: Style


class Head(NamedTuple):
    """The head of an arrow: filled, or open if its style has no fill."""

    points: tuple[Point, ...]
    style: Style


class Text(NamedTuple):
    """One line of text; (x, y) is on its base line.

    Attributes:
        anchor: what of it is at x: `start`, `middle` or `end`.
    """

    x: float
    y: float
    text: str
    size: float
    colour: str
    anchor: str = "start"

    @property
    def length(self) -> float:
        """How long it is at most."""
        return WIDEST * self.size * len(self.text)

    @property
    def left(self) -> float:
        """Where it begins at most."""
        return self.x - self.length * {"start": 0, "middle": 0.5, "end": 1}[self.anchor]

    @property
    def right(self) -> float:
        """Where it ends at most."""
        return self.left + self.length


Shape = Box | Line | Head | Text


class Group(NamedTuple):
    """Shapes that stand for one thing.

    Attributes:
        kind: of thing: `node`, `head`, `skip`, ..
        name: `x_0_2`, `L1`, or of an arrow `x_0_1 x_0_2`, from and to.
        used: whether what was asked for needs it; else it is drawn grey.
        title: what it is, in words; may be empty.
        shapes: the lowest first.
    """

    kind: str
    name: str
    used: bool
    title: str
    shapes: tuple[Shape, ...]


class Picture(NamedTuple):
    """Groups on white, the lowest first."""

    width: int
    height: int
    title: str
    description: str
    groups: tuple[Group, ...]
