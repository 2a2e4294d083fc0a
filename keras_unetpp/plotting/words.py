"""What a picture says in words: heading, labels, legend, description."""

from collections.abc import Iterator, Mapping

from keras_unetpp.plotting.looks import BIG, FAINT, INK, MARGIN, SMALL
from keras_unetpp.plotting.parts import Part
from keras_unetpp.plotting.shapes import Text
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.level import MEAN, Level
from keras_unetpp.spec.names import head_name
from keras_unetpp.spec.rows import IMAGE

Parts = Mapping[str, Part]


def kind_of(part: Part) -> str:
    """The kind of box that a part is."""
    if part.node is None:
        return "image" if part.name == IMAGE else "head"
    if part.backbone:
        return "backbone"
    return "decoder" if part.node.column else "encoder"


def name_of(spec: Spec, level: Level) -> str:
    """The network in a few words, and what of it is asked for.

    >>> name_of(Spec(backbone="vgg16"), 2)
    'Level L2 of unet++ of depth 4 on vgg16'
    """
    whole = f"{spec.topology} of depth {spec.depth}{f' on {spec.backbone}' if spec.backbone else ''}"
    if level is None:
        return whole
    return f"{'Mean of all levels' if level == MEAN else f'Level {head_name(level)}'} of {whole}"


def heading(spec: Spec, level: Level, every: Parts, used: Parts) -> tuple[Text, Text]:
    """Two lines: what it is, and how large."""
    nodes, params = str(_nodes(every)), f"{cost(spec).params:,}"
    if level is not None:
        nodes, params = f"{_nodes(used)} of {nodes}", f"{cost(spec, level).params:,} of {params}"
    return (
        Text(MARGIN, 28, name_of(spec, level), BIG, INK),
        Text(MARGIN, 47, f"{nodes} nodes, each with its channels; {params} parameters", SMALL, FAINT),
    )


def row_label(spec: Spec, halvings: tuple[int, ...]) -> tuple[str, str]:
    """The resolution of a row over that of the image, and its sides in pixels; these are empty where one is open.

    >>> row_label(Spec((64, 32, 1)), (1, 1)), row_label(Spec((None, None, None, 1)), (0, 1, 1))
    (('1/2', '32 x 16'), ('1 x 1/2 x 1/2', ''))
    """
    shares = ["1" if halved == 0 else f"1/{2**halved}" for halved in halvings]
    sides = [side and side // 2**halved for side, halved in zip(spec.sides, halvings, strict=True)]
    resolution = shares if len({*shares}) > 1 else shares[:1]
    return " x ".join(resolution), "" if None in sides else " x ".join(map(str, sides))


def legend(spec: Spec, level: Level, every: Parts, used: Parts) -> Iterator[tuple[str, str]]:
    """What each look means, of those that are there: its kind, and the words."""
    kinds = {kind_of(part) for part in every.values()}
    classes = "1 class" if spec.classes == 1 else f"{spec.classes} classes"
    read = [every[part.reads[0]] for part in every.values() if kind_of(part) == "head"]
    halved = max(max(part.halvings) for part in read)
    raised = f", up-sampled by {2**halved}" if halved else ""
    pairs = [(every[one].node, other) for other in every.values() for one in other.reads]
    between = [(source, other.node, other) for source, other in pairs if source and other.node]
    pooled = [other for source, node, other in between if source.row < node.row]
    down = f"down ({spec.down})" if any(not other.backbone for other in pooled) else "down, in the backbone"
    for kind, there, text in (
        ("encoder", "encoder" in kinds, "encoder node"),
        ("backbone", "backbone" in kinds, f"part of {spec.backbone}"),
        ("decoder", "decoder" in kinds, "decoder node"),
        ("head", "head" in kinds, f"head: {classes}, {spec.output_activation}{raised}"),
        ("down", bool(pooled), down),
        ("up", any(source.row > node.row for source, node, _ in between), f"up ({spec.up})"),
        ("skip", any(source.row == node.row for source, node, _ in between), f"skip ({spec.merge})"),
        ("unused", len(used) < len(every), f"not needed by {level and head_name(level)}"),
    ):
        if there:
            yield kind, text


def title_of(part: Part) -> str:
    """What a part is, in words."""
    reads = f"; reads {', '.join(part.reads)}" if part.reads else ""
    return f"{part.name}: {part.channels} channels{reads}"


def description(level: Level, every: Parts, used: Parts) -> str:
    """The picture for who cannot see it."""
    heads = [name for name, part in every.items() if kind_of(part) == "head"]
    left_out = [name for name in every if name not in used]
    grey = f" Grey, since {level and head_name(level)} does not need them: {', '.join(left_out)}." if left_out else ""
    return f"{_nodes(every)} nodes in rows of falling resolution, and heads {', '.join(heads)}.{grey}"


def _nodes(some: Parts) -> int:
    return sum(part.node is not None for part in some.values())
