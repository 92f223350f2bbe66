"""Whether a process holds a lock file, without taking it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def held(path: Path) -> bool:
    """Whether somebody has the lock whole. A file that is missing or unreadable is nobody's.

    It dies with its process, so it tells more than a process's number: that may be another's by
    now, or a dead one's that nobody has reaped.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared and for a moment: whoever wants it whole asks again for some time.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks, which the folders' lines tell
    finally:
        os.close(descriptor)
    return False
