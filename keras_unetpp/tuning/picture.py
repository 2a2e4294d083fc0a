"""The picture of a search: quality against each cost, and the Pareto fronts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_unetpp.files import replacing
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require

AXES = {"params": ("parameters", 1.0), "macs": ("multiply-accumulates, G", 1e9), "latency": ("latency, ms", 1.0)}


def draw(
    candidates: Sequence[Any], fronts: Mapping[str, Sequence[Any]], path: str | Path, overwrite: bool = False
) -> None:
    """Write the picture, PNG or whatever the path's suffix says.

    Args:
        candidates: of a result.
        fronts: by cost, the candidates that no other beats.
        path: the file.
        overwrite: whether a file may be replaced that this package did not write.

    Raises:
        InputError: Matplotlib is not installed, or the result has no candidates.
    """
    require("plots", "matplotlib")
    from matplotlib.figure import Figure

    if not candidates:
        raise InputError("This result has no candidates to draw: all trials failed, or none was run.")
    depths = sorted({one.spec.depth for one in candidates})
    shown = [by for by in AXES if fronts[by]]
    figure = Figure(figsize=(5 * len(shown), 4.2), layout="constrained")
    for place, by in zip(figure.subplots(1, len(shown), squeeze=False, sharey=True)[0], shown, strict=True):
        title, unit = AXES[by]
        for number, depth in enumerate(depths):
            own = [one for one in candidates if one.spec.depth == depth and one.value(by) is not None]
            across = [(one.value(by) or 0) / unit for one in own]
            place.scatter(across, [one.iou for one in own], s=18, color=f"C{number}", label=f"depth {depth}")
        front = fronts[by]
        across = [(one.value(by) or 0) / unit for one in front]
        place.step(across, [one.iou for one in front], where="post", color="black", linewidth=1, label="Pareto front")
        for one, right in zip(front, across, strict=True):
            place.annotate(f"{one.outcome.trial}:L{one.level}", (right, one.iou), fontsize=7, xytext=(3, 3),
                           textcoords="offset points")  # fmt: skip
        place.set_xscale("log")
        place.set_xlabel(title)
        place.grid(alpha=0.3)
    first = figure.axes[0]
    first.set_ylabel("validation IoU")
    first.legend(loc="lower right", fontsize=8)
    with replacing(path, overwrite) as temporary:
        figure.savefig(temporary, dpi=120)
