"""Weights: by name, and in files of others."""

from keras_unetpp.weights.by_name import (
    State,
    assign,
    check_enough,
    check_names,
    listed,
    load,
    read,
    save,
    state,
    variables,
    write,
)

__all__ = ["State", "assign", "check_enough", "check_names", "listed", "load", "read", "save", "state", "variables",
           "write"]  # fmt: skip
