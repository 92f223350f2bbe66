"""In what two runs differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in both runs; None where one does not have it.

    ``kind`` is status, source, param, tag, environment, input, metric, artifact or model. Values of
    files are their SHA-256.
    """

    kind: str
    key: str
    a: str | float | None
    b: str | float | None


@dataclass(frozen=True, slots=True)
class RunDiff:
    """In what two runs differ, in the order of causes and then of effects.

    ``compared`` counts what was looked at of each kind, the same and the different.
    """

    run_id_a: str
    run_id_b: str
    differences: list[Difference] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def of(self, kind: str) -> list[Difference]:
        """The differences of one kind."""
        return [each for each in self.differences if each.kind == kind]

    def to_dictionary(self) -> dict[str, Any]:
        """The comparison as plain dicts and lists."""
        return asdict(self)
