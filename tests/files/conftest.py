import os
import signal
import sys

import pytest

STEPS = ("open", "os.", "shutil.", "fcntl.", "ctypes.")
"""Beginnings of what Python reports of a process' dealings with files."""


def run(work):
    """Run `work` in a process of its own; returns its exit code, negative for a signal."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(step, folder, work):
    """Run `work` in a process of its own that is killed just before its `step`-th dealing with files in `folder`."""

    def dying():
        left = [step]

        def count(event, arguments):
            if event.startswith(STEPS) and (event.startswith(("fcntl", "ctypes")) or str(folder) in repr(arguments)):
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        sys.addaudithook(count)
        work()

    return run(dying)


@pytest.fixture
def killed_everywhere(tmp_path):
    """Yield the exit code of a process for each step at which it is killed, until one ends by itself."""

    def each(work, before=lambda: None, most=200):
        for step in range(most):
            before()
            code = kill_at(step, tmp_path, work)
            assert code in (0, -signal.SIGKILL)
            yield step
            if code == 0:
                assert step > 5
                return
        pytest.fail("it never ends")

    return each


@pytest.fixture(name="run")
def run_fixture():
    return run
