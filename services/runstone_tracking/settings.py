"""Settings of the tracking service: ``RUNSTONE_TRACKING_…``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runstone_kit.settings import BaseServiceSettings


class TrackingSettings(BaseServiceSettings):
    """What the tracking service can be told."""

    service: ClassVar[str] = "tracking"

    compaction: bool = Field(
        True, description="fold metrics into chunks in the background; any one service is enough"
    )
