import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.level import check_asked


@pytest.mark.parametrize("level", [1, 2, "mean"])
def test_what_there_is_passes(level):
    assert check_asked(level, "This has heads for", (1, 2)) == level


@pytest.mark.parametrize(
    "level",
    [0, 3, True, 2.0, "L1", "1", None, [1], "Mean", 10**5000],
    ids=lambda level: str(level)[:5] if level != 10**5000 else "huge",
)
def test_what_there_is_not_is_told(level):
    with pytest.raises(InputError, match=r"^This has heads for level 1, 2 or 'mean'\. Received: .{1,90}\.$"):
        check_asked(level, "This has heads for", (1, 2))


@pytest.mark.parametrize(("heads", "mean", "text"), [((4,), None, "4"), ((1, 2), False, "1, 2"), ((), True, "'mean'")])
def test_those_there_are_are_named(heads, mean, text):
    with pytest.raises(InputError, match=rf"^A level {text}\. Received: 7\.$"):
        check_asked(7, "A", heads, mean)
