import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sampling import sampled

from keras_unetpp.exporting import export
from keras_unetpp.exporting.accuracy import agreement, disagreement, masks_of
from keras_unetpp.exporting.samples import labelled_folder
from keras_unetpp.formats.signature import Signature
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install 'keras-unetpp[mobile]'")

SIDE = 16


@pytest.fixture(scope="module")
def model():
    """A network whose foreground are the pixels above 127."""
    keras.utils.set_random_seed(0)
    model = build((None, None, 1), width=4, depth=1, norm="none", normalization="rescale")
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(keras.ops.zeros(weight.shape))
    chosen = {"x_0_0_conv1": 0, "x_0_0_conv2": 0, "x_0_1_conv1": 4, "x_0_1_conv2": 0, "L1_conv": 0}
    for name, channel in chosen.items():
        kernel = np.zeros(model.get_layer(name).kernel.shape, np.float32)
        middle = kernel.shape[0] // 2
        kernel[middle, middle, channel, 0] = 40 if name == "L1_conv" else 1
        model.get_layer(name).kernel.assign(kernel)
    model.get_layer("L1_conv").bias.assign([-20.0])
    return model


@pytest.fixture(scope="module")
def data():
    """Squares of 200 on 40, and their masks."""
    masks = np.zeros((4, SIDE, SIDE, 1), np.uint8)
    for number in range(4):
        masks[number, 2 + number : 9 + number, 3:12] = 1
    return SimpleNamespace(images=(40 + 160 * masks).astype(np.uint8), masks=masks)


QUANTIZED = [("a.tflite", "int8"), ("a.tflite", "int8_float_io"), ("a.onnx", "int8")]


@pytest.fixture
def target(tmp_path):
    """Exports a file of 8 bits, and tells whether it was put in place."""

    def run(model, name, quantize, **options):
        if name.endswith(".onnx"):
            pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
        return export(model, tmp_path / name, size=SIDE, quantize=quantize, **options)

    yield run
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())


@pytest.mark.parametrize(("name", "quantize"), sampled([*QUANTIZED, ("a.tflite", "dynamic")], QUANTIZED))
def test_what_is_right_passes_without_a_word(name, quantize, model, data, target):
    options = {} if quantize == "dynamic" else {"calibration": data.images}
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        report = target(model, name, quantize, labelled=(data.images, data.masks), images=list(data.images), **options)
    assert report.accuracy[0].model_iou == 1
    assert report.accuracy[0].iou > 0.95


@pytest.mark.parametrize(("name", "quantize"), sampled(QUANTIZED, QUANTIZED[:1]))
@pytest.mark.parametrize("labelled", sampled([False, True], [True]))
def test_calibration_images_of_0_to_1(name, quantize, labelled, model, data, target, tmp_path):
    unit = data.images / 255
    options = {"labelled": (data.images, data.masks)} if labelled else {}
    with (
        pytest.warns(InputWarning, match=r"Images to calibrate on: 4 of 4 are odd; the first: float64 pixels of 0\.15"),
        pytest.raises(InputError),
    ):
        target(model, name, quantize, calibration=unit, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "quantize"), sampled(QUANTIZED, QUANTIZED[1:2]))
def test_ranges_that_do_not_reach_are_found_on_other_images(name, quantize, model, data, target, tmp_path):
    dark = data.images // 20
    for more in ({"images": list(data.images)}, {"labelled": (data.images, data.masks), "max_drop": 1}):
        with pytest.raises(InputError, match=r"(not those of the model: their mean IoU is L1 0\.0|cannot run)"):
            target(model, name, quantize, calibration=dark, **more)
        assert list(tmp_path.iterdir()) == []


def test_it_is_put_in_place_if_asked_for(model, data, target, tmp_path):
    options = {"calibration": data.images // 20, "images": list(data.images)}
    report = target(model, "a.tflite", "int8_float_io", min_agreement=0, **options)
    assert report.rows[0].difference > 0.5
    assert (tmp_path / "a.tflite").is_file()
    with pytest.raises(InputError, match=r"min_agreement must be a number from 0 to 1\. Received: 2\."):
        target(model, "a.tflite", "int8_float_io", min_agreement=2, **options)


def test_masks_that_are_empty_everywhere_are_told(model, data, target):
    with pytest.warns(InputWarning, match=r"The model's masks are one class everywhere at L1, so that the file's say"):
        target(model, "a.tflite", "int8_float_io", calibration=data.images // 2, verify=False)


@pytest.mark.filterwarnings("ignore::keras_unetpp.kit.errors.InputWarning")
@pytest.mark.parametrize("quantize", sampled([None, "float16", "dynamic", "int8"], ["int8"]))
@pytest.mark.parametrize("factor", [1 / 255, 0])
def test_a_model_that_finds_nothing_proves_nothing(quantize, factor, model, data, target, tmp_path):
    options = {"labelled": (data.images * factor, data.masks)}
    if quantize == "int8":
        options["calibration"] = data.images
    text = r"The model finds nothing on the labelled images: IoU below 0\.01, .*; or pass max_drop=1\."
    with pytest.raises(InputError, match=text):
        target(model, "a.tflite", quantize, **options)
    assert list(tmp_path.iterdir()) == []
    with pytest.warns(InputWarning, match=r"The model finds nothing on the labelled images"):
        target(model, "a.tflite", quantize, **options, max_drop=1)


def test_a_model_that_finds_everything_proves_nothing(model, data, target):
    with pytest.raises(InputError, match=r"or one class everywhere, at L1; so it cannot be shown"):
        target(model, "a.tflite", None, labelled=(data.images // 2 + 130, data.masks))


def test_empty_masks_are_told(model, data, target):
    with pytest.warns(InputWarning, match=r"The masks of all labelled images are empty"):
        target(model, "a.tflite", None, labelled=(data.images // 5, data.masks * 0))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda masks: masks * 0.5,
            r"Mask 0 must hold ids of foreground.* Received: 0, 0\.5 \(float64\)\.",
        ),
        (lambda masks: 1 - 2.0 * masks, r"Mask 0 must hold ids of foreground.* Received: -1, 1 \(float64\)\."),
        (
            lambda masks: np.repeat(masks, 3, -1),
            r"Mask 0 must be \(height, width\) or .* Received: \(16, 16, 3\)\.",
        ),
        (lambda masks: masks.astype(str), r"Mask 0 must hold numbers\. Received: dtype <U"),
    ],
)
def test_masks_that_mean_nothing(make, text, model, data, target):
    with pytest.raises(InputError, match=text):
        target(model, "a.tflite", None, labelled=(data.images, make(data.masks)))


def test_foreground_of_any_id_for_one_class_and_no_id_beyond_several(model, data, target):
    for masks in (data.masks * 255, data.masks > 0, data.masks.astype(float), data.masks[..., 0] * 7):
        assert target(model, "a.tflite", None, labelled=(data.images, masks)).accuracy[0].iou == 1
    several = build((None, None, 1), classes=3, width=4, depth=1)
    with pytest.raises(InputError, match=r"Mask 0 must hold class ids 0\.\.2 for 3 classes\. Received: 0, 255 "):
        target(several, "a.tflite", None, labelled=(data.images, data.masks * 255))


def test_agreement():
    one = np.zeros((100, 100), np.uint8)
    assert agreement(one, one) is None
    some = one.copy()
    some[:10, :10] = 1
    assert agreement(some, some) == 1
    assert agreement(one, some) == 0
    assert agreement(2 * some, some) == 0
    half = some.copy()
    half[:5] = 0
    assert agreement(half, some) == 0.5
    speck = one.copy()
    speck[0, 0] = 1
    assert agreement(one, speck) == 0.9


def test_disagreement():
    rng = np.random.default_rng(0)
    own = {"L1": [rng.integers(0, 3, (8, 8)) for _ in range(3)]}
    assert disagreement(own, own, 1, True) == ""
    empty = {"L1": [0 * mask for mask in own["L1"]]}
    assert disagreement(empty, own, 0.5, False).startswith(
        "The masks of the file are not those of the model: their mean"
    )
    assert disagreement(own, empty, 0.5, False).startswith(
        "The masks of the file are not those of the model: their mean"
    )
    assert disagreement(empty, own, 0, False) == ""
    assert disagreement(empty, empty, 0.5, True).endswith("Give images of pixel values 0..255 with objects in them.")
    with pytest.warns(InputWarning, match="one class everywhere at L1"):
        assert disagreement(empty, empty, 0.5, False) == ""


def test_values_that_are_not_finite_are_an_error():
    own = Signature((1,), (2, 2), "float32", "probabilities", 1, 1, "sigmoid")
    with pytest.raises(InputError, match=r"probabilities of the model or the file are NaN or infinite"):
        masks_of(lambda image: image * np.nan, [np.ones((1, 2, 2, 1), np.float32)], own)


def test_a_folder_of_volumes(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            tifffile.imwrite(tmp_path / kind / f"{number}.tif", np.ones((5, 8, 9), np.uint8), photometric="minisblack")
    images, masks = labelled_folder(tmp_path, ndim=3)
    assert len(images) == len(masks) > 0
    assert masks[0].shape == (5, 8, 9)
