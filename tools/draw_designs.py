"""Draw the pictures of README and docs: `python tools/draw_designs.py docs/pictures`."""

import sys
from pathlib import Path

from keras_unetpp import Spec, plot

PICTURES = {
    "unetpp": (Spec.preset("unet++"), None),
    "unetpp-level2": (Spec.preset("unet++"), 2),
    "backbone": (Spec(backbone="efficientnet_lite0"), None),
}
"""Name -> what is drawn, and the level whose needs are not grey."""


def drawn() -> dict[str, str]:
    """File name -> its text."""
    return {f"{name}.svg": plot(spec, level=level).svg for name, (spec, level) in PICTURES.items()}


def main(folder: str) -> None:
    """Write them all; those that are there are replaced."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in drawn().items():
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
