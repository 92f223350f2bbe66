"""Copies of artifacts: what is logged is what stood there at that moment, changed later or not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from blake3 import blake3

from runstone import _values
from runstone._transfer.local import MAX_NAME_BYTES, MAX_PATH_BYTES, Reader

CHUNK_BYTES = 2**20

_BAD = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_path(path: str) -> None:
    """Raise InvalidField for a path that the server would refuse; later nobody would be told."""
    names = path.split("/")
    problem = ""
    if not all(names):
        problem = "must not be empty, begin or end with '/' or have '//'"
    elif "." in names or ".." in names:
        problem = "must not have '.' or '..' as a name"
    elif _BAD.search(path):
        problem = "must not have backslashes or control characters"
    elif len(path.encode()) > MAX_PATH_BYTES:
        problem = f"must have at most {MAX_PATH_BYTES} bytes"
    elif any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        problem = f"must have names of at most {MAX_NAME_BYTES} bytes"
    if problem:
        raise _values.invalid("artifact path", f"{problem}: {path!r:.120}")


def keep_file(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file; the copy's bytes are on the disk before it has its name.

    Returns:
        Size and BLAKE3 of the copy.

    Raises:
        LocalPathError: it cannot be read, or was changed meanwhile.
        OSError: there is no room.
    """
    with Reader(source) as reader:

        def chunks() -> Iterator[bytes]:
            for offset in range(0, reader.size, CHUNK_BYTES):
                yield reader.read(offset, min(CHUNK_BYTES, reader.size - offset))

        return _keep(chunks(), target, reader.check_unchanged)


def keep_bytes(content: bytes, target: Path) -> tuple[int, str]:
    """The same with bytes."""
    return _keep(iter((content,)), target, lambda: None)


def _keep(chunks: Iterator[bytes], target: Path, check: Callable[[], None]) -> tuple[int, str]:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    new = target.with_name(f".{target.name}")
    digest = blake3()
    size = 0
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            for chunk in chunks:
                opened.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            check()
            opened.flush()
            os.fsync(descriptor)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return size, digest.hexdigest()


def digest_of(path: Path) -> str:
    """The BLAKE3 of a file."""
    digest = blake3()
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
