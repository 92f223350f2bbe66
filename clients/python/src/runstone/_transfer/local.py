"""Local files: checked before anything is sent, read without holding them whole."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from runstone.exceptions import LocalPathError, LocalPathMissing

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
"""The server's limits; a folder that breaks them is refused before its first file is sent."""

_BAD = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to be sent, and where to."""

    source: Path
    path: str
    size: int


def check_local(path: Path) -> None:
    """Raise LocalPathError unless a file or folder is there and readable."""
    state = _stat(path)
    if stat.S_ISDIR(state.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise LocalPathError(f"the folder {_shown(path)} cannot be read")
        return
    if not stat.S_ISREG(state.st_mode):
        raise LocalPathError(f"{_shown(path)} is neither a file nor a folder")
    if not os.access(path, os.R_OK):
        raise LocalPathError(f"the file {_shown(path)} cannot be read")


def files_below(folder: Path, directory: str) -> list[LocalFile]:
    """Every file below a folder, checked, in the order of their paths.

    Links are followed. Raises LocalPathError for what cannot be sent, before anything is.
    """
    check_local(folder)
    found = list(_walk(folder, directory, ()))
    return sorted(found, key=lambda each: each.path)


def _walk(folder: Path, directory: str, above: tuple[tuple[int, int], ...]) -> Iterator[LocalFile]:
    state = _stat(folder)
    here = (state.st_dev, state.st_ino)
    if here in above:
        raise LocalPathError(f"{_shown(folder)} links to a folder that it stands in")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise LocalPathError(
            f"the folder {_shown(folder)} cannot be read: {error.strerror}"
        ) from None
    for entry in entries:
        source = folder / entry.name
        path = f"{directory}/{entry.name}" if directory else entry.name
        check_local(source)
        _check_name(source, entry.name, path)
        if entry.is_dir():
            yield from _walk(source, path, (*above, here))
        else:
            yield LocalFile(source, path, entry.stat().st_size)


def _check_name(source: Path, name: str, path: str) -> None:
    if _BAD.search(name):
        raise LocalPathError(
            f"{_shown(source)} cannot be an artifact:"
            " its name has a backslash, a control character or bytes that are no UTF-8"
        )
    if len(name.encode()) > MAX_NAME_BYTES or len(path.encode()) > MAX_PATH_BYTES:
        raise LocalPathError(
            f"{_shown(source)} cannot be an artifact: names have at most {MAX_NAME_BYTES} bytes,"
            f" paths {MAX_PATH_BYTES}"
        )


class Reader:
    """A file that is being sent: the bytes that it has when opened. It may grow, as a log does."""

    def __init__(self, path: Path) -> None:
        check_local(path)
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise LocalPathError(f"{_shown(path)} cannot be read: {error.strerror}") from None
        self._descriptor = self._file.fileno()
        self._state = _identity(os.fstat(self._descriptor))
        self.size = self._state[0]
        try:
            self._check_sized()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes of the file; safe to call from many threads.

        Raises:
            LocalPathError: it cannot be read, or has fewer bytes.
        """
        data = self._pread(size, offset)
        while len(data) < size:
            # A network file system may give less than there is.
            more = self._pread(size - len(data), offset + len(data))
            if not more:
                self.fail_changed()
            data += more
        return data

    def _pread(self, size: int, offset: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise LocalPathError(f"{_shown(self.path)} cannot be read: {error.strerror}") from None

    def _check_sized(self) -> None:
        if not self.size and self._pread(1, 0) and not os.fstat(self._descriptor).st_size:
            raise LocalPathError(
                f"{_shown(self.path)} does not tell its size, as files of /proc: send a copy"
            )

    def check_unchanged(self) -> None:
        """Raise LocalPathError if the file was written to since it was opened, but for growing.

        The server's digest is of what was sent. What was rewritten below the old end of a file that
        grew too shows only where the file was hashed first (DigestMismatch).
        """
        now = _identity(os.fstat(self._descriptor))
        if now != self._state and now[0] <= self.size:
            self.fail_changed()

    def fail_changed(self) -> NoReturn:
        """Raise the LocalPathError of a file that was changed."""
        raise LocalPathError(f"{_shown(self.path)} was changed while it was being sent")


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_size, state.st_mtime_ns


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        what = "is a link to nothing" if path.is_symlink() else "is not there"
        raise LocalPathMissing(f"{_shown(path)} {what}") from None
    except OSError as error:
        raise LocalPathError(f"{_shown(path)} cannot be read: {error.strerror}") from None
    except ValueError:
        raise LocalPathError(f"{_shown(path)} is no path") from None


def _shown(path: Path) -> str:
    return repr(str(path))
