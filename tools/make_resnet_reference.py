"""Makes resnet_reference.npz of the tests: what torchvision's ResNet-18 and 34 compute with weights made up by rule.

    pip install torch torchvision numpy
    python tools/make_resnet_reference.py tests/graph/encoders/families/resnet_reference.npz

The file holds a sample of each tap and its largest magnitude. The tests take `made_up`, `image` and `sampled`.
"""

import sys
import zlib
from collections.abc import Mapping

import numpy as np
from make_lite_reference import sampled

SIDES = (65, 98)
"""Height and width of the image: odd and even at every resolution, where paddings differ."""

TAPS = ("relu", "layer1", "layer2", "layer3", "layer4")


def made_up(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A state dict of random numbers that keep activations near 1; always the same for the same names and shapes."""
    state = {}
    for name, shape in shapes.items():
        random = np.random.RandomState(zlib.crc32(name.encode()))  # its numbers stay the same in all versions of NumPy
        if len(shape) == 4:
            state[name] = (random.randn(*shape) / np.sqrt(np.prod(shape[1:]) / 2)).astype("float32")
        else:
            low = 0.5 if name.endswith(("weight", "running_var")) else -0.5
            state[name] = (low + random.rand(*shape)).astype("float32")
    return state


def image() -> np.ndarray:
    """Random pixels (1, height, width, 3), float32."""
    return np.random.RandomState(0).randn(1, *SIDES, 3).astype("float32")


def main(path: str) -> None:
    """Write the reference."""
    import torch
    import torchvision

    reference: dict[str, np.ndarray] = {}
    for depth in (18, 34):
        model = getattr(torchvision.models, f"resnet{depth}")().eval()
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        state = made_up({name: shape for name, shape in shapes.items() if shape})
        model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
        found: list[np.ndarray] = []
        for tap in TAPS:
            getattr(model, tap).register_forward_hook(lambda *call, to=found: to.append(call[-1].numpy().copy()))
        with torch.no_grad():
            model(torch.from_numpy(image().transpose(0, 3, 1, 2)))
        for row, array in enumerate(found, 1):
            reference[f"{depth}/{row}"] = sampled(array[0].transpose(1, 2, 0))
            reference[f"{depth}/{row}/scale"] = np.abs(array).max()
            print(depth, row, array.shape, np.abs(array).max())
    np.savez_compressed(path, **reference)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1])
