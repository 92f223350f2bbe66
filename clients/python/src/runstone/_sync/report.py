"""What a sync did, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class RunReport:
    """A run of the folder: its id there and on the server (empty while it waits)."""

    run_id: str
    server_run_id: str = ""
    experiment: str = ""
    name: str = ""
    waits: str = ""
    """Why it is not on the server."""


@dataclass(slots=True)
class Report:
    """What this sync delivered, and what is left.

    ``refused`` tells what is kept in the folders ``rejected``, of earlier syncs too. ``waiting``
    says what was not delivered and why; the next sync tries it again.
    """

    folder: str
    tracking_uri: str
    runs_created: int = 0
    params: int = 0
    tags: int = 0
    inputs: int = 0
    points: int = 0
    files: int = 0
    file_bytes: int = 0
    runs: list[RunReport] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    dropped_points: int = 0
    live_processes: int = 0
    removed: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything that was logged is on the server."""
        return not (self.refused or self.damaged or self.waiting)

    def to_dictionary(self) -> dict[str, Any]:
        """As plain dicts and lists."""
        return {**asdict(self), "complete": self.complete}
