"""Headers under which a file is handed out: never anything that a browser would open as a page."""

from __future__ import annotations

import mimetypes
import unicodedata
from email.utils import formatdate
from urllib.parse import quote

from runstone.artifact.v1.artifact_pb2 import Artifact

BINARY = "application/octet-stream"

_TEXT = {
    *("txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon"),
    *("toml", "yaml", "yml", "xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb"),
    *("MLmodel", "MLproject"),
}
"""Endings, and names without one, that MLflow's servers call plain text."""

# Without the tables of the machine that this runs on.
_types = mimetypes.MimeTypes()

_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
"""What RFC 5987 leaves as it is."""


def content_type(path: str) -> str:
    """The type of a file by its name, as MLflow's servers tell it."""
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    if (ending if dot and stem else name) in _TEXT:
        return "text/plain"
    return _types.guess_type(name)[0] or BINARY


def disposition(path: str) -> str:
    """Content-Disposition: always an attachment, under the file's own name."""
    name = path.rpartition("/")[2]
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    shown = f'attachment; filename="{quoted}"'
    if plain == name:
        return shown
    return f"{shown}; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"


def etag(file: Artifact) -> str:
    """The strong validator of a file: the digest of its bytes."""
    return f'"{file.sha256}"'


def headers(file: Artifact, path: str) -> dict[str, str]:
    """What is said of a file, but how many bytes of it follow."""
    return {
        "content-type": content_type(path),
        "content-disposition": disposition(path),
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
        "etag": etag(file),
        "last-modified": formatdate(file.create_time.seconds, usegmt=True),
        "cache-control": "no-cache",
    }
