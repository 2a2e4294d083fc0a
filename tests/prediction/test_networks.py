"""What is made ready once is kept: with a model as long as that lives and is the same, with a file until it changes."""

import gc
import os
import subprocess
import sys
import threading
import weakref

import keras
import numpy as np
import pytest

from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction import networks
from keras_unetpp.prediction.networks import at_level, network, network_at
from keras_unetpp.prediction.predictor import Predictor, segment

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def made(**fields):
    keras.utils.set_random_seed(0)
    return build(**{"input_shape": (None, None, 3), "width": 2, "depth": 2, **fields})


def fresh(model, image=IMAGE, level=None):
    """What a predictor gives that shares nothing with others."""
    whole = keras.models.clone_model(model)
    whole.set_weights(model.get_weights())
    (found,) = Predictor(at_level(whole, level))(image).values()
    return found


def test_what_a_model_gives_is_kept_by_level():
    model = made()
    assert network_at(model, 1) is network_at(model, 1)
    assert len({id(network_at(model, level)) for level in (1, 2, None, "mean")} | {id(network(model))}) == 5
    assert network(model) is network(model)
    assert network(model) is not network(made())
    for level in (1, "mean", 2, 1):
        np.testing.assert_allclose(segment(model, IMAGE, level), fresh(model, level=level), atol=1e-6)


@pytest.mark.parametrize("level", [True, 2.0, np.int64(2), 3, "all"])
def test_a_kept_level_allows_no_other(level):
    model = made()
    for known in (1, 2, None):
        segment(model, IMAGE, known)
    network(model)
    with pytest.raises(InputError, match=r"This model has heads for level 1, 2 or 'mean'\. Received: "):
        segment(model, IMAGE, level)


def test_a_model_can_be_freed():
    gc.collect()
    model = made()
    segment(model, IMAGE), segment(model, IMAGE, 1, tile=16), Predictor(model)(IMAGE)
    gone, before = weakref.ref(model), len(networks._of_models)
    inner = weakref.ref(network_at(model, 1))
    del model
    gc.collect()
    assert gone() is None
    assert inner() is None
    assert len(networks._of_models) == before - 1


def test_a_loop_adds_nothing_to_the_model():
    model = made(head_activation="linear")

    def nodes():
        return sum(len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model.layers)

    for level in (None, "mean"):
        segment(model, IMAGE, level)
    before = nodes()
    for tile in (16, 20, 24):
        segment(model, IMAGE, "mean", tile=tile), segment(model, IMAGE)
    assert nodes() == before


def test_weights_that_changed_since_count():
    model = made(normalization="standardize")
    first = segment(model, IMAGE)
    model.compile("sgd", "binary_crossentropy")
    model.fit(IMAGE[None], np.ones((1, 16, 24, 1)), epochs=2, verbose=0)
    trained = segment(model, IMAGE)
    assert np.abs(trained - first).max() > 1e-3
    np.testing.assert_allclose(trained, fresh(model), atol=1e-6)
    model.set_weights([weight * 0.5 for weight in model.get_weights()])
    np.testing.assert_allclose(segment(model, IMAGE), fresh(model), atol=1e-6)


def test_settings_of_layers_that_changed_since_count():
    model = made(normalization="standardize")
    for layer, name, value in (
        ("x_0_0_act1", "activation", keras.activations.tanh),
        ("normalization", "epsilon", 1e4),
        ("L2", "activation", keras.activations.linear),
    ):
        before = segment(model, IMAGE)
        setattr(model.get_layer(layer), name, value)
        found = segment(model, IMAGE)
        assert layer == "L2" or np.abs(found - before).max() > 1e-3
        np.testing.assert_allclose(found, fresh(model), atol=1e-6)


def test_threads_may_share_a_model():
    model, found = made(up="bilinear"), []
    threads = [threading.Thread(target=lambda: found.append(segment(model, IMAGE))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for one in found:
        np.testing.assert_allclose(one, fresh(model), atol=1e-6)


LOOP = """
import numpy as np
import tensorflow as tf

import keras_unetpp as kup

traced = []
make = tf.function


def function(run=None, **options):
    if run is not None and run.__module__ == "keras_unetpp.graph.backend":
        traced.append(run)
    return make(run, **options)


tf.function = function
for fields in ({"up": "bilinear"}, {"norm": "instance"}):
    model = kup.build((None, None, 1), width=2, depth=2, **fields)
    for side in range(16, 28):
        kup.segment(model, np.zeros((side, 40 - side, 1), "uint8"), level=1)
print(len(traced))
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow only")
def test_a_loop_over_sizes_traces_once_and_says_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", LOOP], capture_output=True, text=True, check=True,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"})  # fmt: skip
    assert done.stdout == "2\n"
    assert "retracing" not in done.stderr


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    folder = tmp_path_factory.mktemp("files")
    for number in range(3):
        export(made(width=2 + number), folder / f"{number}.onnx", verify=False)
    return folder


def opened(monkeypatch):
    """The paths that are opened from now on."""
    paths, init = [], Artefact.__init__
    monkeypatch.setattr(
        Artefact, "__init__", lambda self, path: (paths.append(os.path.basename(path)), init(self, path))[1]
    )
    return paths


def test_a_file_named_by_its_path_stays_open_until_it_changes(files, monkeypatch, tmp_path):
    paths = opened(monkeypatch)
    path = tmp_path / "a.onnx"
    path.write_bytes((files / "0.onnx").read_bytes())
    first = segment(path, IMAGE)
    for level in (1, "mean", None):
        segment(str(path), IMAGE, level)
    assert paths == ["a.onnx"]
    path.write_bytes((files / "1.onnx").read_bytes())
    assert np.abs(segment(path, IMAGE) - first).max() > 1e-4
    assert np.array_equal(segment(path, IMAGE), segment(Artefact(files / "1.onnx"), IMAGE))
    assert paths == ["a.onnx", "a.onnx", "1.onnx"]
    path.unlink()
    with pytest.raises(InputError, match=r"There is no exported file .*a\.onnx\."):
        segment(path, IMAGE)


def test_few_files_stay_open_and_each_thread_has_its_own(files, monkeypatch):
    paths = opened(monkeypatch)
    for number in (0, 1, 0, 1, 2, 1, 0):
        segment(files / f"{number}.onnx", IMAGE)
    assert paths == ["0.onnx", "1.onnx", "2.onnx", "0.onnx"]
    thread = threading.Thread(target=lambda: segment(files / "0.onnx", IMAGE))
    thread.start()
    thread.join()
    assert paths[4:] == ["0.onnx"]
