r"""The one grammar of artifact paths. What arrives is decoded once, by protobuf, and never again.

A path is names joined by "/"; a name is 1 to 255 bytes of UTF-8 without control characters, "/" and
"\", and is not "." or "..". So no path means another path, on any system that it is copied to.
"""

from __future__ import annotations

import re

from runstone_kit.errors import Violations
from runstone_kit.validation import shown

MAX_PATH_BYTES = 1024
"""What the databases can index together with the owner; object stores have the same limit."""

MAX_NAME_BYTES = 255
"""What file systems take."""

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def check_path(violations: Violations, field: str, path: str, *, required: bool = True) -> bool:
    """Check a path; the empty one names the top where it is not ``required``."""
    if not path:
        if required:
            violations.add(field, "is required and must not be empty")
        return not required
    size = len(path.encode("utf-8", "surrogatepass"))
    if size > MAX_PATH_BYTES:
        violations.add(field, f"must have at most {MAX_PATH_BYTES} bytes, not {size}")
        return False
    for name in path.split("/"):
        if not name:
            violations.add(field, f"must not begin or end with '/' or have '//': {shown(path)}")
            return False
        if name in (".", ".."):
            violations.add(field, f"must not have '{name}' as a name: {shown(path)}")
            return False
        if _NAME.fullmatch(name) is None:
            violations.add(field, f"must not have backslashes or control characters: {shown(path)}")
            return False
        if len(name.encode()) > MAX_NAME_BYTES:
            violations.add(field, f"must have names of at most {MAX_NAME_BYTES} bytes")
            return False
    return True
