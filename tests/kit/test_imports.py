import signal
import threading

import pytest

from keras_unetpp.kit.imports import uninterrupted


def test_ctrl_c_waits_for_the_end():
    before, passed = signal.getsignal(signal.SIGINT), []

    def work():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            passed.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert passed == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_without_it_all_is_as_before():
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_let_be():
    done = []

    def work():
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
