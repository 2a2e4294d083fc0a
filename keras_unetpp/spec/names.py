"""Names of layers, made and read in this one place: nodes `x_0_2_..`, heads `L3_..`, a backbone's layers `x_2_0_..`.

A weight is found by them everywhere: in pruned, saved and exported networks, and in those of other frameworks.
"""

import re
from typing import Any

_NODE = re.compile(r"x_(\d+)_(\d+)(?:_(.+))?")
_HEAD = re.compile(r"L(\d+)(?:_(.+))?")
_UP = re.compile(r"up(\d+)")


def node_name(row: int, column: int) -> str:
    """Of a node, with which the names of its layers begin: `x_0_2`."""
    return f"x_{row}_{column}"


def head_name(level: int | str) -> str:
    """Name of the last layer of a level's head and of its output: `L1`, `L2`, ..; "mean" as it is."""
    return level if isinstance(level, str) else f"L{level}"


def layer_name(part: str, label: str) -> str:
    """Of a layer of a node or head: `x_0_2_conv1`, `L3_conv`."""
    return f"{part}_{label}"


def up_label(step: int) -> str:
    """Of a step of a head's up-sampling, counted from 1."""
    return f"up{step}"


def level_of(name: str) -> int | None:
    """The level of a head's last layer, of its output or of a file's function; None if it is none.

    >>> level_of("L12"), level_of("L12_conv"), level_of("mean")
    (12, None, None)
    """
    match = _HEAD.fullmatch(name)
    return int(match[1]) if match and match[2] is None else None


def asked_level(name: Any) -> Any:
    """What a level is asked for by, as a number where it is a name: `L2` -> 2; anything else as it is."""
    level = level_of(name) if isinstance(name, str) else None
    return name if level is None else level


def row_of(name: str) -> int | None:
    """The row of the node that a layer belongs to; None if it belongs to none."""
    match = _NODE.fullmatch(name)
    return int(match[1]) if match and match[3] else None


def up_of(name: str) -> int | None:
    """The step of a head's up-sampling that a layer is; None for any other layer."""
    head = _HEAD.fullmatch(name)
    step = _UP.fullmatch(head[2] or "") if head else None
    return int(step[1]) if step else None


def part_of(name: str) -> str | None:
    """The node or head that a layer belongs to, `x_0_2` or `L3`; None if it belongs to none."""
    if match := _NODE.fullmatch(name):
        return node_name(int(match[1]), int(match[2]))
    return f"L{match[1]}" if (match := _HEAD.fullmatch(name)) else None


def backbone_layer(name: str) -> tuple[int, str] | None:
    """Of a layer in column 0: its row, and the name that it has in a backbone by itself."""
    match = _NODE.fullmatch(name)
    return (int(match[1]), match[3]) if match and match[2] == "0" and match[3] else None
