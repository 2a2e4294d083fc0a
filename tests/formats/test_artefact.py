import json
import warnings

import keras
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp.cli import main
from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact, is_artefact, open_file
from keras_unetpp.formats.signature import Signature, probabilities_of
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.prediction.folder import predict_folder
from keras_unetpp.prediction.predictor import Predictor, segment
from keras_unetpp.pruning import choose, levels

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install 'keras-unetpp[mobile]'")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")


FIRST_LACK = ("rounds", "epsilon", "whole_views")


def network(shape=(None, None, 3), **fields):
    keras.utils.set_random_seed(1)
    return build(shape, **{"width": 4, "depth": 2, "normalization": "standardize", **fields})


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """One file of each format, of sides and outputs that differ."""
    folder = tmp_path_factory.mktemp("files")
    export(model, folder / "m.tflite", size=32, verify=False, labels=["nucleus"])
    export(model, folder / "m.onnx", input="uint8", output="logits", levels=[1, 2], verify=False)
    export(model, folder / "served" / "1", levels=2, verify=False)
    return folder


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx", "served/1"])
def test_an_image_that_the_file_sees_whole_gives_what_the_model_gives(name, model, files, image):
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        np.testing.assert_allclose(segment(files / name, image), segment(model, image), atol=1e-4)
    mask = segment(str(files / name), image, output="mask")
    assert np.mean(mask == segment(model, image, output="mask")) > 0.999


def test_every_size_where_sides_are_open(model, files, image):
    one = Artefact(files / "m.onnx").at(1)
    for sides in ((32, 21), (9, 30)):
        part = image[: sides[0], : sides[1]]
        np.testing.assert_allclose(segment(one, part), segment(model, part, 1), atol=1e-4)
    deep = image.astype(np.uint16) * 257
    np.testing.assert_allclose(segment(one, deep), segment(model, image, 1), atol=1e-4)


def test_a_file_tells_what_it_is(model, files):
    one = Artefact(files / "m.tflite")
    assert (one.format, one.names, one.labels) == ("tflite", ("L1", "L2", "mean"), ("nucleus",))
    assert one.spec == model.spec
    assert (one.signature.sides, one.signature.standardizes, one.signature.divisor) == ((32, 32), True, 4)
    assert one.bytes == (files / "m.tflite").stat().st_size
    assert str(one).endswith(" MB, float32 32 x 32 in, probabilities out")
    assert str(Artefact(files / "m.onnx")).endswith(" MB, uint8 any x any in, logits out")


def test_a_smaller_image_is_padded_and_cropped_back(model, files, image):
    small = image[4:29, 3:30]
    padded = np.pad(small, [(3, 4), (2, 3), (0, 0)], mode="reflect")
    expected = segment(model, padded)[3:28, 2:29]
    np.testing.assert_allclose(segment(files / "m.tflite", small), expected, atol=1e-5)


def test_a_larger_image_is_tiled_as_by_a_model_of_these_sides(files, model, tmp_path):
    large = np.random.default_rng(2).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    plain = network(normalization="rescale")
    export(plain, tmp_path / "p.tflite", size=32, levels=2, verify=False)
    fixed = network((32, 32, 3), normalization="rescale")
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        np.testing.assert_allclose(segment(tmp_path / "p.tflite", large), segment(fixed, large), atol=1e-5)
    text = (
        r"normalises each tile of 32 x 32 pixels by itself, so the result is not that of the whole image\. For that, "
    )
    with pytest.warns(InputWarning, match=text + r"export with a larger size=, or shrink the image\."):
        assert segment(files / "m.tflite", large).shape == (50, 70, 1)
    with pytest.warns(InputWarning, match=r"For that, leave out tile=\."):
        segment(files / "m.onnx", large, tile=32, overlap=4)
    with pytest.warns(InputWarning, match=r"For that, raise memory=\."):
        segment(files / "m.onnx", large, memory=1)


@pytest.mark.parametrize("fields", [{}, {"classes": 3}, {"classes": 2, "head_activation": "sigmoid"}])
def test_files_of_masks(fields, image, tmp_path):
    model = network(depth=1, normalization="rescale", **fields)
    export(model, tmp_path / "m.onnx", output="mask", verify=False)
    got = segment(tmp_path / "m.onnx", image, output="mask")
    expected = segment(model, image, output="mask")
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert np.mean(got == expected) > 0.999
    for options in ({}, {"output": "mask", "threshold": 0.4}):
        with pytest.raises(InputError, match=r"gives masks at threshold 0\.5 only\. .* Export with output='probab"):
            segment(tmp_path / "m.onnx", image, **options)


def test_probabilities_of_logits_of_several_classes():
    own = Signature((1,), (None, None), "float32", "logits", 1, 3, "softmax")
    values = np.array([[[[0.0, 1.0, 2.0]]]], np.float32)
    np.testing.assert_allclose(
        probabilities_of(values, own)[0, 0, 0], np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), 1e-6
    )


def test_levels_of_a_file(files, disk_folder):
    table = levels(files / "m.tflite", disk_folder, repeat=1)
    scores = kup.evaluate(Artefact(files / "m.tflite"), disk_folder)
    for row in table.rows:
        own = [one for one in scores if one.head == row.name]
        assert row.iou == pytest.approx(np.mean([one.iou for one in own]))
        assert row.dice == pytest.approx(np.mean([one.dice for one in own]))
        assert row.latency > 0
    lines = str(table).splitlines()
    assert lines[0] == str(Artefact(files / "m.tflite"))
    assert lines[1].split() == ["level", "latency", "IoU", "Dice"]
    assert [line.split()[0] for line in lines[2:]] == ["L1", "L2", "mean"]
    assert levels(files / "m.onnx", repeat=0).rows[0].latency is None


def test_a_folder_through_a_file(model, files, disk_folder, tmp_path):
    predict_folder(
        files / "m.onnx", disk_folder / "images", tmp_path / "file", level=1, overlay=False, output="probabilities"
    )
    predict_folder(model, disk_folder / "images", tmp_path / "model", level=1, overlay=False, output="probabilities")
    found = list((tmp_path / "model").glob("*.npy"))
    assert len(found) == 6
    for path in found:
        np.testing.assert_allclose(np.load(tmp_path / "file" / path.name), np.load(path), atol=1e-4)


def test_the_command_line(files, disk_folder, tmp_path, capsys):
    name, source = str(files / "m.tflite"), str(disk_folder / "images" / "0.png")
    assert main(["predict", source, str(tmp_path / "out"), "--model", name, "--level", "1"]) == 0
    said = capsys.readouterr()
    assert "2 files in" in said.out
    assert said.err.startswith("note: The file normalises each tile of 32 x 32 pixels by itself")
    assert main(["levels", "--model", name, "--data", str(disk_folder)]) == 0
    assert "IoU" in capsys.readouterr().out
    for arguments, text in (
        (["prune", str(tmp_path / "a.keras"), "--model", name], "prune cuts models, not exported files."),
        (["export", name, str(tmp_path / "a.onnx")], "which is exported already."),
        (
            ["predict", source, str(tmp_path / "o"), "--model", name, "--level", "4"],
            "has level 1, 2, mean. Received: 4",
        ),
        (["predict", source, str(tmp_path / "o"), "--model", "none.onnx"], "There is no exported file none.onnx."),
    ):
        assert main(arguments) == 2
        assert text in capsys.readouterr().err


def test_what_is_no_exported_file(files, tmp_path):
    import onnx

    (tmp_path / "a.keras").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"folder that holds saved_model\.pb, NAME/VERSION\. Received: .*a\.keras\. Open"
    ):
        open_file(tmp_path / "a.keras")
    with pytest.raises(InputError, match=r"a\.keras is not a readable Keras model"):
        segment(tmp_path / "a.keras", np.zeros((8, 8, 3)))
    with pytest.raises(InputError, match=r"folder that holds saved_model\.pb, NAME/VERSION\. Received: .*served\."):
        open_file(files / "served")
    proto = onnx.load(files / "m.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(
        InputError, match=r"other\.onnx does not tell what it takes and gives\. Export it with kup\.export"
    ):
        Artefact(tmp_path / "other.onnx")
    assert [is_artefact(one) for one in (files / "served" / "1", files / "served", "nuclei-small", None)] == [
        *(True, False, False, False)
    ]


def test_levels_and_sizes_that_are_not_there(files, model):
    with pytest.raises(InputError, match=r"m\.onnx has level 1, 2\. Received: 'mean'\. Export that level too\."):
        segment(files / "m.onnx", np.zeros((8, 8, 3)), "mean")
    with pytest.raises(
        InputError, match=r"m\.tflite takes images of \(32, 32\) pixels \(None: any\)\. Received: size="
    ):
        levels(files / "m.tflite", size=(64, 64))
    with pytest.raises(InputError, match=r"choose weighs costs, which a file does not tell\."):
        choose(files / "m.tflite", (np.zeros((1, 32, 32, 3), np.uint8), np.zeros((1, 32, 32))))
    with pytest.raises(InputError, match=r"This model takes tiles of \(32, 32\) pixels only\. Received: tile=16\."):
        Predictor(files / "m.tflite", tile=16)


def test_a_signature_as_text():
    own = Signature(
        (1, "mean"), (None, 32), "uint8", "mask", 3, 2, "softmax", 4, True, 12.5, False, 1e-5, ("attention",)
    )
    assert Signature.from_json(own.to_json()) == own
    first = {name: value for name, value in json.loads(own.to_json()).items() if name not in FIRST_LACK}
    earlier = Signature.from_json(json.dumps(first))
    assert (earlier.rounds, earlier.epsilon, earlier.whole_views, earlier.divisor) == (True, 0.1, (), 4)
    assert Signature.from_json(own.to_json()[:-1] + ', "later": 1}') == own
    with pytest.raises(
        InputError, match=r"must be JSON with all fields of Signature\. Received: '\{\}'\. Export the model"
    ):
        Signature.from_json("{}")
