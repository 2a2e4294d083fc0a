import pytest

from keras_unetpp.formats.sensitive import ARITHMETIC, CONVOLUTION, OTHER, REDUCTION, ROOT, Step, ends, statistics


def steps(*rows):
    """`kind: reads -> writes`, names of values separated by blanks."""
    found = []
    for kind, reads, writes in rows:
        found.append(Step(kind, set(reads.split()), set(writes.split())))
    return found


NORMALISED = steps(
    (REDUCTION, "image", "mean"),
    (ARITHMETIC, "image mean", "centred"),
    (ARITHMETIC, "centred", "square"),
    (REDUCTION, "square", "variance"),
    (ROOT, "variance", "root"),
    (ARITHMETIC, "centred root", "x"),
    (CONVOLUTION, "x", "y"),
)
WEIGHED = steps(
    (REDUCTION, "y", "pooled"),
    (ARITHMETIC, "pooled", "reshaped"),
    (CONVOLUTION, "reshaped", "squeezed"),
    (OTHER, "squeezed", "weights"),
    (ARITHMETIC, "y weights", "z"),
)
HEAD = steps((CONVOLUTION, "z", "logits"), (OTHER, "logits", "out"))


def test_statistics_are_means_that_lead_to_a_root():
    assert statistics([*NORMALISED, *WEIGHED, *HEAD]) == {0, 1, 2, 3, 4, 5}
    assert statistics([*WEIGHED, *HEAD]) == set()


@pytest.mark.parametrize(
    ("first", "last", "values"),
    [(True, False, {"x", "y"}), (False, True, {"logits", "out"}), (True, True, {"x", "y", "logits", "out"})],
)
def test_ends_are_the_first_convolutions_and_the_last_of_a_head(first, last, values):
    assert ends([*NORMALISED, *WEIGHED, *HEAD], {"out"}, first, last) == values
