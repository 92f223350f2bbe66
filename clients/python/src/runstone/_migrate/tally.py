"""What was counted on both sides, and what could not be carried."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Counts:
    """How much there is of each kind. ``points`` counts an exact duplicate once."""

    experiments: int = 0
    runs: int = 0
    params: int = 0
    tags: int = 0
    inputs: int = 0
    points: int = 0
    files: int = 0
    file_bytes: int = 0
    models: int = 0
    versions: int = 0
    aliases: int = 0

    def add(self, other: Counts) -> None:
        """Add another's numbers."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def differing(self, other: Counts) -> list[str]:
        """The names of the numbers that differ."""
        mine, theirs = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True, slots=True)
class Moved:
    """An experiment or a model, and what it is at the target."""

    kind: str
    name: str
    target_name: str
    new: bool


@dataclass(slots=True)
class Report:
    """What became of it. ``written`` is what this time was done, the other two what there is."""

    source: str
    target: str
    at_source: Counts = field(default_factory=Counts)
    at_target: Counts = field(default_factory=Counts)
    written: Counts = field(default_factory=Counts)
    moved: list[Moved] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What could not be carried, or only in part, by name."""
    differences: list[str] = field(default_factory=list)
    """What is not at the target as it is at the source, for another reason."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing and no loss."""

    @property
    def complete(self) -> bool:
        """Whether all of the source is at the target."""
        return not (self.lost or self.differences)

    def to_dictionary(self) -> dict[str, Any]:
        """As plain dicts and lists."""
        return {**asdict(self), "complete": self.complete}


class Tally:
    """A report that many threads write to."""

    def __init__(self, source: str, target: str) -> None:
        self._lock = threading.Lock()
        self.report = Report(source, target)

    def count(
        self,
        source: Counts | None = None,
        target: Counts | None = None,
        written: Counts | None = None,
    ) -> None:
        """Add what was counted."""
        with self._lock:
            for of, more in (
                (self.report.at_source, source),
                (self.report.at_target, target),
                (self.report.written, written),
            ):
                if more is not None:
                    of.add(more)

    def lose(self, text: str) -> None:
        """Tell what could not be carried; the same only once."""
        self._tell(self.report.lost, text)

    def differ(self, text: str) -> None:
        """Tell what is not at the target as it is at the source; the same only once."""
        self._tell(self.report.differences, text)

    def note(self, text: str) -> None:
        """Tell what is worth knowing; the same only once."""
        self._tell(self.report.notes, text)

    def _tell(self, among: list[str], text: str) -> None:
        with self._lock:
            if text not in among:
                among.append(text)
