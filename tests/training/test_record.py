import shutil

import pytest
from pictures import disks

from keras_unetpp.data.folders import read_folder
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.training import record as records
from keras_unetpp.training.record import changes, check_same, record


@pytest.fixture
def folder(tmp_path):
    folder = disks(tmp_path / "data", side=24)
    (folder / "index.csv").write_text(
        "file,split\n" + "".join(f"{n}.png,{'val' if n > 3 else 'train'}\n" for n in range(6))
    )
    return folder


def seen(folder):
    return record(read_folder(folder))


def test_a_copy_elsewhere_is_the_same_data(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert seen(folder) == seen(tmp_path / "copy")
    assert changes(seen(folder), seen(tmp_path / "copy")) == ""
    assert sorted(seen(folder)["train"]) == list("0123")


def test_every_change_is_named(folder):
    before = seen(folder)
    for name in ("images", "masks"):
        (folder / name / "0.png").unlink()
        shutil.copy(folder / name / "5.png", folder / name / "new.png")
    shutil.copy(folder / "masks" / "2.png", folder / "masks" / "1.png")
    text = "file,split,kind\n1.png,train,\n2.png,train,\n3.png,val,\n4.png,val,\n5.png,val,rare\nnew.png,train,\n"
    (folder / "index.csv").write_text(text)
    assert changes(before, seen(folder)) == (
        "1 removed (0), 1 added (new), 1 in another split (3), 2 with other content (1, 5)"
    )


def test_what_says_nothing_else_in_an_index_is_no_change(folder):
    before = seen(folder)
    index = folder / "index.csv"
    index.write_bytes(index.read_text().replace(",", ";").encode("utf-16"))
    assert changes(before, seen(folder)) == ""


def test_other_content_of_the_same_size_is_seen(tmp_path):
    import numpy as np
    import tifffile

    for number in range(2):
        for name in ("images", "masks"):
            (tmp_path / name).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / name / f"{number}.tif", np.full((16, 16), number, np.uint8))
    before = seen(tmp_path)
    tifffile.imwrite(tmp_path / "masks" / "1.tif", np.full((16, 16), 7, np.uint8))
    assert changes(before, seen(tmp_path)) == "1 with other content (1)"


def test_very_much_data_is_known_by_sizes(folder, monkeypatch):
    before = seen(folder)
    monkeypatch.setattr(records, "MOST_BYTES", 10)
    after = seen(folder)
    assert after["train"]["0"].split()[2] == records.UNHASHED
    assert changes(before, after) == changes(after, before) == ""
    (folder / "masks" / "1.png").write_bytes((folder / "masks" / "1.png").read_bytes() + b"\0")
    assert changes(before, seen(folder)) == "1 with other content (1)"


@pytest.mark.parametrize("about", ["", "1", "1 2", "1 2 3 4 5 6", " "])
def test_a_note_that_says_less_is_of_other_data(folder, about):
    now = record(read_folder(folder))
    before = {split: dict.fromkeys(own, about) for split, own in now.items()}
    assert "with other content" in changes(before, now)


def test_what_is_noted_is_written_anew_only_where_it_must_be(folder):
    now = seen(folder)
    assert not check_same("run", now, now, False)
    other = {"train": {}, "val": now["val"]}
    with pytest.raises(
        InputError, match=r"^run was made with other data: 4 added \(0, 1, 2, \.\.\)\. .*data_changed=True"
    ):
        check_same("run", other, now, False)
    assert check_same("run", other, now, True)
    with pytest.warns(InputWarning, match="run was made by an earlier version and does not say with what data"):
        assert check_same("run", None, now, False)


def test_a_missing_file_is_named(folder):
    samples = read_folder(folder)
    (folder / "masks" / "3.png").unlink()
    with pytest.raises(InputError, match=r"^no such file: .*masks/3\.png$"):
        record(samples)
