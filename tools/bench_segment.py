"""What `segment` in a loop costs against a `Predictor`: `python tools/bench_segment.py [--frames 100] [--side 256]`.

Times both on each frame, one after the other, and prints their ratio; the exit code is 1 if its median is above 1.1.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LIMIT = 1.1


def seconds(call: Callable[[Any], Any], frame: Any) -> float:
    """Time of a call on a frame."""
    start = time.perf_counter()
    call(frame)
    return time.perf_counter() - start


def main() -> int:
    """Segment random frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100, help="how many")
    parser.add_argument("--side", type=int, default=256, help="sides of a frame in pixels")
    parser.add_argument("--model", default="nuclei-small", help="name in the zoo, .keras file or exported file")
    options = parser.parse_args()

    import numpy as np

    import keras_unetpp as kup
    from keras_unetpp.formats.artefact import is_artefact
    from keras_unetpp.prediction.networks import at_level

    model = options.model if is_artefact(options.model) else kup.load(options.model)
    predictor = kup.Predictor(at_level(model, None))
    shape = (options.frames, options.side, options.side, predictor.channels)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runs: dict[str, Callable[[Any], Any]] = {"Predictor": predictor, "segment": lambda frame: kup.segment(model, frame)}
    for call in runs.values():
        call(frames[0])
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number, frame in enumerate(frames):
        for name in list(runs) if number % 2 else list(runs)[::-1]:  # neither always comes second
            times[name].append(seconds(runs[name], frame))
    for name, own in times.items():
        print(f"{name}: {sum(own):.2f} s, a frame {1000 * statistics.median(own):.1f} ms")
    ratio = statistics.median(one / other for one, other in zip(times["segment"], times["Predictor"], strict=True))
    print(f"segment / Predictor, median over {options.frames} frames of {options.side} x {options.side}: {ratio:.3f}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
