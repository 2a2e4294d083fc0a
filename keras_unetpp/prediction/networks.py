"""What prediction needs to know of a network, be it a Keras model or an exported file; made ready once and kept."""

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import keras
import numpy as np

from keras_unetpp.data.pixels import Intake
from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.formats.keras_file import is_saved_model, load_model
from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.graph.settings import Settings
from keras_unetpp.spec.level import Level

Segmenter: TypeAlias = keras.Model | Artefact | str | os.PathLike[str]
"""A model, an exported file, or the path of one: of the file of a model or of a run's folder, too."""

_MOST_FILES = 2
"""Files that are kept open for the next call that names their paths."""


@dataclass(frozen=True)
class Network:
    """A network made ready to run.

    Attributes:
        names: of its heads.
        channels: of an image.
        sides: of an image, in pixels; None: any.
        classes: of its probabilities.
        exclusive: a pixel is of one class only.
        steps: what each side is padded to, and tiles start at, multiples of, in pixels.
        pads: it pads and crops by itself, so that an image that is not cut into tiles stays as it is.
        intake: what it makes of the numbers that it is given.
        standardizes: where pixels are normalised, it does so itself, with whatever it is given, image or tile; else it
            wants that done.
        whole_views: what else in it sees the whole of what it is given; see `graph.views`.
        masks: it gives masks, whose probabilities are 0 and 1.
        bytes_per_pixel: memory that it takes to run, in bytes.
        run: (batch, *sides, channels) float32 -> probabilities of each head.
    """

    names: tuple[str, ...]
    channels: int
    sides: tuple[int | None, ...]
    classes: int
    exclusive: bool
    steps: tuple[int, ...]
    pads: bool
    intake: Intake
    standardizes: bool
    whole_views: tuple[str, ...]
    masks: bool
    bytes_per_pixel: float
    run: Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True)
class _Kept:
    """A network and the settings of the layers that it was made of."""

    network: Network
    settings: Settings


_of_models: WeakKeyDictionary[keras.Model, dict[object, _Kept]] = WeakKeyDictionary()
"""Model -> level -> its network. A network holds layers, never the model, which so can be freed."""

_ALL = object()
"""In place of a level: all heads."""

_of_paths = threading.local()
"""Files by path, each with its state on disk, the one that was used last at the end; runtimes serve one thread only."""


def at_level(model: Segmenter, level: Level) -> keras.Model | Artefact:
    """A model or file that has one level only; a path is opened.

    Raises:
        InputError: there is no such level or file.
    """
    opened = _opened(model)
    return opened.at(level) if isinstance(opened, Artefact) else select(opened, level)


def network(model: Segmenter) -> Network:
    """A model or file made ready, with all its heads; kept for the next call, as `network_at` does."""
    opened = _opened(model)
    return _of_file(opened) if isinstance(opened, Artefact) else _kept(opened, _ALL)


def network_at(model: Segmenter, level: Level) -> Network:
    """The same with one level only.

    That of a model is kept with it, since making it costs many times what running it does, and made anew once a
    setting of a layer has changed; weights are read when it runs. The last files named by their paths stay open until
    they change on disk.

    Raises:
        InputError: there is no such level or file.
    """
    opened = _opened(model)
    return _of_file(opened.at(level)) if isinstance(opened, Artefact) else _kept(opened, level)


def _kept(model: keras.Model, level: Any) -> Network:
    own = _of_models.setdefault(model, {})
    # True and 2.0 are no levels, though as keys they are 1 and 2.
    kept = own.get(level) if level is _ALL or type(level) in (int, str, type(None)) else None
    if kept is None or kept.settings.changed():
        one = model if level is _ALL else select(model, level)
        kept = own[level] = _Kept(_of_model(one), Settings(one))
    return kept.network


def _opened(model: Segmenter) -> keras.Model | Artefact:
    """A model or file as it is; of a path, the file."""
    if not isinstance(model, (str, os.PathLike)):
        return model
    path = os.path.abspath(model)
    parts = [path, *(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in sorted(names))]
    stats = [os.stat(part) for part in parts if os.path.exists(part)]
    # A forked process must not talk to the runtimes of its parent.
    state = (os.getpid(), *((one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in stats))
    own: dict[str, tuple[object, keras.Model | Artefact]] = _of_paths.__dict__
    before = own.pop(path, None)
    if before and before[0] == state:
        file = before[1]
    else:
        file = load_model(model) if is_saved_model(model) else Artefact(model)
    own[path] = state, file
    if len(own) > _MOST_FILES:
        del own[next(iter(own))]
    return file


def _of_model(model: keras.Model) -> Network:
    about = describe(model)
    outputs = dict(about.outputs)
    if about.activation == "linear":
        to_probabilities = keras.layers.Activation("softmax" if about.exclusive else "sigmoid", dtype="float32")
        outputs = {name: to_probabilities(logits) for name, logits in outputs.items()}
    return Network(
        names=tuple(outputs),
        channels=about.channels,
        sides=about.sides,
        classes=about.classes,
        exclusive=about.exclusive,
        steps=about.divisors,
        pads=False,
        intake=about.intake,
        standardizes=False,
        whole_views=about.whole_views,
        masks=False,
        bytes_per_pixel=about.bytes_per_pixel,
        run=compiled(keras.Model(about.start, outputs)),
    )


def _of_file(file: Artefact) -> Network:
    own = file.signature
    # Of fixed sides, tiles are as they are; then starts at all multiples of what divides the sides do.
    known = [side for side in own.sides if side is not None]
    steps = tuple(math.gcd(step, *known) for step in own.steps)
    # Files of the first version do not tell what sees the whole, but many tell their Spec.
    told = own.whole_views or tuple(f"{one} normalization" for one in ("group", "instance")
                                    if file.spec and file.spec.norm == one)  # fmt: skip
    return Network(
        names=file.names,
        channels=own.channels,
        sides=own.sides,
        classes=own.classes,
        exclusive=own.exclusive,
        steps=steps,
        pads=True,
        intake=Intake(
            scaled=file.spec is None or file.spec.normalization != "none",
            epsilon=own.epsilon if own.standardizes else None,
            rounds=own.rounds,
        ),
        standardizes=own.standardizes,
        whole_views=told,
        masks=own.output == "mask",
        bytes_per_pixel=own.bytes_per_pixel,
        run=file,
    )
