"""URIs of files: of a run, of a logged model, of a model version, of this machine.

runs:/<run_id>[/<path>]
models:/<model_id>[/<path>]                    of a logged model: m- and 32 hex digits
models:/<name>/<version number | stage | latest>[/<path>]
models:/<name>@<alias>[/<path>]
file:<path>, <path>
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runstone.exceptions import InvalidUri

LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RunUri:
    """Files of a run; an empty path means all."""

    run_id: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class LoggedModelUri:
    """Files of a logged model; an empty path means all."""

    model_id: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class ModelUri:
    """Files of a model version. Exactly one of ``alias`` and ``selector`` is set."""

    name: str
    selector: str = ""
    alias: str = ""
    path: str = ""


def parse_artifact_uri(uri: str) -> RunUri | LoggedModelUri | ModelUri | None:
    """What a ``runs:`` or ``models:`` URI names; None for any other text.

    Raises:
        InvalidUri: something is missing behind the scheme.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in {"runs", "models"}:
        return None
    first, _, path = rest.lstrip("/").partition("/")
    path = path.strip("/")
    if not rest.startswith("/") or not first:
        raise InvalidUri(f"{uri!r} names no {scheme[:-1]}")
    if scheme == "runs":
        return RunUri(first, path)
    if LOGGED_MODEL_ID.fullmatch(first):
        return LoggedModelUri(first, path)
    name, at, alias = first.rpartition("@")
    if at:
        if not (name and alias):
            raise InvalidUri(f"{uri!r} must be models:/<name>@<alias>")
        return ModelUri(name, alias=alias, path=path)
    selector, _, path = path.partition("/")
    if not selector:
        raise InvalidUri(
            f"{uri!r} must be models:/<name>/<version, stage or latest> or models:/<name>@<alias>"
        )
    return ModelUri(first, selector=selector, path=path)


def local_path(text: str) -> Path:
    """The path of a ``file:`` URI or of a plain path.

    Raises:
        InvalidUri: it is the URI of something else.
    """
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    if "://" in text or text.split("/", 1)[0].endswith(":"):
        raise InvalidUri(f"{text!r} is neither runs:/…, models:/… nor a path of this machine")
    return Path(text)
