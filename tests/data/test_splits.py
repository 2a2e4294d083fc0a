from pathlib import Path

import pytest

from keras_unetpp.data.splits import by_share
from keras_unetpp.kit.errors import InputError

NAMES = [f"n{number}" for number in range(100)]
SLIDES = {name: f"slide{number % 5}" for number, name in enumerate(NAMES)}


def test_a_share_of_names_stays_where_names_are_added():
    val = by_share(dict.fromkeys(NAMES, ""), 0.2, 0, Path("d"))
    assert 10 <= len(val) <= 30
    more = by_share(dict.fromkeys([*NAMES, *(f"m{number}" for number in range(50))], ""), 0.2, 0, Path("d"))
    assert val == more & set(NAMES)
    assert by_share(dict.fromkeys(NAMES, ""), 0.2, 1, Path("d")) != val


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_a_group_is_never_parted_and_no_split_is_empty(exact, seed):
    val = by_share(SLIDES, 0.2, seed, Path("d"), exact)
    groups = {SLIDES[name] for name in val}
    assert val == {name for name in NAMES if SLIDES[name] in groups}
    assert 1 <= len(groups) <= 4


def test_an_exact_share_is_as_near_as_groups_allow():
    assert len(by_share(dict.fromkeys(NAMES, ""), 0.25, 3, Path("d"), exact=True)) == 25
    assert len(by_share(SLIDES, 0.3, 3, Path("d"), exact=True)) in (20, 40)
    large = {**dict.fromkeys(NAMES, "large"), "a": "", "b": "", "c": ""}
    for seed in range(20):
        assert by_share(large, 0.02, seed, Path("d"), exact=True) <= {"a", "b", "c"}


def test_images_without_a_group_go_by_themselves():
    groups = {**SLIDES, **{f"alone{number}": "" for number in range(100)}}
    val = by_share(groups, 0.5, 0, Path("d"))
    assert 0 < sum(name.startswith("alone") for name in val) < 100


def test_one_group_cannot_be_split():
    with pytest.raises(InputError, match=r"^d needs at least 2 groups of images, one to train on .*; got 1$"):
        by_share({"a": "g", "b": "g"}, 0.2, 0, Path("d"))
