"""Values of parameters: checked against what is declared, and brought to this machine."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

from runstone._projects.mlproject import EntryPoint
from runstone.exceptions import ProjectInvalid, RunstoneException

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")

NAME_IN_FOLDER = 100
"""Characters of a parameter's name in that of a folder, which may have 255."""

TRUTHS = frozenset({"true", "false", "1", "0", "yes", "no"})


def check(name: str, kind: str, value: str, where: str = "") -> None:
    """Refuse a value that is not of its type.

    Raises:
        ProjectInvalid
    """
    wanted = ""
    if kind == "float":
        wanted = "" if _reads(float, value) else "a number"
    elif kind == "int":
        wanted = "" if _reads(int, value) else "a whole number"
    elif kind == "bool":
        wanted = "" if value.lower() in TRUTHS else "true or false"
    elif kind == "uri":
        wanted = "" if _SCHEME.match(value) else "a URI such as s3://bucket/path"
    if wanted:
        raise ProjectInvalid(
            f"{where or f'parameter {name!r}'} must be {wanted}, not {value!r:.80}"
        )


def _reads(kind: type, value: str) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True


def complete(entry: EntryPoint, given: Mapping[str, Any] | None) -> dict[str, str]:
    """Every parameter as text: declared ones first, with their defaults, then the others.

    Raises:
        ProjectInvalid: one is missing or not of its type; all that are missing are named.
    """
    texts = {str(name): _text(str(name), value) for name, value in (given or {}).items()}
    missing = [
        name
        for name, each in entry.parameters.items()
        if each.default is None and name not in texts
    ]
    if missing:
        others = [name for name in texts if name not in entry.parameters]
        near = get_close_matches(missing[0], others, n=1)
        raise ProjectInvalid(
            f"entry point {entry.name!r} needs {', '.join(missing)}: give"
            f" {' '.join(f'-P {name}=...' for name in missing)}"
            + (f" (is {near[0]} a misspelled {missing[0]}?)" if near else "")
        )
    found = {}
    for name, each in entry.parameters.items():
        value = texts.get(name, each.default)
        assert value is not None
        check(name, each.type, value)
        found[name] = value
    return found | {name: value for name, value in texts.items() if name not in found}


def misspelled(entry: EntryPoint, given: Mapping[str, Any]) -> dict[str, str]:
    """Parameters that are not declared, and are nearly called as one that is and was not given."""
    left = [name for name in entry.parameters if name not in given]
    found = {
        name: get_close_matches(name, left, n=1, cutoff=0.75)
        for name in map(str, given)
        if name not in entry.parameters
    }
    return {name: near[0] for name, near in found.items() if near}


def _text(name: str, value: Any) -> str:
    if isinstance(value, str | int | float | bool | PurePath):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return str(value.item())
    kind = "None" if value is None else type(value).__name__
    raise ProjectInvalid(f"parameter {name!r} must be a text, a number or a path, not {kind}")


def on_this_machine(
    entry: EntryPoint,
    values: Mapping[str, str],
    given: Mapping[str, Any] | None,
    folder: Path,
    downloads: Path,
    base: Path,
) -> dict[str, str]:
    """The values as the command gets them: parameters of type ``path`` are absolute local paths.

    A path that is given is seen from ``base``, a default from the project's ``folder``;
    ``runs:/``, ``models:/`` URIs are downloaded below ``downloads``.

    Raises:
        ProjectInvalid: there is nothing at a path.
    """
    found = dict(values)
    for name, each in entry.parameters.items():
        if each.type == "path":
            seen_from = base if name in (given or {}) else folder
            found[name] = _path(name, values[name], seen_from, downloads)
    return found


def elsewhere(entry: EntryPoint, values: Mapping[str, str]) -> dict[str, str]:
    """The values as a command in a container or on another machine gets them: paths are its own.

    Raises:
        ProjectInvalid: a path would have to be downloaded here first.
    """
    found = dict(values)
    for name, each in entry.parameters.items():
        if each.type != "path":
            continue
        scheme = _SCHEME.match(values[name])
        if scheme is not None and scheme[1] != "file":
            raise ProjectInvalid(
                f"parameter {name!r}: {values[name]!r:.80} is no path where the command runs;"
                " declare it as type uri: a container is not given files of this machine"
            )
        found[name] = _local(values[name])
    return found


def _path(name: str, value: str, base: Path, downloads: Path) -> str:
    scheme = _SCHEME.match(value)
    if scheme is None or scheme[1] == "file":
        path = base / _local(value)
        if not path.exists():
            raise ProjectInvalid(f"parameter {name!r}: there is no file or folder {path}")
        return str(path.absolute())
    if scheme[1] not in {"runs", "models"}:
        raise ProjectInvalid(
            f"parameter {name!r} is a path: a local one, runs:/RUN/PATH or models:/NAME/VERSION;"
            f" a parameter that hands {scheme[1]}: URIs to the program is of type uri"
        )
    from runstone import artifacts

    downloads.mkdir(parents=True, exist_ok=True)
    # The steps of a chain share the folder, and none is to see what another one was given.
    target = tempfile.mkdtemp(prefix=f"{name[:NAME_IN_FOLDER]}-", dir=downloads)
    try:
        return os.path.abspath(artifacts.download_artifacts(value, dst_path=target))  # noqa: PTH100
    except RunstoneException as error:
        error.add_note(f"for parameter {name!r}")
        raise


def _local(value: str) -> str:
    if not value.startswith("file:"):
        return value
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(value)
    if parts.netloc not in {"", "localhost"}:
        raise ProjectInvalid(f"{value!r} names another machine; file:///path is a file of this one")
    return unquote(parts.path)
