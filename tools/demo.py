"""Segment real microscopy with the zoo's model, compare its levels, cut one out; says where the pictures are.

    python tools/demo.py OUT

The images are those that ship inside mahotas (fluorescence) and scikit-image (immunohistochemistry), brought to what
the model knows, nuclei of 10 to 60 pixels: see `images`. Prints the level table, the difference between head and
cut-out level, and the files written.
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
    from keras_unetpp.data.images import write_png

    entry = kup.zoo.entry("nuclei-small")
    model = kup.load(entry.name)
    print(f"{entry.name}: {entry.summary}\n")
    pictures = images()
    for name, image in pictures.items():
        write_png(out / "images" / f"{name}.png", image)
    written = kup.predict_folder(model, out / "images", out / "masks", level=entry.best_level, progress=True)

    print(kup.levels(model, size=(256, 256)), "\n")
    small = kup.prune(model, entry.best_level, copy=True)
    small.save(out / f"{entry.name}-L{entry.best_level}.keras")
    sample = pictures["tissue"][:256, :256]
    whole = model.predict(sample[None], verbose=0)[f"L{entry.best_level}"]
    difference = np.abs(small.predict(sample[None], verbose=0) - whole).max()
    print(f"L{entry.best_level} cut out: {small.count_params():,} parameters, {difference} from its head at most")
    print(f"\n{len(written)} pictures in {out / 'masks'}, the cut-out model in {out}")
    print(f"{time.perf_counter() - started:.0f} s")


def images() -> dict[str, np.ndarray]:
    """Real images from installed packages, (height, width, 3) uint8.

    The fluorescence image is reduced to a third. Of the tissue, where brown marks a protein, only the blue stain of the
    nuclei is kept (colour deconvolution), dark on light, at twice the size.
    """
    import mahotas.demos
    import skimage.color
    import skimage.data
    import skimage.transform

    def sized(image: np.ndarray, factor: float) -> np.ndarray:
        resized = skimage.transform.rescale(image, factor, channel_axis=-1, anti_aliasing=True, preserve_range=True)
        return resized.round().astype(np.uint8)

    stain = skimage.color.rgb2hed(skimage.data.immunohistochemistry())[..., :1]
    low, high = np.percentile(stain, [1, 99.8])
    tissue = 255 - 150 * np.clip((stain - low) / (high - low), 0, 1).repeat(3, -1)
    return {"fluorescence": sized(mahotas.demos.nuclear_image(), 1 / 3), "tissue": sized(tissue, 2)}


if __name__ == "__main__":
    main()
