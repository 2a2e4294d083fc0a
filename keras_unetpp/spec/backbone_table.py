"""Which networks can be the encoder, as data: what builds each, where it is tapped, how the image is normalised.

A family states its pattern once; its variants fill in what differs, mostly how many blocks a stage has. A tap is the
output of the last block of a resolution. In all families but NASNet, whose cells read the two cells before them, what
comes after a tap reaches what comes before only through it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


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
class Entry:
    """A row of the table.

    Attributes:
        name: what `Spec.backbone` calls it.
        template: module of `graph.encoders.families` that builds it: `applications`, `lite`, `resnet` or `vgg`.
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


COARSEST = 32
"""Reduction of the last tap of every row."""

_APACHE = "Apache-2.0, the TensorFlow authors"
_UNSTATED = "not stated by Keras' documentation: see source"


class _Variant(NamedTuple):
    """A network of a family: its values fill the `{}` of the family's tap names, coarsest last."""

    name: str
    builder: str
    values: tuple[int | str, ...] = ()
    arguments: tuple[tuple[str, float | bool], ...] = ()


class _Family(NamedTuple):
    """What networks of a family share; `taps` are separated by blanks, each at half the sides of the one before."""

    paper: str
    scaling: str
    stem: str
    taps: str
    variants: Iterable[_Variant]
    licence: str = _UNSTATED
    template: str = "applications"
    bgr: bool = False

    def rows(self) -> Iterator[Entry]:
        """The rows of the table."""
        for name, builder, values, arguments in self.variants:
            layers = self.taps.format(*values).split()
            taps = tuple((COARSEST >> step, layer) for step, layer in enumerate(reversed(layers)))[::-1]
            stem = self.stem.format(*values)
            yield Entry(
                name, self.template, builder, arguments, taps, stem, self.scaling, self.bgr, self.paper, self.licence
            )


def _ends(counts: Iterable[int], single: str = "project_bn") -> tuple[str, ...]:
    """Letter of the last block of each stage and its last layer: a stage of one block has nothing to add."""
    return tuple(f"{chr(ord('a') + count - 1)}_{'add' if count > 1 else single}" for count in counts)


def _scaled(depth: float, counts: Iterable[int]) -> tuple[int, ...]:
    """Blocks of each stage at a depth coefficient."""
    return tuple(math.ceil(depth * count) for count in counts)


def _widths(name: str, builder: str, *percents: int) -> tuple[_Variant, ...]:
    """The variants of other widths that have ImageNet weights."""
    return tuple(_Variant(f"{name}_{part:03}", builder, (), (("alpha", part / 100),)) for part in percents)


def _v3(size: str, builder: str) -> tuple[_Variant, ...]:
    """The variants of MobileNetV3 that have ImageNet weights; their value: the stem's activation."""
    name = f"mobilenet_v3_{size}"
    return (
        _Variant(name, builder, ("activation_0",)),
        _Variant(f"{name}_075", builder, ("activation_0",), (("alpha", 0.75),)),
        _Variant(f"{name}_minimalistic", builder, ("re_lu_0",), (("minimalistic", True),)),
    )


def _last_sums(*counts: int) -> tuple[int, ...]:
    """Number of the last sum of each stage, counted from 0 through the network."""
    return tuple(sum(counts[: stage + 1]) - 1 for stage in range(len(counts)))


_RESNETS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_RESNET = "conv1_relu conv2_block{0}_out conv3_block{1}_out conv4_block{2}_out conv5_block{3}_out"
_SEVEN_STAGES = "block1{0} block2{1} block3{2} block5{3} block7{4}"
_SIX_STAGES = "block1{0} block2{1} block3{2} block5{3} block6{4}"

FAMILIES = (
    _Family(
        "Simonyan & Zisserman, arXiv:1409.1556",
        "caffe",
        "block1_conv1",
        "block1_conv2 block2_conv2 block3_conv{0} block4_conv{0} block5_conv{0} block5_pool",
        (_Variant("vgg16", "VGG16", (3,)), _Variant("vgg19", "VGG19", (4,))),
        "CC BY 4.0, Visual Geometry Group, Oxford",
        bgr=True,
    ),
    _Family(
        "He et al., arXiv:1512.03385",
        "caffe",
        "conv1_conv",
        _RESNET,
        tuple(_Variant(f"resnet{size}", f"ResNet{size}", counts) for size, counts in _RESNETS.items()),
        "MIT, Kaiming He",
        bgr=True,
    ),
    _Family(
        "He et al., arXiv:1603.05027",
        "tf",
        "conv1_conv",
        # Keras strides in the last block of a stack, so the block before it ends a resolution.
        "conv1_conv conv2_block{0}_out conv3_block{1}_out conv4_block{2}_out post_relu",
        tuple(
            _Variant(f"resnet{size}_v2", f"ResNet{size}V2", tuple(count - 1 for count in counts))
            for size, counts in _RESNETS.items()
        ),
        "BSD, fb.resnet.torch, Facebook",
    ),
    _Family(
        "Huang et al., arXiv:1608.06993",
        "torch",
        "conv1_conv",
        "conv1_relu pool2_relu pool3_relu pool4_relu relu",
        tuple(_Variant(f"densenet{size}", f"DenseNet{size}") for size in (121, 169, 201)),
        "BSD-3-Clause, the paper's authors",
    ),
    _Family(
        "Szegedy et al., arXiv:1512.00567",
        "tf",
        "conv2d_0",
        "activation_2 activation_4 mixed2 mixed7 mixed10",
        (_Variant("inception_v3", "InceptionV3"),),
        _APACHE,
    ),
    _Family(
        "Szegedy et al., arXiv:1602.07261",
        "tf",
        "conv2d_0",
        "activation_2 activation_4 block35_10_ac block17_20_ac conv_7b_ac",
        (_Variant("inception_resnet_v2", "InceptionResNetV2"),),
        _APACHE,
    ),
    _Family(
        "Chollet, arXiv:1610.02357",
        "tf",
        "block1_conv1",
        "block1_conv2_act add_0 add_1 add_10 block14_sepconv2_act",
        (_Variant("xception", "Xception"),),
        "MIT, Keras",
    ),
    _Family(
        "Howard et al., arXiv:1704.04861",
        "tf",
        "conv1",
        "conv_pw_1_relu conv_pw_3_relu conv_pw_5_relu conv_pw_11_relu conv_pw_13_relu",
        (_Variant("mobilenet", "MobileNet"), *_widths("mobilenet", "MobileNet", 25, 50, 75)),
        _APACHE,
    ),
    _Family(
        "Sandler et al., arXiv:1801.04381",
        "tf",
        "Conv1",
        "expanded_conv_project_BN block_2_add block_5_add block_12_add block_16_project_BN",
        (_Variant("mobilenet_v2", "MobileNetV2"), *_widths("mobilenet_v2", "MobileNetV2", 35, 50, 75, 130, 140)),
        _APACHE,
    ),
    _Family(
        "Howard et al., arXiv:1905.02244",
        "tf",
        "conv",
        "{0} expanded_conv_project_bn expanded_conv_2_add expanded_conv_7_add expanded_conv_10_add",
        _v3("small", "MobileNetV3Small"),
    ),
    _Family(
        "Howard et al., arXiv:1905.02244",
        "tf",
        "conv",
        "expanded_conv_add expanded_conv_2_add expanded_conv_5_add expanded_conv_11_add expanded_conv_14_add",
        _v3("large", "MobileNetV3Large"),
    ),
    _Family(
        "Tan & Le, arXiv:1905.11946",
        "torch",
        "stem_conv",
        _SEVEN_STAGES,
        tuple(
            _Variant(f"efficientnet_b{number}", f"EfficientNetB{number}", _ends(_scaled(depth, (1, 2, 2, 3, 1))))
            for number, depth in enumerate((1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1))
        ),
    ),
    _Family(
        "Tan & Le, arXiv:2104.00298",
        "torch",
        "stem_conv",
        _SIX_STAGES,
        tuple(
            _Variant(
                f"efficientnet_v2_b{number}",
                f"EfficientNetV2B{number}",
                _ends(_scaled(depth, (1, 2, 2, 5, 8)), "project_activation"),
            )
            for number, depth in enumerate((1.0, 1.1, 1.2, 1.4))
        ),
    ),
    _Family(
        "Tan & Le, arXiv:2104.00298",
        "128",
        "stem_conv",
        _SIX_STAGES,
        (_Variant("efficientnet_v2_s", "EfficientNetV2S", _ends((2, 4, 4, 9, 15))),),
    ),
    _Family(
        "Tan & Le, arXiv:2104.00298",
        "128",
        "stem_conv",
        _SEVEN_STAGES,
        (
            _Variant("efficientnet_v2_m", "EfficientNetV2M", _ends((3, 5, 5, 14, 5))),
            _Variant("efficientnet_v2_l", "EfficientNetV2L", _ends((4, 7, 7, 19, 7))),
        ),
    ),
    _Family(
        "Liu et al., arXiv:2201.03545",
        "torch",
        "{0}_stem_conv",
        "add_{1} add_{2} add_{3} add_{4}",
        tuple(
            _Variant(f"convnext_{size}", builder, (f"convnext_{size}", *_last_sums(3, 3, middle, 3)))
            for size, builder, middle in (
                *(("tiny", "ConvNeXtTiny", 9), ("small", "ConvNeXtSmall", 27), ("base", "ConvNeXtBase", 27)),
                *(("large", "ConvNeXtLarge", 27), ("xlarge", "ConvNeXtXLarge", 27)),
            )
        ),
    ),
    _Family(
        "Zoph et al., arXiv:1707.07012",
        "tf",
        "stem_conv1",
        "stem_bn1 reduction_concat_stem_1 normal_concat_{0} normal_concat_{1} activation_{2}",
        (
            _Variant("nasnet_mobile", "NASNetMobile", (3, 8, 187)),
            _Variant("nasnet_large", "NASNetLarge", (5, 12, 259)),
        ),
        _APACHE,
    ),
    _Family(
        "Tan & Le, arXiv:1905.11946, and the TensorFlow blog of March 2020",
        "lite",
        "stem_conv",
        _SEVEN_STAGES,
        tuple(
            # The first and the last stage are not scaled.
            _Variant(f"efficientnet_lite{number}", "", _ends((1, *_scaled(depth, (2, 2, 3)), 1)))
            for number, depth in enumerate((1.0, 1.1, 1.2, 1.4, 1.8))
        ),
        "Apache-2.0, efficientnet-lite-pytorch",
        template="lite",
    ),
    _Family(
        "He et al., arXiv:1512.03385",
        "torch",
        "conv1_conv",
        _RESNET,
        (_Variant("resnet18", "", (2, 2, 2, 2)), _Variant("resnet34", "", (3, 4, 6, 3))),
        "no weights ship or are fetched",
        template="resnet",
    ),
    _Family(
        "Simonyan & Zisserman, arXiv:1409.1556",
        "torch",
        "block1_conv1",
        "block1_conv{0} block2_conv{1} block3_conv{2} block4_conv{3} block5_conv{4} block5_pool",
        (_Variant("vgg11", "", (1, 1, 2, 2, 2)), _Variant("vgg13", "", (2, 2, 2, 2, 2))),
        "no weights ship or are fetched",
        template="vgg",
    ),
)

BACKBONES = {row.name: row for family in FAMILIES for row in family.rows()}
