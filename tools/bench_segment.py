"""What `segment` in a loop costs against a `Predictor`: `python tools/bench_segment.py [--frames 100] [--side 256]`.

Times both on the same frames, turn by turn, and prints their ratio; the exit code is 1 if its median is above 1.1.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LIMIT = 1.1


def seconds(call: Callable[[Any], Any], frames: Iterable[Any]) -> float:
    """Time of a call on each frame."""
    start = time.perf_counter()
    for frame in frames:
        call(frame)
    return time.perf_counter() - start


def main() -> int:
    """Segment random frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100, help="frames a turn")
    parser.add_argument("--side", type=int, default=256, help="sides of a frame in pixels")
    parser.add_argument("--turns", type=int, default=5, help="times that both are timed")
    parser.add_argument("--model", default="nuclei-small", help="name in the zoo, .keras file or exported file")
    options = parser.parse_args()

    import numpy as np

    import keras_unetpp as kup
    from keras_unetpp.artefacts import is_artefact
    from keras_unetpp.networks import at_level

    model = options.model if is_artefact(options.model) else kup.load(options.model)
    predictor = kup.Predictor(at_level(model, None))
    shape = (options.frames, options.side, options.side, predictor.channels)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runs: dict[str, Callable[[Any], Any]] = {"Predictor": predictor, "segment": lambda frame: kup.segment(model, frame)}
    for call in runs.values():
        call(frames[0])
    ratios = []
    for turn in range(options.turns):
        order = list(runs) if turn % 2 else list(runs)[::-1]  # neither always comes second
        took = {name: seconds(runs[name], frames) for name in order}
        ratios.append(took["segment"] / took["Predictor"])
        print(f"turn {turn + 1}: " + ", ".join(f"{name} {took[name]:.2f} s" for name in runs) + f", {ratios[-1]:.3f}")
    ratio = statistics.median(ratios)
    print(f"{options.frames} frames of {options.side} x {options.side}: segment / Predictor {ratio:.3f} (median)")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
