"""Messages as people see them."""

import pytest

from keras_unetpp.kit.errors import InputError, InputWarning


def test_the_middle_of_a_very_long_message_is_left_out():
    for kind in (InputError, InputWarning):
        said = str(kind(f"a.csv line 3: no image {'1' * 200_000!r}. Name it as its file is."))
        assert len(said) < 2100
        assert said.startswith("a.csv line 3: no image '111")
        assert " .. " in said
        assert said.endswith("11'. Name it as its file is.")


def test_a_message_of_ordinary_length_stays():
    text = "It must be one of a, b. Received: 'c'. " * 40
    assert str(InputError(text)) == text


@pytest.mark.parametrize("kind", [InputError, InputWarning])
def test_a_message_is_one_line_whatever_the_names_in_it_hold(kind):
    assert str(kind("zoo/\n/spec.json\x1b[2J is missing.")) == r"zoo/\x0a/spec.json\x1b[2J is missing."
