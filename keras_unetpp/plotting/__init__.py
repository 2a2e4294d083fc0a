"""Pictures of networks: the triangle of nodes, as SVG and PNG."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_unetpp.files import replacing
from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.plotting import png, svg
from keras_unetpp.plotting.layout import lay_out
from keras_unetpp.plotting.shapes import Picture
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.level import Level

WRITERS = {".svg": svg.render, ".png": png.render}
"""Suffix -> what makes the bytes of such a file of a picture."""


@dataclass(frozen=True)
class Drawing:
    """A picture of a network. A notebook shows it by itself.

    Attributes:
        picture: what it consists of.
    """

    picture: Picture

    @property
    def svg(self) -> str:
        """The text of the SVG file."""
        return svg.render(self.picture).decode()

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write it.

        Args:
            path: of a file ending in .svg or .png; a PNG has twice the SVG's width and height in pixels.
            overwrite: whether a file may be replaced that this package did not write.

        Raises:
            InputError: another ending; or there is a file that is not ours.
        """
        render = WRITERS[check_suffix(path)]
        with replacing(path, overwrite) as temporary:
            temporary.write_bytes(render(self.picture))

    def _repr_svg_(self) -> str:
        """What notebooks show."""
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing: {self.picture.title}>"


def plot(network: Any, path: str | os.PathLike[str] | None = None, level: Level = None, *,
         overwrite: bool = False) -> Drawing:  # fmt: skip
    """Draw a network as the papers do: its nodes with their channels, what each reads, its heads, its backbone.

    Args:
        network: a Spec, for which nothing is built and Keras is not imported; or a model.
        path: of a file to write too, ending in .svg or .png.
        level: what this level, 1..d, does not need is drawn grey; None or "mean": nothing is.
        overwrite: whether a file may be replaced that this package did not write.

    Returns:
        The drawing, which a notebook shows by itself; `save` writes it, `svg` is its text.

    Raises:
        InputError: what is to be drawn is no network of this package; it has no head for that level; the path has
            another ending; or there is a file that is not ours.

    Source: Zhou et al., IEEE TMI 2020, figure 1.

    >>> from keras_unetpp import Spec, plot
    >>> plot(Spec(depth=2), level=1)
    <Drawing: Level L1 of unet++ of depth 2>
    """
    if path is not None:
        check_suffix(path)
    drawing = Drawing(lay_out(_spec_of(network), level))
    if path is not None:
        drawing.save(path, overwrite)
    return drawing


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The ending of a path in small letters, or an `InputError` naming those that a picture can have."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise InputError(f"A picture's file must end in {' or '.join(WRITERS)}. Received: {os.fspath(path)}.")
    return suffix


def _spec_of(network: Any) -> Spec:
    if isinstance(network, Spec):
        return network
    if not hasattr(network, "layers"):
        raise InputError(f"plot draws a Spec or a model. Received: {brief(network)}.")
    from keras_unetpp.graph.describe import describe

    spec = describe(network).spec
    if spec is None:
        raise InputError(
            f"{network.name!r} has no Spec to draw: version 0.1 saved none with levels that it cut out. Pass the Spec."
        )
    return spec
