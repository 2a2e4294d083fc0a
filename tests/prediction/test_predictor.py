import math
import tracemalloc

import keras
import numpy as np
import pytest
from keras import layers

from keras_unetpp.data.images import write_png
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.progress import track
from keras_unetpp.prediction.predictor import OVERLAP, TILE, Predictor, segment
from keras_unetpp.pruning import prune
from keras_unetpp.spec.receptive import receptive_radius


def shaken(*args, **fields):
    """A model whose batch normalisation has other than its first statistics, so that inference shows."""
    keras.utils.set_random_seed(0)
    model = build(*args, **fields)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return shaken((None, None, 3), width=4, depth=2, normalization="standardize")


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def keras_output(model, image):
    """What Keras itself gives for one image, by head."""
    output = model(image[None].astype("float32"), training=False)
    return {name: keras.ops.convert_to_numpy(value)[0] for name, value in output.items()}


def difference(found, expected):
    assert list(found) == list(expected)
    return max(np.abs(found[name] - expected[name]).max() for name in expected)


@pytest.mark.parametrize("normalization", ["none", "rescale", "standardize"])
def test_a_divisible_image_gives_what_keras_gives(normalization):
    model = shaken((None, None, 3), width=4, depth=1, normalization=normalization)
    image = picture(24, 40, 3) // 4 + 100
    found = Predictor(model)(image)
    assert difference(found, keras_output(model, image)) < 1e-5
    assert {value.dtype for value in found.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("sides", [(1, 1), (2, 3), (1, 50), (33, 18), (35, 4)])
def test_other_sizes_are_padded_by_reflection_and_cropped(model, predictor, sides):
    image = picture(*sides, 3)
    rows, columns = (-side % 4 for side in sides)
    margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    # Normalisation sees the image without its padding: give Keras an image that is normalised already.
    plain = keras.Model(model.get_layer("normalization").output, model.output)
    values = (image - image.mean(dtype=np.float64)) / np.sqrt(image.var(dtype=np.float64) + 1e-5)
    expected = keras_output(plain, np.pad(values, margins, "reflect"))
    inner = tuple(slice(low, low + side) for (low, _), side in zip(margins, sides, strict=False))
    found = predictor(image)
    assert difference(found, {name: value[inner] for name, value in expected.items()}) < 1e-5
    assert found["L2"].shape == (*sides, 1)


@pytest.mark.parametrize("fields", [{"up": "transpose"}, {"up": "bilinear", "block": "preact", "norm": "layer"}])
def test_tiles_give_the_whole_image_where_overlap_is_four_receptive_radii(fields):
    model = shaken((None, None, 3), width=2, depth=2, normalization="standardize", **fields)
    radius = receptive_radius(model.spec)
    image = picture(45 + 8 * radius, 61 + 8 * radius, 3)
    tiled = Predictor(model, tile=-(-5 * radius // 4) * 4, overlap=4 * radius)
    assert min(len(one.starts) for one in tiled._axes(image.shape[:-1])) > 3
    assert difference(tiled(image), Predictor(model)(image)) < 1e-5


def test_without_overlap_only_pixels_that_see_a_cut_differ(model, predictor):
    image = picture(128, 192, 3)
    radius = receptive_radius(model.spec, 2)
    (error,) = np.abs(Predictor(model, tile=64, overlap=0)(image)["L2"] - predictor(image)["L2"]).transpose(2, 0, 1)
    rows, columns = np.mgrid[:128, :192] + 0.5
    to_cut = np.minimum(np.abs(rows - 64), np.minimum(np.abs(columns - 64), np.abs(columns - 128)))
    assert error[to_cut > radius].max() < 1e-5
    assert error[to_cut < 1].max() > 1e-3


def test_blending_leaves_no_seam():
    """Even where tiles know too little, they pass into each other without a step."""
    keras.utils.set_random_seed(1)
    model = build((None, None, 1), width=4, depth=3, normalization="standardize")
    image = picture(128, 320, 1)
    whole = Predictor(model)(image)["L3"]

    def step(overlap):
        error = Predictor(model, tile=128, overlap=overlap)(image)["L3"] - whole
        assert np.abs(error).max() > 1e-4
        return np.abs(np.diff(error, axis=1)).max()

    assert step(64) < step(0) / 5


def test_volumes_are_tiled_along_every_side():
    model = shaken((None, None, None, 1), width=4, depth=1)
    radius = receptive_radius(model.spec)
    volume = picture(45, 21, 60)
    tiled = Predictor(model, tile=(4 * radius + 8, 64, 4 * radius + 4), overlap=4 * radius)
    axes = tiled._axes(volume.shape)
    assert [len(one.starts) > 1 for one in axes] == [True, False, True]
    found = tiled(volume)
    assert found["L1"].shape == (45, 21, 60, 1)
    assert difference(found, Predictor(model)(volume)) < 1e-5


def test_a_model_of_fixed_sides_takes_any_size():
    free, fixed = (shaken((*sides, 3), width=4, depth=1) for sides in ((None, None), (64, 64)))
    predict = Predictor(fixed, overlap=40)  # 4 radii of 9 pixels, and more
    for sides in ((64, 64), (150, 64), (71, 200)):
        image = picture(*sides, 3)
        if sides == (150, 64):
            assert difference(predict(image), Predictor(free)(image)) < 1e-5
        assert predict(image)["L1"].shape == (*sides, 1)
    small = picture(10, 20, 3)
    padded = np.pad(small, ((27, 27), (22, 22), (0, 0)), "reflect")
    assert difference(predict(small), {"L1": keras_output(fixed, padded)["L1"][27:37, 22:42]}) < 1e-5


def test_only_some_sides_fixed():
    model = shaken((32, None, 1), width=2, depth=1)
    axes = Predictor(model, memory=1)._axes((50, 50))
    assert [one.tile for one in axes] == [32, 2]
    assert Predictor(model, tile=(None, 16))(picture(50, 50))["L1"].shape == (50, 50, 1)


def test_types_of_pixels(model, predictor):
    image = picture(16, 16, 3)
    expected = predictor(image)
    for same in (image.astype("float64"), image.astype("int64"), image.astype("float16"), image * np.uint16(257)):
        assert difference(predictor(same), expected) < 1e-5
    flags = image > 99
    assert difference(predictor(flags), predictor(flags * np.uint8(255))) == 0


def test_grey_images_need_no_channel_axis_and_files_do(tmp_path):
    model = shaken((None, None, 1), width=4, depth=1)
    grey = picture(9, 12)
    deep = grey.astype(np.uint16) * 257
    write_png(tmp_path / "grey.png", grey)
    write_png(tmp_path / "deep.png", deep)
    predict = Predictor(model)
    for one, other in (
        (grey, grey[..., None]),
        (grey, tmp_path / "grey.png"),
        (deep, str(tmp_path / "deep.png")),
        (grey, deep),
    ):
        assert difference(predict(one), predict(other)) < 1e-6


def test_levels(model, predictor):
    image = picture(20, 20, 3)
    every = predictor(image)
    assert np.abs(segment(model, image, 1) - every["L1"]).max() < 1e-6
    assert np.abs(segment(model, image) - every["L2"]).max() < 1e-6
    np.testing.assert_allclose(segment(model, image, "mean"), (every["L1"] + every["L2"]) / 2, atol=1e-6)


@pytest.mark.parametrize("level", [1, "mean"])
def test_pruned_and_reloaded_models(model, tmp_path, level):
    image = picture(30, 50, 3)
    expected = segment(model, image, level, tile=32)
    small = prune(model, level)
    for source in (model, small):
        source.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        found = segment(loaded, image, level if source is model else None, tile=32)
        assert np.abs(found - expected).max() < 1e-6


def test_classes_that_exclude_each_other():
    model, image = shaken((None, None, 3), classes=4, width=4, depth=1), picture(9, 15, 3)
    predict = Predictor(model)
    probabilities = predict(image)["L1"]
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    mask = predict.mask(probabilities)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, probabilities.argmax(-1))


def test_more_classes_than_a_byte_holds():
    model = shaken((None, None, 1), classes=300, width=2, depth=1)
    assert segment(model, picture(4, 4), output="mask").dtype == np.uint16


def test_classes_that_do_not():
    model = shaken((None, None, 3), classes=3, head_activation="sigmoid", width=4, depth=1)
    image = picture(9, 15, 3)
    probabilities = segment(model, image)
    threshold = float(np.median(probabilities))
    mask = segment(model, image, output="mask", threshold=threshold)
    assert mask.shape == (9, 15, 3)
    assert np.array_equal(mask, probabilities > threshold)
    assert 0 < mask.mean() < 1


def test_one_class_and_its_threshold(model):
    image = picture(9, 15, 3)
    probabilities = segment(model, image)
    threshold = float(np.median(probabilities))
    mask = segment(model, image, output="mask", threshold=threshold)
    assert (mask.shape, mask.dtype) == ((9, 15), np.uint8)
    assert np.array_equal(mask, probabilities[..., 0] > threshold)


@pytest.mark.parametrize(("classes", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_heads_of_logits_give_probabilities(classes, activation):
    fields = {"input_shape": (None, None, 3), "classes": classes, "width": 4, "depth": 1}
    known, logits = shaken(**fields, head_activation=activation), shaken(**fields, head_activation="linear")
    logits.set_weights(known.get_weights())
    one, other = Predictor(known, tile=16), Predictor(logits, tile=16)
    expected, found = (predict(picture(12, 40, 3))["L1"] for predict in (one, other))
    assert np.abs(found - expected).max() < 1e-6
    assert np.array_equal(other.mask(found), one.mask(expected))


def test_tiles_fit_the_memory(model):
    predict = Predictor(model, memory=2**22)
    axes = predict._axes((2000, 3001))
    assert predict._bytes([one.tile for one in axes]) <= 2**22
    assert all(one.tile < TILE and len(one.starts) > 1 for one in axes)
    assert [len(one.starts) for one in Predictor(model, memory=1e15)._axes((2000, 3001))] == [1, 1]
    assert [one.tile for one in Predictor(model, memory=1)._axes((40, 40))] == [4, 4]
    assert Predictor(model, memory=1)(picture(9, 9, 3))["L1"].shape == (9, 9, 1)


def test_an_overlap_asked_for_is_kept_whatever_the_memory(model):
    for one in Predictor(model, memory=1, overlap=50)._axes((300, 60)):
        assert one.tile > 50
        assert all(after - before <= one.tile - 50 for before, after in zip(one.starts, one.starts[1:], strict=False))
    assert [one.length for one in Predictor(model, overlap=500)._axes((40, 8))] == [40, 8]


def test_large_images_are_cut_into_large_even_tiles():
    model = build((None, None, 3), width=16, normalization="standardize")
    (one, _) = Predictor(model)._axes((4096, 4096))
    assert (one.tile, len(one.starts)) == (928, 5)
    assert one.starts[0] + one.tile - one.starts[1] >= OVERLAP


def test_numpy_holds_the_result_and_a_batch_but_no_copy_of_the_image():
    model = build((None, None, 3), width=2, depth=1, normalization="standardize")
    predict = Predictor(model, memory=2**22)
    predict(picture(8, 8, 3))
    image = picture(1536, 1536, 3)
    tracemalloc.start()
    result = predict(image)["L1"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < result.nbytes + image.nbytes


def test_a_bar_shows_items_unchanged(model, predictor):
    assert list(track([1, 2, 3], "numbers")) == list(track(iter([1, 2, 3]), "numbers", total=3)) == [1, 2, 3]
    image = picture(40, 40, 3)
    tiled = Predictor(model, tile=16)
    assert difference(tiled(image, progress=True), tiled(image)) == 0


IMAGE = picture(8, 8, 3)
TAKES = "This model takes one image at a time, (height, width, 3). Received: {}. Index a batch; add, drop or repeat"


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (IMAGE[None], TAKES.format("(1, 8, 8, 3)")),
        (IMAGE[..., 0], TAKES.format("(8, 8)")),
        (IMAGE[..., :2], TAKES.format("(8, 8, 2)")),
        (IMAGE[:0], TAKES.format("(0, 8, 3)")),
        (np.where(IMAGE.max() == IMAGE, np.nan, 1.0), "An image must not hold NaN or infinite pixels. Replace them"),
        (np.full((8, 8, 3), np.inf, "float32"), "An image must not hold NaN or infinite pixels. Replace them"),
        (IMAGE.astype(complex), "An image must hold real numbers. Received: dtype complex128."),
        ("nowhere.png", "no such file: nowhere.png"),
    ],
)
def test_images_that_do_not_fit(predictor, image, text):
    with pytest.raises(InputError) as error:
        predictor(image)
    assert str(error.value).startswith(text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"output": "masks"}, "output must be 'probabilities' or 'mask'. Received: 'masks'."),
        ({"threshold": 128}, "threshold must be a number from 0 to 1. Received: 128."),
        ({"level": 3}, "This model has heads for level 1, 2 or 'mean'. Received: 3."),
        ({"tile": 30}, "tile must be a positive multiple of 4 pixels. Received: 30."),
        ({"tile": (32, 0)}, "tile must be a positive multiple of 4 pixels. Received: 0."),
        ({"tile": (32, 32, 32)}, "tile must be one side in pixels, or 2. Received: (32, 32, 32)."),
        ({"tile": 32, "overlap": 30}, "overlap must be from 0 to 28 pixels for a tile of 32. Received: 30."),
        ({"overlap": -1}, "overlap must be a whole number of pixels, 0 or more. Received: -1."),
        ({"memory": 0}, "memory must be a positive number of bytes. Received: 0."),
        ({"memory": math.nan}, "memory must be a positive number of bytes. Received: nan."),
    ],
)
def test_options_that_do_not_fit(model, options, text):
    with pytest.raises(InputError) as error:
        segment(model, IMAGE, **options)
    assert str(error.value) == text


def test_a_model_of_fixed_sides_has_its_own_tiles():
    model = build((32, 32, 3), width=2, depth=1)
    with pytest.raises(InputError) as error:
        Predictor(model, tile=64)
    assert str(error.value) == "This model takes tiles of (32, 32) pixels only. Received: tile=64."
    with pytest.raises(InputError) as error:
        Predictor(model, overlap=32)
    assert str(error.value) == "overlap must be from 0 to 30 pixels for a tile of 32. Received: 32."


def test_a_model_of_another_package():
    image = keras.Input((8, 8, 3))
    other = keras.Model(image, layers.Conv2D(1, 1)(image), name="other")
    with pytest.raises(InputError) as error:
        Predictor(other)
    assert str(error.value) == "This is no model of keras_unetpp: no layer of 'other' is named x_0_0_... ."
