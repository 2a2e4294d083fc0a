"""The one error class for input that a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input that the caller can mend; the message says what is required, what was received and the way out.

    The command line prints the message as one line and exits with code 2.
    """


class InputWarning(UserWarning):
    """A result that is not what the caller may expect of such input; the message says why and the way out."""


def shown(value: object, most: int = 80) -> str:
    """A value as a message shows it: in one line, cut off where it is long.

    >>> shown("x" * 100, 9)
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
