"""Weights that are no numbers: refused wherever weights are loaded, since masks made with them are empty."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_unetpp.kit.errors import InputError

_LISTED = 5


def check_finite(arrays: Mapping[str, Any], source: object) -> None:
    """Raise `InputError` naming the arrays that hold what is not finite.

    Args:
        arrays: name -> array; those of whole numbers are finite.
        source: what they come from, such as a file.
    """
    bad = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if bad:
        names = ", ".join(bad[:_LISTED]) + (f" and {len(bad) - _LISTED} more" if len(bad) > _LISTED else "")
        raise InputError(
            f"{source} must hold finite weights. Received: NaN or infinity in {names}. Take weights from before"
            " training diverged, or fetch the file again."
        )
