"""JSON of others: whatever is wrong with it ends in one line that names the file and the way out."""

import json
import os
import re

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.json_files import (
    LARGEST,
    about,
    anything,
    each,
    fields,
    mapping,
    maybe,
    number,
    pair,
    parse_json,
    read_bytes,
    read_json,
    text,
    whole,
)

SHAPE = fields({"count": whole(1, 6)}, {"note": maybe(text(4))})


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", "is no JSON, or cut off"),
        (b'{"count": 1', "is no JSON, or cut off"),
        (b'{"count": 1} x', "is no JSON, or cut off"),
        (b"[" * 100_000, "is nested deeper than 32 levels"),
        (b'{"a":' * 100_000, "is nested deeper than 32 levels"),
        (b"[" * 33 + b"]" * 33, "is nested deeper than 32 levels"),
        (b'{"\xe9": 1}', "must be text in UTF-8; byte 2 is not"),
        (b'{"count": 1, "count": 2}', "has 'count' twice in one object"),
        (b'{"count": NaN}', "holds NaN, which is no number"),
        (b'{"count": -Infinity}', "holds -Infinity, which is no number"),
        (b'{"count": 1e999}', "holds 1e999, which is beyond all numbers"),
        (b'{"count": ' + b"9" * 5000 + b"}", "holds a whole number beyond 64 bits, 9999"),
        (b'{"count": 9223372036854775808}', "holds a whole number beyond 64 bits"),
        (b"[]", r"must hold other values: an object is required, received \[\]"),
        (b"null", "must hold other values: an object is required, received None"),
        (b"{}", "must hold other values: count missing"),
        (b'{"count": "1"}', "count: a whole number from 1 to 6 is required, received '1'"),
        (b'{"count": true}', "received True"),
        (b'{"count": 7}', "received 7"),
        (b'{"count": 1.0}', "received 1.0"),
        (b'{"count": 1, "note": "12345"}', "note: a text up to 4 is required, received '12345'"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, written, told):
    path = tmp_path / "f.json"
    path.write_bytes(written)
    with pytest.raises(InputError, match=told) as caught:
        read_json(path, SHAPE, "Do this.")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.endswith("Do this.")
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_what_is_right_is_read(tmp_path, start):
    path = tmp_path / "f.json"
    path.write_bytes(start + json.dumps({"count": 6, "note": None, "later": [1]}).encode())
    assert read_json(path, SHAPE, "") == {"count": 6, "note": None, "later": [1]}


def test_the_largest_numbers_and_the_deepest_lists_are_read():
    assert parse_json(str(LARGEST), "t", whole(), "") == LARGEST
    assert parse_json("[" * 32 + "]" * 32, "t", anything, "")


def test_files_of_others_may_say_things_twice():
    assert parse_json('{"a": 1, "a": 2}', "t", anything, "", strict=False) == {"a": 2}


@pytest.mark.parametrize(
    ("shape", "good", "bad", "told"),
    [
        (each(whole(0)), [0, 1], [0, -1], r"\[1\] a whole number from 0 "),
        (mapping(number(0, 1)), {"a": 0.5, "b": 1}, {"a": 2}, "'a': a finite number from 0 to 1 "),
        (pair(text(), whole()), ["a", 1], ["a"], "a list of two"),
        (number(), 1.5, float("inf"), "a finite number is required, received inf"),
    ],
)
def test_shapes(shape, good, bad, told):
    assert shape(good) == ""
    assert re.match(told, shape(bad))


def test_a_long_value_is_cut_off():
    assert len(whole()("x" * 10**6)) < 250


def test_a_file_longer_than_it_may_be(tmp_path):
    (tmp_path / "f").write_bytes(bytes(11))
    assert read_bytes(tmp_path / "f", 11) == bytes(11)
    with pytest.raises(InputError, match=r"must have at most 10 bytes"):
        read_bytes(tmp_path / "f", 10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe must be a file\. Received: a folder, pipe or device"):
        read_bytes(tmp_path / "pipe")


def test_an_error_about_a_value_names_the_file():
    with (
        pytest.raises(InputError, match=r"^f\.json holds what cannot be: Wrong\. Mend it\.$"),
        about("f.json", "Mend it."),
    ):
        raise InputError("Wrong.")
