"""Named networks, as rows of a table: the fields in which each differs from the defaults of `Spec`."""

from typing import Any, NamedTuple

from keras_unetpp.spec.choices import Choices


class Preset(NamedTuple):
    """A row of `PRESETS`.

    Attributes:
        text: what it is.
        source: where it comes from.
        fields: of Spec, where they are not the defaults.
        departs: what in it is not as in the source; empty: nothing that bears on the weights.
        stated: parameters that the source states, in millions; None: it states none.
    """

    text: str
    source: str
    fields: dict[str, Any]
    departs: str = ""
    stated: float | None = None


ZHOU, JEGOU = "Zhou et al., DLMIA 2018 and IEEE TMI 2020", "Jegou et al., CVPR 2017 workshops"
SINGLE: dict[str, Any] = {"topology": "unet", "deep_supervision": False}
_PAPER: dict[str, Any] = {"input_shape": (256, 256, 1), "norm": "none"}
_VOLUME = (None, None, None, 1)
_VNET: dict[str, Any] = {
    **{"input_shape": _VOLUME, "classes": 2, "width": 16, "block": "residual", "block_layers": (1, 2, 3, 3, 3)},
    **{"down": "strided", "norm": "none", "activation": "prelu"},
}
_NOT_VNET = "kernels of side 3 in place of 5 and 2; 1x1 convolutions where what a block is given is of another width"


def _tiramisu(growth: int, layers: tuple[int, ...], stated: float) -> Preset:
    """A row of dense blocks: `layers` of them by row, the lowest last, on 48 channels of a first convolution."""
    *above, lowest = (growth * count for count in layers)
    fields = {
        **SINGLE,
        **{"classes": 11, "depth": len(above), "block": "dense", "growth_rate": growth, "block_layers": layers},
        "filters": (*(48 + sum(above[: row + 1]) for row in range(len(above))), lowest),
        **{"decoder_filters": tuple(above), "up_kernel": 3, "dropout": 0.2},
    }
    return Preset(
        f"U-Net of dense blocks of {', '.join(map(str, layers))} layers, growth {growth}", JEGOU, fields,
        "the first convolution is as wide as row 0; a 1x1 convolution ends every block, and skips and heads read it",
        stated,
    )  # fmt: skip


PRESETS: Choices[Preset] = Choices(
    {
        "unet": Preset("U-Net, width 32", ZHOU, {**_PAPER, **SINGLE}, stated=7.76),
        "wide_unet": Preset("U-Net as large as unet++", ZHOU, {**_PAPER, **SINGLE, "width": 35}, stated=9.13),
        "unet_e": Preset("U-Nets of all depths on one encoder", ZHOU, {**_PAPER, "topology": "unet_e"}),
        "unet+": Preset("U-Nets with short skips between their decoders", ZHOU, {**_PAPER, "topology": "unet+"}),
        "unet++": Preset("the nested U-Net with dense skips", ZHOU, {**_PAPER, "topology": "unet++"}, stated=9.04),
        "reference": Preset(
            "UNet++ as a PyTorch network in wide use has it",
            "Zhou et al., DLMIA 2018",
            {
                "input_shape": (256, 256, 3),
                "width": 64,
                "block": "conv",
                "decoder_block": "preact",
                "up_kernel": 4,
                "normalization": "none",
                "head": "preact",
                "head_kernel": 3,
                "head_activation": "linear",
            },
        ),
        "unet_2015": Preset(
            "the first U-Net, width 64",
            "Ronneberger et al., MICCAI 2015",
            {**SINGLE, "input_shape": (None, None, 1), "classes": 2, "width": 64, "norm": "none"},
            "convolutions pad, so that sides stay; no dropout",
        ),
        "attention_unet": Preset(
            "U-Net of volumes with attention gates on its skips",
            "Oktay et al., MIDL 2018",
            {**SINGLE, "input_shape": _VOLUME, "classes": 2, "width": 16, "up": "nearest", "merge": "gate"},
            "gates work at the resolution of the skip; they read the node below; pixels are repeated, not interpolated",
        ),
        "fusionnet": Preset(
            "U-Net of residual blocks of three convolutions, whose skips are added",
            "Quan et al., arXiv:1612.05360",
            {**SINGLE, "width": 64, "block": "residual", "block_layers": (3,), "merge": "add"},
            "no convolution before and after each residual block",
        ),
        "resunet": Preset(
            "U-Net of three rows of residual blocks, with strides in place of pooling",
            "Zhang et al., IEEE GRSL 2018",
            {**SINGLE, "width": 64, "depth": 3, "block": "residual", "down": "strided", "up": "nearest"},
            "normalisation follows convolutions; those with strides stand by themselves; 1x1 shortcuts are counted",
            7.8,
        ),
        "dla": Preset(
            "residual blocks whose rows are aggregated one after the other",
            "Yu et al., CVPR 2018",
            {"topology": "unet+", "block": "residual", "deep_supervision": False},
            "aggregation between rows alone, without the trees within them, on an encoder of one block a row",
        ),
        "resnext_unet": Preset(
            "U-Net of grouped bottlenecks",
            "Xie et al., CVPR 2017; Ronneberger et al., MICCAI 2015",
            {**SINGLE, "block": "grouped", "block_layers": (2,), "cardinality": 32},
            "a U-Net of the paper's block, as wide inside as outside; not a network of the paper",
        ),
        "xception_unet": Preset(
            "U-Net of depthwise separable convolutions",
            "Chollet, CVPR 2017; Ronneberger et al., MICCAI 2015",
            {**SINGLE, "block": "separable"},
            "a U-Net of the paper's convolutions, without shortcuts; not a network of the paper",
        ),
        "all_cnn_unet": Preset(
            "U-Net of nothing but convolutions",
            "Springenberg et al., ICLR 2015 workshops; Ronneberger et al., MICCAI 2015",
            {**SINGLE, "down": "strided"},
            "a U-Net of the paper's down-sampling; not a network of the paper",
        ),
        "fcn8s": Preset(
            "what VGG-16 says of the classes in its three lowest rows, added, then up-sampled by eight at once",
            "Long et al., CVPR 2015",
            {
                **{"topology": "fcn", "deep_supervision": False, "backbone": "vgg16", "depth": 5, "classes": 21},
                **{"decoder_filters": (21,) * 5, "up_kernel": 4, "merge": "add", "decoder_block": "pass"},
                "norm": "none",
            },
            "no two layers of 4096 channels below the lowest row; transposed convolutions read what rows give; a 1x1"
            " convolution follows the last",
            134,
        ),
        "linknet": Preset(
            "sums of what the rows of ResNet-18 give, up-sampled through bottlenecks",
            "Chaurasia and Culurciello, VCIP 2017",
            {
                **SINGLE,
                **{"backbone": "resnet18", "stem": False, "filters": (64, 64, 128, 256), "bias": False},
                **{"up": "bottleneck", "up_kernel": 3, "merge": "add", "decoder_block": "pass"},
            },
            "a skip at half of the sides, too; there the head stands, and is interpolated to full resolution",
            11.5,
        ),
        "tiramisu56": _tiramisu(12, (4,) * 6, 1.5),
        "tiramisu67": _tiramisu(16, (5,) * 6, 3.5),
        "tiramisu103": _tiramisu(16, (4, 5, 7, 10, 12, 15), 9.4),
        "vnet": Preset(
            "U-Net of volumes of residual blocks, with strides in place of pooling",
            "Milletari et al., 3DV 2016",
            {**_VNET, **SINGLE},
            _NOT_VNET,
        ),
        "vnet++": Preset("vnet, nested", ZHOU, _VNET, _NOT_VNET),
        "nnunet": Preset(
            "U-Net of volumes as the self-configuring method begins with",
            "Isensee et al., Nature Methods 2021",
            {
                **SINGLE,
                **{"input_shape": _VOLUME, "depth": 5, "max_filters": 320, "down": "strided", "norm": "instance"},
                **{"activation": "leaky_relu", "activation_slope": 0.01, "normalization": "standardize"},
            },
            "convolutions with strides stand by themselves; one head; every axis is halved in every row",
        ),
    }
)
"""Networks of papers, and one in wide use, as near as the tables of design choices come; `Spec.preset` takes them."""
