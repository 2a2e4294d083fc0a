"""Files of models that are damaged, swollen, or hold weights that are no numbers."""

import io
import json
import random
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_unetpp as kup
from keras_unetpp import weights
from keras_unetpp.formats.keras_file import load_model
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.weights.finite import check_finite


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A compiled and saved model."""
    path = tmp_path_factory.mktemp("model") / "m.keras"
    model = kup.build((None, None, 3), width=2, depth=1)
    model.compile("adam", loss=kup.losses.BCEDice())
    model.save(path)
    return path


def rewritten(file, target, compression=zipfile.ZIP_STORED, **members):
    """A copy of an archive with other content for some members, named without their extension."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            change = members.get(name.split(".")[0], lambda data: data)
            new.writestr(name, change(old.read(name)))
    return target


def in_h5(change):
    """A change of each array of floats in HDF5 data."""

    def changed(data):
        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as opened:
            opened.visititems(
                lambda _, one: change(one) if isinstance(one, h5py.Dataset) and one.dtype.kind == "f" else None
            )
        return stream.getvalue()

    return changed


def test_one_changed_byte_is_one_line_or_changes_nothing(file, tmp_path):
    data, chance = file.read_bytes(), random.Random(0)
    expected, changed = load_model(file).get_weights(), tmp_path / "c.keras"
    for _ in range(60):
        one = bytearray(data)
        one[chance.randrange(len(one))] ^= 1 << chance.randrange(8)
        changed.write_bytes(one)
        try:
            found = load_model(changed).get_weights()
        except InputError:
            continue
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_damage_is_told_as_such(file, tmp_path):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "c.keras").write_bytes(data)
    text = r"c\.keras is not a readable Keras model: it is cut off or damaged \(model\.weights\.h5\)\. Fetch it again"
    with pytest.raises(InputError, match=text):
        load_model(tmp_path / "c.keras")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(file, tmp_path, value):
    bad = rewritten(
        file, tmp_path / "n.keras", model=in_h5(lambda one: one.write_direct(np.full(one.shape, value, one.dtype)))
    )
    with pytest.raises(
        InputError, match=r"n\.keras must hold finite weights\. Received: NaN or infinity in x_0_0_conv1/kernel,"
    ):
        kup.load(bad)


def test_so_they_are_in_h5(file, tmp_path):
    model = load_model(file)
    model.layers[-1].set_weights(model.layers[-1].get_weights())
    kernel = next(one for one in model.weights if one.name == "kernel")
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(tmp_path / "m.h5")
    with pytest.raises(InputError, match=r"m\.h5 must hold finite weights"):
        kup.load(tmp_path / "m.h5")


def test_a_file_that_keeps_hdf5_busy_for_ever(file, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_unetpp.weights.h5_files._SECONDS", 5)
    load_model(file).save(tmp_path / "m.h5")
    data = bytearray((tmp_path / "m.h5").read_bytes())
    start = data.index(b"GCOL") + 16  # where texts of any length are kept, the first of which gets the length 0
    data[start : start + 48] = bytes(48)
    (tmp_path / "m.h5").write_bytes(data)
    with pytest.raises(InputError, match=r"m\.h5 is not readable: reading it does not end\. Get it again"):
        kup.load(tmp_path / "m.h5")


def test_texts_of_gigabytes_are_refused_before_they_are_asked_for(file, tmp_path):
    """HDF5 takes the memory that a broken length asks for before it looks whether the file is that long."""
    load_model(file).save(tmp_path / "m.h5")
    data = bytearray((tmp_path / "m.h5").read_bytes())
    size = data.index(b"GCOL") + 8
    data[size : size + 8] = (2**31).to_bytes(8, "little")
    (tmp_path / "m.h5").write_bytes(data)
    with pytest.raises(InputError, match=r"m\.h5 is damaged: .*\. Get it again from who made it\."):
        kup.load(tmp_path / "m.h5")


def test_so_they_are_in_safetensors_and_in_memory(file, tmp_path):
    model = load_model(file)
    state = weights.state(model)
    name = "x_0_0_conv1/bias"
    state[name][1] = np.nan
    safetensors.numpy.save_file(state, tmp_path / "m.safetensors")
    before = weights.state(model)
    with pytest.raises(
        InputError, match=rf"m\.safetensors must hold finite weights\. Received: NaN or infinity in {name}\."
    ):
        weights.load(model, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=rf"in {name}\."):
        weights.assign(model, state)
    state[name] = np.full(2, 1e300)  # finite here, and infinite in float32
    with pytest.raises(InputError, match=rf"in {name}\."), np.errstate(over="ignore"):
        weights.assign(model, state)
    assert all(np.array_equal(before[key], value) for key, value in weights.state(model).items())


def test_whole_numbers_are_finite():
    check_finite({"a": np.arange(3), "b": np.zeros(0), "c": np.ones(2, "float16")}, "x")


def test_layers_beyond_what_the_file_holds_are_never_made(file, tmp_path):
    def swell(data):
        config = json.loads(data)
        for layer in config["config"]["layers"]:
            if layer["class_name"].startswith("Conv2D"):
                layer["config"]["filters"] = 10**9
        return json.dumps(config).encode()

    bad = rewritten(file, tmp_path / "s.keras", config=swell)
    with pytest.raises(InputError, match=r"layer 'x_0_0_conv1' brings the weights that it describes to 27,000,000,000"):
        load_model(bad)
    assert keras.Layer.add_weight.__qualname__ == "Layer.add_weight"
    load_model(file)


def test_an_archive_that_unpacks_to_far_more(file, tmp_path):
    bad = rewritten(file, tmp_path / "z.keras", zipfile.ZIP_DEFLATED, model=lambda data: bytes(2**24))
    with pytest.raises(InputError, match=r"would unpack to far more than they are \(model\.weights\.h5\)"):
        load_model(bad)


def test_arrays_that_unpack_to_far_more(file, tmp_path):
    def swell(data):
        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as opened:
            opened.create_dataset("more", (2**26,), "f4", chunks=(2**20,), compression="gzip", fillvalue=0)[: 2**20] = 0
        return stream.getvalue()

    bad = rewritten(file, tmp_path / "a.keras", model=swell)
    with pytest.raises(InputError, match=r"a\.keras is not readable: its arrays would unpack to 268,"):
        load_model(bad)


def test_a_packed_archive_of_ordinary_weights_opens(file, tmp_path):
    packed = rewritten(file, tmp_path / "p.keras", zipfile.ZIP_DEFLATED)
    assert load_model(packed).spec == load_model(file).spec


def test_the_reason_is_the_one_that_keras_buries(file, tmp_path):
    def unknown(data):
        config = json.loads(data)
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Activation":
                layer["config"]["activation"] = "nonesuch"
        return json.dumps(config).encode()

    with pytest.raises(InputError, match="nonesuch") as caught:
        load_model(rewritten(file, tmp_path / "u.keras", config=unknown))
    assert "config={" not in str(caught.value)


def test_a_loss_that_is_not_known_is_still_only_warned_of(file, tmp_path):
    renamed = rewritten(file, tmp_path / "l.keras", config=lambda data: data.replace(b"BCEDice", b"Nonesuch"))
    with pytest.warns(InputWarning, match="compiled with something that is not known here"):
        assert not load_model(renamed).compiled
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        load_model(file)
