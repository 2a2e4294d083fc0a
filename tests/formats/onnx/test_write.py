import json
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from precision import precision
from sampling import sampled

from keras_unetpp.exporting import export
from keras_unetpp.formats.functions import functions, signature
from keras_unetpp.formats.onnx import quantize as onnx_quantize
from keras_unetpp.formats.onnx import run as onnx_file
from keras_unetpp.formats.onnx import write as onnx_export
from keras_unetpp.formats.signature import Signature
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.predictor import segment
from keras_unetpp.pruning import prune
from keras_unetpp.spec.fields import FIELDS

MISSING = [name for name in ("tf2onnx", "onnx", "onnxruntime") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; pip install 'keras-unetpp[onnx]'"
)


def model_of(**fields):
    keras.utils.set_random_seed(1)
    return build(fields.pop("shape", (None, None, 3)), width=4, **fields)


@pytest.fixture(scope="module")
def model():
    return model_of(depth=2, up="bilinear", normalization="standardize")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("up", sampled(FIELDS["up"].metadata["allowed"], ["nearest"]))
def test_all_levels_at_any_size(up, image, tmp_path):
    model = model_of(depth=2, up=up, normalization="standardize")
    report = export(model, tmp_path / "a.onnx")
    assert [row.name for row in report.rows] == ["L1", "L2", "mean"]
    assert all(row.difference < 1e-5 and row.agreement > 0.999 for row in report.rows)
    run = onnx_file.open(tmp_path / "a.onnx").functions
    batch = np.stack([image, image[::-1]])
    expected = np.stack([segment(model, one) for one in batch])
    np.testing.assert_allclose(run["L2"](batch), expected, atol=1e-5)


def test_channels_first_another_opset_and_what_the_file_says_of_itself(model, image, tmp_path):
    import onnx

    path = tmp_path / "a.onnx"
    export(model, path, levels=1, layout="NCHW", opset=13, labels=["cell"], author="A", licence="B")
    proto = onnx.load(path)
    assert [item.version for item in proto.opset_import if not item.domain] == [13]
    (source,), (target,) = proto.graph.input, proto.graph.output
    assert (source.name, target.name) == ("image", "L1")
    assert source.type.tensor_type.shape.dim[1].dim_value == 3
    assert target.type.tensor_type.shape.dim[1].dim_value == 1
    about = {item.key: item.value for item in proto.metadata_props}
    assert json.loads(about.pop("spec")) == model.spec.to_dict()
    assert Signature.from_json(about.pop("signature")) == signature(model, levels=1)
    assert about == {"output": "probabilities", "layout": "NCHW", "labels": "cell", "author": "A", "licence": "B"}
    np.testing.assert_allclose(
        onnx_file.open(path).functions["L1"](image[None])[0], segment(model, image, 1), atol=1e-5
    )


def test_a_dark_image_with_a_bright_part_is_normalised_as_exactly(model, tmp_path):
    dark = np.random.default_rng(2).integers(9, 12, (400, 500, 3), dtype=np.uint8)
    dark[:100, :250] = 250
    report = export(model, tmp_path / "a.onnx", levels=1, images=[dark])
    assert report.images[-1] == (400, 500)
    assert report.rows[0].difference < 2e-5


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_masks_of_whole_pixel_values_at_a_fixed_size(layout, image, tmp_path):
    model = model_of(depth=1, classes=3)
    export(model, tmp_path / "a.onnx", size=(21, 30), input="uint8", output="mask", layout=layout)
    mask = onnx_file.open(tmp_path / "a.onnx").functions["L1"](image[None])[0]
    assert mask.dtype == np.uint8
    assert np.mean(mask == segment(model, image, output="mask")) > 0.999


OF_VOLUMES = [{}, {"layout": "NCHW", "input": "uint8"}, {"layout": "NCHW", "size": (7, 10, 9), "output": "logits"}]


@pytest.mark.parametrize("options", sampled(OF_VOLUMES, OF_VOLUMES[1:2]))
def test_volumes(options, tmp_path):
    model = model_of(shape=(None, None, None, 1), depth=2, classes=3, normalization="standardize")
    report = export(model, tmp_path / "a.onnx", **options)
    assert [row.name for row in report.rows] == ["L1", "L2", *(["mean"] if "output" not in options else [])]
    volume = np.random.default_rng(3).integers(0, 256, (7, 10, 9), dtype=np.uint8)
    for output in ("probabilities", "mask"):
        expected = segment(model, volume, output=output)
        np.testing.assert_allclose(segment(tmp_path / "a.onnx", volume, output=output), expected, atol=1e-5)


def test_volumes_of_8_bits(tmp_path):
    model = model_of(shape=(None, None, None, 1), depth=1)
    volume = np.random.default_rng(3).integers(0, 256, (8, 10, 12, 1), dtype=np.uint8)
    model = balanced(model, volume)
    labelled = [volume], [segment(model, volume, output="mask")]
    report = export(model, tmp_path / "a.onnx", quantize="int8", calibration=[volume], labelled=labelled, max_drop=0.2)
    assert report.accuracy[0].model_iou == 1
    assert report.accuracy[0].iou > 0.8


def test_a_pruned_model_in_mixed_precision(tmp_path):
    with precision("mixed_float16"):
        model = model_of(depth=2)
    report = export(prune(model, 1), tmp_path / "a.onnx", output="logits")
    assert [row.name for row in report.rows] == ["L1"]
    assert report.rows[0].difference < 1e-5


def balanced(model, image):
    """Changes the heads so that about half of an image is foreground."""
    for name, values in model(image[None], training=False).items():
        bias = model.get_layer(f"{name}_conv").bias
        bias.assign(bias - float(np.median(np.log(values / (1 - values)))))
    return model


@pytest.mark.parametrize(
    "options", [{}, {"size": (20, 32), "input": "uint8", "layout": "NCHW", "output": "logits", "levels": [1, 2]}]
)
def test_8_bits(options, tmp_path):
    model, rng = model_of(depth=2, normalization="standardize"), np.random.default_rng(5)
    # A dark and a bright image: 8-bit variances would make the dark one flat.
    images = [rng.integers(0, high, (20, 32, 3), dtype=np.uint8) for high in (6, 255)]
    model = balanced(model, images[1])
    report = export(model, tmp_path / "a.onnx", quantize="int8", calibration=images, images=images, **options)
    assert report.tolerance is None
    assert report.images[-2:] == ((20, 32), (20, 32))
    assert all(0 < row.difference < 0.3 and row.agreement > 0.9 for row in report.rows)
    for image in images:
        assert np.abs(segment(tmp_path / "a.onnx", image) - segment(model, image)).max() < 0.1
    kinds = [node.op_type for node in onnx_proto(tmp_path / "a.onnx").graph.node]
    assert kinds.count("QuantizeLinear") > 5


def onnx_proto(path):
    import onnx

    return onnx.load(path)


def test_exact_gelu(tmp_path):
    report = export(model_of(depth=1, activation="gelu"), tmp_path / "a.onnx")
    assert report.rows[0].difference < 1e-5
    assert {item.domain for item in onnx_proto(tmp_path / "a.onnx").opset_import} <= {"", "ai.onnx.ml"}


def test_an_operation_that_onnx_has_not():
    from onnx import helper

    nodes = [
        helper.make_node(kind, ["x"], ["y"], name=f"net/x_0_0_block3b_act_2_1/{kind}") for kind in ("Erfinv", "Erf")
    ]
    with pytest.raises(InputError) as caught:
        onnx_export._check_operations(helper.make_model(helper.make_graph(nodes, "g", [], [])), ["x_0_0_block3b_act_2"])
    assert str(caught.value) == (
        "ONNX cannot compute Erfinv, which layer x_0_0_block3b_act_2 needs. Export a SavedModel or TFLite, or build the"
        " network without."
    )


def test_8_bits_that_lose_too_much(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)
    images = [rng.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(2)]
    model = balanced(model_of(depth=1, norm="none"), images[0])
    masks = [segment(model, image, output="mask") for image in images]
    tried = []

    def quantized(proto, fed, spare_ends, own=onnx_quantize.quantized):
        tried.append(spare_ends)
        return own(proto, fed, spare_ends)

    monkeypatch.setattr(onnx_export, "quantized", quantized)
    options = {"quantize": "int8", "calibration": images, "labelled": (images, masks), "verify": False}
    with pytest.raises(InputError) as caught:
        export(model, tmp_path / "a.onnx", **options, max_drop=0)
    assert str(caught.value).startswith("IoU or Dice on the labelled images drops by more than max_drop=0: L1 by 0.")
    assert str(caught.value).endswith(". Use quantize=None, give more calibration images or raise max_drop.")
    assert tried == [False, True]
    assert list(tmp_path.iterdir()) == []
    (found,) = export(model, tmp_path / "a.onnx", **options, max_drop=1.0).accuracy
    assert (found.model_iou, found.model_dice) == (1.0, 1.0)
    got = [segment(tmp_path / "a.onnx", image, output="mask") for image in images]
    ious = [(a & b).sum() / (a | b).sum() for a, b in zip(got, masks, strict=True)]
    assert found.iou == pytest.approx(np.mean(ious))


def test_first_and_last_convolutions_spared():
    model = model_of(depth=1, norm="none", up="nearest")
    own = signature(model, size=16)
    whole = onnx_export._converted(functions(model, own), own, 17, False)
    images = [np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)]

    def convolutions(spare_ends):
        graph = onnx_quantize.quantized(whole, images, spare_ends).graph
        made = {name for node in graph.node for name in node.output}
        # A kernel of 8 bits is made of one, by DequantizeLinear; one of float is a constant.
        return [node.input[1] in made for node in graph.node if node.op_type == "Conv"]

    assert convolutions(False) == [True] * 7
    assert convolutions(True) == [False, False, *[True] * 4, False]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"opset": 9}, r"opset must be from 13 to 18\. Received: 9\."),
        ({"layout": "nchw"}, r"layout must be 'NHWC' or 'NCHW'\. Received: 'nchw'\."),
        ({"input": "image_bytes"}, r"ONNX has no operation that decodes images\."),
        ({"quantize": "int4"}, r"quantize must be None or 'int8' in ONNX\. Received: 'int4'\."),
        ({"quantize": "int8"}, r"quantize='int8' needs calibration=, .* Received: none\. quantize=None needs none\."),
        ({"max_drop": -1}, r"max_drop must be a number from 0 to 1\. Received: -1\."),
        ({"labels": ["a", "b", "c"]}, r"labels must be 1 or 2 texts, one a class\."),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(model, options, text, tmp_path):
    with pytest.raises(InputError, match=text):
        export(model, tmp_path / "a.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"ONNX Runtime cannot open .*a\.onnx: "):
        onnx_file.open(tmp_path / "a.onnx")
