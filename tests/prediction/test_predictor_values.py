"""What the numbers of an image do to its segmentation: units, gains, blank images, no data, tiles; and what is told."""

import contextlib
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_unetpp as kup
from keras_unetpp.data.images import write_png
from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.prediction.folder import predict_folder
from keras_unetpp.prediction.predictor import Predictor, segment
from keras_unetpp.pruning import levels
from keras_unetpp.training.evaluate import evaluate

rng = np.random.default_rng(0)
Y, X = np.mgrid[:40, :52]
DISK = (Y - 20) ** 2 + (X - 22) ** 2 < 100
GREY = np.clip(np.where(DISK, 150, 40) + rng.normal(0, 6, DISK.shape), 0, 255).astype(np.uint8)
RGB = np.dstack([GREY, GREY // 2, GREY])


def made(**fields):
    keras.utils.set_random_seed(0)
    model = build(**{"input_shape": (None, None, 3), "width": 4, "depth": 2, **fields})
    for layer in model.layers:  # statistics as of training, so that probabilities differ over an image
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([np.random.default_rng(1).uniform(0.5, 1.5, one.shape) for one in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def plain():
    return made()


@pytest.fixture(scope="module")
def standardizing():
    return made(normalization="standardize")


@pytest.fixture(scope="module")
def earlier():
    """As version 0.1.0 built it."""
    return made(normalization="standardize", standardize_epsilon=0.1)


def told(action):
    """What comes of it, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        value = action()
    return value, [str(one.message) for one in seen if issubclass(one.category, InputWarning)]


def test_an_odd_range_is_told_once_a_call(plain):
    expected = segment(plain, RGB)
    for _ in range(2):
        found, texts = told(lambda: segment(plain, RGB / 255, tile=16))
        assert texts == [
            f"Image to segment: float64 pixels of {RGB.min() / 255:.6g}..{RGB.max() / 255:.6g}, where 0..255 is"
            " expected. Nothing is rescaled by its values: bring pixels to 0..255, or to 0..65535 in uint16."
        ]
    assert np.abs(found - expected).max() > 0.01
    _, texts = told(lambda: segment(plain, RGB.astype("uint16") * 16, 1))
    assert "uint16 pixels of " in texts[0]
    assert "where 0..65535 is expected" in texts[0]


@pytest.mark.parametrize("fields", [{}, {"normalization": "rescale"}, {"normalization": "standardize"}])
def test_ordinary_images_are_not_told_off(fields):
    model = made(**fields)
    for image in (RGB, RGB * 0, RGB * 0 + 7, RGB // 8, RGB.astype("float32"), RGB.astype("uint16") * 257, RGB > 99):
        assert told(lambda image=image: segment(model, image))[1] == []


def test_a_network_that_takes_numbers_as_they_are_expects_no_range():
    model = made(normalization="none")
    assert told(lambda: segment(model, RGB / 255))[1] == []
    assert told(lambda: segment(model, RGB.astype("int16") * 12 - 1000))[1] == []
    assert len(told(lambda: segment(model, RGB.astype("uint16")))[1]) == 1
    assert len(told(lambda: segment(model, np.where(DISK[..., None], RGB, np.int16(-9999))))[1]) == 1


GAINS = {
    "low light": 100 + RGB // 2 * np.uint16(1),
    "uint16": RGB * np.uint16(257),
    "uint16 of 8 bits": RGB.astype("uint16"),
    "uint16 of 12 bits": RGB * np.uint16(16),
    "0..1": RGB.astype("float32") / 255,
    "-1..1": RGB / 127.5 - 1,
    "0..65535": RGB.astype("float32") * 257,
    "tiny": RGB * 1e-3,
    "scanner": RGB.astype("int16") * 12 - 1000,
}


COPIES = {name: RGB // 2 if name == "low light" else RGB for name in GAINS}
"""The same images in 8 bits."""


@pytest.mark.parametrize("name", GAINS)
def test_unit_gain_and_offset_are_nothing_to_a_network_that_standardises(name, standardizing):
    image = GAINS[name]
    expected = segment(standardizing, COPIES[name])
    found, texts = told(lambda: segment(standardizing, image))
    assert texts == []
    assert np.abs(found - expected).max() < 0.01
    tiled, _ = told(lambda: segment(standardizing, image, tile=24, overlap=16))
    assert np.abs(tiled - segment(standardizing, COPIES[name], tile=24, overlap=16)).max() < 0.01


def test_counts_far_from_0_keep_their_small_differences(standardizing):
    counts = np.random.default_rng(3).integers(0, 4, (40, 52, 3))
    expected = segment(standardizing, counts.astype("uint16"))
    found = segment(standardizing, (60_000 + counts).astype("uint16"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


def test_models_of_before_keep_their_constant_and_take_counts_as_they_are(earlier, standardizing):
    dark = (RGB // 60).astype(np.uint8)
    values = (dark - dark.mean(dtype=np.float64)) / np.sqrt(dark.var(dtype=np.float64) + 0.1)
    start = earlier.get_layer("normalization").output
    expected = keras.Model(start, earlier.output["L2"])(values[None].astype("float32"))
    np.testing.assert_allclose(segment(earlier, dark), keras.ops.convert_to_numpy(expected)[0], atol=1e-5)
    for name in ("low light", "uint16 of 8 bits", "uint16 of 12 bits", "uint16"):
        found, texts = told(lambda name=name: segment(earlier, GAINS[name]))
        assert texts == []
        assert np.abs(found - segment(earlier, COPIES[name])).max() < 0.01
    _, texts = told(lambda: segment(earlier, RGB.astype("float32") / 255))
    assert len(texts) == 1, "the constant of 0.1 is more than the variance of such numbers"


@pytest.mark.parametrize("sides", [(1, 1), (33, 18), (130, 257)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_blank_image_stays_blank(standardizing, sides, dtype):
    black, _ = told(lambda: segment(standardizing, np.zeros((*sides, 3), dtype)))
    for value in (1, 7, 255, *((253.3, 0.1) if dtype == "float32" else (65535,) if dtype == "uint16" else ())):
        found, texts = told(lambda value=value: segment(standardizing, np.full((*sides, 3), value, dtype)))
        assert texts == []
        assert np.abs(found - black).max() < 1e-5


def test_numbers_for_missing_data_are_told(plain, standardizing):
    for value in (-9999, -3.4e38, 1e38):
        image = RGB.astype("float32")
        image[:4] = value
        for model in (plain, standardizing):
            _, texts = told(lambda model=model, image=image: unless_not_finite(model, image))
            assert len(texts) == 1
            assert "which looks like a number for missing data. Replace such pixels" in texts[0]


def unless_not_finite(model, image):
    with contextlib.suppress(InputError):
        segment(model, image)


@pytest.mark.parametrize("classes", [1, 3])
def test_weights_that_are_not_finite_are_an_error(classes):
    model = made(classes=classes, depth=1)
    layer = model.get_layer("L1_conv")
    layer.set_weights([np.full_like(layer.get_weights()[0], np.nan), layer.get_weights()[1]])
    for action in (lambda: segment(model, RGB), lambda: evaluate(model, (RGB[None], DISK[None] * 0))):
        with pytest.raises(
            InputError, match=r"^Probabilities must be finite\. Received: NaN or infinity of L1\. The w"
        ):
            action()


NOTE = (
    "The {} uses {} on each tile of 24 x 24 pixels by itself, so the result is not that of the whole image. For that,"
    " {}"
)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"norm": "group", "norm_groups": 2}, "group normalization"),
        ({"norm": "instance"}, "instance normalization"),
        ({"backbone": "mobilenet_v3_small"}, "global pooling"),
    ],
)
def test_tiles_that_change_the_result_are_told(fields, kind):
    model = made(**fields)
    assert told(lambda: segment(model, RGB))[1] == []
    assert told(lambda: segment(model, RGB, tile=64))[1] == []
    tiled, texts = told(lambda: segment(model, RGB, tile=24, overlap=8))
    assert texts == [NOTE.format("model", kind, "leave out tile=.")]
    assert np.abs(tiled - segment(model, RGB)).max() > 1e-3
    _, texts = told(lambda: Predictor(model, memory=1)(RGB))
    assert len(texts) == 1
    assert texts[0].endswith("For that, raise memory=.")
    fixed = made(**fields, input_shape=(24, 24, 3))
    _, texts = told(lambda: [predict(RGB) for predict in [Predictor(fixed)] for _ in range(2)])
    assert texts == [NOTE.format("model", kind, "build it with open sides, or shrink the image.")]
    assert told(lambda: levels(fixed, ([RGB], [DISK]), repeat=0))[1] == texts


@pytest.mark.parametrize("fields", [{"norm": "batch"}, {"norm": "layer", "normalization": "standardize"}])
def test_tiles_that_do_not_are_not(fields):
    assert told(lambda: segment(made(**fields), RGB, tile=24, overlap=8))[1] == []


@pytest.fixture(scope="module")
def files(standardizing, tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'keras-unetpp[mobile]'")
    folder = tmp_path_factory.mktemp("files")
    calibration = [np.roll(RGB, step, 1) for step in range(0, 40, 4)]
    export(standardizing, folder / "float.onnx", levels=2, verify=False)
    export(standardizing, folder / "uint8.onnx", levels=2, input="uint8", verify=False)
    for name, options in {
        "float": {},
        "half": {"quantize": "float16"},
        "mixed": {"quantize": "int8_float_io", "calibration": calibration},
        "int8": {"quantize": "int8", "calibration": calibration},
    }.items():
        export(standardizing, folder / f"{name}.tflite", levels=2, size=RGB.shape[:2], verify=False, **options)
    export(made(norm="instance"), folder / "instance.onnx", levels=2, verify=False)
    return folder


@pytest.mark.parametrize(("name", "most"), [("float.onnx", 0.01), ("float.tflite", 0.01), ("half.tflite", 0.02),
                                            ("mixed.tflite", 0.05)])  # fmt: skip
def test_files_of_float_input_take_counts_as_they_are(files, name, most):
    for gain in ("low light", "uint16", "uint16 of 12 bits", "0..1", "scanner"):
        found, texts = told(lambda gain=gain: segment(files / name, GAINS[gain]))
        assert texts == []
        assert np.abs(found - segment(files / name, COPIES[gain])).max() < most, gain
    black = segment(files / name, RGB * 0)
    for value in (1, 255):
        assert np.abs(segment(files / name, np.full_like(RGB, value)) - black).max() < most


@pytest.mark.parametrize("name", ["uint8.onnx", "int8.tflite"])
def test_files_of_whole_numbers_are_given_grey_levels(files, name):
    expected = segment(files / name, RGB)
    found, texts = told(lambda: segment(files / name, GAINS["uint16"]))
    assert texts == []
    assert np.abs(found - expected).max() < 1e-6
    for gain in ("low light", "0..1", "uint16 of 12 bits"):
        assert len(told(lambda gain=gain: segment(files / name, GAINS[gain]))[1]) == 1


def test_files_tell_what_a_tile_changes(files):
    assert Artefact(files / "instance.onnx").signature.whole_views == ("instance normalization",)
    assert told(lambda: segment(files / "instance.onnx", RGB))[1] == []
    _, texts = told(lambda: segment(files / "instance.onnx", RGB, tile=24, overlap=8))
    assert texts == [NOTE.format("file", "instance normalization", "leave out tile=.")]


def test_a_deep_file_and_its_array_are_alike(standardizing, earlier, tmp_path):
    deep = 100 + GREY.astype("uint16") // 2
    write_png(tmp_path / "deep.png", deep)
    for model in (standardizing, earlier):
        expected = segment(model, np.dstack([deep] * 3))
        assert np.array_equal(segment(model, tmp_path / "deep.png"), expected)
        predict_folder(model, tmp_path / "deep.png", tmp_path / "out", output="probabilities")
        assert np.array_equal(np.load(tmp_path / "out" / "deep.npy"), expected)


def unit_folder(folder, count=3):
    """Images of floats 0..1, and one of 0..255, with masks."""
    import tifffile

    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(count + 1):
        image = RGB.astype("float32") / (255 if number else 1)
        tifffile.imwrite(folder / "images" / f"{number}.tif", image, photometric="rgb")
        Image.fromarray(DISK).save(folder / "masks" / f"{number}.png")
    rows = "".join(f"{number}.tif,{'val' if number else 'train'}\n" for number in range(count + 1))
    (folder / "index.csv").write_text(f"file,split\n{rows}")
    return folder


def test_a_folder_is_told_once_with_the_count(plain, tmp_path):
    folder = unit_folder(tmp_path / "data")
    _, texts = told(lambda: predict_folder(plain, folder / "images", tmp_path / "out"))
    assert len(texts) == 1
    assert texts[0].startswith("Images to segment: 3 of 4 are odd; the first: float32 pixels of 0.")
    assert f"{Path('images') / '1.tif'}). Nothing is rescaled" in texts[0]
    for action in (lambda: evaluate(plain, folder), lambda: levels(plain, folder, repeat=0)):
        _, texts = told(action)
        assert len(texts) == 1
        assert texts[0].startswith("Images to score: 3 of 3 are odd; the first: float32 pixels of 0.")
    _, texts = told(lambda: levels(plain, (np.stack([RGB, RGB]) / 255, np.stack([DISK, DISK])), repeat=0))
    assert len(texts) == 1
    assert "2 of 2 are odd; " in texts[0]
    assert "(image 0)" in texts[0]


BEFORE = 0.8024
NUCLEI = Path(__file__).parents[3] / "shared" / "data" / "nuclei"


@pytest.mark.slow
@pytest.mark.skipif(not NUCLEI.is_dir(), reason="the data of nuclei-small is not here")
def test_an_entry_of_before_scores_as_it_did():
    """Of every sixteenth validation image, what version 0.1.0 gave."""
    samples = [one for one in kup.read_folder(NUCLEI) if one.split == "val"][::16]
    scores = [one.iou for one in evaluate(kup.load("nuclei-small"), samples) if one.head == "L4"]
    assert np.mean(scores) == pytest.approx(BEFORE, abs=1e-3)
