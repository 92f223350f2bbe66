"""What the registry service can be told: ``RUNSTONE_REGISTRY_…``, else ``RUNSTONE_…``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runstone_kit.settings import BaseServiceSettings


class RegistrySettings(BaseServiceSettings):
    """Settings of the registry service."""

    service: ClassVar[str] = "registry"

    listen: str = Field(
        "127.0.0.1:5053", description="host:port or unix:/path of the gRPC server; port 0: any"
    )
    artifact_address: str = Field(
        "127.0.0.1:5052", description="host:port or unix:/path of the artifact service"
    )
    tracking_address: str = Field(
        "127.0.0.1:5051", description="host:port or unix:/path of the tracking service"
    )
    lease_s: float = Field(
        900.0,
        gt=0,
        description="seconds that a version's files may take; longer than any call's deadline",
    )
    sweep_interval_s: float = Field(
        60.0, gt=0, description="seconds between two rounds over files that no version holds"
    )
    webhooks_allow_private: bool = Field(
        False, description="let webhooks use http, and addresses of this machine and its networks"
    )
    webhooks_timeout_s: float = Field(
        15.0, ge=1, le=60, description="seconds that a receiver may take for one delivery"
    )
    webhooks_threads: int = Field(
        8, ge=1, le=64, description="receivers that are delivered to at once, per process"
    )
