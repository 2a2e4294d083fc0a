import itertools
import random

from keras_unetpp.tuning.tree import axis_of, branches, by_axis


def drawn_by(found):
    """All points that conditions let a tuner draw."""
    points = [{}]
    for one in found:
        holds = [all(point.get(name) in values for name, values in one.conditions) for point in points]
        points = [
            own
            for point, open_ in zip(points, holds, strict=True)
            for own in ([{**point, one.name: value} for value in one.values] if open_ else [point])
        ]
    return [by_axis(point) for point in points]


def test_axes_without_dependence_have_one_branch_each():
    points = list(itertools.product("ab", "cd", "ef"))
    found = branches(["x", "y", "z"], points)
    assert [one.name for one in found] == ["x", "y", "z"]
    assert not any(one.conditions for one in found)


def test_branches_draw_exactly_the_points_whatever_they_are():
    rng = random.Random(0)
    for _ in range(200):
        every = list(itertools.product("abc", "de", "fgh", "ij"))
        points = rng.sample(every, rng.randrange(1, len(every)))
        found = branches(["w", "x", "y", "z"], points)
        assert len({one.name for one in found}) == len(found)
        got = [tuple(point[name] for name in "wxyz") for point in drawn_by(found)]
        assert sorted(got) == sorted(points)


def test_the_axis_of_a_branch():
    assert axis_of("norm#2") == "norm"
    assert axis_of("norm") == "norm"
