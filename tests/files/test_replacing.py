import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from sampling import sampled

from keras_unetpp.files import (
    RECORD,
    adopt,
    check_folder_free,
    check_free,
    discard,
    fetching,
    is_placed,
    prepare,
    replacing,
    replacing_folder,
    sweep,
    write_text,
    writing,
)
from keras_unetpp.kit.errors import InputError

NOT_OURS = r"is there already, and this package did not write it, or it was changed since\..* overwrite=True"


def names(folder):
    return sorted(os.listdir(folder))


def written(folder, text, size=1000):
    with replacing_folder(folder, ("model", "parts/*")) as temporary:
        (temporary / "parts").mkdir(parents=True)
        (temporary / "model").write_text(text)
        (temporary / "parts" / "a").write_text(text * size)


def test_what_somebody_else_wrote_is_left_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("mine")
    for attempt in (lambda: write_text(path, "new"), lambda: check_free([path]), lambda: prepare([path])):
        with pytest.raises(InputError, match=r"a\.txt " + NOT_OURS):
            attempt()
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["a.txt"]
    write_text(path, "new", overwrite=True)
    write_text(path, "newer")
    assert path.read_text() == "newer"


@pytest.mark.parametrize("change", ["edited", "same size", "another", "link", "empty"])
def test_what_was_changed_since_is_left_alone(tmp_path, change):
    path = tmp_path / "a.txt"
    write_text(path, "ours")
    time.sleep(0.01)
    if change == "edited":
        path.write_text("ours and mine")
    elif change == "same size":
        path.write_text("mine")
    elif change == "another":
        (tmp_path / "b").write_text("mine")
        os.replace(tmp_path / "b", path)
    elif change == "link":
        (tmp_path / "b").write_text("mine")
        path.unlink()
        path.symlink_to("b")
    else:
        path.write_text("")
    before = path.read_text()
    with pytest.raises(InputError, match=NOT_OURS):
        write_text(path, "new")
    discard(path)
    assert path.read_text() == before


def test_a_copy_of_a_folder_is_ours_and_so_is_a_file_of_another_time(tmp_path):
    write_text(tmp_path / "one" / "a.txt", "old")
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copyfile)
    os.utime(tmp_path / "two" / "a.txt", (1, 1))
    write_text(tmp_path / "two" / "a.txt", "new")
    assert (tmp_path / "two" / "a.txt").read_text() == "new"


def test_only_files_are_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"folder is a folder, not a file\."):
        write_text(tmp_path / "folder", "text", overwrite=True)
    with pytest.raises(InputError, match=r"pipe is no ordinary file"):
        write_text(tmp_path / "pipe", "text", overwrite=True)
    with pytest.raises(InputError, match=r"null is no ordinary file"):
        check_free(["/dev/null"], overwrite=True)
    assert names(tmp_path) == ["folder", "pipe"]


def test_a_file_that_appears_during_the_work_is_left_alone(tmp_path):
    def work():
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("ours")
            (tmp_path / "a.txt").write_text("mine")

    with pytest.raises(InputError, match=NOT_OURS):
        work()
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_mode_is_kept(tmp_path, mode):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    path.chmod(mode)
    with replacing(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == mode  # nobody reads it meanwhile who could not before
        temporary.unlink()
        temporary.write_text("written anew")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "text")
        written(tmp_path / "1", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "1" / "model").stat().st_mode) == mode


def test_modes_of_a_folder_are_kept(tmp_path):
    written(tmp_path / "1", "old")
    (tmp_path / "1").chmod(0o700)
    (tmp_path / "1" / "parts" / "a").chmod(0o600)
    written(tmp_path / "1", "new")
    assert stat.S_IMODE((tmp_path / "1").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "1" / "parts" / "a").stat().st_mode) == 0o600


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.txt").symlink_to("disk/a.txt")
    (tmp_path / "link").symlink_to("disk/1")
    write_text(tmp_path / "link.txt", "old")
    write_text(tmp_path / "link.txt", "new")
    for text in ("old", "new"):
        written(tmp_path / "link", text)
    assert os.readlink(tmp_path / "link.txt") == "disk/a.txt"
    assert os.readlink(tmp_path / "link") == "disk/1"
    assert (tmp_path / "disk" / "a.txt").read_text() == "new"
    assert (tmp_path / "link" / "model").read_text() == "new"
    assert names(tmp_path) == ["disk", "link", "link.txt"]
    assert names(tmp_path / "disk") == ["1", "a.txt", RECORD]


@pytest.mark.parametrize("name", ["a" * 240 + ".txt", "ä" * 120 + ".txt", "." + "b" * 254, os.fsdecode(b"\xff" * 200)])
def test_any_name_that_fits_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "text")
    written(tmp_path / "folders" / name, "text")
    write_text(tmp_path / name, "more")
    assert names(tmp_path) == sorted([name, RECORD, "folders"])
    assert names(tmp_path / "folders") == [name]


def test_the_record_reads_as_json_and_stays_small(tmp_path):
    for turn in range(300):
        write_text(tmp_path / f"{turn % 3}.txt", str(turn))
    facts = json.loads((tmp_path / RECORD).read_text())["files"]
    assert {"0.txt", "1.txt", "2.txt"} <= facts.keys()
    assert (tmp_path / RECORD).stat().st_size < 40_000
    write_text(tmp_path / "0.txt", "still ours")


@pytest.mark.parametrize("content", ["{}", "[" * 100_000, "\0" * 1000, "my notes"])
def test_a_file_that_is_no_record_is_left_alone(tmp_path, content):
    (tmp_path / RECORD).write_text(content)
    with pytest.raises(InputError, match=rf"{RECORD} is where this package writes down .* it is something else"):
        write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / RECORD).read_text() == content
    assert names(tmp_path) == [RECORD]


def test_a_record_that_is_a_link_or_a_pipe_is_not_followed(tmp_path):
    (tmp_path / "private").write_text("")
    for place in ("link", "pipe"):
        (tmp_path / place).mkdir()
    (tmp_path / "link" / RECORD).symlink_to(tmp_path / "private")
    os.mkfifo(tmp_path / "pipe" / RECORD)
    for place in ("link", "pipe"):
        with pytest.raises(InputError, match="something else"):
            write_text(tmp_path / place / "a.txt", "text")
    assert (tmp_path / "private").read_text() == ""


def test_a_sent_record_removes_nothing_elsewhere(tmp_path):
    (tmp_path / "sent").mkdir()
    (tmp_path / "thesis.12345678").write_text("years of work")
    write_text(tmp_path / "sent" / "a.txt", "text")
    record = tmp_path / "sent" / RECORD
    facts = ["../thesis.12345678", "/etc/x.12345678", "..", ".x.12345678", ".y.12345678"]
    lines = "".join(f',\n"{name}": {{"becomes": "../../up"}}' for name in facts)
    record.write_text(record.read_text().replace("\n}}", lines + "\n}}"))
    (tmp_path / "sent" / ".x.12345678").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "sent" / ".y.12345678")
    sweep(tmp_path / "sent")
    assert (tmp_path / "thesis.12345678").read_text() == "years of work"
    assert (tmp_path / "sent" / ".x.12345678").is_symlink()


def test_lines_that_a_kill_cut_short_or_somebody_wrote_say_nothing(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    record = tmp_path / RECORD
    with open(record, "rb+") as file:
        file.truncate(record.stat().st_size - 30)
    with pytest.raises(InputError, match=NOT_OURS):
        write_text(tmp_path / "a.txt", "new")
    write_text(tmp_path / "b.txt", "old")
    write_text(tmp_path / "b.txt", "new")
    text = record.read_text()
    record.write_text(text.replace("\n}}", ',\n"c.txt": [[[[],\n"d": 5,\n"e": {"becomes": 1},\n"f": [1, 2]\n}}'))
    write_text(tmp_path / "b.txt", "newer")


def test_a_killed_writer_leaves_the_old_or_the_new_file_and_nothing_else(tmp_path, killed_everywhere):
    path = tmp_path / "run" / "a.txt"
    write_text(path, "old")
    for _ in killed_everywhere(lambda: write_text(path, "new"), lambda: write_text(path, "old")):
        assert path.read_text() in ("old", "new")
        prepare([path])
        assert names(tmp_path / "run") == ["a.txt", RECORD]


def test_a_first_writer_that_is_killed_leaves_the_file_or_none(tmp_path, killed_everywhere):
    path = tmp_path / "run" / "a.txt"
    for _ in killed_everywhere(lambda: write_text(path, "new"), lambda: shutil.rmtree(path.parent, ignore_errors=True)):
        prepare([path])
        assert not path.exists() or path.read_text() == "new"
        assert is_placed(path) == path.exists()
        left = names(path.parent)
        assert left == (["a.txt", RECORD] if path.exists() else [])


@pytest.mark.parametrize("in_one_step", sampled([True, False], [True]))
def test_a_killed_writer_of_a_folder_leaves_the_old_or_the_new_one(
    tmp_path, killed_everywhere, monkeypatch, in_one_step
):
    path = tmp_path / "sm" / "1"
    if not in_one_step:
        monkeypatch.setattr(writing, "exchange", lambda *_: False)
    missing = 0
    for _ in killed_everywhere(lambda: written(path, "new"), lambda: written(path, "old")):
        missing += not path.exists()
        sweep(path.parent)
        text = (path / "model").read_text()
        assert text in ("old", "new")
        assert (path / "parts" / "a").read_text() == text * 1000
        assert names(tmp_path / "sm") in (["1"], ["1", RECORD])
        prepare([path.parent / "x"])
    assert missing == (0 if in_one_step else 1)


def test_a_folder_is_there_at_every_moment(tmp_path):
    path = tmp_path / "1"
    written(path, "old", 1)
    code = f"import os\nfor _ in range(40000): os.stat({str(path)!r} + '/model')"
    with subprocess.Popen([sys.executable, "-c", code]) as reader:
        turn = 0
        while reader.poll() is None and turn < 200:
            written(path, str(turn), 1)
            turn += 1
        reader.kill()
    assert reader.returncode in (0, -9)


def test_what_a_living_writer_writes_is_not_swept(tmp_path):
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        subprocess.run(
            [sys.executable, "-c", f"from keras_unetpp.files import sweep; sweep({str(tmp_path)!r})"], check=True
        )
        assert temporary.read_text() == "half"
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_two_writers_at_once_lose_nothing(tmp_path):
    code = (
        "import sys\nfrom keras_unetpp.files import prepare, write_text\n"
        f"for turn in range(60):\n    prepare([{str(tmp_path)!r} + '/new/x'])\n"
        f"    write_text({str(tmp_path)!r} + '/new/' + sys.argv[1] + str(turn), 'text')\n"
        f"    write_text({str(tmp_path)!r} + '/new/shared', 'text ' * 1000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, letter]) for letter in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    expected = {f"{letter}{turn}" for letter in "ab" for turn in range(60)} | {"shared", RECORD}
    assert set(names(tmp_path / "new")) == expected
    check_free([tmp_path / "new" / name for name in expected - {RECORD}])


def test_a_folder_with_anything_of_others_is_never_replaced(tmp_path):
    for name in (".git/config", "train.py", "parts/mine", "parts/deep/er", "empty/"):
        folder = tmp_path / name.replace("/", "_")
        written(folder, "old")
        target = folder / name
        if name.endswith("/"):
            target.mkdir()
        else:
            target.parent.mkdir(exist_ok=True)
            target.write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(InputError, match=r"holds what this package did not write, so it is left alone: "):
                check_folder_free(folder, ("model",), overwrite)
        assert target.exists()


def test_a_folder_that_no_record_knows_is_replaced_if_that_is_said(tmp_path):
    (tmp_path / "1" / "parts").mkdir(parents=True)
    (tmp_path / "1" / "model").write_text("by version 0.1.0")
    (tmp_path / "1" / "parts" / "a").write_text("by version 0.1.0")
    with pytest.raises(InputError, match=r"1 " + NOT_OURS):
        check_folder_free(tmp_path / "1", ("model", "parts/*"))
    check_folder_free(tmp_path / "1", ("model", "parts/*"), overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file, not a folder"):
        check_folder_free(tmp_path / "file", overwrite=True)


def test_adopted_are_files_that_no_record_could_know(tmp_path):
    (tmp_path / "a").write_text("by version 0.1.0")
    (tmp_path / "b").symlink_to("a")
    adopt(tmp_path, ["a", "b", "c"])
    check_free([tmp_path / "a"])
    (tmp_path / "c").write_text("mine, later")
    adopt(tmp_path, ["a", "b", "c"])
    with pytest.raises(InputError, match=r"c " + NOT_OURS):
        check_free([tmp_path / "c"])


def test_two_that_fetch_the_same_file_both_have_it(tmp_path):
    path = tmp_path / "models" / "x.h5"
    with fetching(path) as one, fetching(path) as other:
        (one / "x.h5").write_text("good")
        (other / "x.h5").write_text("good")
        (one / "x.h5.part").write_text("half")
    assert path.read_text() == "good"
    assert names(path.parent) == [RECORD, "x.h5"]
    discard(path)
    assert names(path.parent) == []


def test_a_quota_leaves_the_old_files_and_says_which(tmp_path, run):
    path = tmp_path / "run" / "a.txt"
    write_text(path, "old")
    written(tmp_path / "1", "old")

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        for attempt in (lambda: write_text(path, "new" * 2000), lambda: written(tmp_path / "1", "new", 3000)):
            with pytest.raises(OSError, match=r"cannot write .*: File too large$"):
                attempt()

        def fill():  # until the record itself is full
            for turn in range(100):
                write_text(path, str(turn))

        with pytest.raises(OSError, match=r"cannot write .*run/a\.txt: File too large$"):
            fill()

    assert run(work) == 0
    assert (tmp_path / "1" / "model").read_text() == "old"
    assert (path.read_text() + "1").isdigit()
    json.loads((path.parent / RECORD).read_text())
    prepare([path])
    write_text(path, "new")
    assert names(path.parent) == ["a.txt", RECORD]


def test_a_folder_that_is_read_only_is_told_before_the_work(run):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o555)

        def work():
            if os.geteuid() == 0:
                os.setuid(65534)  # root may write everywhere
            with pytest.raises(PermissionError, match=r"cannot write .*/a\.txt: Permission denied$"):
                prepare([f"{folder}/a.txt"])
            with pytest.raises(PermissionError, match=r"cannot write .*/new/1: Permission denied$"):
                written(Path(folder) / "new" / "1", "text")

        assert run(work) == 0
        assert os.listdir(folder) == []


def test_files_of_others_are_not_probed_with(tmp_path):
    for name in (".writable", ".probe", ".a.probe"):
        (tmp_path / name).write_text("mine")
    prepare([tmp_path / "a"])
    assert names(tmp_path) == [".a.probe", ".probe", ".writable"]
