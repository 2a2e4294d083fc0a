"""Memory and time of segmenting one large image: `python tools/bench_inference_memory.py [--side 4096] [--width 16]`.

Prints the peak of resident memory after one small prediction, that after the large one, their difference, and the
seconds that the large one took, compilation included.
"""

import argparse
import os
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Segment a random image of side x side x 3 pixels with an untrained network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096, help="sides of the image in pixels")
    parser.add_argument("--width", type=int, default=16, help="filters of the network's row 0")
    parser.add_argument("--depth", type=int, default=4, help="depth of the network")
    options = parser.parse_args()

    import numpy as np

    import keras_unetpp as kup

    model = kup.build((None, None, 3), width=options.width, depth=options.depth, normalization="standardize")
    image = np.random.default_rng(0).integers(0, 256, (options.side, options.side, 3), dtype=np.uint8)
    kup.segment(model, image[:64, :64])
    baseline = _peak()
    start = time.perf_counter()
    result = kup.segment(model, image, progress=True)
    seconds = time.perf_counter() - start
    peak = _peak()
    print(f"{image.shape} -> {result.shape}, model of {model.count_params():,} parameters")
    print(f"baseline   {baseline:7.0f} MiB, the image of {image.nbytes / 2**20:.0f} MiB included")
    print(f"peak       {peak:7.0f} MiB")
    print(f"difference {peak - baseline:7.0f} MiB")
    print(f"seconds    {seconds:7.1f}")


def _peak() -> float:
    """Largest resident memory of this process so far in MiB; the system counts KiB, on macOS bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
