import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_unetpp.cli import main
from keras_unetpp.files import RECORD
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import ACTIVATIONS, BLOCKS, DOWNS, HEADS, MERGES, NORMS, PIXELS, SKIPS, UPS
from keras_unetpp.spec.fields import FIELDS

TRAIN = ["--width", "4", "--depth", "1", "--epochs", "1", "--crop", "16", "--batch-size", "2", "--crops-per-epoch", "2"]


def refused(capsys, *arguments):
    """Exit code 2 and one line; returns the line."""
    assert main([str(argument) for argument in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, lines
    return errors[0]


def train(capsys, data, out, *more):
    return refused(capsys, "train", "--data", data, "--out", out, *TRAIN, *more)


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from keras_unetpp.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'numpy', 'rich', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("train", "predict", "levels", "prune", "zoo"))
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_field_is_an_option(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    for name in (*FIELDS, "width", *Recipe().to_dict()):
        assert f"--{name.replace('_', '-')}" in shown


def test_designs_lists_what_can_be_chosen_and_where_it_comes_from(capsys):
    assert main(["designs"]) == 0
    shown = capsys.readouterr().out
    for table in (SKIPS, BLOCKS, NORMS, ACTIVATIONS, DOWNS, UPS, MERGES, PIXELS, HEADS):
        for name, row in table.items():
            assert re.search(rf"^  {re.escape(name)} .*{re.escape(row.text)}.* {re.escape(row.source)}$", shown, re.M)
    assert "--up: up-sampling by 2\n  transpose (default)  " in shown
    assert "bilinear interpolation; 2-D only  " in shown


def test_levels_of_a_preset_shows_the_triangle_and_the_costs(capsys):
    assert main(["levels", "--preset", "unet++"]) == 0
    shown = capsys.readouterr().out
    assert "x_0_4" in shown
    assert "9,041,601" in shown
    assert "29.75 G" in shown
    assert main(["levels", "--preset", "unet++", "--size", "512,512", "--depth", "3"]) == 0
    shown = capsys.readouterr().out
    assert "2,204,961" in shown
    assert "9,041,601" not in shown


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["levels", "--preset", "unt"], "Unknown preset 'unt'. Did you mean 'unet'?"),
        (["levels", "--depth", "9"], "Spec.depth must be a whole number from 1 to 6. Received: 9."),
        (["levels", "--norm", "bach"], "Spec.norm must be one of 'none', 'batch'"),
        (["levels", "--input-shape", "250,250,3"], "Pad to (256, 256)"),
        (["levels", "--data", "somewhere"], "levels --data needs --model"),
        (["lvls"], "invalid choice: 'lvls'"),
        (["levels", "--wdth", "3"], "unrecognized arguments: --wdth 3"),
        (
            ["levels", "--norm-epsilon", "-1e-3"],
            "Spec.norm_epsilon must be a number from 0.0 to 1.0. Received: -0.001.",
        ),
        (["levels", "--input-shape", "-8,none,3"], "Received: (-8, None, 3)."),
        (["search", "--data", "a", "--out", "b", "--max-params", "-1e5"], "Budget.params must be a positive"),
        (["search", "--data", "a", "--out", "b", "--max-params", "100,000"], "Received: '100,000'."),
        (["train"], "required: --data, --out"),
        (["zoo", "nuclei"], "The zoo has no 'nuclei'. Did you mean 'nuclei-small'?"),
        (["predict", "a", "b", "--model", "nothing.keras"], "There is no model file nothing.keras"),
        (["predict", "nowhere", "b"], "nowhere"),
        (["prune", "small.h5"], "OUT must end in .keras. Received: small.h5."),
        (["prune", "small.keras", "--level", "7"], "This model has heads for level 1, 2, 3, 4 or 'mean'. Received: 7."),
    ],
)
def test_bad_arguments_are_one_line(capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert text in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_training_and_what_follows(capsys, disk_folder, tmp_path):
    run = tmp_path / "run"
    assert main(["train", "--data", str(disk_folder), "--out", str(run), *TRAIN]) == 0
    best = str(run / "best.keras")
    assert main(["predict", str(disk_folder / "images"), str(tmp_path / "out"), "--model", best]) == 0
    assert len(list((tmp_path / "out").glob("*_overlay.png"))) == 6
    assert np.asarray(Image.open(tmp_path / "out" / "0.png")).shape == (48, 48)
    assert main(["levels", "--model", best, "--data", str(disk_folder), "--size", "32,32"]) == 0
    assert "ms" in capsys.readouterr().out
    assert main(["prune", str(tmp_path / "small.keras"), "--model", best, "--level", "1"]) == 0
    assert "parameters in" in capsys.readouterr().out
    assert main(["predict", str(disk_folder / "images" / "0.png"), str(tmp_path / "one"), "--model",
                 str(tmp_path / "small.keras")]) == 0  # fmt: skip


def spoil(folder, how):
    image, mask = folder / "images" / "3.png", folder / "masks" / "3.png"
    if how == "no mask":
        mask.unlink()
    elif how == "size":
        Image.new("L", (10, 10)).save(mask)
    elif how == "unreadable":
        image.write_bytes(image.read_bytes()[:60])
    elif how == "empty":
        shutil.rmtree(folder / "images")
        (folder / "images").mkdir()
    elif how == "nan":
        import tifffile

        image.unlink()
        tifffile.imwrite(folder / "images" / "3.tif", np.full((48, 48, 3), np.nan, np.float32))
    return folder


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("no mask", "3.png has none"),
        ("size", "3.png"),
        ("unreadable", "3.png"),
        ("empty", "images"),
        ("nan", "NaN"),
    ],
)
def test_bad_data_is_one_line_and_writes_no_checkpoint(capsys, disk_folder, tmp_path, how, text):
    assert text in train(capsys, spoil(disk_folder, how), tmp_path / "run")
    assert not (tmp_path / "run" / "last.keras").exists()


def test_a_label_beyond_the_classes_is_one_line(capsys, disk_folder, tmp_path):
    line = train(capsys, disk_folder, tmp_path / "run", "--labels", "classes", "--classes", "2")
    assert "label ids must lie in 0..1" in line
    assert "masks" in line


def test_a_folder_that_cannot_be_written_is_one_line(capsys, disk_folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "file" in train(capsys, disk_folder, tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_one_line_and_leaves_no_half_file(disk_folder, tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    code = f"{limit}; import sys; from keras_unetpp.cli import main; sys.exit(main())"
    run = tmp_path / "run"
    command = [sys.executable, "-c", code, "train", "--data", disk_folder, "--out", run, *TRAIN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "best.keras: File too large" in done.stderr
    assert {path.name for path in run.iterdir()} <= {"run.json", "log.csv", "tensorboard", RECORD}


def test_an_interrupt_is_130(monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_unetpp.spec.level_costs", interrupted)
    assert main(["levels"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_search_takes_limits_and_lists_and_tells_the_smallest_budget(capsys, disk_folder, tmp_path, monkeypatch):
    options = ["search", "--data", disk_folder, "--out", tmp_path / "out"]
    assert "params=643 (received 10)" in refused(capsys, *options, "--max-params", "10")
    assert "needs a budget" in refused(capsys, *options)
    seen = {}
    monkeypatch.setattr("keras_unetpp.tuning.search", lambda *given, **named: seen.update(given=given, **named))
    words = "--max-params 9000 --max-latency 2.5 --size 48,64 --depth 1,2 --norm batch --epochs 3 --tuner grid"
    assert main([*map(str, options), *words.split()]) == 0
    assert seen["given"][2].to_dict() == {
        **dict.fromkeys(("macs", "weight_bytes", "tflite_bytes", "activation_bytes")),
        **{"params": 9000, "latency": 2.5, "size": [48, 64]},
    }
    assert {name: seen[name] for name in ("depth", "norm", "epochs", "tuner")} == {
        **{"depth": (1, 2), "norm": "batch", "epochs": 3, "tuner": "grid"}
    }


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("--stem True --norm None", {"stem": True, "norm": "none"}),
        ("--stem true,FALSE --norm none,batch", {"stem": (True, False), "norm": ("none", "batch")}),
        ("--ignore-index -1,none --epochs 1e2", {"ignore_index": (-1, None), "epochs": 100}),
        ("--encoder-weights a,b.h5", {"encoder_weights": "a,b.h5"}),
        ("--encoder-weights imagenet,a,b.h5,none", {"encoder_weights": ("imagenet", "a,b.h5", None)}),
        ("--crop 64x64,32x32 --max-minutes none", {"crop": ((64, 64), (32, 32)), "max_minutes": None}),
    ],
)
def test_words_of_a_search_mean_what_they_say(monkeypatch, capsys, words, values):
    seen = {}
    monkeypatch.setattr("keras_unetpp.tuning.search", lambda *given, **named: seen.update(given=given, **named))
    assert main(["search", "--data", "my data, all", "--out", "o", "--max-params", "1e5", *words.split()]) == 0
    assert seen["given"][0] == "my data, all"
    assert seen["given"][2].params == 100_000
    assert {name: seen[name] for name in values} == values


def test_a_list_with_a_word_that_is_no_value_is_refused(capsys, disk_folder, tmp_path):
    options = ["search", "--data", disk_folder, "--out", tmp_path / "out", "--max-params", "1e5"]
    for name, word in (("depth", "1,x"), ("depth", "1,"), ("norm", "none,bach"), ("epochs", "1,2.5")):
        assert f".{name} must be" in (line := refused(capsys, *options, f"--{name}", word))
        assert f"Received: '{word}'." in line


def test_words_of_data_mean_what_they_say(capsys, disk_folder):
    assert main(["data", str(disk_folder), "--split", "none", "--classes", "none"]) == 0
    assert not (disk_folder / "index.csv").exists()
    for words, text in (
        ("--split many", "val_fraction must lie between 0 and 1 (exclusive), got 'many'"),
        ("--split 0.2 --seed x", "the seed of a split must be a whole number. Received: 'x'."),
        ("--classes two", "classes must be a whole number of at least 1, or None. Received: 'two'."),
        ("--ndim none", "ndim must be 2, or 3 for volumes. Received: 'none'."),
    ):
        assert text in refused(capsys, "data", disk_folder, *words.split())


def test_none_leaves_open_what_has_no_default(capsys):
    assert main(["levels", "--depth", "1", "--size", "none"]) == 0
    assert "L1" in capsys.readouterr().out


@pytest.mark.slow
def test_export_scores_a_model_of_volumes_on_volumes(capsys, tmp_path):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    import tifffile

    from keras_unetpp.graph.build import build

    rng = np.random.default_rng(0)
    for number in range(4):
        ids = np.zeros((4, 12, 12), np.uint8)
        ids[1:3, 2 : 6 + number, 3:9] = 5
        for name, volume in (("images", ids * 20 + rng.integers(0, 50, ids.shape).astype(np.uint8)), ("masks", ids)):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "data" / name / f"{number}.tif", volume)
    build((None, None, None, 1), width=2, depth=1).save(tmp_path / "m.keras")
    command = ["export", tmp_path / "m.keras", tmp_path / "m.onnx", "--labelled", tmp_path / "data", "--max-drop", "1"]
    assert main([*map(str, command)]) == 0
    assert "of the model" in capsys.readouterr().out
