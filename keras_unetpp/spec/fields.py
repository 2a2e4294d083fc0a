"""`Spec`: one frozen, validated description of a network, from which everything else is derived."""

from collections.abc import Collection, Mapping
from dataclasses import InitVar, dataclass, fields, replace
from operator import attrgetter, is_
from types import SimpleNamespace
from typing import Any

from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.kit.validated import Validated, described, with_field_help
from keras_unetpp.spec import topology as topologies
from keras_unetpp.spec import widths
from keras_unetpp.spec.attention import ATTENTIONS
from keras_unetpp.spec.backbones import Backbone, Tap, backbone
from keras_unetpp.spec.checks import are_weights, check_backbone, check_choices, check_divided, check_ranks, check_ways
from keras_unetpp.spec.choices import Choices, OrNone, remembered
from keras_unetpp.spec.context import CONTEXTS
from keras_unetpp.spec.designs import BLOCKS, DOWNS, HEADS, PIXELS
from keras_unetpp.spec.facts import Sides
from keras_unetpp.spec.geometry import BY_ROW, as_entries, check_entries, check_sides, halvings
from keras_unetpp.spec.level import check_asked
from keras_unetpp.spec.limits import (
    MAX_DEPTH,
    MOST_CHANNELS,
    as_tuple,
    check_layers,
    check_real,
    check_shape,
    check_whole,
)
from keras_unetpp.spec.merges import MERGES
from keras_unetpp.spec.norms import ACTIVATIONS, NORMS
from keras_unetpp.spec.presets import PRESETS
from keras_unetpp.spec.records import completed
from keras_unetpp.spec.ups import UPS


def _choice(default: str | None, allowed: Collection[str | None], text: str) -> Any:
    return described(default, text, allowed=allowed)


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
        (None, None, 3),
        "height,width,channels or depth,height,width,channels; a side is none or a multiple of 2^depth, with `strides`"
        " of their product",
    )
    classes: int = described(1, "channels of each head: 1 for foreground, else one per class, background included")
    topology: str = _choice("unet++", topologies.SKIPS, "which skips a node reads")
    depth: int = described(4, f"rows below the first, and levels: 1..{MAX_DEPTH}")
    filters: tuple[int, ...] = described((), "widths of rows 0..depth, top first; with a backbone, of rows 0..depth-1")
    width: InitVar[int | None] = None
    max_filters: int | None = described(None, "where widths that double from row to row stop; none: nowhere")
    decoder_filters: tuple[int, ...] = described(
        (), "widths of the nodes of columns j >= 1, of rows 0..depth-1; empty: as `filters`"
    )
    block: str = _choice("conv", BLOCKS, "layers of a node")
    decoder_block: str | None = _choice(None, OrNone(BLOCKS), "block of the columns j >= 1; none: as `block`")
    block_layers: tuple[int, ...] = described(
        (),
        "layers of a block, in each row or one number for all; empty: 2 convolutions, 4 dense, 1 inverted, 1 grouped",
    )
    strides: tuple[int | tuple[int, ...], ...] = described(
        (),
        "from each row to the next, 1 or 2, or one of these an axis, as in 1x2x2,2; or one for all; empty: 2",
    )
    kernels: tuple[int | tuple[int, ...], ...] = described(
        (),
        "sides of convolutions of blocks in each row: odd, or one an axis, as in 1x3x3,3; or one for all; empty: 3",
    )
    dilations: tuple[int, ...] = described(
        (), "steps between the pixels of these kernels in each row; or one for all; empty: 1"
    )
    growth_rate: int = described(16, "channels that each layer of a dense block adds")
    cardinality: int = described(8, "groups of the convolutions of a grouped block; must divide every width")
    attention: str = _choice("none", ATTENTIONS, "weights of channels or pixels in each block")
    squeeze_ratio: int = described(8, "width over that within se and scse; must divide every width; papers: 16 and 2")
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
        fits=are_weights,
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
        put(self, "filters", widths.filters(
            self.filters, width, self.max_filters, self.depth, self.backbone, self.stem))  # fmt: skip
        if self.decoder_filters != ():
            put(self, "decoder_filters", widths.decoder_filters(self.decoder_filters, self.max_filters, self.depth))
        if not (suit := _suit(self)):
            check_choices(self, _CHOICES)
        if not all(map(is_, _numbers(self), _USUAL)):  # a call each is what a search would notice
            for item, low, high in _WHOLE:
                check_whole(item, getattr(self, item), low, high)
            for item, least, most in _REAL:
                check_real(item, getattr(self, item), least, most)
        check_shape(self.input_shape)
        if _by_row(self) != ((), (), ()):
            for name, entries in zip(BY_ROW, _by_row(self), strict=True):
                put(self, name, as_entries(entries))
            check_entries(*_by_row(self), self.depth, self.rank)
        check_backbone(self)
        check_sides(self.sides, self.divisors)
        if not suit:
            check_ranks(self, _TABLES)
            check_ways(self)
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
    def divisors(self) -> Sides:
        """Each side of an input must be a multiple of its own: 2^depth, or the product of `strides`; times the
        reduction of row 0."""
        if not self.strides:
            return (2 ** (self.depth if self.stem else self.depth + self.shift),) * self.rank
        return tuple(2**times for times in halvings(self.strides, self.depth, self.rank))

    @property
    def divisor(self) -> int:
        """The largest of `divisors`, which is a multiple of the others."""
        return max(self.divisors)

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
        return cls(**PRESETS[name].fields).replace(**changes)

    def replace(self, **changes: Any) -> "Spec":
        """A copy with some fields changed. A new `depth` alone cuts widths off or goes on doubling them.

        Entries for each row, or for each step between rows, are cut off too, or the last one goes on. A new
        `max_filters` alone cuts widths down to it.
        """
        self.check_names(changes)
        changes |= widths.followed(self, changes)
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

_by_row = attrgetter(*BY_ROW)
_NUMBERS = [item for item, *_ in (*_WHOLE, *_REAL)]
_numbers, _USUAL = attrgetter(*_NUMBERS), [FIELDS[item].default for item in _NUMBERS]

_chosen = attrgetter(*(name for name, _ in _CHOICES))


def _suit(spec: Spec) -> bool:
    """Whether all choices are ones of their tables, for the rank of the input, and go together."""
    try:
        return _known_to_suit(spec.rank, spec.depth, spec.backbone is None, _chosen(spec))
    except TypeError:  # a list or the like, which is no key
        return False


@remembered(4096)
def _known_to_suit(rank: int, depth: int, own: bool, chosen: tuple[str | None, ...]) -> bool:
    choices = zip((name for name, _ in _CHOICES), chosen, strict=True)
    spec = SimpleNamespace(rank=rank, depth=depth, backbone=None if own else "", **dict(choices))
    try:
        check_choices(spec, _CHOICES)
        check_ranks(spec, _TABLES)
        check_ways(spec)
    except InputError:
        return False
    return True


def _check_combination(spec: Spec) -> None:
    check_divided(spec)
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
