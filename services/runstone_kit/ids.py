"""Identifiers the server mints. A client never chooses one (design D11)."""

from __future__ import annotations

import os
import uuid
from typing import Protocol


class IdMaker(Protocol):
    """Makes identifiers. MUST be safe to call from many threads and never repeat itself."""

    def run_id(self) -> str:
        """A new run id: 32 lower-case hex digits."""
        ...

    def hex_id(self) -> str:
        """A new id for anything else (upload, object key, etag, request): 32 hex digits."""
        ...


class SystemIds:
    """Ids from the system's random source."""

    def run_id(self) -> str:
        """A new run id: 32 lower-case hex digits."""
        return uuid.uuid4().hex

    def hex_id(self) -> str:
        """A new id for anything else: 32 lower-case hex digits."""
        # Every call has one; a UUID takes three times as long.
        return os.urandom(16).hex()
