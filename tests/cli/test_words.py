import pytest

from keras_unetpp.cli.words import LEVEL, SIDES, converter, is_list, is_one, several
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec

BY_ROW = tuple[int | tuple[int, ...], ...]


@pytest.mark.parametrize(
    ("wanted", "word", "value"),
    [
        (int, "3", 3),
        (int, "1e6", 1_000_000),
        (int, "2.5", "2.5"),
        (int, "inf", "inf"),
        (int, "none", "none"),
        (int | None, "none", None),
        (float, "2", 2.0),
        (float, "-1e-3", -1e-3),
        (bool, "true", True),
        (bool, "False", False),
        (bool, "1", "1"),
        (str, "none", "none"),
        (str, "7", "7"),
        (str | None, "none", None),
        (str | None, "a,b", "a,b"),
        (LEVEL, "2", 2),
        (LEVEL, "mean", "mean"),
        (tuple[LEVEL, ...], "1,mean", (1, "mean")),
        (tuple[str, ...], "box,none", ("box", "none")),
        (SIDES, "none,none,1", (None, None, 1)),
        (SIDES, "8x32x32", (8, 32, 32)),
        (SIDES, "64", (64,)),
        (SIDES, "8,b", "8,b"),
        (int | tuple[int, ...], "8,32,32", (8, 32, 32)),
        (int | tuple[int, ...], "32", 32),
        (tuple[float, ...] | None, "1,2.5", (1.0, 2.5)),
        (BY_ROW, "1x2x2,2", ((1, 2, 2), 2)),
        (BY_ROW, "1x2x2", ((1, 2, 2),)),
        (BY_ROW, "2, 2,1", (2, 2, 1)),
        (BY_ROW, "1x2xq,2", "1x2xq,2"),
    ],
)
def test_a_word_is_read_by_the_type_of_what_it_sets(wanted, word, value):
    found = converter(wanted)(word)
    assert found == value
    assert type(found) is type(value)


def test_a_word_that_a_field_allows_means_itself():
    """`none` is a kind of norm, but no decoder block."""
    for cls in (Spec, Recipe):
        for name, item in cls.__dataclass_fields__.items():
            convert = converter(cls.__annotations__[name], item.metadata.get("allowed") or ())
            for word in item.metadata.get("allowed") or ():
                assert convert("none" if word is None else word) == word


@pytest.mark.parametrize("text", ["none", "None", "NONE"])
def test_none_is_one_word_however_it_is_written(text):
    for cls in (Spec, Recipe):
        for name, item in cls.__dataclass_fields__.items():
            kind, allowed = cls.__annotations__[name], item.metadata.get("allowed") or ()
            found = converter(kind, allowed)(text)
            if "none" in allowed:
                assert found == "none", name
            elif None in allowed or type(None) in getattr(getattr(kind, "type", kind), "__args__", ()):
                assert found is None, name
            else:
                assert found in (text, (None,)), name  # a shape may have open sides
    assert several(converter(str, ("none", "batch")))(f"{text},Batch") == ("none", "batch")


def test_commas_part_values_where_several_are_taken():
    convert = several(converter(int))
    assert convert("1,2,3") == (1, 2, 3)
    assert convert("1") == 1
    assert several(converter(str, ("none", "batch")))("none,batch") == ("none", "batch")
    depths = several(converter(int), lambda value: is_one(value, int, ()))
    assert [depths(text) for text in ("1,2", "1,", "1,x", "x")] == [(1, 2), "1,", "1,x", "x"]
    norms = several(converter(str, ("none", "batch")), lambda value: is_one(value, str, ("none", "batch")))
    assert norms("batch,bach") == "batch,bach"
    assert is_list(tuple[int, ...] | None)
    assert not is_list(int | tuple[int, ...])
    assert not is_list(str)
