"""Where a model version comes from: the text that MLflow's clients give, taken apart.

Only what is told apart here reaches a service, and there it is a path within a run, a version's
number, or a text that nothing opens. Nothing is decoded: a text that any decoding would change into
a way out is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn
from urllib.parse import unquote_plus, urlsplit

from runstone_gateway.errors import refused
from runstone_gateway.fields import wrong

MAX_CHARACTERS = 2048
"""As the registry service has it, and asked first: decoding a text again and again takes its length
squared."""

HOST_SCHEMES = frozenset(
    {"ftp", "sftp", "hdfs", "viewfs", "http", "https", "mlflow-artifacts", "r2", "b2", "abfss"}
)
"""Schemes that name a host to connect to: MLflow's servers refuse them."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class Source(NamedTuple):
    """A source's text, its scheme in lower case and what follows the colon."""

    text: str
    scheme: str
    path: str

    @property
    def names(self) -> list[str]:
        """The names of the path, without the empty ones."""
        return [name for name in self.path.split("/") if name]


class ModelUri(NamedTuple):
    """What stands behind ``models:/``: a registered model's version by number, alias or stage
    (none of them: the newest), or the id of a logged model."""

    name: str = ""
    number: int = 0
    alias: str = ""
    stage: str = ""
    model_id: str = ""


def read(text: str, run_id: str, model_id: str) -> Source:
    """The source. Raises GatewayError for a local path, a way out, and a host to connect to."""
    if len(text) > MAX_CHARACTERS:
        raise wrong(text, "source", f"a URI of at most {MAX_CHARACTERS} characters")
    scheme, colon, path = text.partition(":")
    scheme = scheme.lower()
    if not colon or len(scheme) < 2 or "/" in scheme or scheme == "file":
        _refuse_local(text, "model_id" if model_id and not run_id else "run_id")
    try:
        netloc = urlsplit(text).netloc
    except ValueError:
        _refuse_path(text)
    if scheme in HOST_SCHEMES and (scheme != "mlflow-artifacts" or netloc):
        raise refused(
            f"'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host"
            " other than the tracking server's configured artifact storage."
        )
    if scheme in ("runs", "models") and netloc:
        refuse_owner(text, "run_id" if scheme == "runs" else "model_id")
    decoded = path
    while (further := unquote_plus(decoded)) != decoded:
        decoded = further
    below = decoded[2:].partition("/")[2] if decoded.startswith("//") else decoded.lstrip("/")
    if _CONTROL.search(decoded) or not decoded.startswith("/") or not below.strip("/"):
        _refuse_path(text)
    if any(name in (".", "..") for name in re.split("[/?#;]", decoded)):
        _refuse_path(text)
    return Source(text, scheme, path)


def _refuse_local(text: str, owner: str) -> NoReturn:
    raise refused(
        f"Invalid model version source: '{text}'. To use a local path as a model version "
        f"source, the {owner} request parameter has to be specified and the local path has to be "
        "contained within the artifact directory of the run specified by the "
        f"{owner}."
    )


def _refuse_path(text: str) -> NoReturn:
    raise refused(
        f"Invalid model version source: '{text}'. If supplying a source as an http, https, "
        "local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be "
        "provided without relative path references present. "
        "Please provide an absolute path."
    )


def refuse_owner(text: str, owner: str) -> NoReturn:
    """The source is not in what the parameter called ``owner`` names."""
    raise refused(
        f"Invalid model version source: '{text}'. The {owner} request parameter must "
        "identify the resource that contains the source."
    )


def model_uri(source: Source) -> ModelUri:
    """What a source of the scheme ``models`` names. Raises GatewayError."""
    match source.path.lstrip("/").split("/"):
        case [name, suffix] if name.strip() and suffix.strip():
            if suffix.isascii() and suffix.isdigit() and len(suffix) < 19:
                return ModelUri(name, number=int(suffix))
            return ModelUri(name, stage="" if suffix.lower() == "latest" else suffix)
        case [name] if "@" in name:
            name, _, alias = name.rpartition("@")
            if name and alias.strip():
                return ModelUri(name, alias=alias)
        case [model_id]:
            return ModelUri(model_id=model_id)
    refuse_owner(source.text, "model_id")
