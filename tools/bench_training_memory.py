"""Compare the memory that training is said to take with what it takes: `python tools/bench_training_memory.py`.

Each network is trained for a few steps in a process of its own; what counts is by how much its resident memory grows
from the compiled model to the peak. Exits with 1 if a prediction is off by more than 20 %.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from keras_unetpp.kit.tables import table
from keras_unetpp.spec import Spec
from keras_unetpp.spec.memory import training_bytes

TOLERANCE = 0.2
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...], int]] = {
    "2-D, width 16": ({"width": 16}, (192, 192), 4),
    "2-D, width 32, nearest": ({"width": 32, "depth": 3, "up": "nearest"}, (256, 256), 4),
    "2-D, width 64, preact": ({"width": 64, "block": "preact"}, (128, 128), 4),
    "2-D, efficientnet_lite0": ({"backbone": "efficientnet_lite0"}, (256, 256), 8),
    "2-D, unet": ({"topology": "unet", "deep_supervision": False}, (256, 256), 4),
    "3-D, width 8": ({"input_shape": (None, None, None, 1), "width": 8, "depth": 3}, (64, 64, 64), 2),
    "3-D, width 16, flat": ({"input_shape": (None, None, None, 1), "width": 16, "depth": 2}, (16, 96, 96), 2),
}


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def train(name: str) -> None:
    """Train one case for three steps and print by how many bytes memory grew."""
    import numpy as np

    from keras_unetpp.graph.build import build
    from keras_unetpp.recipe import Recipe
    from keras_unetpp.training.fit import prepare

    fields, crop, batch = CASES[name]
    model = build(Spec(**fields))
    prepare(model, Recipe(), 10)
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (batch, *crop, model.spec.channels)).astype("float32")
    masks = rng.integers(0, 2, (batch, *crop, 1), "uint8")
    before = resident()
    for _ in range(3):
        model.train_on_batch(images, masks)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(peak - before))


def main() -> int:
    """Print predicted and measured memory of each case."""
    if sys.argv[1:]:
        train(sys.argv[1])
        return 0
    rows, worst = [], 0.0
    for name, (fields, crop, batch) in CASES.items():
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        measured, predicted = int(done.stdout.split()[-1]), training_bytes(Spec(**fields), crop, batch)
        worst = max(worst, abs(predicted / measured - 1))
        rows.append([name, "x".join(map(str, crop)), str(batch), f"{measured / 2**30:.2f}", f"{predicted / 2**30:.2f}",
                     f"{predicted / measured:.2f}"])  # fmt: skip
    print(table(["network", "crop", "batch", "GiB measured", "GiB predicted", "ratio"], rows))
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
