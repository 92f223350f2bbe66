"""What the gateway can be told by its environment: ``RUNSTONE_GATEWAY_…``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runstone_kit.settings import BaseServiceSettings

DEFAULT_LISTEN = "127.0.0.1:5000"
"""Where MLflow's own server listens, and its users look."""


class GatewaySettings(BaseServiceSettings):
    """Settings of the gateway."""

    service: ClassVar[str] = "gateway"
    unused: ClassVar[frozenset[str]] = frozenset(
        {"database_url", "max_threads", "max_waiting", "pool_size", "reflection", "service_token"}
    )

    listen: str = Field(DEFAULT_LISTEN, description="host:port of the HTTP server; port 0: any")
    tracking_address: str = Field(
        "127.0.0.1:5051", description="host:port or unix:/path of the tracking service"
    )
    artifact_address: str = Field(
        "127.0.0.1:5052", description="host:port or unix:/path of the artifact service"
    )
    registry_address: str = Field(
        "127.0.0.1:5053", description="host:port or unix:/path of the registry service"
    )
    allowed_hosts: str = Field(
        "",
        description="names under which the gateway is called, by commas, *.example.com for all of"
        " a domain, * for any; localhost and addresses always are",
    )
    allowed_origins: str = Field(
        "",
        description="origins of other web pages that may use the gateway, by commas:"
        " https://app.example.com, or * for any",
    )
    max_json_bytes: int = Field(
        64 * 2**20, ge=2**20, description="largest JSON body, also after its compression"
    )
    max_transfers: int = Field(
        6,
        ge=1,
        le=1000,
        description="artifacts passed through at once, per process; further ones wait. The"
        " artifact service takes eight per process unless it is told otherwise",
    )
    presigned: bool = Field(
        True,
        description="give clients the object store's own URLs of large files, where it has any;"
        " false when clients cannot reach it",
    )
    presigned_only: bool = Field(
        False, description="tell clients to take files from the object store, never through here"
    )
