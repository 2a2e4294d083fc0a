import json
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from keras_unetpp.artefacts import onnx as onnx_file
from keras_unetpp.artefacts.signature import Signature
from keras_unetpp.errors import InputError
from keras_unetpp.export import export
from keras_unetpp.export.signature import signature
from keras_unetpp.graph.build import build
from keras_unetpp.inference import segment
from keras_unetpp.pruning import prune

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


@pytest.mark.parametrize("up", ["transpose", "nearest", "bilinear"])
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
    export(model, path, levels=1, layout="NCHW", opset=13, labels=["cell"])
    proto = onnx.load(path)
    assert [item.version for item in proto.opset_import if not item.domain] == [13]
    (source,), (target,) = proto.graph.input, proto.graph.output
    assert (source.name, target.name) == ("image", "L1")
    assert source.type.tensor_type.shape.dim[1].dim_value == 3
    assert target.type.tensor_type.shape.dim[1].dim_value == 1
    about = {item.key: item.value for item in proto.metadata_props}
    assert json.loads(about.pop("spec")) == model.spec.to_dict()
    assert Signature.from_json(about.pop("signature")) == signature(model, levels=1)
    assert about == {"output": "probabilities", "layout": "NCHW", "labels": "cell"}
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


def test_a_pruned_model_in_mixed_precision(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_of(depth=2)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    report = export(prune(model, 1), tmp_path / "a.onnx", output="logits")
    assert [row.name for row in report.rows] == ["L1"]
    assert report.rows[0].difference < 1e-5


def test_volumes(tmp_path):
    model = model_of(shape=(None, None, None, 1), depth=1, up="transpose", norm="none")
    assert export(model, tmp_path / "a.onnx").rows[0].difference < 1e-5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"opset": 9}, r"opset must be from 13 to 18\. Received: 9\."),
        ({"layout": "nchw"}, r"layout must be 'NHWC' or 'NCHW'\. Received: 'nchw'\."),
        ({"input": "image_bytes"}, r"ONNX has no operation that decodes images\."),
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
