"""Every kind of file that the package reads: how good ones are made, and how they are read."""

import argparse
import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from fuzzing import networks, seeds
from fuzzing.trial import is_line

PIXELS = 2**22
"""What pictures may have, so that a header that promises more is refused, as a caller can ask for."""

_LIGHT = ("keras_unetpp.data.images", "keras_unetpp.weights.torch_files", "keras_unetpp.spec", "imagecodecs")
_HEAVY = (
    *(
        "tensorflow",
        "keras",
        "keras_unetpp.zoo",
        "keras_unetpp.prediction.networks",
        "keras_unetpp.prediction.predictor",
        "keras_unetpp.pruning",
    ),
    *("keras_unetpp.tuning", "keras_unetpp.tuning.trial", "keras_unetpp.training.fit", "keras_unetpp.data.convert"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of files.

    Attributes:
        name: of it.
        make: writes good ones into a folder, each a file or a folder.
        read: reads one.
        files: of a folder, patterns of the files that are changed.
        imports: modules that are imported before the tries.
        after: what is done to a changed file or folder before it is read.
        seconds: that reading may take, on top of ten times what a good one takes.
        programs: reading starts processes of the package's own.
        room: bytes of addresses that reading may take; 0, as for most.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], object]
    files: tuple[str, ...] = ()
    imports: tuple[str, ...] = _LIGHT
    after: Callable[[Path], None] = lambda path: None
    seconds: float = 20.0
    programs: bool = False
    room: int = 0

    @property
    def heavy(self) -> bool:
        """Whether a try costs seconds rather than milliseconds."""
        return self.imports is _HEAVY


def picture(path: Path) -> None:
    """A picture as size, image, volume and mask: each an answer or a reason, and answers that agree."""
    from keras_unetpp.data.images import image_size, read_image, read_mask

    size, image, volume, _ = _each(
        lambda: image_size(path),
        lambda: read_image(path, max_pixels=PIXELS),
        lambda: read_image(path, 1, 3, max_pixels=PIXELS),
        lambda: read_mask(path, max_pixels=PIXELS),
    )
    if image is not None and size is not None and tuple(size) != image.shape[:2]:
        raise RuntimeError(f"its size is {size}, but the image has {image.shape}")
    for pixels in (image, volume):
        if pixels is not None and not (pixels * 0 == 0).all():
            raise RuntimeError("pixels are not finite")


def _each(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gives, None for an `InputError`; the first of these is raised if all end in one."""
    from keras_unetpp.kit.errors import InputError

    found: list[Any] = []
    errors: list[InputError] = []
    for call in calls:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(call())
        except InputError as error:
            if not is_line(str(error)):
                raise
            found.append(None)
            errors.append(error)
    if len(errors) == len(calls):
        raise errors[0]
    return found


def _spec(path: Path) -> None:
    from keras_unetpp.spec import Spec, cost

    spec = Spec.from_json(path.read_bytes().decode(errors="replace"))
    cost(spec, size=None if None not in spec.input_shape else (2**spec.depth * 8,) * spec.rank)
    if Spec.from_json(spec.to_json()) != spec:
        raise RuntimeError("it is written as another Spec")


def _index(path: Path) -> None:
    import keras_unetpp as kup

    kup.read_folder(path)


def _annotated(format: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        import keras_unetpp as kup

        _each(
            *(
                lambda way=way: kup.convert_data(path, path.with_name(way), format, masks=way)
                for way in ("classes", "instances")
            )
        )

    return read


def _torch(path: Path) -> None:
    from keras_unetpp.weights.torch_files import read_state_dict

    read_state_dict(path)


def _finite(arrays: Any) -> None:
    import numpy as np

    bad = [name for name, array in arrays.items() if not np.isfinite(np.asarray(array, np.float64)).all()]
    if bad:
        raise RuntimeError(f"weights that are not finite are taken: {bad[:3]}")


def _model(path: Path) -> None:
    from keras_unetpp.formats.keras_file import load_model

    _finite({weight.path: weight.numpy() for weight in load_model(path).weights})


def _weights(path: Path) -> None:
    from keras_unetpp import weights

    _finite(weights.read(path)[0])


def _backbone(path: Path) -> None:
    from keras_unetpp.graph.encoders.families.application_weights import from_file

    _finite(from_file(networks.BACKBONE, path))


def _artefact(path: Path) -> None:
    import numpy as np

    import keras_unetpp as kup

    kup.segment(kup.Artefact(path), np.zeros((16, 16, 3), np.uint8))


def _run(path: Path) -> None:
    import keras_unetpp as kup

    kup.fit(networks.tiny(), path / "data", path / "run", val_fraction=0.5, **networks.TRAINING)


def _result(path: Path) -> None:
    import keras_unetpp as kup

    found = kup.SearchResult.load(path)
    str(found)
    if found.candidates:
        found.best().model()
    found.save(path.with_name("copy"))


def _zoo(path: Path) -> None:
    from keras_unetpp import zoo

    entries = zoo.list(path)
    str(entries)
    for entry in entries:
        _finite({weight.path: weight.numpy() for weight in zoo.load(entry.name, path).weights})


_RUNTIME: dict[str, Any] = {"imports": _HEAVY, "seconds": 60.0, "programs": True, "room": 12 * 2**30}
_TRAINS: dict[str, Any] = {"imports": _HEAVY, "seconds": 60.0, "room": 12 * 2**30}
_LOADS: dict[str, Any] = {"imports": _HEAVY, "seconds": 30.0, "room": 8 * 2**30}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("png", seeds.png, picture),
        Kind("jpeg", seeds.jpeg, picture),
        Kind("bmp", seeds.bmp, picture),
        Kind("webp", seeds.webp, picture),
        Kind("tiff", seeds.tiff, picture),
        Kind("torch", seeds.checkpoint, _torch),
        Kind("spec", seeds.spec, _spec),
        Kind("index", seeds.index, _index, ("index.csv",), _HEAVY),
        Kind("coco", seeds.coco, _annotated("coco"), ("annotations.json",), _HEAVY),
        Kind("labelme", seeds.labelme, _annotated("labelme"), ("images/*.json",), _HEAVY),
        Kind("weights", networks.weights_file, _weights, imports=_HEAVY),
        Kind("keras", networks.keras_file, _model, **_LOADS),
        Kind("h5", networks.h5_file, _model, **_LOADS),
        Kind("backbone", networks.backbone_file, _backbone, **_LOADS),
        Kind("zoo", networks.zoo, _zoo, ("manifest.json", "tiny/*"), after=networks.signed, **_LOADS),
        Kind("result", networks.result, _result, ("result.json", "weights/*", "keras_unetpp.json"), **_LOADS),
        Kind(
            "run",
            networks.run,
            _run,
            ("run/run.json", "run/log.csv", "run/last.keras", "run/keras_unetpp.json"),
            **_TRAINS,
        ),
        Kind(
            "search",
            networks.search,
            lambda path: networks.searched(path),
            (
                "search/*.json",
                "search/tuner/*.json",
                "search/result/*.json",
                "search/tuner/*/*.json",
                "search/trials/*/outcome.json",
            ),
            **_TRAINS,
        ),
        Kind("tflite", networks.tflite, _artefact, **_RUNTIME),
        Kind("onnx", networks.onnx, _artefact, **_RUNTIME),
        Kind("saved_model", networks.saved_model, _artefact, ("saved_model.pb", "assets/*", "variables/*"), **_RUNTIME),
    )
}
"""By name."""


def main() -> None:
    """Make the good files of kinds, a folder each."""
    parser = argparse.ArgumentParser(description="Make good files of each kind.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", help="names, separated by commas")
    options = parser.parse_args()
    for name in options.kinds.split(","):
        if KINDS[name].heavy:
            importlib.import_module("keras_unetpp.zoo")
        place = options.folder / name
        place.mkdir(parents=True, exist_ok=True)
        KINDS[name].make(place)


if __name__ == "__main__":
    main()
