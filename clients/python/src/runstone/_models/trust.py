"""Which models may run code of their author when they are loaded.

A pickle runs whatever its author wrote. It is loaded when the caller says ``allow_pickle=True``,
when RUNSTONE_ALLOW_PICKLE is true, or when the model is one's own: made by this process, or a
logged model of the same user in the embedded suite, whose folder nobody else writes. Files that a
run has by ``log_artifacts`` are nobody's own: they may come from anywhere.
"""

from __future__ import annotations

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
_own_ids: set[str] = set()


def own_folder(folder: Path) -> None:
    """Say that this process made the model in a folder."""
    _own_folders.add(_stamp(folder))


def own(owner_id: str) -> None:
    """Say that this process made a logged model or a model version."""
    _own_ids.add(owner_id)


def is_own_folder(folder: Path) -> bool:
    """Whether this process made the model there."""
    try:
        return _stamp(folder) in _own_folders
    except OSError:
        return False


def _stamp(folder: Path) -> _Stamp:
    found = (folder / MLMODEL).stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def is_own(owner_id: str) -> bool:
    """Whether this process made the logged model or model version."""
    return owner_id in _own_ids


def own_inside(folder: Path, artifacts: Any, *, own: bool, allow_pickle: bool | None) -> None:
    """Let a model load those among its artifacts, for which it was itself allowed to run code.

    Args:
        folder: The outer model's.
        artifacts: As the MLmodel file has them. Those that were the saver's own are marked: one's
            own wrapper may hold the model of a stranger, for whom nobody vouched.
        own: Whether the outer model is one's own, so that its marks can be believed.
        allow_pickle: What the caller says; True is said of all that the author put together.
    """
    for name, each in artifacts.items() if isinstance(artifacts, Mapping) else ():
        if isinstance(each, Mapping) and (allow_pickle or (own and each.get(OWN_MARK) is True)):
            place = paths.inside(folder, each.get("path"), f"artifacts.{name}.path")
            for description in place.rglob(MLMODEL) if place.is_dir() else ():
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
