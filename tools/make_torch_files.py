"""Makes tests/weights/torch_files/old.pt and new.pt: one small state dict in both of PyTorch's formats.

pip install torch
python tools/make_torch_files.py tests/weights/torch_files
"""

import sys
from collections import OrderedDict
from pathlib import Path

import torch

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")


def contents() -> OrderedDict[str, torch.Tensor]:
    """Every dtype, and every way in which a tensor may lie in its storage."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict((name, (torch.arange(5) - 2).to(getattr(torch, name))) for name in DTYPES)
    state["whole"] = base
    state["transposed"] = base.t()
    state["window"] = base[1:3, 2::2]
    state["scalar"] = torch.tensor(7)
    state["empty"] = torch.zeros(0, 3)
    state["parameter"] = torch.nn.Parameter(torch.full((2, 2), 0.5))
    return state


def main(folder: Path) -> None:
    """Write the two files."""
    torch.save(contents(), folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": contents()}, folder / "new.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
