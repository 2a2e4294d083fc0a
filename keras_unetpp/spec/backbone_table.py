"""Which networks can be the encoder, as data: what builds each, where it is tapped, how the image is normalised.

A family states its pattern once; its variants fill in what differs, mostly how many blocks a stage has. A tap is the
output of the last block of a resolution. In all families but NASNet, whose cells read the two cells before them, what
comes after a tap reaches what comes before only through it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from keras_unetpp.errors import InputError, hint


class Scaling(NamedTuple):
    """Normalisation of RGB pixel values 0..255: (pixel - mean) / std, channel by channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


SCALINGS = {
    "caffe": Scaling((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    "tf": Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": Scaling((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)),
    "128": Scaling((128.0, 128.0, 128.0), (128.0, 128.0, 128.0)),
    "lite": Scaling((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
}
"""The first three are the modes of `keras.applications.imagenet_utils.preprocess_input`, in RGB."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A row of the table.

    Attributes:
        name: what `Spec.backbone` calls it.
        template: module of `graph.templates` that builds it: `applications`, `lite` or `resnet`.
        builder: the function in `keras.applications`; empty for the other templates.
        arguments: further arguments of that function.
        taps: (reduction, layer) pairs: the layer of the template whose output has input / reduction pixels a side.
        stem: the layer of the template that convolves the image.
        scaling: key of `SCALINGS`: what the network was trained on.
        bgr: the original weights take BGR; the template takes RGB.
        paper: where the network comes from.
        licence: of the ImageNet weights, as their publisher states it.
    """

    name: str
    template: str
    builder: str
    arguments: tuple[tuple[str, float | bool], ...]
    taps: tuple[tuple[int, str], ...]
    stem: str
    scaling: str
    bgr: bool
    paper: str
    licence: str

    @property
    def mean(self) -> tuple[float, float, float]:
        """Per channel R, G, B, in pixel values 0..255: what is subtracted."""
        return SCALINGS[self.scaling].mean

    @property
    def std(self) -> tuple[float, float, float]:
        """Per channel R, G, B, in pixel values 0..255: what is divided by."""
        return SCALINGS[self.scaling].std

    @property
    def reductions(self) -> tuple[int, ...]:
        """Input pixels per tap pixel along a side, finest first."""
        return tuple(reduction for reduction, _ in self.taps)


class _Variant(NamedTuple):
    """A network of a family: its values fill the `{}` of the family's tap names, coarsest last."""

    name: str
    builder: str
    values: tuple[int | str, ...] = ()
    arguments: tuple[tuple[str, float | bool], ...] = ()


class _Family(NamedTuple):
    """What networks of a family share."""

    paper: str
    scaling: str
    stem: str
    taps: Mapping[int, str]
    variants: Iterable[_Variant]
    licence: str = "stated by neither Keras nor the file: see the paper's authors"
    template: str = "applications"
    bgr: bool = False

    def rows(self) -> Iterator[Backbone]:
        """The rows of the table."""
        for name, builder, values, arguments in self.variants:
            taps = tuple((reduction, tap.format(*values)) for reduction, tap in self.taps.items())
            stem = self.stem.format(*values)
            yield Backbone(
                name, self.template, builder, arguments, taps, stem, self.scaling, self.bgr, self.paper, self.licence
            )


def _ends(counts: Iterable[int], single: str = "project_bn") -> tuple[str, ...]:
    """Letter of the last block of each stage and its last layer: a stage of one block has nothing to add."""
    return tuple(f"{chr(ord('a') + count - 1)}_{'add' if count > 1 else single}" for count in counts)


def _scaled(depth: float, counts: Iterable[int]) -> tuple[int, ...]:
    """Blocks of each stage at a depth coefficient."""
    return tuple(math.ceil(depth * count) for count in counts)


_RESNETS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_B_DEPTHS = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1)
_STAGE_ENDS = {2: "block1{}", 4: "block2{}", 8: "block3{}", 16: "block5{}", 32: "block7{}"}
_STAGE_ENDS_OF_6 = {**_STAGE_ENDS, 32: "block6{}"}
_EFFICIENTNET = "Tan & Le, EfficientNet, arXiv:1905.11946"
_EFFICIENTNET_V2 = "Tan & Le, EfficientNetV2, arXiv:2104.00298"

FAMILIES = (
    _Family(
        "Simonyan & Zisserman, VGG, arXiv:1409.1556",
        "caffe",
        "block1_conv1",
        {
            **{1: "block1_conv2", 2: "block2_conv2", 4: "block3_conv{0}", 8: "block4_conv{0}", 16: "block5_conv{0}"},
            32: "block5_pool",
        },
        (_Variant("vgg16", "VGG16", (3,)), _Variant("vgg19", "VGG19", (4,))),
        licence="CC BY, Visual Geometry Group, Oxford",
        bgr=True,
    ),
    _Family(
        "He et al., ResNet, arXiv:1512.03385",
        "caffe",
        "conv1_conv",
        {2: "conv1_relu", **{4 * 2**stage: f"conv{stage + 2}_block{{{stage}}}_out" for stage in range(4)}},
        tuple(_Variant(f"resnet{size}", f"ResNet{size}", counts) for size, counts in _RESNETS.items()),
        licence="MIT, Kaiming He",
        bgr=True,
    ),
    _Family(
        _EFFICIENTNET,
        "torch",
        "stem_conv",
        _STAGE_ENDS,
        tuple(
            _Variant(f"efficientnet_b{number}", f"EfficientNetB{number}", _ends(_scaled(depth, (1, 2, 2, 3, 1))))
            for number, depth in enumerate(_B_DEPTHS)
        ),
    ),
    _Family(
        "Sandler et al., MobileNetV2, arXiv:1801.04381",
        "tf",
        "Conv1",
        {
            **{2: "expanded_conv_project_BN", 4: "block_2_add", 8: "block_5_add", 16: "block_12_add"},
            32: "block_16_project_BN",
        },
        (
            _Variant("mobilenet_v2", "MobileNetV2"),
            *(
                _Variant(f"mobilenet_v2_{percent:03}", "MobileNetV2", (), (("alpha", percent / 100),))
                for percent in (35, 50, 75, 130, 140)
            ),
        ),
    ),
)

BACKBONES = {row.name: row for family in FAMILIES for row in family.rows()}


def backbone(name: str) -> Backbone:
    """The row of a name.

    Raises:
        InputError: naming the rows there are.

    >>> backbone("resnet50").taps[-1]
    (32, 'conv5_block3_out')
    """
    if name not in BACKBONES:
        raise InputError(f"Unknown backbone {name!r}.{hint(name, BACKBONES)} Backbones: {', '.join(BACKBONES)}.")
    return BACKBONES[name]
