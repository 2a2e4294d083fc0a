"""Names that Keras does not promise."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import keras

from keras_unetpp.compat.names import PrivateName

SEEN = ("3.15.1",)
_FILES = "keras.src.utils.file_utils"

RUN = PrivateName("keras", "keras:Function._run_through_graph", "copies a backbone's layers onto another tensor", SEEN)
MOMENTS = PrivateName(
    "keras", "keras.layers:BatchNormalization._moments", "takes the statistics of a batch in training", SEEN
)
RESIZE = PrivateName(
    "keras", "keras.layers:UpSampling2D._resize_images", "lets smooth up-sampling run for images of any size", SEEN
)
GET_FILE = PrivateName("keras", f"{_FILES}:get_file", "is how `keras.applications` fetches its weights", SEEN)
RETRIEVE = PrivateName("keras", f"{_FILES}:urlretrieve", "is how `keras.utils.get_file` reads from a server", SEEN)
HOME = PrivateName("keras", "keras.src.backend.config:keras_home", "tells where Keras keeps what it fetches", SEEN)
FUNCTIONAL = PrivateName(
    "keras", "keras.src.models.functional:Functional", "is what files name as the class of a functional model", SEEN
)
NAMES = (RUN, MOMENTS, RESIZE, GET_FILE, RETRIEVE, HOME, FUNCTIONAL)

Class = TypeVar("Class", bound=type)


def written_as_functional(cls: Class) -> Class:
    """Let a class of functional models be written to files under the name of Keras' own, beside the registered one.

    Keras looks for the registered class first; where it is not known, the name leads to its own class, which leaves out
    what it does not know of the configuration.
    """
    own = FUNCTIONAL.get()
    cls.__module__, cls.__name__, cls.__qualname__ = own.__module__, own.__name__, own.__qualname__
    return cls


def copied(model: keras.Model, source: Any, layer_of: Callable[[Any], Any]) -> Any:
    """The outputs of a functional model's graph on another tensor, by other layers: `layer_of` gives each its own.

    A model called on a tensor would become one layer, and `keras.models.clone_model` begins at inputs only; this is
    how it copies a graph itself.
    """
    return RUN.of(model)(source, operation_fn=layer_of)


def take_moments_by(layer: keras.layers.BatchNormalization, moments: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """Let a batch normalisation take mean and variance by a function of its inputs and mask; its class stays."""
    MOMENTS.put(layer, moments)


@contextmanager
def resizing_by(layers: Iterable[keras.layers.UpSampling2D], resized: Callable[..., Any]) -> Iterator[None]:
    """Let up-sampling layers resize by a function of (x, height factor, width factor, data_format, interpolation)."""
    changed = list(layers)
    for layer in changed:
        RESIZE.put(layer, resized)
    try:
        yield
    finally:
        for layer in changed:
            delattr(layer, RESIZE.name)


@contextmanager
def _replaced(name: PrivateName, value: Any) -> Iterator[Any]:
    import importlib

    module, plain = importlib.import_module(name.path.partition(":")[0]), name.get()
    name.put(module, value)
    try:
        yield plain
    finally:
        name.put(module, plain)


@contextmanager
def fetching_by(fetch: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """Make `keras.applications` fetch by a function of `keras.utils.get_file`'s arguments; yields Keras' own.

    No public hook tells which file an application wants, or where a damaged one stays.
    """
    with _replaced(GET_FILE, fetch) as plain:
        yield plain


@contextmanager
def retrieving_by(retrieve: Callable[..., Any]) -> Iterator[None]:
    """Make `keras.utils.get_file` read from servers by another function than `urllib`'s; it has no option for that."""
    with _replaced(RETRIEVE, retrieve):
        yield


def keras_home() -> str:
    """The folder of Keras' cache."""
    return str(HOME.get()())
