"""What of a table the gate tests, and what is left to the sweeps."""

import pytest


def sampled(values, kept):
    """All values, those that are not kept with the mark `sweep`; a tuple holds the values of several names."""
    return [one if one in kept else pytest.param(*_several(one), marks=pytest.mark.sweep) for one in values]


def _several(one):
    return one if isinstance(one, tuple) else (one,)
