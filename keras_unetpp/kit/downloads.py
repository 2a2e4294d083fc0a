"""Downloads that end: with the whole file, or with what was waited for."""

import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

PATIENCE = 15.0
"""Seconds without a byte from the server, and for its answer to begin."""

LEAST, MINUTE = 2**16, 60.0
"""Bytes that must come within so many seconds."""

MOST_BYTES = 2**32
"""Of a file; the largest weights of `keras.applications` have 1.6 GB."""

_CHUNK = 2**18


def retrieve(url: str, target: str | os.PathLike[str], progress: Callable[[int, int, int], Any] | None = None) -> None:
    """`urllib.request.urlretrieve` for a file, but neither a silent nor a slow server is waited for without end.

    Args:
        url: `https://..` or `http://..`; one of https leads nowhere else.
        target: the file to write.
        progress: called with 1, the bytes so far, and those of the file, -1 if not known.

    Raises:
        TimeoutError: naming the server, and what did not come.
        urllib.error.URLError: as urllib has it, also for what leads to another kind of address, ends early or does not.
        OSError: the file cannot be written.
    """
    server = urllib.parse.urlsplit(url).hostname
    with _answer(url, server) as response, open(target, "wb") as file:
        _check_address(url, response.url)
        size = int(response.headers.get("Content-Length") or -1)
        got = counted = 0
        since = time.monotonic()
        while chunk := _read(response, server):
            file.write(chunk)
            got += len(chunk)
            if got > MOST_BYTES:
                raise urllib.error.URLError(f"{server} sends more than {MOST_BYTES:,} bytes")
            if progress is not None:
                progress(1, got, size)
            if time.monotonic() - since > MINUTE:
                if got - counted < LEAST:
                    raise TimeoutError(f"{server} sent {got - counted:,} bytes in {MINUTE:.0f} seconds, {got:,} in all")
                since, counted = time.monotonic(), got
    if got < size:
        raise urllib.error.ContentTooShortError(f"got only {got:,} of {size:,} bytes", (str(target), response.headers))


def _answer(url: str, server: str | None) -> HTTPResponse:
    """The response once its head is there; in a thread, since a head may come byte by byte."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(urllib.request.urlopen(url, timeout=PATIENCE))
        except Exception as error:  # for the caller
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not found or isinstance(found[0], TimeoutError):
        raise TimeoutError(f"{server} did not answer within {PATIENCE:.0f} seconds")
    if isinstance(found[0], Exception):
        raise found[0]
    response: HTTPResponse = found[0]
    return response


def _read(response: HTTPResponse, server: str | None) -> bytes:
    try:
        return response.read1(_CHUNK)
    except TimeoutError as error:
        raise TimeoutError(f"{server} fell silent for {PATIENCE:.0f} seconds") from error


def _check_address(asked: str, came: str) -> None:
    """Redirected, a download stays one: no other kind of address, and none less safe."""
    before, after = (urllib.parse.urlsplit(one).scheme for one in (asked, came))
    if after not in ("http", "https") or (before == "https" and after != "https"):
        raise urllib.error.URLError(f"it leads from {before} to {came}")
