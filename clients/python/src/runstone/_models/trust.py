"""Which models may run code of their author when they are loaded.

A pickle runs whatever its author wrote. It is loaded when the caller says ``allow_pickle=True``,
when RUNSTONE_ALLOW_PICKLE is true, or when the model is one's own: saved by this process into this
folder, or byte for byte what this process logged, or what the same user logged to an embedded
suite before. The latter is kept in ~/.local/state/runstone/own (XDG_STATE_HOME). What a server
says of users and runs counts for nothing: it is the word of whoever called it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstone import _settings
from runstone._models import paths
from runstone._models.model import MLMODEL
from runstone._values import invalid
from runstone.exceptions import UntrustedModel

_Stamp = tuple[int, int, int]
"""Device, inode and time of change: an inode alone is given to other files later."""

OWN_MARK = "own"
"""Of an artifact, in the MLmodel file: a model that whoever saved the outer one had made."""

_own_folders: set[_Stamp] = set()
_own_files: dict[str, str] = {}
"""By the digest of an MLmodel file, which no other model has: that of the files beside it."""


def own_folder(folder: Path) -> None:
    """Say that this process made the model in a folder."""
    _own_folders.add(_stamp(folder))


def own(folder: Path, *, lasting: bool) -> None:
    """Say that this process made the files of the model in a folder, wherever they get to.

    Args:
        folder: The model's, with nothing else in it.
        lasting: Later processes of this user are to know it, too.
    """
    _record(_digest(folder / MLMODEL), _digest_beside(folder), lasting=lasting)


def own_as(before: Path, after: Path, *, lasting: bool) -> None:
    """Say that one MLmodel file was made of another; it is own if that was.

    The files beside it are not asked for: they are compared when the model is loaded.
    """
    beside = _recorded(_digest(before))
    if beside is not None:
        _record(_digest(after), beside, lasting=lasting)


def is_own(folder: Path) -> bool:
    """Whether the model there is one's own; reads all its files to know it."""
    if is_own_folder(folder):
        return True
    try:
        beside = _recorded(_digest(folder / MLMODEL))
        return beside is not None and beside == _digest_beside(folder)
    except OSError:
        return False


def _record(description: str, beside: str, *, lasting: bool) -> None:
    _own_files[description] = beside
    if not lasting:
        return
    # Without a home, or on a full disk, a later process asks for allow_pickle.
    with contextlib.suppress(OSError, RuntimeError):
        place = _place()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(place / description, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(beside)


def _recorded(description: str) -> str | None:
    found = _own_files.get(description)
    if found is None:
        with contextlib.suppress(OSError, RuntimeError, UnicodeDecodeError):
            found = (_place() / description).read_text("ascii")
    return found


def _place() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or ""
    # A relative one is to be ignored, says the specification.
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "runstone" / "own"


def _digest_beside(folder: Path) -> str:
    """Of the paths and contents of all files of a model but its MLmodel file."""
    listed = []
    for file in folder.rglob("*"):
        path = file.relative_to(folder).as_posix()
        if file.is_symlink() and not file.is_file():
            # What is behind a link to a folder is not walked; no logged model has one.
            listed.append([path, "link"])
        elif file.is_file() and path != MLMODEL:
            listed.append([path, _digest(file)])
    return hashlib.sha256(json.dumps(sorted(listed)).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_own_folder(folder: Path) -> bool:
    """Whether this process saved the model there."""
    try:
        return _stamp(folder) in _own_folders
    except OSError:
        return False


def _stamp(folder: Path) -> _Stamp:
    found = (folder / MLMODEL).stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def own_inside(folder: Path, artifacts: Any, *, own: bool, allow_pickle: bool | None) -> None:
    """Let a model load those among its artifacts, for which it was itself allowed to run code.

    Args:
        folder: The outer model's.
        artifacts: As the MLmodel file has them. Those that were the saver's own are marked: one's
            own wrapper may hold the model of a stranger, for whom nobody vouched. What such a
            one holds in turn is marked in it, and asked for when it is loaded itself.
        own: Whether the outer model is one's own, so that its marks can be believed.
        allow_pickle: What the caller says; True is said of all that the author put together.
    """
    for name, each in artifacts.items() if isinstance(artifacts, Mapping) else ():
        if isinstance(each, Mapping) and (allow_pickle or (own and each.get(OWN_MARK) is True)):
            place = paths.inside(folder, each.get("path"), f"artifacts.{name}.path")
            for description in place.rglob(MLMODEL) if allow_pickle else [place / MLMODEL]:
                if description.is_file():
                    own_folder(description.parent)


def code(configuration: Mapping[str, Any]) -> str | None:
    """How a flavor's configuration brings code of its own; None when it does not."""
    # What stands first on sys.path is imported in place of what is installed.
    return "a model with Python files of its own" if configuration.get("code") else None


def check(unsafe: str | None, described: str, *, own: bool, allow_pickle: bool | None) -> None:
    """Raise UntrustedModel when loading would run code and nobody said that it may.

    Args:
        unsafe: How loading would run code, as ``Flavor.unsafe`` says it; None when it would not.
        described: The model, as the user named it.
        own: Whether it is one's own.
        allow_pickle: What the caller says; None leaves it to the environment and the origin.
    """
    if unsafe is None or (
        _allowed(allow_pickle) if allow_pickle is not None else own or _allowed(None)
    ):
        return
    raise UntrustedModel(
        f"{described} is {unsafe}, and loading that runs whatever code its author put into it."
        f" If you trust where it comes from, say allow_pickle=True, or set"
        f" {_settings.ALLOW_PICKLE}=true"
    )


def _allowed(said: bool | None) -> bool:
    if said is not None:
        if not isinstance(said, bool):
            raise invalid("allow_pickle", f"must be True or False, not {said!r:.50}")
        return said
    text = os.environ.get(_settings.ALLOW_PICKLE, "").lower()
    if text not in {"", "true", "1", "yes", "false", "0", "no"}:
        raise invalid(_settings.ALLOW_PICKLE, f"must be true or false, not {text!r:.50}")
    return text in {"true", "1", "yes"}
