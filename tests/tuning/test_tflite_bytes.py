import numpy as np
import pytest

from keras_unetpp.exporting import export
from keras_unetpp.graph.build import build
from keras_unetpp.spec import Spec
from keras_unetpp.tuning.tflite_bytes import tflite_bytes

SPECS = (
    {"width": 48, "depth": 1, "block": "preact", "head": "preact"},
    {"width": 3, "depth": 1, "norm": "none", "topology": "unet"},
    {"width": 8, "depth": 2, "norm": "group", "normalization": "standardize", "activation": "selu"},
    {"width": 4, "depth": 1, "norm": "none", "input_shape": (16, 16, 16, 2), "down": "l2"},
)
MORE = (
    {"width": 8, "depth": 4},
    {"width": 4, "depth": 2, "input_shape": (16, 16, 16, 2), "down": "strided"},
    {
        "width": 4,
        "depth": 2,
        "norm": "none",
        "block": "preact",
        "attention": "se",
        "squeeze_ratio": 1,
        "up": "bottleneck",
    },
    {"width": 5, "depth": 2, "norm": "instance", "up": "bilinear", "activation": "mish", "classes": 4},
    {"width": 12, "depth": 2, "norm": "layer", "topology": "unet+", "up": "nearest", "dropout": 0.2},
    {"width": 6, "depth": 3, "topology": "unet_e", "decoder_block": "preact", "activation": "softplus"},
    {"width": 8, "depth": 3, "backbone": "mobilenet_v3_small", "stem": False},
    {"width": 8, "depth": 3, "backbone": "convnext_tiny"},
    {"width": 4, "depth": 3, "backbone": "efficientnet_b0", "normalization": "standardize"},
)


def as_if_trained(model):
    """The model with weights that all differ: a file holds those that are alike, as most are at first, once."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize(
    "fields",
    [*SPECS, *(pytest.param(one, marks=pytest.mark.sweep) for one in MORE)],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
def test_the_file_is_never_larger_than_the_bound_and_the_bound_is_near(tmp_path, fields):
    spec = Spec(**{"input_shape": (32, 32, 3), **fields})
    path = tmp_path / "model.tflite"
    export(as_if_trained(build(spec)), path, verify=False)
    bound, real = tflite_bytes(spec), path.stat().st_size
    assert real <= bound
    assert bound - real < 0.15 * real + 40_000
