"""What is alive while a network runs: of a plan, whose sizes are forms, and of a built one, whose sizes are numbers."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Size = TypeVar("Size")


def alive(steps: Sequence[tuple[Sequence[Name], Mapping[Name, Size]]], kept: Iterable[Name] = (),
          frees: bool = True) -> Iterator[tuple[list[Size], list[Size]]]:  # fmt: skip
    """The sizes alive when each step begins, and when it has made its outputs.

    Args:
        steps: in the order in which they run, each with what it reads and the size of each thing that it makes.
        kept: what stays alive to the end; so does what nothing reads.
        frees: whether a thing is freed after its last reader.

    >>> [sum(now) for _, now in alive([((), {"a": 4}), (("a",), {"b": 2}), (("b",), {"c": 1})])]
    [4, 6, 3]
    """
    last_reader = {name: at for at, (reads, _) in enumerate(steps) for name in reads}
    last_reader |= dict.fromkeys(kept, len(steps))
    live: dict[Name, Size] = {}
    for at, (reads, makes) in enumerate(steps):
        before = list(live.values())
        live |= makes
        yield before, list(live.values())
        for name in reads:
            if frees and last_reader[name] == at:
                live.pop(name, None)
