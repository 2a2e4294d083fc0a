import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import cost

ROOT = Path(__file__).parents[1]
NUCLEI = ROOT.parent / "shared" / "data" / "nuclei"
NAMES = [entry.name for entry in kup.zoo.list()]


@pytest.fixture
def copy(tmp_path):
    """A zoo of its own, to be damaged."""
    return Path(shutil.copytree(ROOT / "zoo", tmp_path / "zoo"))


def test_the_list_shows_every_entry():
    text = str(kup.zoo.list())
    assert NAMES == ["nuclei-small"]
    for entry in kup.zoo.list():
        assert all(word in text for word in (entry.name, entry.summary, f"{entry.val_iou:.4f}"))


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_loads_and_segments(name):
    model, entry = kup.load(name), kup.zoo.entry(name)
    assert model.spec == entry.spec
    assert model.count_params() == cost(entry.spec).params <= 2_500_000
    assert entry.card.startswith(f"# {name}")
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    assert kup.segment(model, image, entry.best_level, output="mask").shape == (50, 70)


@pytest.mark.skipif(not NUCLEI.is_dir(), reason=f"the nuclei data is not at {NUCLEI}")
def test_nuclei_small_scores_what_its_card_says_on_a_sample():
    entry, model = kup.zoo.entry("nuclei-small"), kup.load("nuclei-small")
    samples = [sample for sample in kup.read_folder(NUCLEI) if sample.split == "val"][::6]
    small = [sample for sample in samples if np.prod(keras.utils.load_img(sample.image).size) < 2e5]
    scores = kup.evaluate(kup.prune(model, entry.best_level), small)
    assert np.mean([score.iou for score in scores]) > entry.val_iou - 0.06
    assert entry.val_iou >= 0.82


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(InputError, match=r"The zoo has no 'nuclei-smal'\. Did you mean 'nuclei-small'\?"):
        kup.load("nuclei-smal")


def test_a_changed_file_is_named_with_both_hashes(copy):
    path = copy / "nuclei_small" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"safetensors of zoo entry 'nuclei-small' is damaged .*manifest says"):
        kup.zoo.load("nuclei-small", copy)


def test_a_spec_that_is_no_text_is_named(copy):
    manifest, data = copy / "manifest.json", b'{"depth": "\xe9"}'
    (copy / "nuclei_small" / "spec.json").write_bytes(data)
    rows = json.loads(manifest.read_text())
    rows["nuclei-small"]["sha256"]["spec.json"] = hashlib.sha256(data).hexdigest()
    manifest.write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"spec\.json of zoo entry 'nuclei-small' must be text in UTF-8\. Received: "):
        str(kup.zoo.list(copy))


def test_a_missing_file_is_named(copy):
    (copy / "nuclei_small" / "spec.json").unlink()
    with pytest.raises(InputError, match=r"spec\.json of zoo entry 'nuclei-small' is missing"):
        kup.zoo.load("nuclei-small", copy)
    with pytest.raises(InputError, match="There is no zoo manifest at"):
        kup.zoo.list(copy / "nowhere")


def test_weights_that_do_not_fit_the_spec_are_named(copy):
    path = copy / "nuclei_small" / "spec.json"
    path.write_text(kup.zoo.entry("nuclei-small").spec.replace(width=8).to_json())
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["nuclei-small"]["sha256"]["spec.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"weights\.safetensors.*x_0_0_conv1/kernel"):
        kup.zoo.load("nuclei-small", copy)


def test_load_opens_files_too(tmp_path):
    model = kup.build((16, 16, 1), width=2, depth=1)
    model.save(tmp_path / "m.keras")
    assert kup.load(tmp_path / "m.keras").spec == model.spec
    with pytest.raises(InputError, match=r"There is no model file .*none\.keras"):
        kup.load(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_text("no zip")
    with pytest.raises(InputError, match=r"bad\.keras is not a readable Keras model"):
        kup.load(tmp_path / "bad.keras")


@pytest.mark.sweep
def test_a_wheel_carries_the_zoo(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "runs", "build", "dist", "*.egg-info", "demo-output", ".*_cache")
    shutil.copytree(ROOT, source, ignore=ignored)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "."], cwd=source, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    assert {f"keras_unetpp_zoo/nuclei_small/{name}" for name in ("spec.json", "weights.safetensors", "card.md")} < names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "keras_unetpp").rglob("*.py")}
    data = {"keras_unetpp/py.typed", "keras_unetpp/spec/backbone_facts.json", "keras_unetpp_zoo/manifest.json"}
    assert modules | data < names
    code = "import keras_unetpp as kup; print(kup.__file__); kup.load('nuclei-small'); kup.Spec(backbone='resnet18')"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site") in done.stdout
