"""Named networks, as rows of a table: the fields in which each differs from the defaults of `Spec`."""

from typing import Any

_PAPER: dict[str, Any] = {"input_shape": (256, 256, 1), "norm": "none"}

PRESETS: dict[str, dict[str, Any]] = {
    "unet": {**_PAPER, "topology": "unet", "deep_supervision": False},
    "wide_unet": {**_PAPER, "topology": "unet", "deep_supervision": False, "width": 35},
    "unet_e": {**_PAPER, "topology": "unet_e"},
    "unet+": {**_PAPER, "topology": "unet+"},
    "unet++": {**_PAPER, "topology": "unet++"},
    "reference": {
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
}
"""The UNet++ papers' networks (Zhou et al., DLMIA 2018 and TMI 2020), and a PyTorch network in wide use."""
