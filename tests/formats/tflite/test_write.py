import zipfile

import keras
import numpy as np
import pytest
from sampling import sampled

import keras_unetpp as kup
from keras_unetpp.exporting.attempts import written
from keras_unetpp.exporting.place import placing
from keras_unetpp.formats import FORMATS
from keras_unetpp.formats.functions import functions, signature
from keras_unetpp.formats.tflite import flatbuffer
from keras_unetpp.formats.tflite import run as runtime
from keras_unetpp.formats.tflite import write as tflite
from keras_unetpp.formats.tflite.convert import convert
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.fields import FIELDS

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install 'keras-unetpp[mobile]'")


def network(**fields):
    keras.utils.set_random_seed(0)
    return kup.build(**{"input_shape": (None, None, 3), "width": 4, "depth": 1, "norm": "none", **fields})


def noise(*shape, high=256):
    return np.random.default_rng(0).integers(0, high, shape).astype(np.float32)


def differences(path, model, wanted, images):
    """Largest difference of each function from TensorFlow's own run of it."""
    runs, levels = runtime.open(path).functions, functions(model, wanted)
    assert tuple(runs) == wanted.names == tuple(levels)
    expected = {name: levels[name](images)[wanted.output].numpy() for name in levels}
    return {name: np.abs(runs[name](images) - expected[name]).max() for name in runs}


def write(model, path, wanted, **options):
    """As `export` does, with what the user gives along."""
    with placing(path, ()) as temporary:
        return written(FORMATS["tflite"], model, temporary, wanted, options)


def parts(path):
    return flatbuffer.read(path.read_bytes())


@pytest.mark.parametrize("up", sampled(FIELDS["up"].metadata["allowed"], ["bilinear"]))
def test_every_level_equals_keras(up, tmp_path):
    model = network(depth=2, up=up, norm="batch")
    wanted = signature(model, size=(18, 22))
    images = noise(2, 18, 22, 3)
    assert wanted.names == ("L1", "L2", "mean")
    for quantize, most in (("float16", 1e-2), (None, 1e-4)):
        tflite.write(model, tmp_path / "m.tflite", wanted, quantize=quantize)
        assert max(differences(tmp_path / "m.tflite", model, wanted, images).values()) < most
    assert runtime.open(tmp_path / "m.tflite").functions["L2"](images).shape == (2, 18, 22, 1)
    assert flatbuffer.foreign(parts(tmp_path / "m.tflite")) == []


def test_levels_share_their_weights(tmp_path):
    model = network(depth=2, width=32)
    tflite.write(model, tmp_path / "all.tflite", signature(model, size=16, levels=["L1", "L2"]))
    tflite.write(model, tmp_path / "one.tflite", signature(model, size=16, levels=2))
    assert list(runtime.open(tmp_path / "one.tflite").functions) == ["L2"]
    assert (tmp_path / "all.tflite").stat().st_size <= 1.02 * (tmp_path / "one.tflite").stat().st_size


def test_half_precision_and_8_bit_weights(tmp_path):
    # Kernels of fewer than 1024 values stay as they are.
    model = network(width=16, normalization="standardize")
    wanted, sizes = signature(model, size=16, levels=1), {}
    for quantize, tolerance in ((None, 1e-4), ("float16", 1e-2), ("dynamic", 0.05)):
        tflite.write(model, tmp_path / "m.tflite", wanted, quantize=quantize)
        sizes[quantize] = (tmp_path / "m.tflite").stat().st_size
        assert differences(tmp_path / "m.tflite", model, wanted, noise(1, 16, 16, 3))["L1"] < tolerance
    assert sizes["dynamic"] < sizes["float16"] < sizes[None]


@pytest.mark.parametrize("quantize", ["int8", "int8_float_io"])
def test_8_bits_throughout(quantize, tmp_path):
    # A dark and a bright image: 8-bit variances would make the dark one flat.
    model = network(depth=2, normalization="standardize")
    wanted = signature(model, size=16)
    images = np.concatenate([noise(1, 16, 16, 3, high=6), noise(1, 16, 16, 3)])
    larger = [np.pad(image, ((3, 2), (0, 1), (0, 0))).astype(np.uint8) for image in images]
    write(model, tmp_path / "m.tflite", wanted, quantize=quantize, calibration=larger)
    assert max(differences(tmp_path / "m.tflite", model, wanted, images).values()) < 0.05
    graph = parts(tmp_path / "m.tflite").subgraphs[0]
    types = {graph.tensors[index].type for index in (*graph.inputs, *graph.outputs)}
    assert types == {{"int8": 3, "int8_float_io": 0}[quantize]}


def test_masks_of_8_bit_pixels(tmp_path):
    model = network(classes=3)
    wanted = signature(model, size=16, input="uint8", output="mask")
    tflite.write(model, tmp_path / "m.tflite", wanted)
    images = noise(1, 16, 16, 3)
    mask = runtime.open(tmp_path / "m.tflite").functions["L1"](images)
    assert (mask.dtype, mask.shape) == (np.uint8, (1, 16, 16))
    assert np.array_equal(mask, functions(model, wanted)["L1"](images)["mask"])


def test_metadata(tmp_path):
    model = network()
    path = tmp_path / "m.tflite"
    tflite.write(model, path, signature(model, size=16, output="logits"), labels=["nucleus"], author="A", licence="B")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt") == b"nucleus\n"
        assert kup.Spec.from_json(archive.read("spec.json").decode()) == model.spec
    tree = parts(path)
    texts = next(bytes(tree.buffers[one.buffer].data) for one in tree.metadata if one.name == b"TFLITE_METADATA")
    assert texts[4:8] == b"M001"
    for text in (b"unetpp", b"A\0", b"B\0", b"pixel values 0..255", b"SEGMENTER_METADATA", b"V001", b"labels.txt"):
        assert text in texts


def test_an_operation_that_is_not_built_in(tmp_path):
    source = keras.Input((None, None, None, 1), name="image")
    x = keras.layers.MaxPooling3D(3, strides=2, padding="same", name="x_1_0_pool")(source)
    x = keras.layers.Conv3D(1, 1, name="L1_conv")(keras.layers.UpSampling3D(2, name="x_0_1_up")(x))
    model = keras.Model(source, keras.layers.Activation("sigmoid", name="L1")(x))
    path = tmp_path / "m.tflite"
    path.write_bytes(b"old")
    with pytest.raises(InputError) as caught:
        tflite.write(model, path, signature(model, size=4))
    assert str(caught.value) == (
        "TFLite's built-in operations cannot compute MaxPool3D, which layer x_1_0_pool needs. Export a SavedModel or"
        " ONNX, or build the network without."
    )
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("m.tflite", b"old")]


def balanced(images):
    """A network whose heads call about half of the pixels foreground."""
    model = network(depth=2)
    for name, level in functions(model, signature(model, size=16, output="logits")).items():
        bias = model.get_layer(f"{name}_conv").bias
        bias.assign(bias - np.median(level(images)["logits"]))
    return model


def test_measured_on_labelled_images(tmp_path):
    images, path = noise(3, 16, 16, 3), tmp_path / "m.tflite"
    model = balanced(images)
    wanted = signature(model, size=16)
    masks = (functions(model, wanted)["L2"](images)["probabilities"].numpy() > 0.5).astype(np.uint8)
    options = {"quantize": "int8_float_io", "calibration": images, "labelled": (images, masks)}
    found = write(model, path, wanted, **options, max_drop=1.0)
    assert tuple(one.level for one in found) == wanted.names
    deepest = found[1]
    assert (deepest.model_iou, deepest.model_dice) == (1.0, 1.0)
    said = runtime.open(path).functions["L2"](images) > 0.5
    assert deepest.iou == pytest.approx(
        np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(said, masks > 0, strict=True)])
    )
    assert 0 < deepest.drop == deepest.model_iou - deepest.iou < 1


def test_a_drop_over_the_limit(tmp_path, monkeypatch):
    ends = []
    monkeypatch.setattr(
        flatbuffer, "spare", lambda data, *own, spare=flatbuffer.spare: ends.append(own) or spare(data, *own)
    )
    images = noise(3, 16, 16, 3)
    model = balanced(images)
    wanted = signature(model, size=16, levels=2)
    masks = functions(model, wanted)["L2"](images)["probabilities"].numpy() > 0.5
    options = {"quantize": "int8_float_io", "calibration": images, "labelled": (images, masks)}
    with pytest.raises(InputError) as caught:
        write(model, tmp_path / "m.tflite", wanted, **options, max_drop=0)
    text = str(caught.value)
    assert text.startswith("IoU or Dice on the labelled images drops by more than max_drop=0: L2 by 0.0")
    assert text.endswith(". Use the milder quantize='dynamic', give more calibration images or raise max_drop.")
    assert ends == [(False, False), (True, True)]
    assert list(tmp_path.iterdir()) == []


def test_first_and_last_convolutions_spared():
    model = network()
    wanted = signature(model, size=16)
    images = [noise(1, 16, 16, 3)]

    def convolutions(spare_ends, quantize="int8_float_io"):
        tree = flatbuffer.read(convert(functions(model, wanted), wanted, quantize, images, spare_ends=spare_ends))
        names, (graph,) = flatbuffer.names(tree), tree.subgraphs
        found = [one for one in graph.operators if names[one.opcodeIndex] == "CONV_2D"]
        return ["int8" if graph.tensors[one.outputs[0]].type == 9 else "float" for one in found]

    assert convolutions(False) == ["int8"] * 7
    assert convolutions(True) == ["float", "float", *["int8"] * 4, "float"]
    # With 8-bit results, what gives them has to be of 8 bits too.
    assert convolutions(True, "int8") == ["float", "float", *["int8"] * 5]


NEEDS = (
    "quantize='int8' needs calibration=, some ten to hundred images like those to come. Received: none."
    " quantize='dynamic' needs none."
)


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ({}, {}, "The sides of a .tflite file are fixed. Received: (None, None). Pass size=, for example size=256."),
        (
            {"input": "image_bytes"},
            {},
            "A .tflite file takes input='float32' or 'uint8'. Received: 'image_bytes'.",
        ),
        (
            {"size": 16},
            {"quantize": "int4"},
            "quantize must be one of None, float16, dynamic, int8_float_io, int8. Received: 'int4'.",
        ),
        ({"size": 16}, {"max_drop": 2}, "max_drop must be a number from 0 to 1. Received: 2."),
        (
            {"size": 16},
            {"labelled": (np.zeros((2, 9, 8, 3)), np.zeros((1, 9, 8)))},
            "labelled must be (images, masks), as many masks as images. Received: 2 and 1.",
        ),
        (
            {"size": 16},
            {"labelled": (np.zeros((1, 9, 8, 3)), np.zeros((1, 8, 9)))},
            "labelled must hold masks of the size of their images. Received: (8, 9) for an image of (9, 8, 3).",
        ),
        ({"size": 16}, {"quantize": "int8"}, NEEDS),
        ({"size": 16}, {"quantize": "int8", "calibration": np.zeros((0, 16, 16, 3))}, NEEDS),
        (
            {"size": 16},
            {"quantize": "int8", "calibration": np.zeros((16, 16, 3))},
            "Images must be (height, width, 3). Received: (16, 3).",
        ),
        (
            {"size": 16},
            {"quantize": "int8_float_io", "calibration": np.full((1, 16, 16, 3), np.nan)},
            "An image for calibration or scoring holds NaN or infinite pixels. Leave it out.",
        ),
    ],
)
def test_refusals(asked, options, message, tmp_path):
    model = network()
    with pytest.raises(InputError) as caught:
        write(model, tmp_path / "m.tflite", signature(model, **asked), **options)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"m\.tflite is no readable \.tflite file: "):
        runtime.open(path)
