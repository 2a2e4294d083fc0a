"""Trained models that ship with the package: manifest -> files checked by hash -> model. Works offline."""

import hashlib
import re
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import keras

from keras_unetpp import weights
from keras_unetpp.files import inside
from keras_unetpp.formats import is_artefact
from keras_unetpp.formats.keras_file import is_saved_model, load_model
from keras_unetpp.graph.build import assemble
from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.kit.json_files import fields as with_fields
from keras_unetpp.kit.json_files import mapping, number, read_json, text, whole
from keras_unetpp.kit.tables import mega, table
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.limits import MAX_DEPTH
from keras_unetpp.spec.names import head_name

PACKAGE = "keras_unetpp_zoo"
SPEC, WEIGHTS, CARD = "spec.json", "weights.safetensors", "card.md"


def _hash(value: Any) -> str:
    return "" if re.fullmatch("[0-9a-f]{64}", str(value)) else "64 digits of a SHA-256 are required"


_ROW = with_fields(
    {
        **dict.fromkeys(("folder", "summary", "licence"), text()),
        "best_level": whole(1, MAX_DEPTH),
        "val_iou": number(0, 1),
        "sha256": with_fields(dict.fromkeys((SPEC, WEIGHTS, CARD), _hash)),
    }
)


@dataclass(frozen=True)
class Entry:
    """One row of the manifest.

    Attributes:
        name: what `load` takes.
        folder: where its files are.
        summary: one line.
        licence: of the weights.
        best_level: the level of the highest validation IoU.
        val_iou: that IoU.
        sha256: by file name.
    """

    name: str
    folder: Path
    summary: str
    licence: str
    best_level: int
    val_iou: float
    sha256: dict[str, str]

    def file(self, name: str) -> Path:
        """The path of one of its files, checked.

        Raises:
            InputError: naming the file, if it is missing or not the file that the manifest describes.
        """
        path = self.folder / name
        if not path.is_file():
            raise InputError(f"{path} of zoo entry {self.name!r} is missing. Install the package again.")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256[name]:
            raise InputError(
                f"{path} of zoo entry {self.name!r} is damaged or changed: sha256 is {found}, the manifest says"
                f" {self.sha256[name]}. Install the package again."
            )
        return path

    @property
    def spec(self) -> Spec:
        """Its network."""
        return Spec.from_json(self._text(SPEC))

    @property
    def card(self) -> str:
        """Its card: data, licence, scores, and the command that made it."""
        return self._text(CARD)

    def _text(self, name: str) -> str:
        path = self.file(name)
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} of zoo entry {self.name!r} must be text in UTF-8. Received: {error}.") from error


class Entries(tuple[Entry, ...]):
    """Rows of `list`; printing it shows the table."""

    def __str__(self) -> str:
        headings = ["name", "parameters", "weights", "best level", "val IoU", "licence", "summary"]
        return table(headings, (_cells(entry) for entry in self))

    __repr__ = __str__


def list(folder: str | Path | None = None) -> Entries:
    """The entries of the zoo that came with the package, or of another folder that has a manifest."""
    root = Path(str(resources.files(PACKAGE))) if folder is None else Path(folder)
    path = root / "manifest.json"
    if not path.is_file():
        raise InputError(f"There is no zoo manifest at {path}. Install the package again, or name another folder.")
    rows: dict[str, dict[str, Any]] = read_json(path, mapping(_ROW), "Install the package again, or mend it.")
    own = [item.name for item in fields(Entry) if item.name not in ("name", "folder")]
    return Entries(Entry(name, inside(root, row["folder"]), **{one: row[one] for one in own})
                   for name, row in rows.items())  # fmt: skip


def entry(name: str, folder: str | Path | None = None) -> Entry:
    """One entry by name; an unknown name is an `InputError` that lists those there are."""
    found = {one.name: one for one in list(folder)}
    if name not in found:
        raise InputError(f"The zoo has no {name!r}.{hint(name, found)} It has: {', '.join(found)}.")
    return found[name]


def load(name: str | Path, folder: str | Path | None = None) -> keras.Model:
    """A trained model: by its name in the zoo, or from a file.

    Args:
        name: of an entry, for example "nuclei-small"; or the path of a `.keras` or `.h5` file, or of a run's folder,
            whose best model is meant; see `keras_unetpp.formats.keras_file.load_model`.
        folder: a zoo other than the one that came with the package.

    Raises:
        InputError: for an unknown name; a missing, damaged or changed file; weights that do not fit the Spec.
    """
    if is_saved_model(name):
        return load_model(name)
    if is_artefact(name):
        raise InputError(f"load opens Keras models. Received: {name}, an exported file. Open it with kup.Artefact.")
    one = entry(str(name), folder)
    path = one.file(WEIGHTS)
    weights.check_enough(path, cost(one.spec).params)
    model = assemble(one.spec)
    weights.load(model, path)
    return model


def _cells(one: Entry) -> tuple[str, ...]:
    spec = one.spec
    return (one.name, f"{cost(spec).params:,}", mega((one.folder / WEIGHTS).stat().st_size), head_name(one.best_level),
            f"{one.val_iou:.4f}", one.licence, one.summary)  # fmt: skip
