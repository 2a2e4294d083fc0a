"""Words for what the ids of a mask are. Standard library only."""

from keras_unetpp.kit.errors import InputError

LABELS = ("auto", "foreground", "classes")


def resolved_labels(labels: str, classes: int) -> str:
    """What the ids of a mask are: "foreground", where any above 0 counts as 1, or "classes".

    "auto" follows from the model: several classes have their ids, one class has its foreground.

    >>> resolved_labels("auto", classes=1), resolved_labels("auto", classes=3), resolved_labels("foreground", classes=3)
    ('foreground', 'classes', 'foreground')

    Raises:
        InputError: another word.
    """
    if labels not in LABELS:
        raise InputError(f"labels must be one of {', '.join(LABELS)}. Received: {labels!r}.")
    if labels != "auto":
        return labels
    return "classes" if classes > 1 else "foreground"


def check_ignore_index(ignore_index: int | None, labels: str) -> None:
    """Raise `InputError` if the value that marks pixels to leave out is one that foreground and background become.

    Args:
        ignore_index: the value, if there is one.
        labels: "foreground" or "classes", as `resolved_labels` gives them.
    """
    if labels == "foreground" and ignore_index in (0, 1):
        raise InputError(
            f"ignore_index must differ from 0 and 1, which background and foreground are. Received: {ignore_index}."
            " Mark the pixels to leave out with another value, such as 255."
        )
