"""Paths that a model's description names: inside its folder, or refused."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from runstone.exceptions import ModelFormatError

MAX_EXPANSION = 20
"""Numbers of a model shrink to a half, text to a fifth; a bomb unpacks to a thousand times."""

FREE_BYTES = 2**24
"""So much memory any archive may take, however well it is packed."""


def inside(folder: Path, relative: Any, field: str) -> Path:
    """The existing path that ``field`` of the MLmodel names, which must be inside its folder.

    Raises:
        ModelFormatError: it is no relative path, leads outside (by ``..`` or a link), or nothing
            is there.
    """
    if not isinstance(relative, str) or not relative or "\0" in relative:
        raise ModelFormatError(f"{field} in MLmodel must be a relative path, not {relative!r:.100}")
    steps = PurePosixPath(relative)
    windows = PureWindowsPath(relative)
    if steps.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise ModelFormatError(f"{field} in MLmodel leads outside of the model: {relative!r:.100}")
    root = folder.resolve()
    found = (root / steps).resolve()
    if not found.is_relative_to(root):
        raise ModelFormatError(f"{field} in MLmodel leads outside of the model: {relative!r:.100}")
    if not found.exists():
        raise ModelFormatError(f"{field} in MLmodel names {relative!r:.100}, which is not there")
    if not found.is_file() and not found.is_dir():
        # Reading a pipe waits for ever.
        raise ModelFormatError(f"{field} in MLmodel names {relative!r:.100}, which is no file")
    return found


def file_inside(folder: Path, relative: Any, field: str) -> Path:
    """The same of a file."""
    found = inside(folder, relative, field)
    if not found.is_file():
        raise ModelFormatError(f"{field} in MLmodel names {relative!r:.100}, which is no file")
    return found


def refuse_zip_bomb(path: Path) -> None:
    """Raise ModelFormatError for a zip archive that unpacks to far more than it is.

    Files that are no archive pass: what reads them says so.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return
    if unpacked > MAX_EXPANSION * path.stat().st_size + FREE_BYTES:
        raise ModelFormatError(
            f"{path.name} is an archive that unpacks to {unpacked} bytes, more than"
            f" {MAX_EXPANSION} times its size"
        )


def refuse_links_outside(folder: Path) -> None:
    """Raise ModelFormatError where a link below the folder leads out of it, or is no file at all.

    Libraries open the files of a model by names of their own choice, so all of them are looked at.
    """
    root = folder.resolve()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ModelFormatError(f"{name!r} of the model is a link that leads outside of it")
        if not path.is_file() and not path.is_dir():
            # A pipe is waited for, a device read, for ever.
            raise ModelFormatError(f"{name!r} of the model is neither a file nor a folder")
