"""A line of the report, a check that makes lines, and what was asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warning", "failure"]

OK: Status = "ok"
WARNING: Status = "warning"
FAILURE: Status = "failure"

WORST = (FAILURE, WARNING, OK)

SECONDS = 5.0
"""For each check: a server that needs longer for a probe is of no use to a training either."""


SHARE = 0.6
"""Of a check's time for one call: what it waits for can then be told in its own words."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was found of one thing.

    Args:
        name: Stable, for programs: ``service.tracking``.
        status: ok, warning (it works, or will not for long) or failure (it does not work).
        summary: One sentence for people.
        fix: What to do; empty when nothing is to be done.
        details: Figures and texts for programs.
    """

    name: str
    status: Status
    summary: str
    fix: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for.

    Args:
        tracking_uri: As given; None: by environment and default.
        gateway: URL of a gateway; None: the one that the environment or the data folder names.
        start: Whether an embedded suite may be started to be looked at.
        seconds: For each check.
        environment: As it was at the beginning.
    """

    tracking_uri: str | None = None
    gateway: str | None = None
    start: bool = False
    seconds: float = SECONDS
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def within(self, limit: float) -> float:
        """Seconds for one call: at most ``limit``, and less than the whole check has."""
        return min(limit, self.seconds * SHARE)


@dataclass(frozen=True, slots=True)
class Check:
    """A subject that is looked at by itself.

    Args:
        name: Of its first line, and of the line that says that it failed.
        group: The heading that it stands under.
        function: ``module:function`` of this room, imported when it runs. It takes an ``Asked``,
            and the name, and gives lines; those it has given stay when it fails or hangs later.
        hangs: What to do when there is no answer in time.
    """

    name: str
    group: str
    function: str
    hangs: str = ""


Lines = Iterator[Line]


@dataclass(frozen=True, slots=True)
class Found:
    """A line under its heading."""

    group: str
    line: Line

    def to_dictionary(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        said = asdict(self.line)
        return {
            "name": said["name"],
            "group": self.group,
            "status": said["status"],
            "summary": said["summary"],
            "details": dict(said["details"]),
            "fix": said["fix"],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All lines, in the order of the table."""

    found: list[Found]
    seconds: float

    @property
    def status(self) -> Status:
        """The worst of all."""
        seen = {each.line.status for each in self.found}
        return next((status for status in WORST if status in seen), OK)

    def count(self, status: Status) -> int:
        """How many lines have it."""
        return sum(each.line.status == status for each in self.found)

    def to_dictionary(self) -> dict[str, Any]:
        """As ``--json`` prints it; keys are never taken away or given another meaning."""
        return {
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "counts": {status: self.count(status) for status in (OK, WARNING, FAILURE)},
            "checks": [each.to_dictionary() for each in self.found],
        }
