"""A Spec as a picture: the triangle as the papers draw it, row 0 on top, each lower row half a step to the right.

Source: Zhou et al., IEEE TMI 2020, figure 1.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence

from keras_unetpp.plotting.looks import (
    ARROWS,
    FAINT,
    HALF_STEP,
    HEAD_HEIGHT,
    HEAD_WIDTH,
    IMAGE_WIDTH,
    INK,
    LABEL,
    LIFT,
    MARGIN,
    MEDIUM,
    NODE_HEIGHT,
    NODE_WIDTH,
    NODES,
    PORT,
    SMALL,
    SPACE,
    UNUSED_NODE,
    unused_arrow,
)
from keras_unetpp.plotting.parts import Part, parts
from keras_unetpp.plotting.shapes import Box, Group, Head, Line, Picture, Point, Shape, Style, Text
from keras_unetpp.plotting.words import description, heading, kind_of, legend, name_of, row_label, title_of
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.level import Level
from keras_unetpp.spec.plan import check_level
from keras_unetpp.spec.rows import IMAGE

LEAST_WIDTH = 520.0
TOP = 64.0
"""Where the heads begin, below the heading."""


def lay_out(spec: Spec, level: Level = None) -> Picture:
    """The picture of a network.

    Args:
        spec: of the network.
        level: what it does not need is grey; None or "mean": nothing is.

    Raises:
        InputError: the network has no head for that level.
    """
    level = check_level(spec, level)
    every, used = parts(spec), parts(spec, level)
    lines = heading(spec, level, every, used)
    heights = _heights(every)
    labels = _labels(spec, every, heights, used)
    boxes = _boxes(every, heights, _right(labels) + MARGIN)
    rights = [*(box.right for box in boxes.values()), *(line.right for line in lines)]
    width = max(LEAST_WIDTH, MARGIN + max(rights))
    arrows = [_arrow(every, boxes, one, other, name in used and one in used[name].reads)
              for name, other in every.items() for one in other.reads]  # fmt: skip
    below = max(box.bottom for box in boxes.values()) + 2 * MARGIN
    entries, height = _legend(legend(spec, level, every, used), width, below)
    groups = [
        Group("heading", "", True, "", lines),
        *labels,
        *sorted(arrows, key=lambda arrow: arrow.used),
        *(_part(part, boxes[name], name in used) for name, part in every.items()),
        *entries,
    ]
    told = description(level, every, used)
    return Picture(math.ceil(width), math.ceil(height), name_of(spec, level), told, tuple(groups))


def _right(labels: Iterable[Group]) -> float:
    return max(text.right for group in labels for text in group.shapes if isinstance(text, Text))


def _labels(spec: Spec, every: Mapping[str, Part], heights: Sequence[float], used: Container[str]) -> list[Group]:
    """What stands to the left of the rows: their resolution, and their sides where these are known."""
    found = []
    for part in every.values():
        if part.node is not None and part.node.column == 0:
            row, needed = part.node.row, part.name in used
            resolution, sides = row_label(spec, part.halvings)
            y = heights[row] + NODE_HEIGHT / 2
            texts = [Text(MARGIN, y + (-3 if sides else 4), resolution, LABEL, INK if needed else FAINT)]
            texts += [Text(MARGIN, y + 13, sides, SMALL - 1, FAINT)] if sides else []
            found.append(Group("row", str(row), needed, "", tuple(texts)))
    return found


def _boxes(every: Mapping[str, Part], heights: Sequence[float], left: float) -> dict[str, Box]:
    """Where each part stands, right of `left`."""
    first = left + IMAGE_WIDTH + 2 * MARGIN
    boxes = {}
    for name, part in every.items():
        if part.node is not None:
            row, column = part.node
            x = first + (row + 2 * column) * HALF_STEP
            boxes[name] = Box(x, heights[row], NODE_WIDTH, NODE_HEIGHT, NODES[kind_of(part)])
        elif name == IMAGE:
            boxes[name] = Box(left, heights[0], IMAGE_WIDTH, NODE_HEIGHT, NODES["image"], 2)
        else:
            x = boxes[part.reads[0]].middle[0] - HEAD_WIDTH / 2
            boxes[name] = Box(x, TOP, HEAD_WIDTH, HEAD_HEIGHT, NODES["head"], HEAD_HEIGHT / 2)
    return boxes


def _heights(every: Mapping[str, Part]) -> list[float]:
    """Upper edges of the rows; the farther a row's skips reach, the more room there is above it."""
    spans: dict[int, int] = {}
    for part in every.values():
        if part.node is not None:
            row, column = part.node
            same = [node.column for one in part.reads if (node := every[one].node) and node.row == row]
            spans[row] = max([spans.get(row, 1), *(column - one for one in same)])
    heights, y = [], TOP + HEAD_HEIGHT
    for row in sorted(spans):
        y += SPACE + LIFT * (spans[row] - 1)
        heights.append(y)
        y += NODE_HEIGHT
    return heights


def _part(part: Part, box: Box, used: bool) -> Group:
    kind = kind_of(part)
    colour, (x, y) = INK if used else FAINT, box.middle
    texts: tuple[Text, ...]
    if part.node is not None:
        row, column = part.node
        texts = (
            Text(x - 3, y - 2, "X", MEDIUM, colour, "end"),
            Text(x - 2, y - 8, f"{row},{column}", SMALL - 2, colour),
            Text(x, y + 15, str(part.channels), SMALL, colour, "middle"),
        )
    elif kind == "image":
        texts = (
            Text(x, y - 3, "image", SMALL, colour, "middle"),
            Text(x, y + 14, str(part.channels), SMALL, colour, "middle"),
        )
    else:
        texts = (Text(x, y + 5, part.name, LABEL, colour, "middle"),)
    group = kind if part.node is None else "node"
    return Group(group, part.name, used, title_of(part), (box if used else box._replace(style=UNUSED_NODE), *texts))


def _arrow(every: Mapping[str, Part], boxes: Mapping[str, Box], one: str, other: Part, used: bool) -> Group:
    """From what is read to what reads it."""
    start, end, source = boxes[one], boxes[other.name], every[one].node
    if source is None:
        kind, points = "image", _from_image(start, end)
    elif other.node is None:
        kind, points = "head", ((start.middle[0], start.top), (end.middle[0], end.bottom))
    elif source.row == other.node.row:
        kind, points = "skip", _skip(start, end, other.node.column - source.column)
    else:
        kind = "down" if source.row < other.node.row else "up"
        port = math.copysign(PORT, end.left - start.left) if end.left != start.left else 0
        leaving, arriving = (start.bottom, end.top) if kind == "down" else (start.top, end.bottom)
        points = (start.middle[0] + port, leaving), (end.middle[0] - port, arriving)
    return Group(kind, f"{one} {other.name}", used, "", pointed(points, kind, used))


def _from_image(start: Box, end: Box) -> tuple[Point, ...]:
    y = end.middle[1]
    if y == start.middle[1]:
        return (start.right, y), (end.left, y)
    x = start.middle[0]
    return (x, start.bottom), (x, y - 30), (x + 10, y), (end.left, y)


def _skip(start: Box, end: Box, span: int) -> tuple[Point, ...]:
    """To the next node straight, over others in a curve; of those that meet in a node the longest, which is the
    highest, ends nearest to its middle."""
    if span == 1:
        return (start.right, start.middle[1]), (end.left, end.middle[1])
    aside = 9 + 6 * (span - 2)
    left, right, top = start.right - aside, end.left + aside, start.top
    peak = top - (22 + LIFT * (span - 1)) * 4 / 3
    reach = 0.16 * (right - left)
    return (left, top), (left + reach, peak), (right - reach, peak), (right, top)


def pointed(points: tuple[Point, ...], kind: str, used: bool = True) -> tuple[Shape, ...]:
    """A line of the kind's look that ends in an arrow head: of up-sampling an open one, of others filled."""
    style = ARROWS[kind] if used else unused_arrow(ARROWS[kind])
    (x, y), (before_x, before_y) = points[-1], points[-2]
    turn = math.atan2(y - before_y, x - before_x)
    size = 6 + 1.6 * style.width
    back_x, back_y = x - size * math.cos(turn), y - size * math.sin(turn)
    half = 0.42 * size
    wings = [(back_x - side * half * math.sin(turn), back_y + side * half * math.cos(turn)) for side in (1, -1)]
    tip = points[-1]
    if kind == "up":
        return Line(points, style), Head((wings[0], tip, wings[1]), Style(style.stroke, width=style.width))
    head = Head((tip, *wings), Style("", style.stroke))
    return Line((*points[:-1], (back_x, back_y)), style), head


def _legend(entries: Iterable[tuple[str, str]], width: float, y: float) -> tuple[list[Group], float]:
    """What the looks mean, in as many lines as it takes, and where the picture ends below them."""
    found, x = [], MARGIN
    for kind, text in entries:
        words = Text(x + 40, y + 4, text, SMALL, INK)
        if x > MARGIN and words.right > width - MARGIN:
            x, y = MARGIN, y + 24
            words = words._replace(x=x + 40, y=y + 4)
        swatch: tuple[Shape, ...]
        if kind in ("down", "up", "skip"):
            swatch = pointed(((x, y), (x + 34, y)), kind)
        else:
            swatch = (Box(x + 2, y - 9, 30, 18, NODES.get(kind, UNUSED_NODE), 5),)
        found.append(Group("legend", kind, True, "", (*swatch, words)))
        x = words.right + 14
    return found, y + 1.5 * MARGIN
