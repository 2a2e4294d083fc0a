"""One process at a time in a folder, and the next one told who it is."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from keras_unetpp.files.locks import hold
from keras_unetpp.files.record import facts_of
from keras_unetpp.files.writing import naming, recorded, remove_empty
from keras_unetpp.kit.errors import InputError


class FolderLock:
    """A folder in which one process works at a time; a context manager.

    The folder itself is locked, so there is no file that could stay behind; the record in it names the holder.

    Args:
        folder: made if missing, and removed again if nothing came into it.
        what: what is done there, for the error that the next one gets, such as "training".

    Raises:
        InputError: another process works there.
        OSError: the folder cannot be made or written.
    """

    def __init__(self, folder: str | os.PathLike[str], what: str) -> None:
        self.folder, self.what = Path(folder), what
        self._descriptor = -1

    def __enter__(self) -> "FolderLock":
        self._new = not self.folder.exists()
        with naming(self.folder, Path(os.path.realpath(self.folder))):
            self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # Windows opens no folders
            self._descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            if self._descriptor >= 0 and hold(self._descriptor) is False:
                raise InputError(
                    f"{self.folder} is in use: {_told(facts_of(self.folder).holder)}. Wait until that ends, or choose"
                    " another folder."
                )
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            about = {"what": self.what, "pid": os.getpid(), "host": socket.gethostname(), "since": since}
            with recorded(self.folder) as record:
                record.note_holder(about)
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, InputError), recorded(self.folder) as record:
            record.note_holder({})
        if self._new:
            remove_empty(self.folder)
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _told(about: dict[str, Any]) -> str:
    if not {"what", "pid", "host", "since"} <= about.keys():
        return "another process works there"
    return f"{about['what']} by process {about['pid']} on {about['host']}, since {about['since']}"
