"""Progress on the terminal, in one place."""

from collections.abc import Iterable, Sized
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], title: str, shown: bool = True) -> Iterable[Item]:
    """`items`, with a progress bar on standard error while they are worked through."""
    if not shown:
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    total = len(items) if isinstance(items, Sized) else None
    return rich_track(items, title, total=total, console=Console(stderr=True), transient=True)
