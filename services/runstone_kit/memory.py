"""What the C library does with memory that was freed, in processes that pass large bodies on."""

from __future__ import annotations

import ctypes
import os

KEPT_BYTES = 4 * 2**20
"""Of freed memory, for each of the C library's arenas: some chunks of 1 MiB, as bodies come in."""

# From <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

_OPERATORS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Keep KEPT_BYTES for the next allocation, in place of giving all back to the system at once.

    A body of 1 GiB is copied from chunk to chunk: glibc gave each of them back, and the system had
    to clear 1.2 GiB of pages for it, which took a twelfth of the upload's processor time. It costs
    the suite 13 MB after such an upload. An operator's own setting stands; other C libraries
    have nothing to set. Returns whether it was set.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name in os.environ for name in _OPERATORS_OWN):
        return False
    # Both: to set one ends what glibc learns by itself for the other.
    trim, mmap = (mallopt(which, KEPT_BYTES) for which in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))
    return bool(trim and mmap)
