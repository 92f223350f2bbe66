"""Zips of anybody: what may be in them, and what reading them raises."""

from __future__ import annotations

import struct
import zipfile
import zlib

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""bzip2 and LZMA give all that a block holds at once, however little of it was asked for."""

DAMAGED: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)
"""What ``zipfile`` raises for bytes that are no zip: ValueError for a name that is no UTF-8 and a
place before the file, RuntimeError for entries that need a password or a later version."""
