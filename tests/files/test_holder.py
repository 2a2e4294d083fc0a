import os
import signal
import subprocess
import sys

import pytest

from keras_unetpp.files import FolderLock, write_text
from keras_unetpp.kit.errors import InputError

HOLD = """
import sys, time
from keras_unetpp.files import FolderLock
with FolderLock(sys.argv[1], "training"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_the_first_is_and_a_killed_one_leaves_nothing(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"held\n"
        told = rf"run is in use: training by process {first.pid} on .*, since 2.*\. Wait until that ends, or choose"
        with pytest.raises(InputError, match=told), FolderLock(folder, "training"):
            pytest.fail("two at once")
        write_text(folder / "a.txt", "what shares the folder by design goes on")
        first.send_signal(signal.SIGKILL)
    with FolderLock(folder, "training"):
        pass


def test_nothing_stays_behind(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path / "run", "training"):
            pass
        assert os.listdir(tmp_path) == []
    (tmp_path / "run").mkdir()
    with FolderLock(tmp_path / "run", "training"):
        pass
    assert os.listdir(tmp_path / "run") == []


def test_the_same_process_cannot_hold_it_twice(tmp_path):
    with FolderLock(tmp_path, "search"):
        with pytest.raises(InputError, match="is in use: search by process"), FolderLock(tmp_path, "training"):
            pytest.fail("two at once")
        with pytest.raises(InputError, match="is in use"), FolderLock(tmp_path, "training"):
            pytest.fail("two at once")
