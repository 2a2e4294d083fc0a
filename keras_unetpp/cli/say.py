"""What commands tell, fit for a terminal."""

import sys

from keras_unetpp.kit.errors import shown, shown_lines


def say(text: object) -> None:
    """Print a result."""
    print(shown_lines(text))


def tell(text: object) -> None:
    """Print one line about the work to standard error."""
    print(shown(" ".join(str(text).split())), file=sys.stderr)
