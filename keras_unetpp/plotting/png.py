"""A picture as PNG, drawn by Pillow with the font that it brings."""

import math
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import cycle, pairwise
from typing import Any

from keras_unetpp.plotting.shapes import Box, Line, Picture, Point, Shape, Style, Text

SCALE = 2
"""Pixels of the file along one of the picture's."""

FINER = 2
"""How much larger it is drawn at first, since Pillow's lines have hard edges."""

COLOURS = 64
"""Of the palette; what more there is are shades of edges."""

STEPS = 64
"""Straight pieces of a curve."""

_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def render(picture: Picture) -> bytes:
    """The bytes of the file, `SCALE` times as wide and high as the picture."""
    from PIL import Image, ImageDraw

    whole = SCALE * FINER
    image = Image.new("RGB", (whole * picture.width, whole * picture.height), "white")
    pen = _Pen(ImageDraw.Draw(image), whole)
    for group in picture.groups:
        for shape in group.shapes:
            pen.draw(shape)
    small = image.resize((SCALE * picture.width, SCALE * picture.height), Image.Resampling.BOX)
    file = BytesIO()
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return file.getvalue()


class _Pen:
    """Draws shapes at a scale."""

    def __init__(self, draw: Any, scale: int) -> None:
        self.on = draw
        self.scale = scale

    def draw(self, shape: Shape) -> None:
        """Draw one."""
        if isinstance(shape, Box):
            self.box(shape)
        elif isinstance(shape, Text):
            self.text(shape)
        elif isinstance(shape, Line):
            self.line(curve(shape.points), shape.style)
        else:
            if shape.style.fill:
                self.on.polygon(self.scaled(shape.points), shape.style.fill)
            if shape.style.stroke:
                self.line(shape.points, shape.style)

    def box(self, box: Box) -> None:
        """The inside to the edge, and the outline on it: as solid pieces, or by its sides where it is dashed."""
        half = 0 if box.style.dash else box.style.width / 2
        corners = self.scaled([(box.left - half, box.top - half), (box.right + half, box.bottom + half)])
        radius, width = (box.radius + half) * self.scale, round(box.style.width * self.scale)
        solid = {} if box.style.dash else {"outline": box.style.stroke, "width": width}
        self.on.rounded_rectangle(corners, radius, box.style.fill or None, **solid)
        if box.style.dash:
            self.line(_outline(box), box.style)

    def line(self, points: Sequence[Point], style: Style) -> None:
        """A line through points."""
        width = max(round(style.width * self.scale), 1)
        for piece in dashes(points, style.dash) if style.dash else [points]:
            self.on.line(self.scaled(piece), style.stroke, width, joint="curve")

    def text(self, text: Text) -> None:
        """A text."""
        from PIL import ImageFont

        font = ImageFont.load_default(text.size * self.scale)
        ((x, y),) = self.scaled([(text.x, text.y)])
        self.on.text((x, y), text.text, text.colour, font, _ANCHORS[text.anchor])

    def scaled(self, points: Sequence[Point]) -> list[Point]:
        """Points in pixels of the image."""
        return [(x * self.scale, y * self.scale) for x, y in points]


def curve(points: Sequence[Point]) -> Sequence[Point]:
    """A Bezier curve as points on it (de Casteljau); a line of two points as it is."""
    if len(points) == 2:
        return points
    found = []
    for share in (step / STEPS for step in range(STEPS + 1)):
        left = points
        while len(left) > 1:
            left = [_between(one, other, share) for one, other in pairwise(left)]
        found.append(left[0])
    return found


def _between(one: Point, other: Point, share: float) -> Point:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _outline(box: Box) -> list[Point]:
    """A closed line round a box."""
    radius, turns = box.radius, [math.radians(15 * step) for step in range(7)]
    corners = ((box.right, box.top, 1, -1), (box.right, box.bottom, 1, 1), (box.left, box.bottom, -1, 1),
               (box.left, box.top, -1, -1))  # fmt: skip
    points: list[Point] = []
    for x, y, right, down in corners:
        arc = [(x + right * radius * (math.cos(turn) - 1), y + down * radius * (math.sin(turn) - 1)) for turn in turns]
        points += arc if right == down else arc[::-1]
    return [*points, points[0]]


def dashes(points: Sequence[Point], dash: Sequence[float]) -> Iterator[list[Point]]:
    """The pieces of a line that its dashes cover."""
    lengths = cycle(enumerate(dash))
    number, left = next(lengths)
    piece = [points[0]]
    for start, end in pairwise(points):
        here, length = start, math.dist(start, end)
        while length > left:
            here, length = _between(here, end, left / length), length - left
            if number % 2 == 0:
                yield [*piece, here]
            piece = [here]
            number, left = next(lengths)
        left -= length
        piece.append(end)
    if number % 2 == 0 and len(piece) > 1:
        yield piece
