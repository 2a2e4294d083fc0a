"""Files that were changed are read or refused; and what does the changing and the watching does so."""

import io
import json
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
from fuzzing import containers, kinds, mutations, pictures, seeds, texts
from fuzzing.trial import OUTCOMES

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")])}
FEW = 200
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tool limits processes as Linux does")


def drawn(count=FEW):
    return (Random(number) for number in range(count))


@pytest.mark.parametrize(("kind", "change"), [("png", pictures.png), ("tiff", pictures.tiff)])
def test_every_picture_is_changed_without_an_error_of_the_tool(tmp_path, kind, change):
    kinds.KINDS[kind].make(tmp_path)
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        changed = [change(data, rng) for rng in drawn(20)]
        assert sum(one != data for one in changed) > 10


def test_check_sums_of_png_are_right(tmp_path):
    seeds.png(tmp_path)
    data = (tmp_path / "rgb.png").read_bytes()
    for rng in drawn():
        changed = pictures.png(data, rng)
        place = 8
        while place < len(changed):
            length = int.from_bytes(changed[place : place + 4])
            body = changed[place + 4 : place + 8 + length]
            assert zlib.crc32(body) == int.from_bytes(changed[place + 8 + length : place + 12 + length])
            place += 12 + length


def test_archives_stay_archives():
    data = (ROOT / "tests" / "weights" / "torch_files" / "new.pt").read_bytes()
    for rng in drawn(50):
        with zipfile.ZipFile(io.BytesIO(containers.archive(data, rng))) as changed:
            assert changed.infolist()


def test_messages_of_protobuf_stay_messages():
    inner = b"\x08\x05\x12\x03abc"
    data = b"\x0a" + bytes([len(inner)]) + inner + b"\x15\x00\x00\x80\x3f" + b"\x18\xff\x01"
    assert b"".join(containers.written(*one) for one in containers.parsed(data)) == data
    changed = {containers.protobuf(data, rng) for rng in drawn()}
    assert len(changed) > 50
    for one in changed:
        containers.parsed(one)


def test_values_of_json_are_put_in_as_text():
    data = json.dumps({"a": [1, {"b": "c"}], "d": None}).encode()
    changed = [texts.json_text(data, rng) for rng in drawn(1000)]
    assert any(b"NaN" in one for one in changed)
    assert any(b"[" * texts.DEEP in one for one in changed)
    assert any(b"../../up" in one for one in changed)


@pytest.mark.parametrize("suffix", [*mutations.STRUCTURE, ".jpg"])
def test_the_same_seed_makes_the_same_file(suffix):
    data = np.random.default_rng(0).bytes(2000)
    first, again = ([mutations.mutated(data, suffix, rng, data[::-1]) for rng in drawn(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 40


READERS = """
import json, os, signal, sys, tempfile, time
from pathlib import Path
from fuzzing.trial import Limits, attempt
from keras_unetpp.kit.errors import InputError

def refused(text):
    error = InputError("")
    error.args = (text,)  # past what the class itself does to long texts
    raise error

readers = {
    "reads": lambda path: path.read_bytes(),
    "writes beside": lambda path: path.with_name("more").write_text("x"),
    "refuses": lambda path: refused("It is none. Received: one."),
    "refuses in lines": lambda path: refused("It is none.\\nReceived: one."),
    "refuses at length": lambda path: refused("x" * 5000),
    "dies": lambda path: os.kill(os.getpid(), signal.SIGSEGV),
    "leaves": lambda path: os._exit(0),
    "sleeps": lambda path: time.sleep(60),
    "turns": lambda path: [None for _ in iter(int, 1)],
    "writes above": lambda path: path.parents[1].joinpath("x").write_text("x"),
    "writes into home": lambda path: Path.home().joinpath(".bashrc").write_text("x"),
    "starts": lambda path: os.system("true"),
    "raises": lambda path: 1 / 0,
    "takes all": lambda path: bytearray(2**40),
    "writes far": lambda path: Path(sys.argv[1], "far").write_text("x"),
}
with tempfile.TemporaryDirectory() as folder:
    for number, (name, read) in enumerate(readers.items()):
        area = Path(folder, str(number))
        for one in ("home", "tmp", "up/in"):
            (area / one).mkdir(parents=True)
        path = area / "up" / "in" / "file"
        path.write_text("x")
        result = attempt(read, path, area, Limits(2.0, 2**30, False))
        print(json.dumps([name, result.outcome, result.text]))
"""


def test_each_outcome_is_seen(tmp_path):
    command = [sys.executable, "-c", READERS, str(tmp_path)]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=True)
    found = {name: outcome for name, outcome, _ in map(json.loads, result.stdout.splitlines())}
    assert not list(tmp_path.iterdir()) or found["writes far"] == "read"  # where the kernel cannot refuse it
    assert found.pop("writes far") in ("traceback", "read")
    assert found == {
        "reads": "read",
        "writes beside": "read",
        "refuses": "InputError",
        "refuses in lines": "traceback",
        "refuses at length": "traceback",
        "dies": "signal",
        "leaves": "signal",
        "sleeps": "hang",
        "turns": "hang",
        "writes above": "outside",
        "writes into home": "outside",
        "starts": "outside",
        "raises": "traceback",
        "takes all": "memory",
    }
    assert set(found.values()) == set(OUTCOMES)


def test_changed_pictures_and_checkpoints_do_no_harm():
    for seconds in ("4", "30", "120"):  # on a busy machine, few seconds are few tries
        command = [sys.executable, "tools/fuzz_files.py", "--seconds", seconds, "--kinds", "png,jpeg,webp,tiff,torch"]
        result = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
        heading, *rows = (line.split() for line in result.stdout.splitlines())
        if min(int(row[1].replace(",", "")) for row in rows) >= 30:
            break
    assert heading == ["kind", "tries", *OUTCOMES]
    assert [row[0] for row in rows] == ["png", "jpeg", "webp", "tiff", "torch", "all"]
    for row in rows:
        tries, read, refused, *faults = (int(cell.replace(",", "")) for cell in row[1:])
        assert tries == read + refused
        assert min(tries, read, refused) > 0
        assert not any(faults)
