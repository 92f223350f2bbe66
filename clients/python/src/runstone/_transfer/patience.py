"""How long a transfer goes on trying while nothing moves."""

from __future__ import annotations

import random
import time

from runstone.exceptions import (
    ChunkDamaged,
    OffsetMismatch,
    Overloaded,
    RunstoneException,
    Unavailable,
    UploadBusy,
)

PATIENCE_SECONDS = 60.0
"""Without a byte of progress; a service's restart takes ten seconds at most."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

PASSING = (ChunkDamaged, OffsetMismatch, Overloaded, Unavailable, UploadBusy)
"""What goes away by itself, once the transfer is taken up where it stands."""


class Patience:
    """Pauses between attempts; ``progressed`` begins the wait anew."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = PATIENCE_SECONDS if seconds is None else seconds
        self.progressed()

    def progressed(self) -> None:
        """Something moved."""
        self._until = time.monotonic() + self._seconds
        self._pause = FIRST_PAUSE_SECONDS

    def wait(self, error: RunstoneException) -> None:
        """Pause before the next attempt; raise ``error`` when it does not pass or took too long."""
        if not isinstance(error, PASSING) or time.monotonic() >= self._until:
            raise error
        pause = error.retry_after if error.retry_after is not None else self._pause
        # Many clients that lost one server must not come back in step.
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
