"""Runs that go on: with the data as it was, with other data, after kills, from version 0.1.0."""

import json
import shutil
import warnings
import zipfile

import keras
import pytest
from pictures import disks
from precision import precision
from sampling import sampled

from keras_unetpp.data.folders import read_folder
from keras_unetpp.files import RECORD
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.training.fit import fit
from keras_unetpp.training.run import EPOCH, _guess, read_log

OPTIONS = {"epochs": 4, "crop": 16, "batch_size": 2, "val_every": 4, "augment": "none", "progress": False}


def tiny():
    keras.utils.set_random_seed(0)
    return build((None, None, 3), width=2, depth=1)


def data(folder, count, side=24):
    disks(folder, count, side)
    (folder / "index.csv").write_text(
        "file,split\n" + "".join(f"{n}.png,{'train' if n else 'val'}\n" for n in range(count))
    )
    return folder


def shrink(folder, left):
    for path in [*folder.glob("images/*"), *folder.glob("masks/*")]:
        if int(path.stem) >= left:
            path.unlink()
    return data(folder, left)


def as_version_0_1(run):
    """Make a run what version 0.1.0 would have left: no record of the data, no number of the epoch."""
    (run / RECORD).unlink()
    path = run / "run.json"
    described = json.loads(path.read_text())
    del described["data"]
    path.write_text(json.dumps(described))
    with zipfile.ZipFile(run / "last.keras") as old, zipfile.ZipFile(run / "new", "w") as new:
        for name in old.namelist():
            if name != EPOCH:
                new.writestr(name, old.read(name))
    (run / "new").rename(run / "last.keras")


def epochs(rows):
    return [row["epoch"] for row in rows]


@pytest.mark.parametrize(("first", "later"), sampled([(17, 5), (5, 17)], [(17, 5)]))
def test_a_folder_that_changed_is_refused_then_gone_on_with_where_asked(tmp_path, first, later):
    folder, run = data(tmp_path / "d", first), tmp_path / "run"
    fit(tiny(), folder, run, until=2, **OPTIONS)
    shrink(folder, later) if later < first else data(folder, later)
    what = r"12 removed \(10, 11, 12, \.\.\)" if later < first else r"12 added \(10, 11, 12, \.\.\)"
    with pytest.raises(InputError, match=rf"run was made with other data: {what}\. .*data_changed=True \(--data-ch"):
        fit(tiny(), folder, run, **OPTIONS)
    assert epochs(read_log(run / "log.csv")) == [1, 2]
    model = tiny()
    assert epochs(fit(model, folder, run, data_changed=True, **OPTIONS)) == [1, 2, 3, 4]
    assert epochs(read_log(run / "log.csv")) == [1, 2, 3, 4]
    assert int(model.optimizer.iterations) == 4 * ((later - 1) // 2)  # the learning rate has come to its end
    assert epochs(fit(tiny(), folder, run, **OPTIONS)) == [1, 2, 3, 4]  # the new data is noted


def test_a_finished_run_is_not_taken_for_one_on_other_data(tmp_path):
    one, two = data(tmp_path / "one", 5), disks(tmp_path / "two", 5, 24, seed=1)
    shutil.copy(one / "index.csv", two)
    options = {**OPTIONS, "epochs": 1}
    rows = fit(tiny(), one, tmp_path / "run", **options)
    for other in (two, read_folder(two)):
        with pytest.raises(InputError, match=r"run was made with other data: 5 with other content \(0, 1, 2, \.\.\)"):
            fit(tiny(), other, tmp_path / "run", **options)
    one.rename(tmp_path / "elsewhere")
    for same in (tmp_path / "elsewhere", read_folder(tmp_path / "elsewhere")):
        assert fit(tiny(), same, tmp_path / "run", **options) == rows


def test_a_run_of_version_0_1_goes_on_and_learns_what_its_data_is(tmp_path):
    folder, run = data(tmp_path / "d", 5), tmp_path / "run"
    fit(tiny(), folder, run, until=2, **OPTIONS)
    as_version_0_1(run)
    with pytest.warns(InputWarning, match="does not say with what data"):
        rows = fit(tiny(), folder, run, until=3, **OPTIONS)
    assert epochs(rows) == [1, 2, 3]
    as_version_0_1(run)
    data(folder, 11)  # it cannot be known that the data has changed, but no epoch is lost or trained again
    with pytest.warns(InputWarning, match="does not say with what data"):
        rows = fit(tiny(), folder, run, **OPTIONS)
    assert epochs(rows) == [1, 2, 3, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        fit(tiny(), folder, run, **OPTIONS)


@pytest.mark.parametrize(
    ("iterations", "steps", "last", "epoch"),
    [(6, 2, 3, 3), (4, 2, 3, 2), (24, 3, 3, 3), (16, 3, 3, 2), (16, 5, 1, 1), (6, 2, 0, 3), (7, 5, 3, 3)],
)
def test_the_epoch_of_a_model_without_its_number(iterations, steps, last, epoch):
    assert _guess(iterations, steps, last) == epoch


def test_a_run_killed_between_log_and_model_trains_that_epoch_again(tmp_path):
    folder, run = data(tmp_path / "d", 5), tmp_path / "run"
    fit(tiny(), folder, run, until=1, **OPTIONS)
    kept = (run / "last.keras").read_bytes()
    fit(tiny(), folder, run, until=2, **OPTIONS)
    (run / "last.keras").write_bytes(kept)
    assert epochs(fit(tiny(), folder, run, **OPTIONS)) == [1, 2, 3, 4]


def test_what_killed_runs_left_is_swept_and_nothing_else(tmp_path):
    folder, run = data(tmp_path / "d", 5), tmp_path / "run"
    fit(tiny(), folder, run, until=1, **OPTIONS)
    as_version_0_1(run)
    ours = [".last.0123abcd.keras", ".best.ffffffff.keras", ".log.00000000.csv", ".run.12345678.json"]
    others = [".last.0123abc.keras", ".last.keras", ".mine.0123abcd.keras", "last.0123abcd.keras"]
    for name in (*ours, *others):
        (run / name).write_text("")
    with pytest.warns(InputWarning, match="does not say with what data"):
        fit(tiny(), folder, run, until=2, **OPTIONS)
    left = {path.name for path in run.iterdir()} - {"tensorboard"}
    assert left == {*others, "run.json", "log.csv", "last.keras", "best.keras", RECORD}


def test_crops_may_have_sides_of_their_own(tmp_path):
    import numpy as np
    import tifffile

    for number in range(3):
        for name in ("images", "masks"):
            (tmp_path / "d" / name).mkdir(parents=True, exist_ok=True)
            volume = np.random.default_rng(number).integers(0, 2, (8, 20, 20)).astype(np.uint8)
            tifffile.imwrite(tmp_path / "d" / name / f"{number}.tif", volume * (255 if name == "images" else 1))
    model = build((None, None, None, 1), width=2, depth=1)
    options = {**OPTIONS, "epochs": 1, "crop": (4, 16, 8)}
    rows = fit(model, tmp_path / "d", tmp_path / "run", **options)
    assert fit(model, tmp_path / "d", tmp_path / "run", **{**options, "crop": [4, 16, 8]}) == rows
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["crop"] == [4, 16, 8]
    with pytest.raises(InputError, match=r"crop must be one side, or 3: depth, height and width\. Received: \(8, 8\)"):
        fit(model, tmp_path / "d", tmp_path / "other", **{**options, "crop": (8, 8)})
    with pytest.raises(InputError, match=r"crop must be a multiple of 2, .*Received: \(3, 8, 8\)"):
        fit(model, tmp_path / "d", tmp_path / "other", **{**options, "crop": (3, 8, 8)})


def test_options_of_the_data_folder_are_fields_of_fit(tmp_path):
    folder = disks(tmp_path / "d", 4, 24)
    (folder / "masks").rename(folder / "labels")
    for path in list((folder / "labels").iterdir()):
        path.rename(path.with_stem(f"{path.stem}_m"))
    fields = {"masks": "labels", "mask_suffix": "_m", "val_fraction": 0.5}
    rows = fit(tiny(), folder, tmp_path / "run", **{**OPTIONS, "epochs": 1}, **fields)
    assert 0 <= rows[-1]["val_L1_iou"] <= 1


def test_what_is_odd_is_told_before_training_and_shown(tmp_path, capsys):
    folder = disks(tmp_path / "d", 4, 24)
    shutil.copy(folder / "masks" / "0.png", folder / "masks" / "alone.png")
    options = {**OPTIONS, "epochs": 1}
    with pytest.warns(InputWarning, match=r"Left out: 1 masks without an image \(alone\.png\)"):
        fit(tiny(), folder, tmp_path / "run", **{**options, "progress": True})
    assert f"4 images with masks in {folder}" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        fit(tiny(), folder, tmp_path / "other", describe=False, **options)
    assert capsys.readouterr().err == ""


def test_a_run_of_mixed_precision_goes_on(tmp_path):
    def half():
        with precision("mixed_float16"):
            return tiny()

    folder = data(tmp_path / "data", 5)
    whole = fit(half(), folder, tmp_path / "whole", **OPTIONS)
    fit(half(), folder, tmp_path / "parts", until=2, **OPTIONS)
    model = half()
    rows = fit(model, folder, tmp_path / "parts", **OPTIONS)
    assert rows[-1]["loss"] == pytest.approx(whole[-1]["loss"], rel=1e-3)
    assert type(model.optimizer) is keras.optimizers.LossScaleOptimizer
    assert int(model.optimizer.inner_optimizer.iterations) == 8
