"""The one error class for input that a user can mend."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_LONGEST, _START = 2000, 1500
"""Letters of a message, and those of them before what is left out; a file may hold names of any length."""


class InputError(ValueError):
    """Input that the caller can mend; the message says what is required, what was received and the way out.

    The message is one line, whatever the names in it hold; the command line prints it and exits with code 2.
    """

    def __init__(self, message: object) -> None:
        super().__init__(_in_one_line(message))


class InputWarning(UserWarning):
    """A result that is not what the caller may expect of such input; the message says why and the way out."""

    def __init__(self, message: object) -> None:
        super().__init__(_in_one_line(message))


def shown(text: str | os.PathLike[str]) -> str:
    """A name, or a line of text with names in it, fit for a terminal: what cannot be printed is escaped.

    Control characters would act on the terminal, and bytes that are no UTF-8 cannot be encoded.

    >>> print(shown("a\\x1b[2J\\udcff.png"))
    a\\x1b[2J\\xff.png
    """
    return "".join(one if one.isprintable() else _escaped(one) for one in os.fspath(text))


def shown_lines(text: object) -> str:
    """What `shown` is for a line, for a text of several; the middle of a very long one is left out."""
    return _cut("\n".join(map(shown, str(text).split("\n"))))


def _in_one_line(message: object) -> str:
    """As `shown_lines`, of a text that is one line though names in it may hold several."""
    return _cut(shown(str(message)))


def _cut(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_START]} .. {said[_START - _LONGEST :]}"


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else character.encode("ascii", "backslashreplace").decode()


def brief(value: object, most: int = 80) -> str:
    """A value as a message shows it: in one line, cut off where it is long.

    >>> brief("x" * 100, 9)
    "'xxxxxxxx.."
    """
    try:
        text = repr(value[: most + 1] if isinstance(value, (str, bytes)) else value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists within lists
        text = f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= most else f"{text[:most]}.."


def hint(name: object, known: Iterable[str]) -> str:
    """The part of a message that guesses what a misspelt name should have been; empty if nothing is near."""
    close = get_close_matches(str(name)[:80], list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise `InputError` unless an argument is a whole number of at least so much."""
    if type(value) is not int or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}. Received: {brief(value)}.")
