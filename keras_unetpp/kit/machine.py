"""What the machine has left. Standard library only."""

from pathlib import Path

GIB = 2**30

_GROUP = "/proc/self/cgroup"
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_UNLIMITED = 2**60


def free_memory() -> int | None:
    """Bytes that this process can still take without swapping; None where the system does not tell.

    The least of what Linux calls available and what the control groups of the process leave, as those of containers
    do. Files that are merely kept in memory count as free.
    """
    known = [_available(), *_left_in_groups()]
    return min((one for one in known if one is not None), default=None)


def _available() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None


def _left_in_groups() -> list[int]:
    """What each control group above this process leaves, in either version of them."""
    found = []
    for line in _lines(_GROUP):
        number, names, group = (*line.split(":", 2), "", "")[:3]
        if number != "0" and "memory" not in names.split(","):
            continue
        root, files = ("/sys/fs/cgroup", _V2) if number == "0" else ("/sys/fs/cgroup/memory", _V1)
        own = Path(root) / group.strip("/")
        while own.is_relative_to(root):
            found.append(_left(own, *files))
            own = own.parent
    return [one for one in found if one is not None]


def _left(group: Path, limit: str, usage: str, cached: str) -> int | None:
    try:
        most, used = (int((group / name).read_text(encoding="ascii")) for name in (limit, usage))
    except (OSError, ValueError):  # no such file in the root's group; "max"
        return None
    kept = sum(int(line.split()[1]) for line in _lines(group / "memory.stat") if line.split()[:1] == [cached])
    return max(most - used + kept, 0) if most < _UNLIMITED else None


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
