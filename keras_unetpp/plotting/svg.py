"""A picture as SVG: plain elements with attributes of their own, so that several may stand in one page."""

from collections.abc import Iterable
from html import escape

from keras_unetpp.plotting.shapes import Box, Group, Line, Picture, Point, Shape, Style, Text


def render(picture: Picture) -> bytes:
    """The text of the file, UTF-8."""
    width, height = picture.width, picture.height
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" role="img" font-family="Helvetica, Arial, sans-serif">',
            f"<title>{escape(picture.title)}</title>",
            f"<desc>{escape(picture.description)}</desc>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *map(_group, picture.groups),
            "</svg>\n",
        ]
    ).encode()


def _group(group: Group) -> str:
    state = f"{group.kind} {'used' if group.used else 'unused'}"
    title = f"<title>{escape(group.title)}</title>" if group.title else ""
    return f'<g class="{state}" data-name="{escape(group.name)}">{title}{"".join(map(_shape, group.shapes))}</g>'


def _shape(shape: Shape) -> str:
    if isinstance(shape, Box):
        left, top, width, height, radius = map(_number, (*shape[:4], shape.radius))
        return f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="{radius}"{_look(shape.style)}/>'
    if isinstance(shape, Text):
        place = f'x="{_number(shape.x)}" y="{_number(shape.y)}" font-size="{_number(shape.size)}"'
        anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
        return f'<text {place}{anchor} fill="{shape.colour}">{escape(shape.text)}</text>'
    if isinstance(shape, Line):
        start, *others = shape.points
        letter = "L" if len(others) == 1 else "C"
        return f'<path d="M{_points([start])}{letter}{_points(others)}"{_look(shape.style)}/>'
    element = "polygon" if shape.style.fill else "polyline"
    return f'<{element} points="{_points(shape.points)}"{_look(shape.style)}/>'


def _look(style: Style) -> str:
    dash = f' stroke-dasharray="{" ".join(map(_number, style.dash))}"' if style.dash else ""
    width = "" if style.width == 1 else f' stroke-width="{_number(style.width)}"'
    line = f' stroke="{style.stroke}"{width}{dash}' if style.stroke else ""
    return f' fill="{style.fill or "none"}"{line}'


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
