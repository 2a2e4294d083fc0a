"""Templates against the originals of `keras.applications`: same function, same weights, steady names, exact sides."""

import json
import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest

from keras_unetpp import weights
from keras_unetpp.graph.encoders.families import applications
from keras_unetpp.graph.encoders.families.applications import application, assemble, convert, original, recipe
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.backbone_table import BACKBONES

PADDED_HERE = ("inception_v3", "xception")
LARGE = ("inception_resnet_v2", "nasnet_mobile")
SMALL = (
    *("vgg16", "resnet50", "resnet50_v2", "densenet121", "mobilenet_025", "mobilenet_v2_035", "mobilenet_v3_small"),
    *("mobilenet_v3_large_minimalistic", "efficientnet_b0", "efficientnet_v2_b0", "convnext_tiny", *PADDED_HERE),
)
"""One of each family, as small as there is, but for the `LARGE`, which the sweeps do."""
BY_KERAS = [name for name, row in BACKBONES.items() if row.builder]


@cache
def built(name):
    return assemble(recipe(source(name)), name)


@cache
def source(name):
    """The original with weights that leave no layer without effect, whatever its initial values are."""
    model = original(name)
    rng = np.random.default_rng(0)
    for layer in applications._flat(model):
        for variable in layer.weights:
            shape, kind = variable.shape, variable.path.split("/")[-1]
            if isinstance(layer, keras.layers.Normalization):
                continue
            if len(shape) > 1:
                deviation = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
                variable.assign(deviation * rng.standard_normal(shape, np.float32))
            elif kind in ("gamma", "moving_variance") or type(layer).__name__ == "LayerScale":
                variable.assign(rng.uniform(0.5, 1.0, shape))
            else:
                variable.assign(rng.normal(0, 0.1, shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            # What the ImageNet file and the layer that comes with it amount to.
            layer.adapt_mean.assign([0.485, 0.456, 0.406])
            layer.adapt_variance.assign(np.square([0.229, 0.224, 0.225]))
            layer.finalize_state()
    return model


def preprocessed(name, pixels):
    """Pixels as the module of the original wants them; the same where the original holds that step itself."""
    module = sys.modules[getattr(keras.applications, BACKBONES[name].builder).__module__]
    return module.preprocess_input(pixels.copy())


def features(model, names, x):
    """Outputs of the named operations of a model."""
    by_name = {operation.name: operation for operation in model.operations}
    outputs = keras.Model(model.inputs[0], [by_name[name].output for name in names])(x)
    return [np.array(output) for output in (outputs if len(names) > 1 else [outputs])]


def names_in(model):
    """Name in the template -> name in the original."""
    return {ours: theirs for theirs, ours in applications._names(model.get_config()["layers"]).items()}


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny"])
def test_names_do_not_depend_on_what_was_built_before(name):
    original("mobilenet_v3_small")
    again = application(name)
    assert [layer.name for layer in again.layers] == [layer.name for layer in built(name).layers]
    assert weights.variables(again).keys() == weights.variables(built(name)).keys()


@pytest.mark.parametrize("name", SMALL)
def test_one_level_of_stock_layers(name):
    for item in built(name).get_config()["layers"]:
        assert (item["module"], item["registered_name"]) == ("keras.layers", None)
        assert "/" not in item["name"]
    assert not any(isinstance(layer, keras.Model) for layer in built(name).layers)
    assert built(name).input_shape == (None, None, None, 3)
    assert BACKBONES[name].stem == next(layer.name for layer in built(name).layers if "Conv" in type(layer).__name__)


def check_same(name, model, pixels, shown):
    row = BACKBONES[name]
    weights.assign(model, convert(source(name), name))
    taps = [tap for _, tap in row.taps] + [model.layers[-1].name]
    theirs = features(source(name), [names_in(source(name))[tap] for tap in taps], preprocessed(name, shown))
    ours = features(model, taps, (pixels - np.float32(row.mean)) / np.float32(row.std))
    for tap, a, b in zip(taps, theirs, ours, strict=True):
        assert a.shape == b.shape, tap
        assert np.abs(a).max() > 1e-3, tap
        assert np.abs(a - b).max() < 1e-5 * np.abs(a).max(), tap


@pytest.mark.parametrize("name", [name for name in SMALL if name not in PADDED_HERE])
def test_same_function_as_the_original(name):
    side = source(name).input_shape[1]
    pixels = np.random.default_rng(1).uniform(0, 255, (1, side, side, 3)).astype("float32")
    check_same(name, built(name), pixels, pixels)


WITH_LARGE = [*PADDED_HERE, *(pytest.param(name, marks=pytest.mark.sweep) for name in LARGE)]


@pytest.mark.parametrize("name", WITH_LARGE)
def test_same_function_as_the_original_without_the_padding(name):
    side = source(name).input_shape[1]
    pixels = np.random.default_rng(1).uniform(0, 255, (1, side, side, 3)).astype("float32")
    check_same(name, assemble(recipe(source(name), padded=False), name), pixels, pixels)


@pytest.mark.slow
def test_nasnet_is_the_original_on_an_image_with_a_grey_border():
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    bordered = np.pad(pixels, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=127.5)
    check_same("nasnet_mobile", built("nasnet_mobile"), pixels, bordered)


@pytest.mark.parametrize("name", SMALL)
def test_sides_at_the_taps(name):
    check_sides(name, built(name), (64, 96))


def check_sides(name, model, sides):
    taps = BACKBONES[name].taps
    found = features(model, [tap for _, tap in taps], np.zeros((1, *sides, 3), "float32"))
    assert [value.shape[1:3] for value in found] == [tuple(side // r for side in sides) for r, _ in taps]


@pytest.mark.parametrize("name", SMALL)
def test_nothing_passes_a_tap_by(name):
    assert [passed for _, tap in BACKBONES[name].taps for passed in passing(recipe(source(name)), tap)] == []


def passing(steps, tap):
    """Steps after a tap that also read what does not come through it."""
    late = {tap}
    for step in steps:
        if late & set(step.reads):
            late.add(step.name)
    return [step.name for step in steps if step.name in late - {tap} and not set(step.reads) <= late]


@pytest.mark.slow
def test_cells_of_nasnet_read_past_the_taps():
    steps = recipe(source("nasnet_mobile"))
    assert [bool(passing(steps, tap)) for _, tap in BACKBONES["nasnet_mobile"].taps] == [False, True, True, True, False]


def test_bgr_weights_are_turned_round():
    model = source("vgg16")
    kernel = np.array(model.get_layer("block1_conv1").kernel)
    assert np.array_equal(convert(model, "vgg16")["block1_conv1/kernel"], kernel[:, :, ::-1])


def test_scaled_sum_of_inception_resnet():
    """The only layer of Inception-ResNet that Inception lacks; the whole network is among the slow tests."""
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    image = keras.Input((None, None, 3))
    model = keras.Model(image, CustomScaleLayer(0.17)([image, keras.layers.ReLU()(image)]))
    x = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype("float32")
    steps = recipe(model)
    assert [step.kind for step in steps] == ["ReLU", "Rescaling", "Add"]
    assert np.allclose(assemble(steps, "small")(x), model(x))


LOAD = """
import json, sys
sys.modules["keras_unetpp"] = None
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[2], model(np.load(sys.argv[3])))
for text in json.loads(open(sys.argv[4]).read()):
    keras.models.model_from_json(text)
"""


def test_loads_where_this_package_is_not(tmp_path):
    model = built("mobilenet_v3_small")
    x = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    files = [tmp_path / name for name in ("model.keras", "y.npy", "x.npy", "others.json")]
    model.save(files[0])
    np.save(files[2], x)
    files[3].write_text(json.dumps([built(name).to_json() for name in ("convnext_tiny", "xception")]))
    subprocess.run([sys.executable, "-c", LOAD, *map(str, files)], check=True, cwd=tmp_path)
    assert np.array_equal(np.load(files[1]), model(x))


def test_a_name_keras_has_not():
    with pytest.raises(InputError, match=r"keras\.applications has no 'vgg116'\. It has vgg16, "):
        application("vgg116")
    with pytest.raises(InputError, match=r"keras\.applications has no 'resnet18'\. It has vgg16, .*nasnet_large\.$"):
        application("resnet18")
