"""Specs that earlier versions wrote down: fields that came later are as every network was before them."""

from collections.abc import Iterable, Mapping
from dataclasses import Field
from typing import Any

BEFORE: dict[str, Any] = {
    **{"backbone": None, "encoder_weights": None, "stem": True, "standardize_epsilon": 0.1},
    **{"down": "max", "merge": "concat"},
    **{"attention": "none", "squeeze_ratio": 8, "context": "none"},
    **{"block_layers": (), "growth_rate": 16, "cardinality": 8, "bias": True, "activation_slope": 0.2},
    **{"max_filters": None, "decoder_filters": ()},
    **{"strides": (), "kernels": (), "dilations": ()},
}
"""Field that came after the first version -> what every network had before."""

_STANDARDIZE = ("standardize", None)
"""Values of `normalization` under which `standardize_epsilon` matters; None: left open, since it is searched."""


def completed(values: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The values of a Spec; if they are a record of an earlier version, with the fields that came later.

    A record has all the fields of the first version. What a caller writes has a few, and takes today's defaults.

    >>> completed({"depth": 2}, ["depth", "filters"])
    {'depth': 2}
    >>> completed({"depth": 2, "filters": [4, 8, 16], "normalization": "standardize"}, ["depth", "filters"])[
    ...     "standardize_epsilon"
    ... ]
    0.1
    """
    return as_before(values) if values.keys() >= set(fields) - BEFORE.keys() else dict(values)


def resumed(record: Mapping[str, Any], wanted: Mapping[str, Any], fields: Mapping[str, Field[Any]]) -> dict[str, Any]:
    """The values that go on with a record: those wanted, but where it lacks a field left at its default, as before.

    Args:
        record: all or a part of the values of a Spec, as any version wrote them.
        wanted: the same of today.
        fields: of Spec.
    """
    later = {name: value for name, value in as_before(record).items() if name not in record}
    return {name: later[name] if name in later and value == fields[name].default else value
            for name, value in wanted.items()}  # fmt: skip


def as_before(record: Mapping[str, Any]) -> dict[str, Any]:
    """All or a part of the values of a Spec that an earlier version wrote, with the fields that came later."""
    standardizes = record.get("normalization") in _STANDARDIZE
    return {
        **{
            name: list(value) if isinstance(value, tuple) else value
            for name, value in BEFORE.items()
            if standardizes or name != "standardize_epsilon"
        },
        **record,
    }
