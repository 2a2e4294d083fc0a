"""What frameworks print on their own account is kept off the terminal."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from keras_unetpp.kit.imports import around_import


def hush() -> None:
    """Let TensorFlow and its logger print errors only, the lines of its import included."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    around_import("tensorflow", _standard_error_kept)


@contextmanager
def _standard_error_kept() -> Iterator[None]:
    """Keep what is printed to standard error, also by compiled code; show it if the work fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(before, 2)
            kept.seek(0)
            os.write(2, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
