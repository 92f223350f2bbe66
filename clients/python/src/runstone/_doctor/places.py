"""Where the services of this process are, without starting what is not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstone import _datadir, _embedded, _uri
from runstone._doctor.locks import held
from runstone._doctor.model import Asked


@dataclass(frozen=True, slots=True)
class Suite:
    """What the data folder says of the suite that serves it; ``address`` is empty without one.

    ``says``: suite.json as it is; ``stale``: it names a suite that is not there any more.
    """

    folder: Path
    made: bool
    address: str = ""
    stale: bool = False
    says: dict[str, Any] | None = None


def suite(asked: Asked, folder: Path) -> Suite:
    """Look at a folder; with ``asked.start`` have it served.

    Raises:
        RunstoneException: it was to be started and does not start.
        OSError: it cannot be looked at.
    """
    if asked.start:
        with _embedded.no_longer_than(asked.seconds):
            _embedded.suite(folder).address()
    made = _datadir.is_data_folder(folder)
    try:
        says = json.loads((folder / "suite.json").read_text("utf-8"))
        address = str(says["address"])
    except FileNotFoundError:
        return Suite(folder, made)
    except (ValueError, KeyError, TypeError):
        return Suite(folder, made, stale=True, says={})
    if not held(folder / "suite.lock"):
        return Suite(folder, made, stale=True, says=says)
    return Suite(folder, made, address, says=says)


@dataclass(frozen=True, slots=True)
class Place:
    """An address to call, as gRPC wants it, and as people read it."""

    address: str
    tls: bool
    label: str


def targets(asked: Asked) -> dict[str, _uri.Target]:
    """The target of each service.

    Raises:
        InvalidUri: one of the URIs cannot be read.
    """
    found = _uri.resolve(asked.tracking_uri)
    return {name: getattr(found, name) for name in _uri.SERVICES}


def place(asked: Asked, target: _uri.Target) -> Place | None:
    """Where to call; None when it is an embedded suite that does not run."""
    if isinstance(target, _uri.Remote):
        return Place(target.address, target.tls, str(target))
    found = suite(asked, target.data_dir)
    return Place(found.address, False, str(target)) if found.address else None


def data_folders(asked: Asked) -> list[Path]:
    """The folders of embedded suites that this process would use."""
    found = (each for each in targets(asked).values() if isinstance(each, _uri.Embedded))
    return list(dict.fromkeys(each.data_dir for each in found))
