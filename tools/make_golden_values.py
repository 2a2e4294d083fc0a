"""Makes tests/golden/reference.safetensors.xz: what PyTorch's reference network gave, in less than a megabyte.

    python tools/make_golden_values.py SHARED_FOLDER

SHARED_FOLDER holds reference/seed_small.npz. Its arrays are kept under their names: weights, input, target and loss as
they are; logits rounded to 2^-20, a twentieth of what the tests allow; of a large gradient every 17th number, and of
each gradient the largest magnitude and the norm of the whole. A second run writes the same bytes. The tests read the
file by `golden_values`, and sample the gradients that they compare by `sampled`.
"""

import json
import lzma
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "tests" / "golden" / "reference.safetensors.xz"
STRIDE = 17
"""Shares no factor with the sides of a kernel, so that a sample holds numbers of every tap and channel."""

ALIGNED = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 2, "lp": 2, "pb": 2}]
"""The compressor told that numbers are of four bytes, which makes random ones a tenth smaller."""


def golden_values() -> dict[str, np.ndarray]:
    """The kept arrays by their names in seed_small.npz, gradients sampled, with `largest/..` and `norm/..` of each."""
    arrays = load(lzma.decompress(KEPT.read_bytes()))
    return {name: arrays[name] for name in json.loads(bytes(arrays["names"]))}


def sampled(array: np.ndarray) -> np.ndarray:
    """Every 17th number of a large array, every number of a small one, flat."""
    return array.ravel()[:: 1 if array.size < 1000 else STRIDE].copy()


def kept(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of an array of seed_small.npz."""
    group, _, rest = name.partition("/")
    if group in ("eval_logits", "train_logits"):
        return {name: (np.round(array.astype("float64") * 2**20) / 2**20).astype("float32")}
    if group == "grad":
        largest, norm = np.abs(array).max(), np.linalg.norm(array.astype("float64"))
        return {name: sampled(array), f"largest/{rest}": np.array(largest), f"norm/{rest}": np.array(norm)}
    return {name: array}


def main(shared: Path) -> None:
    """Write the file."""
    values: dict[str, np.ndarray] = {}
    with np.load(shared / "reference" / "seed_small.npz") as file:
        for name in file.files:
            values |= kept(name, file[name])
    # The format does not keep the order of a state dict, in which messages list its names.
    values["names"] = np.frombuffer(json.dumps(list(values)).encode(), np.uint8)
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_bytes(lzma.compress(save(values), filters=ALIGNED))
    print(f"{KEPT.relative_to(ROOT)}: {KEPT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
