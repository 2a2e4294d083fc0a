"""Tables of choices: what was derived from one is forgotten when it changes, in whatever way."""

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import BLOCKS, Spec
from keras_unetpp.spec.choices import Choices, OrNone, remembered

CHANGES = {
    "assign": lambda table: table.__setitem__("b", 2),
    "delete": lambda table: table.__delitem__("a"),
    "or": lambda table: table.__ior__({"b": 2}),
    "clear": lambda table: table.clear(),
    "pop": lambda table: table.pop("a"),
    "popitem": lambda table: table.popitem(),
    "setdefault": lambda table: table.setdefault("b", 2),
    "update": lambda table: table.update(b=2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_depends_on_a_table_is_derived_anew_once_it_changes(change):
    table = Choices(a=1)

    @remembered(8)
    def names(start):
        return [start, *table]

    first = names("x")
    assert names("x") is first
    CHANGES[change](table)
    assert names("x") == ["x", *table] != first


def test_or_none():
    both = OrNone(BLOCKS)
    assert list(both) == [None, *BLOCKS]
    assert len(both) == 1 + len(BLOCKS)
    assert None in both
    assert "conv" in both
    assert "other" not in both


@pytest.mark.parametrize("value", [[], {}, {"conv"}, ["conv"], 1, b"conv", ("conv",), float("nan")], ids=repr)
@pytest.mark.parametrize("field", ["block", "decoder_block", "up", "head_activation"])
def test_a_value_of_another_kind_is_no_choice(field, value):
    with pytest.raises(InputError, match=rf"^Spec\.{field} must be one of .*'\. Received: "):
        Spec(**{field: value})
