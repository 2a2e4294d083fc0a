"""Progress on the terminal, in one place."""

from collections.abc import Iterable, Sized
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], title: str, shown: bool = True, total: int | None = None) -> Iterable[Item]:
    """`items`, with a progress bar on standard error while they are worked through.

    Args:
        items: what to work through.
        title: shown before the bar.
        shown: if false, the items come as they are.
        total: how many there are; needed only for items that cannot tell.
    """
    if not shown:
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    if total is None and isinstance(items, Sized):
        total = len(items)
    return rich_track(items, title, total=total, console=Console(stderr=True), transient=True)
