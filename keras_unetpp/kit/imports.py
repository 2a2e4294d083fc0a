"""Something done around the import of a module: whenever that comes, or without being interrupted."""

import importlib.util
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Around = Callable[[], AbstractContextManager[None]]


def around_import(name: str, around: Around) -> None:
    """Import a top-level module inside a context, when it is imported; one that is imported already stays as it is."""
    waiting = (finder.name for finder in sys.meta_path if isinstance(finder, _Finder))
    if name not in sys.modules and name not in waiting:
        sys.meta_path.insert(0, _Finder(name, around))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: a compiled module that it meets while it is being imported may end the process by a signal."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C comes to the main thread only
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)
        if came:
            signal.raise_signal(signal.SIGINT)


class _Finder:
    """Finds one module where it is, once, with a loader that enters the context.

    The base classes of `importlib.abc` would add nothing to it, or to the loader, but a slow import.
    """

    def __init__(self, name: str, around: Around) -> None:
        self.name, self.around = name, around

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:  # fmt: skip
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = _Loader(spec.loader, self.around)
            spec.loader = loader
        return spec


class _Loader:
    """The module's own loader, inside the context; the module is left with its own."""

    def __init__(self, own: Any, around: Around) -> None:
        self.own, self.around = own, around

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.own.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.own
        with self.around():
            self.own.exec_module(module)
