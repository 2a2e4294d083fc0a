"""What of a table the gate tests, and what is left to the sweeps."""

import pytest


def sampled(values, kept):
    """All values, those that are not kept with the mark `sweep`."""
    return [one if one in kept else pytest.param(one, marks=pytest.mark.sweep) for one in values]
