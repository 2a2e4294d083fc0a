"""Segment real microscopy with the zoo's model, compare its levels, cut one out; says where the pictures are.

    python tools/demo.py OUT

The images are those that ship inside mahotas (fluorescence) and scikit-image (stained tissue, here with the cut-out
level as well). Prints the level table, the difference between head and cut-out level, and the files written.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for images, masks, overlays and the cut-out model")
    out: Path = parser.parse_args().out
    started = time.perf_counter()

    import keras_unetpp as kup
    from keras_unetpp.images import write_png

    entry = kup.zoo.entry("nuclei-small")
    model = kup.load(entry.name)
    print(f"{entry.name}: {entry.summary}\n")
    for name, image in images().items():
        write_png(out / "images" / f"{name}.png", image)
    written = kup.predict_folder(model, out / "images", out / "masks", level=entry.best_level, progress=True)

    print(kup.levels(model, size=(256, 256)), "\n")
    small = kup.prune(model, entry.best_level, copy=True)
    small.save(out / f"{entry.name}-L{entry.best_level}.keras")
    sample = images()["stained_tissue"][:256, :256]
    whole = model.predict(sample[None], verbose=0)[f"L{entry.best_level}"]
    difference = np.abs(small.predict(sample[None], verbose=0) - whole).max()
    print(f"L{entry.best_level} cut out: {small.count_params():,} parameters, {difference} from its head at most")
    print(f"\n{len(written)} pictures in {out / 'masks'}, the cut-out model in {out}")
    print(f"{time.perf_counter() - started:.0f} s")


def images() -> dict[str, np.ndarray]:
    """Real images from installed packages, (height, width, 3) uint8."""
    import mahotas.demos
    import skimage.data

    return {"fluorescence": mahotas.demos.nuclear_image(), "stained_tissue": skimage.data.immunohistochemistry()}


if __name__ == "__main__":
    main()
