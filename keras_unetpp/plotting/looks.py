"""Colours, lines and lengths. What differs in colour differs in lightness or in its line too, for print in grey."""

from keras_unetpp.plotting.shapes import Style

INK, FAINT, PALE = "#1a1a1a", "#777777", "#c4c4c4"
"""Colours of texts, of texts that matter less or belong to what is grey, and of grey lines."""

NODES = {
    "image": Style("#1a1a1a", "#ffffff", 1),
    "encoder": Style("#1f4e79", "#cfe2f3"),
    "decoder": Style("#1f4e79", "#ffffff"),
    "backbone": Style("#7a4100", "#f5b25a", 2.5),
    "head": Style("#1a1a1a", "#e6e6e6", 1),
}
ARROWS = {
    "image": Style("#1a1a1a", width=1),
    "down": Style("#1f4e79", width=2.5),
    "up": Style("#c0500c", width=1.6),
    "skip": Style("#0b7a5b", width=1.4, dash=(5, 3)),
    "head": Style("#1a1a1a", width=1),
}
UNUSED_NODE = Style(PALE, "#fafafa", 1, (3, 3))

NODE_WIDTH, NODE_HEIGHT = 80.0, 46.0
HEAD_WIDTH, HEAD_HEIGHT = 44.0, 26.0
IMAGE_WIDTH = 64.0
HALF_STEP = 64.0
"""Half the way from a node to the next of its row: the lower row's nodes stand there."""

MARGIN = 16.0
SPACE = 52.0
"""Between rows where no skip passes over a node."""

LIFT = 13.0
"""How much higher a skip rises that passes over one node more."""

PORT = 18.0
"""How far from the middle of an edge arrows between rows leave and arrive."""

BIG, MEDIUM, LABEL, SMALL = 17.0, 15.0, 14.0, 12.0
"""Sizes of letters."""


def unused_arrow(style: Style) -> Style:
    """The grey form of an arrow's line."""
    return style._replace(stroke=PALE, width=1)
