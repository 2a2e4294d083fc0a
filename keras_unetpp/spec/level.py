"""What may be asked for as a level, said once: of a Spec, of a built model, of an exported file."""

from collections.abc import Iterable

from keras_unetpp.kit.errors import InputError, brief

Level = int | str | None
"""A level 1..d, "mean" for the average of all heads, None for what the function at hand takes without being told."""

MEAN = "mean"


def check_asked(level: Level, whose: str, heads: Iterable[int], mean: bool | None = None) -> Level:
    """`level` itself, or an `InputError` that names those there are.

    True and 2.0 are no levels, though they equal some; None is none either: the caller knows what it stands for.

    Args:
        level: as it was asked for.
        whose: has them, such as "This network has heads for".
        heads: the levels that there are.
        mean: whether their average is there too. Default: where there are several.
    """
    known = [*heads]
    averaged = len(known) > 1 if mean is None else mean
    if (type(level) is int and level in known) or (averaged and type(level) is str and level == MEAN):
        return level
    names = ", ".join(map(str, known))
    allowed = f"{names} or {MEAN!r}" if averaged and names else names or repr(MEAN)
    raise InputError(f"{whose} level {allowed}. Received: {brief(level)}.")
