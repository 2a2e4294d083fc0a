import io
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from precision import precision
from sampling import sampled

from keras_unetpp.exporting import export
from keras_unetpp.formats.saved_model import run as saved_model
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.predictor import segment
from keras_unetpp.spec import Spec, cost
from keras_unetpp.spec.fields import FIELDS

NO_KERAS = "import sys; sys.modules['keras'] = None\n"


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build((None, None, 3), width=4, depth=2, up="bilinear", normalization="standardize")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("serving") / "nuclei" / "1"
    report = export(model, path, labels=["background", "nucleus"])
    assert [row.name for row in report.rows] == ["L1", "L2", "mean", "image_bytes"]
    assert all(row.difference < 1e-5 for row in report.rows)
    return path


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)


def python(code, *arguments, cwd=None):
    command = [sys.executable, "-c", NO_KERAS + code, *map(str, arguments)]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def png(image):
    data = io.BytesIO()
    Image.fromarray(image).save(data, "png")
    return data.getvalue()


def test_it_holds_what_serving_wants(folder, model):
    assert sorted(os.listdir(folder.parent)) == ["1"]
    assert (folder / "assets" / "labels.txt").read_text() == "background\nnucleus\n"
    assert Spec.from_json((folder / "assets" / "spec.json").read_text()) == model.spec
    assert '"tolerance": 0.0001' in (folder / "assets.extra" / "report.json").read_text()


def test_the_signatures_run_where_keras_cannot_be_imported(folder, model, image):
    run = saved_model.open(folder).functions
    assert sorted(run) == ["L1", "L2", "image_bytes", "mean", "serving_default"]
    batch = np.stack([image, image[::-1]])
    for name, level in (("L1", 1), ("serving_default", 2), ("mean", "mean")):
        expected = np.stack([segment(model, one, level) for one in batch])
        np.testing.assert_allclose(run[name](batch), expected, atol=1e-5)


def test_encoded_images_of_several_sizes_give_png_masks(folder, model, image, tmp_path):
    images = [image, image[:9, :14]]
    for number, one in enumerate(images):
        (tmp_path / f"{number}.png").write_bytes(png(one))
    code = """
import numpy, pathlib, tensorflow as tf
run = tf.saved_model.load(sys.argv[1]).signatures["image_bytes"]
outputs = run(image=tf.constant([pathlib.Path(f"{number}.png").read_bytes() for number in range(2)]))
for number in range(2):
    pathlib.Path(f"mask{number}.png").write_bytes(outputs["mask_bytes"][number].numpy())
numpy.savez("out.npz", probabilities=outputs["probabilities"], sides=outputs["sides"])
"""
    python(code, folder, cwd=tmp_path)
    out = np.load(tmp_path / "out.npz")
    assert out["sides"].tolist() == [[21, 30], [9, 14]]
    for number, one in enumerate(images):
        expected = segment(model, one)
        got = out["probabilities"][number]
        np.testing.assert_allclose(got[: one.shape[0], : one.shape[1]], expected, atol=1e-5)
        mask = np.asarray(Image.open(tmp_path / f"mask{number}.png"))
        clear = np.abs(expected[..., 0] - 0.5) > 1e-4
        assert np.array_equal(mask[clear], (expected[..., 0] > 0.5)[clear])
    assert not out["probabilities"][1, 9:].any()


def test_sixteen_bit_images_keep_their_depth(folder, model):
    dark = np.random.default_rng(4).integers(0, 900, (16, 16), dtype=np.uint16)
    code = """
import io, numpy, tensorflow as tf
run = tf.saved_model.load(sys.argv[1]).signatures["image_bytes"]
pixels = numpy.load("dark.npy")
outputs = run(image=tf.io.encode_png(pixels[..., None].repeat(3, -1))[None])
numpy.save("out.npy", outputs["probabilities"])
"""
    where = folder.parent.parent
    np.save(where / "dark.npy", dark)
    python(code, folder, cwd=where)
    expected = segment(model, dark[..., None].repeat(3, -1))
    np.testing.assert_allclose(np.load(where / "out.npy")[0], expected, atol=1e-4)


def test_a_turned_photograph_gives_what_segment_gives(folder, model, image, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = Image.fromarray(image).resize((90, 63))
    for number, options in enumerate(({"quality": 95, "exif": exif}, {"quality": 40, "progressive": True})):
        smooth.save(tmp_path / f"{number}.jpg", **options)
    code = """
import numpy, pathlib, tensorflow as tf
run = tf.saved_model.load(sys.argv[1]).signatures["image_bytes"]
outputs = run(image=tf.constant([pathlib.Path(f"{number}.jpg").read_bytes() for number in range(2)]))
numpy.savez("out.npz", probabilities=outputs["probabilities"], sides=outputs["sides"])
"""
    python(code, folder, cwd=tmp_path)
    out = np.load(tmp_path / "out.npz")
    assert out["sides"].tolist() == [[90, 63], [63, 90]]
    for number, (height, width) in enumerate(out["sides"]):
        got = out["probabilities"][number, :height, :width]
        np.testing.assert_allclose(got, segment(model, tmp_path / f"{number}.jpg"), atol=1e-4)


@pytest.fixture
def without_keras(tmp_path):
    """Environment variables of a process in which `import keras` fails, whoever does it."""
    (tmp_path / "first" / "keras").mkdir(parents=True)
    (tmp_path / "first" / "keras" / "__init__.py").write_text("raise ImportError('keras was imported')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "first")}
    tried = subprocess.run([sys.executable, "-c", "import keras"], env=environment, capture_output=True, text=True)
    assert "keras was imported" in tried.stderr
    return environment


def test_a_session_of_tensorflow_1_runs_it(folder, model, image, tmp_path, without_keras):
    np.save(tmp_path / "image.npy", image[None].astype(np.float32))
    code = """
import numpy, sys, tensorflow as tf
v1 = tf.compat.v1
with v1.Session(graph=tf.Graph()) as session:
    meta = v1.saved_model.load(session, ["serve"], sys.argv[1])
    for name in ("L1", "L2", "mean", "serving_default"):
        own = meta.signature_def[name]
        numpy.save(name, session.run(own.outputs["probabilities"].name,
                                     {own.inputs["image"].name: numpy.load("image.npy")}))
"""
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=tmp_path, env=without_keras, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, level in (("L1", 1), ("L2", 2), ("mean", "mean"), ("serving_default", 2)):
        got = np.load(tmp_path / f"{name}.npy")[0]
        np.testing.assert_allclose(got, segment(model, image, level), atol=1e-5)


@pytest.mark.slow
def test_the_command_line_tool_shows_and_runs_it(folder, model, image, tmp_path, without_keras):
    tool = shutil.which("saved_model_cli", path=os.path.dirname(sys.executable))
    if tool is None:
        pytest.skip("saved_model_cli, which TensorFlow installs, is not beside this Python")
    np.save(tmp_path / "image.npy", image[None].astype(np.float32))
    of = ["--dir", str(folder), "--tag_set", "serve", "--signature_def", "L1"]
    run = [tool, "run", *of, "--inputs", "image=image.npy", "--outdir", "out"]
    results = [subprocess.run(command, cwd=tmp_path, env=without_keras, capture_output=True, text=True)
               for command in ([tool, "show", *of], run)]  # fmt: skip
    assert [one.returncode for one in results] == [0, 0], results[-1].stderr[-2000:]
    for text in ("inputs['image']", "outputs['probabilities']", "shape: (-1, -1, -1, 3)"):
        assert text in results[0].stdout
    got = np.load(tmp_path / "out" / "probabilities.npy")[0]
    np.testing.assert_allclose(got, segment(model, image, 1), atol=1e-5)


def test_weights_are_stored_once(tmp_path):
    model = build(preset="unet++", input_shape=(None, None, 1))
    report = export(model, tmp_path / "1", verify=False)
    assert report.rows == ()
    assert str(report).endswith("float32 in, probabilities out\nnot verified")
    assert 0.99 < report.bytes / cost(model.spec).weight_bytes < 1.03


def test_server_configuration_by_a_flag(model, tmp_path):
    export(model, tmp_path / "cells" / "2", levels=1, verify=False, server_config=True)
    assert 'name: "cells" base_path: "/models/cells"' in (tmp_path / "models.config").read_text()
    assert (tmp_path / "batching.config").is_file()
    export(model, tmp_path / "cells" / "3", levels=1, verify=False, server_config=False)
    export(model, tmp_path / "others" / "1", levels=1, verify=False, server_config=False)
    assert "others" not in (tmp_path / "models.config").read_text()
    with pytest.raises(InputError, match=r"finds models as NAME/VERSION, such as nuclei/1\. Received: .*/cells\."):
        export(model, tmp_path / "cells", server_config=True)


OPTIONS = [{"output": "mask"}, {"input": "uint8", "size": (10, 15), "output": "logits"},
           {"input": "image_bytes", "output": "mask"}]  # fmt: skip


@pytest.mark.parametrize("options", sampled(OPTIONS, OPTIONS[2:]))
def test_other_inputs_and_outputs(options, tmp_path):
    keras.utils.set_random_seed(1)
    model = build((None, None, 1), width=4, depth=1, classes=3, up="nearest")
    report = export(model, tmp_path / "1", images=[np.zeros((10, 15))], **options)
    assert [row.name for row in report.rows] == ["L1", "image_bytes"]
    assert report.tolerance == 1e-4
    assert (len(report.images), report.images[-1]) == (3, (10, 15))


OTHER_UPS = [up for up in FIELDS["up"].metadata["allowed"] if up != "bilinear"]


@pytest.mark.parametrize("up", sampled(OTHER_UPS, ["transpose"]))
def test_every_kind_of_up_sampling(up, tmp_path):
    model = build((None, None, 1), width=4, depth=2, up=up)
    report = export(model, tmp_path / "1")
    assert [row.name for row in report.rows] == ["L1", "L2", "mean", "image_bytes"]
    assert all(row.difference < 1e-4 for row in report.rows)


def test_mixed_precision_and_volumes(tmp_path):
    with precision("mixed_bfloat16"):
        model = build((None, None, None, 1), width=4, depth=1, up="nearest")
    report = export(model, tmp_path / "1")
    assert [row.name for row in report.rows] == ["L1"]


def test_a_folder_that_is_no_saved_model_says_so(tmp_path):
    with pytest.raises(InputError, match=r"nothing cannot be read: No such file or directory"):
        saved_model.open(tmp_path / "nothing")


def test_a_full_disk_is_told_and_the_old_model_stays(folder, model, monkeypatch):
    import tensorflow as tf

    def full(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "variables.data; No space left on device")

    before = (folder / "saved_model.pb").read_bytes()
    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match=r"cannot write .*nuclei/1: variables.data; No space left on device"):
        export(model, folder)
    assert (folder / "saved_model.pb").read_bytes() == before
    assert os.listdir(folder.parent) == ["1"]
