import copy
import pickle
from dataclasses import InitVar, dataclass

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.validated import Validated, described, with_field_help
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec
from keras_unetpp.tuning.budget import Budget


@dataclass(frozen=True)
class Box(Validated):
    """A box.

    Args:
        FIELDS
    """

    sides: tuple[int, ...] = described((1, 2), "in pixels")
    colour: str = described("red", "of the paint", allowed=("red", "blue"))
    side: InitVar[int | None] = None

    def __post_init__(self, side):
        object.__setattr__(self, "sides", tuple(self.sides) if side is None else (side, side))


with_field_help(Box)


def test_fields_describe_themselves():
    assert "sides: in pixels.\n        colour: of the paint: red, blue.\n" in Box.__doc__


def test_json_both_ways():
    box = Box((3, 4), "blue")
    assert box.to_json() == '{\n  "sides": [\n    3,\n    4\n  ],\n  "colour": "blue"\n}'
    assert Box.from_json(box.to_json()) == box == Box.from_dict(box.to_dict())
    assert box.replace(side=5) == Box(side=5, colour="blue")
    for text, message in (
        ("x" * 2**21, "A Box is a text of at most 1,048,576 characters. Received: 2,097,152."),
        ("[", "A Box is no JSON, or cut off"),
        ("[1]", "an object is required"),
    ):
        with pytest.raises(InputError) as caught:
            Box.from_json(text)
        assert message in str(caught.value)


@pytest.mark.parametrize("take", [Box.from_dict, Box.check_names, lambda values: Box().replace(**values)])
def test_a_name_that_is_no_field(take):
    with pytest.raises(InputError) as caught:
        take({"color": "red"})
    assert str(caught.value) == "Box has no field 'color'. Did you mean 'colour'? Fields: sides, colour, side."


@pytest.mark.parametrize("one", [Spec(depth=2), Recipe(crop=(8, 8)), Budget(params=7, size=(8, 8))])
def test_copies_are_equal(one):
    pickled = pickle.loads(pickle.dumps(one))
    assert pickled == copy.deepcopy(one) == one.replace() == type(one).from_dict(one.to_dict()) == one
    assert type(one).from_json(one.to_json()) == one
