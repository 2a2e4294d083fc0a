"""`Spec`: one frozen, validated description of a network, from which everything else is derived."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, fields, replace
from operator import attrgetter
from typing import Any

from keras_unetpp.kit.errors import InputError, brief, hint
from keras_unetpp.kit.validated import Validated, described, with_field_help
from keras_unetpp.spec import topology as topologies
from keras_unetpp.spec.attention import ATTENTIONS
from keras_unetpp.spec.backbones import Backbone, Tap, backbone
from keras_unetpp.spec.checks import check_choices, check_context, check_divided, check_ranks
from keras_unetpp.spec.choices import Choices, OrNone, remembered
from keras_unetpp.spec.context import CONTEXTS
from keras_unetpp.spec.designs import BLOCKS, DOWNS, HEADS, MERGES, PIXELS, UPS
from keras_unetpp.spec.level import check_asked
from keras_unetpp.spec.limits import (
    MAX_DEPTH,
    MOST_CHANNELS,
    as_tuple,
    check_layers,
    check_real,
    check_shape,
    check_whole,
    check_widths,
)
from keras_unetpp.spec.norms import ACTIVATIONS, NORMS
from keras_unetpp.spec.presets import PRESETS
from keras_unetpp.spec.records import completed

WEIGHT_NAMES = ("imagenet", "own")
WEIGHT_FILES = (".safetensors", ".h5", ".pth")


def _choice(default: str | None, allowed: Collection[str | None], text: str) -> Any:
    return described(default, text, allowed=allowed)


def _are_weights(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (value in WEIGHT_NAMES or value.endswith(WEIGHT_FILES)))


@dataclass(frozen=True, slots=True)
class Spec(Validated):
    """What a network is. Immutable, hashable, equal by value, JSON both ways; invalid values raise `InputError`.

    Args:
        width: filters of row 0, doubled in each row below; short for `filters`. Default 32, with a backbone 16.
        FIELDS

    >>> Spec((256, 256, 1), width=16, depth=2).filters
    (16, 32, 64)
    """

    input_shape: tuple[int | None, ...] = described(
        (None, None, 3), "height,width,channels or depth,height,width,channels; a side is none or a multiple of 2^depth"
    )
    classes: int = described(1, "channels of each head: 1 for foreground, else one per class, background included")
    topology: str = _choice("unet++", topologies.SKIPS, "which skips a node reads")
    depth: int = described(4, f"rows below the first, and levels: 1..{MAX_DEPTH}")
    filters: tuple[int, ...] = described((), "widths of rows 0..depth, top first; with a backbone, of rows 0..depth-1")
    width: InitVar[int | None] = None
    block: str = _choice("conv", BLOCKS, "layers of a node")
    decoder_block: str | None = _choice(None, OrNone(BLOCKS), "block of the columns j >= 1; none: as `block`")
    block_layers: tuple[int, ...] = described(
        (),
        "layers of a block, in each row or one number for all; empty: 2 convolutions, 4 dense, 1 inverted, 1 grouped",
    )
    growth_rate: int = described(16, "channels that each layer of a dense block adds")
    cardinality: int = described(8, "groups of the convolutions of a grouped block; must divide every width")
    attention: str = _choice("none", ATTENTIONS, "weights of channels or pixels in each block")
    squeeze_ratio: int = described(
        8,
        "width over that within squeeze and excitation; must divide every width; papers have 16 (se), 2 (scse)",
    )
    context: str = _choice("none", CONTEXTS, "what follows the lowest node: a view of the whole image, or far around")
    bias: bool = described(True, "in convolutions that a normalisation follows, too; false: in the others alone")
    norm: str = _choice("batch", NORMS, "normalisation inside a node")
    norm_groups: int = described(8, "groups of group normalisation; must divide every width")
    norm_epsilon: float = described(1e-5, "added to the variance")
    norm_momentum: float = described(0.9, "of the moving averages of batch normalisation (Keras' sense)")
    activation: str = _choice("relu", ACTIVATIONS, "activation inside a node")
    activation_slope: float = described(0.2, "of leaky_relu below 0; 0.01 and 0.1 are in use too")
    dropout: float = described(0.0, "rate before the last convolution of a node, and after each of a dense one")
    down: str = _choice("max", DOWNS, "down-sampling by 2")
    up: str = _choice("transpose", UPS, "up-sampling by 2")
    up_kernel: int = described(2, "kernel side of the transposed convolution, at least 2")
    merge: str = _choice("concat", MERGES, "joins what comes from below with the skips")
    backbone: str | None = described(None, "encoder in place of the own one, by its name in keras_unetpp.backbones()")
    encoder_weights: str | None = described(
        None,
        "what build() gives the backbone: imagenet; own, of a registered model; a .safetensors, .h5 or .pth file",
        fits=_are_weights,
    )
    stem: bool = described(
        True, "own rows where a backbone has none, down from full resolution; false: heads up-sample"
    )
    normalization: str = _choice(
        "auto",
        PIXELS,
        "of the pixels, in the graph: as the backbone needs it, else / 255; as is; / 255; per image",
    )
    standardize_epsilon: float = described(1e-5, "added to the variance of an image that is normalised by its own")
    deep_supervision: bool = described(True, "a head for every level, or one head on the last")
    head: str = _choice("conv", HEADS, "layers of a head")
    head_kernel: int = described(1, "kernel side of the head's convolution, odd")
    head_activation: str = _choice(
        "auto", ("auto", "sigmoid", "softmax", "linear"), "auto: sigmoid for 1 class, else softmax; linear: logits"
    )

    def __post_init__(self, width: int | None) -> None:
        put = object.__setattr__
        put(self, "input_shape", as_tuple("input_shape", self.input_shape))
        check_whole("depth", self.depth, 1, MAX_DEPTH)
        if self.block_layers != ():
            put(self, "block_layers", as_tuple("block_layers", self.block_layers))
            check_layers(self.block_layers, self.depth)
        put(self, "filters", _widths(self.filters, width, self.depth, self.backbone, self.stem))
        if not _are_choices(_choice_of(self)):
            check_choices(self, _CHOICES)
        for (item, low, high), whole in zip(_WHOLE, _whole(self), strict=True):
            if type(whole) is not int or not low <= whole <= high:  # a call each is what a search would notice
                check_whole(item, whole, low, high)
        for (item, least, most), real in zip(_REAL, _real(self), strict=True):
            if type(real) is not float or not least <= real <= most:
                check_real(item, real, least, most)
        _check_backbone(self)
        check_shape(self.input_shape)
        check_sides(self.sides, self.divisor)
        _check_combination(self)

    @property
    def rank(self) -> int:
        """Number of sides: 2 for images, 3 for volumes."""
        return len(self.input_shape) - 1

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return int(self.input_shape[-1] or 0)

    @property
    def sides(self) -> tuple[int | None, ...]:
        """The sides of the input in pixels, without channels."""
        return self.input_shape[:-1]

    @property
    def encoder(self) -> Backbone | None:
        """The facts of the backbone, or None."""
        return None if self.backbone is None else backbone(self.backbone)

    @property
    def shift(self) -> int:
        """log2 of the reduction of row 0: 0, but for a backbone without a stem that of its first tap."""
        return 0 if self.stem else backbone(str(self.backbone)).taps[0].row

    @property
    def taps(self) -> tuple[Tap, ...]:
        """What the last rows of the encoder are of the backbone; the rows above them, if any, are own ones."""
        lowest = self.depth + self.shift
        return () if self.backbone is None else tuple(tap for tap in backbone(self.backbone).taps if tap.row <= lowest)

    @property
    def divisor(self) -> int:
        """Every side of an input must be a multiple of this: 2^depth, times the reduction of row 0."""
        return int(2 ** (self.depth + self.shift))

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels that have a head, shallowest first."""
        every = topologies.levels(self.topology, self.depth)
        return every if self.deep_supervision else every[-1:]

    @property
    def output_activation(self) -> str:
        """`head_activation` with `auto` decided."""
        if self.head_activation != "auto":
            return self.head_activation
        return "sigmoid" if self.classes == 1 else "softmax"

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "Spec":
        """The named row of the preset table, with some of its fields changed.

        >>> Spec.preset("wide_unet").filters
        (35, 70, 140, 280, 560)
        """
        if name not in PRESETS:
            raise InputError(f"Unknown preset {name!r}.{hint(name, PRESETS)} Presets: {', '.join(PRESETS)}.")
        row = {key: value for key, value in PRESETS[name].items() if key != "width" or "filters" not in changes}
        return cls().replace(**{**row, **changes})

    def replace(self, **changes: Any) -> "Spec":
        """A copy with some fields changed. A new `depth` alone cuts `filters` off or goes on doubling them.

        Numbers for each row are cut off too, or the last one goes on.
        """
        self.check_names(changes)
        depth = changes.get("depth", self.depth)
        if "filters" not in changes and type(depth) is int and 1 <= depth <= MAX_DEPTH:
            count = _count(depth, changes.get("backbone", self.backbone), changes.get("stem", self.stem))
            grown = self.filters + tuple(self.filters[-1] * 2**step for step in range(1, count - len(self.filters) + 1))
            changes["filters"] = () if changes.get("width") is not None else grown[:count]
            if "block_layers" not in changes and len(self.block_layers) > 1:
                rows = self.block_layers + self.block_layers[-1:] * (depth - self.depth)
                changes["block_layers"] = rows[: depth + 1]
        return replace(self, **changes)

    def at_level(self, level: int) -> "Spec":
        """The Spec of level Lk cut out: a network of depth k with one head, and the same names for its layers.

        A level of `unet_e` alone is a plain `unet`; one above the lowest node has no `context`.
        """
        check_asked(level, "This network has heads for", self.levels, mean=False)
        topology = topologies.SKIPS[self.topology].alone or self.topology
        context = self.context if level == self.depth else "none"
        return self.replace(topology=topology, depth=level, context=context, deep_supervision=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Spec":
        """The inverse of `to_dict`; unknown names are errors, missing ones take their defaults.

        What a record of an earlier version lacks is as networks were then; see `spec.records`.
        """
        cls.check_names(values)
        return cls(**completed(values, FIELDS))


with_field_help(Spec)
FIELDS = {item.name: item for item in fields(Spec)}
_CHOICES = tuple((name, item.metadata["allowed"]) for name, item in FIELDS.items() if "allowed" in item.metadata)
_TABLES = tuple((name, table) for name, one in _CHOICES if isinstance(table := getattr(one, "table", one), Choices))
_WHOLE = (
    ("classes", 1, MOST_CHANNELS),
    ("norm_groups", 1, MOST_CHANNELS),
    ("growth_rate", 1, MOST_CHANNELS),
    ("cardinality", 1, MOST_CHANNELS),
    ("squeeze_ratio", 1, MOST_CHANNELS),
    ("up_kernel", 2, 16),
    ("head_kernel", 1, 15),
)
_REAL = (
    *(("norm_epsilon", 0.0, 1.0), ("standardize_epsilon", 1e-8, 1e4), ("norm_momentum", 0.0, 1.0)),
    *(("activation_slope", 0.0, 1.0), ("dropout", 0.0, 0.95)),
)

_whole, _real = (attrgetter(*(item for item, *_ in limits)) for limits in (_WHOLE, _REAL))

_choice_of = attrgetter(*(name for name, _ in _CHOICES))
_chosen = attrgetter(*(name for name, _ in _TABLES))


def _are_choices(values: tuple[Any, ...]) -> bool:
    """Whether values of the fields of `_CHOICES` are among those allowed; asked for each Spec, so remembered."""
    try:
        return _are_known_choices(values)
    except TypeError:  # a list or the like, which is no key
        return False


@remembered(4096)
def _are_known_choices(values: tuple[Any, ...]) -> bool:
    return all(value in allowed for value, (_, allowed) in zip(values, _CHOICES, strict=True))


@remembered(4096)
def _are_of_rank(rank: int, chosen: tuple[str | None, ...]) -> bool:
    rows = [table[value] for (_, table), value in zip(_TABLES, chosen, strict=True) if value is not None]
    return all(rank in row.ranks for row in rows)


def _count(depth: int, encoder: str | None, stem: bool) -> int:
    """How many `filters` there are: depth + 1, but for the lowest row if that is a tap."""
    own = encoder is None or bool(stem and backbone(encoder).taps[0].row > depth)  # any stem, which is checked later
    return depth + own


def _widths(filters: Any, width: Any, depth: int, encoder: str | None, stem: bool) -> tuple[int, ...]:
    if width is not None and filters:
        raise InputError(
            f"Give Spec filters or width, not both. Received: filters={brief(filters)}, width={brief(width)}."
        )
    count = _count(depth, encoder, stem)
    if not filters:
        first = (32 if encoder is None else 16) if width is None else width
        check_whole("width", first, 1, MOST_CHANNELS)
        filters = tuple(first * 2**row for row in range(count))
    widths = as_tuple("filters", filters)
    check_widths(widths, count, depth, encoder)
    return widths


def _check_backbone(spec: Spec) -> None:
    for name in ("stem", "deep_supervision", "bias"):
        if type(getattr(spec, name)) is not bool:
            raise InputError(f"Spec.{name} must be True or False. Received: {brief(getattr(spec, name))}.")
    if spec.backbone is None:
        for name, value, default in (("encoder_weights", spec.encoder_weights, None), ("stem", spec.stem, True)):
            if value != default:
                raise InputError(f"Spec.{name} is for backbones. Received: {name}={brief(value)} and no backbone.")
        return
    taps, weights = backbone(spec.backbone).taps, spec.encoder_weights
    deepest = taps[-1].row - spec.shift
    if spec.depth > deepest:
        raise InputError(
            f"Backbone {spec.backbone!r} reaches down to reduction {taps[-1].reduction}, so Spec.depth must be at most"
            f" {deepest}{'' if spec.stem else ' with stem=False'}. Received: {spec.depth}."
        )
    if not _are_weights(weights):
        raise InputError(
            f"Spec.encoder_weights must be none, {', '.join(map(repr, WEIGHT_NAMES))}, or a file ending in"
            f" {', '.join(WEIGHT_FILES)}. Received: {brief(weights)}."
        )


def check_sides(sides: Iterable[int | None], divisor: int) -> None:
    """Raise `InputError` naming the padded size unless every known side is a multiple of `divisor`."""
    received = tuple(sides)
    padded = tuple(None if side is None else -(-side // divisor) * divisor for side in received)
    if padded != received:
        raise InputError(
            f"Every side must be a multiple of {divisor}, the reduction of the lowest row. Received: {received}. Pad to"
            f" {padded}, use a smaller depth, or call segment(), which pads and crops by itself."
        )


def _check_combination(spec: Spec) -> None:
    if not _are_of_rank(spec.rank, _chosen(spec)):
        check_ranks(spec, _TABLES)
    check_divided(spec)
    check_context(spec)
    if spec.rank == 3 and spec.backbone is not None:
        raise InputError(
            f"Backbones are for 2-D. Received: backbone={spec.backbone!r} and input_shape={spec.input_shape}."
        )
    if spec.head_kernel % 2 == 0:
        raise InputError(f"Spec.head_kernel must be odd. Received: {spec.head_kernel}.")
    if spec.head_activation == "softmax" and spec.classes == 1:
        raise InputError("Spec.head_activation='softmax' over one class is always 1. Use 'sigmoid', or classes=2.")
    if spec.topology == "unet_e" and not spec.deep_supervision and spec.depth > 1:
        raise InputError(
            "Spec.topology='unet_e' needs deep_supervision=True: without the heads of L1..L(d-1) no loss reaches the"
            " decoder nodes of those levels. Use topology='unet' for a single U-Net."
        )
