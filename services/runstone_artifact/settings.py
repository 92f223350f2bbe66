"""What the artifact service can be told: ``RUNSTONE_ARTIFACT_…``, else ``RUNSTONE_…``."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from runstone_kit.settings import BaseServiceSettings


class ArtifactSettings(BaseServiceSettings):
    """Settings of the artifact service."""

    service: ClassVar[str] = "artifact"

    listen: str = Field(
        "127.0.0.1:5052", description="host:port or unix:/path of the gRPC server; port 0: any"
    )
    objects_url: SecretStr | None = Field(
        None,
        description="s3+http://key:secret@host:9000/bucket (s3+https), file:///folder or a path",
    )
    objects_public_url: str | None = Field(
        None, description="http(s)://host:port where clients reach the object store, if elsewhere"
    )
    tracking_address: str = Field(
        "127.0.0.1:5051", description="host:port or unix:/path of the tracking service"
    )
    max_transfers: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="uploads and downloads at once; unset, and at most: half of max_threads",
    )

    @field_validator("objects_url", "objects_public_url", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        # A folder named "" would be the working directory.
        return None if value == "" else value

    @field_validator("objects_public_url")
    @classmethod
    def _public(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            fine = False
        if not fine or parts.path.strip("/") or parts.query or parts.username:
            raise ValueError("is http://host:port or https://host:port, without a path")
        return value

    @property
    def transfers(self) -> int:
        """Streams at once; the other half of the threads serves the short calls."""
        return self.max_transfers or max(1, self.max_threads // 2)
