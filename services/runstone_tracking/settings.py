"""Settings of the tracking service: ``RUNSTONE_TRACKING_…``."""

from __future__ import annotations

from typing import ClassVar

from runstone_kit.settings import BaseServiceSettings


class TrackingSettings(BaseServiceSettings):
    """What the tracking service can be told."""

    service: ClassVar[str] = "tracking"
