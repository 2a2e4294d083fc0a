import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

import keras_unetpp as kup
from keras_unetpp.kit.errors import InputError
from keras_unetpp.tuning import workers

OPTIONS = (
    "--max-params 3000 --size 48 --depth 1,2 --norm batch --max-trials 4 --epochs 8 --val-every 8 --crop 16"
    " --batch-size 2 --crops-per-epoch 4 --repeat 0 --worker-timeout 12"
)


@pytest.fixture
def start(disk_folder, tmp_path):
    """Start a process of the search, by the name of its role; all are killed in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    running = []

    def run(name):
        command = [sys.executable, "-m", "keras_unetpp", "search", "--data", disk_folder, "--out", tmp_path / "out"]
        variables = dict(zip(workers.VARIABLES, (name, "127.0.0.1", port), strict=True))
        path = tmp_path / f"{name}-{len(running)}.log"
        with open(path, "w") as log:
            process = subprocess.Popen(
                [*command, *OPTIONS.split()], env={**os.environ, **variables}, stdout=log, stderr=log
            )
        process.log = path
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()


def told(process):
    return process.log.read_text()


def wait_for(what, *processes, seconds=400):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        for process in processes:
            assert process.poll() in (None, 0), told(process)
        time.sleep(0.1)


@pytest.mark.sweep
def test_chief_and_workers_lose_no_finished_trial_whoever_is_killed(start, tmp_path):
    chief, first, second = start("chief"), start("worker1"), start("worker2")
    trials = tmp_path / "out" / "trials"

    def within(process):
        found = re.findall(r"trials/(\d+)\n", told(process))
        folder = trials / found[-1] if found else None
        begun = folder and (folder / "last.keras").exists() and not (folder / "outcome.json").exists()
        return found[-1] if begun else None

    wait_for(lambda: within(second), chief, first, second)
    orphan = within(second)
    second.send_signal(signal.SIGKILL)
    wait_for(lambda: list(trials.glob("*/outcome.json")), chief, first)
    for process in (chief, first):
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = {path: path.stat().st_mtime_ns for path in trials.glob("*/outcome.json")}
    assert finished
    assert trials / orphan / "outcome.json" not in finished

    chief, first, third = start("chief"), start("worker1"), start("worker3")
    wait_for(lambda: all(process.poll() is not None for process in (chief, first, third)), chief, first, third)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    result = kup.SearchResult.load(tmp_path / "out" / "result")
    assert [one.trial for one in result.outcomes] == ["0", "1", "2", "3"]
    assert not result.failed
    again = [line for line in (told(first) + told(third)).splitlines() if f"trials/{orphan}" in line]
    assert "resuming after epoch" in again[0]
    assert "4 of 4 done" in told(chief)


def test_the_variables_say_who_does_what(monkeypatch):
    for name in workers.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert workers.role() == ("tuner0", "", False)
    assert not workers.role().worker
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    with pytest.raises(InputError, match="Missing: KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_PORT"):
        workers.role()
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert workers.role() == ("chief", "10.0.0.1:8000", True)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker1")
    assert workers.role().worker


def test_an_address_of_another_machine_cannot_be_listened_on(fake, tmp_path):
    with pytest.raises(InputError, match=r"Cannot listen on 192\.0\.2\.1:1"):
        workers.serve(fake(tmp_path, "random").oracle, "192.0.2.1:1")


def test_a_worker_without_a_chief_says_so(fake, tmp_path, monkeypatch):
    for name, value in zip(workers.VARIABLES, ("worker1", "127.0.0.1", "9"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    monkeypatch.setattr(workers, "IDLE", 0.01)
    with pytest.raises(InputError, match=r"No chief has answered at 127\.0\.0\.1:9"):
        workers.Chief(fake(tmp_path, "random").oracle, workers.role())
