"""Locks that die with the process that holds them: nothing of them stays behind, however it ends."""

try:
    import fcntl
except ImportError:  # Windows, where there are none
    fcntl = None  # type: ignore[assignment]


def hold(descriptor: int) -> bool | None:
    """Lock an open file or folder; False if another process has, None if the system or file system knows no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def wait(descriptor: int) -> None:
    """Lock an open file as soon as no other has; where the file system knows no locks, go on without."""
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return
