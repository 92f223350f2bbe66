"""What a data set says of itself."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runstone import entities
from runstone.exceptions import InvalidArgument

DIGEST_LENGTH = 16
"""Hexadecimal digits of sha256: 64 bits tell the data sets of an experiment apart."""

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://")


@dataclass(frozen=True)
class Dataset:
    """A data set in memory and how it is described.

    Attributes:
        name: 1 to 500 characters.
        digest: Of the content; 1 to 36 characters.
        source: Where the data came from: a path, a URL, or words.
        schema: Columns or arrays with their types; JSON types only.
        profile: Sizes and statistics; JSON types only.
    """

    name: str
    digest: str
    source: str
    schema: Mapping[str, Any]
    profile: Mapping[str, Any]

    @property
    def source_type(self) -> str:
        """``"http"``, ``"s3"`` … by the source's scheme, ``"local"`` for a path, or ``"code"``."""
        scheme = _SCHEME.match(self.source)
        if scheme:
            return scheme[1].lower()[:36]
        return "local" if os.path.lexists(self.source) else "code"

    def to_entity(self) -> entities.Dataset:
        """The description that a run keeps."""
        return entities.Dataset(
            name=self.name,
            digest=self.digest,
            source_type=self.source_type,
            source=json.dumps({"uri": self.source}),
            schema=json.dumps(self.schema),
            profile=json.dumps(self.profile),
        )

    def to_dict(self) -> dict[str, Any]:
        """The description as plain values."""
        return {
            "name": self.name,
            "digest": self.digest,
            "source": self.source,
            "source_type": self.source_type,
            "schema": dict(self.schema),
            "profile": dict(self.profile),
        }


def described(
    name: str | None,
    digest: str | None,
    computed: str,
    source: object,
    schema: Mapping[str, Any],
    profile: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of a data set with their defaults. Raises InvalidArgument."""
    if source is not None and not isinstance(source, str | os.PathLike):
        raise InvalidArgument(f"source must be a text or a path, not {type(source).__name__}")
    return {
        "name": name or "dataset",
        "digest": digest or computed[:DIGEST_LENGTH],
        "source": os.fspath(source) if source is not None else "in memory",
        "schema": schema,
        "profile": profile,
    }
