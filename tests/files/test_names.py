import os

import pytest

from keras_unetpp.files import NUMBER, check_length, inside
from keras_unetpp.kit.errors import InputError, shown, shown_lines


def test_a_name_leads_to_a_path_within(tmp_path):
    assert inside(tmp_path, "a/b.txt") == tmp_path / "a" / "b.txt"
    assert inside(tmp_path, "007", NUMBER) == tmp_path / "007"
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert inside(tmp_path, "link/a") == tmp_path / "link" / "a"
    (tmp_path / "root").symlink_to("real")
    assert inside(tmp_path / "root", "a") == tmp_path / "root" / "a"


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "..", "a/..", "..\\x", "C:\\x", "C:x", "link/x", "link", "loop/x"]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"leads out of .*root, or to a link that does, so it is not followed\."):
        inside(root, name)


@pytest.mark.parametrize("name", ["", None, 5, ["a"], "a\0b", "\n", "a/\x1bb", "a" * 5000, {"a": 1}])
def test_what_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"A name is required, within .* Received: "):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", ["a", "1a", "-1", "٣", "1\n", "0x1", " 1"])
def test_an_id_is_a_number(tmp_path, name):
    with pytest.raises(InputError, match=r"A name like \[0-9\]\+ is required, within "):
        inside(tmp_path, name, NUMBER)


def test_names_are_shown_so_that_a_terminal_does_nothing_but_show_them():
    assert shown("plain äöü 図.png") == "plain äöü 図.png"
    assert shown("a\x1b]0;title\x07\r\n\x9b2J.png") == r"a\x1b]0;title\x07\x0d\x0a\x9b2J.png"
    assert shown(os.fsdecode(b"\xff\xfea.png")) == r"\xff\xfea.png"
    assert shown("gnp\u202e.png") == r"gnp\u202e.png"
    assert shown_lines("a\x1b\nb\udcff") == "a\\x1b\nb\\xff"
    assert str(InputError("no such file: \x1b[2J\udcff")) == r"no such file: \x1b[2J\xff"


def test_names_that_are_too_long_are_told():
    check_length("a" * 255, "b")
    with pytest.raises(InputError, match=r"images/x\.png would give ä+, a name of 256 bytes; 255 are allowed\."):
        check_length("ä" * 128, "images/x.png")
