"""What is gathered while a model is judged: each number and plot by itself, so that one that
cannot be had costs no other."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runstone._evaluation.metric import MetricValue

_log = logging.getLogger("runstone")


@dataclass
class Outcome:
    """Metrics and files, and why some are missing.

    Attributes:
        values: Metrics by name.
        files: Artifacts by name: their files' names and bytes.
        failures: Names of metrics and artifacts that could not be made, and why.
    """

    values: dict[str, MetricValue] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def measure(self, name: str, compute: Callable[[], Any]) -> None:
        """Keep one number, or why there is none."""
        found = self.attempt(name, compute)
        if found is None:
            return
        number = _plain(found)
        if math.isnan(number):
            self.fail(name, "it is not defined for this data")
            return
        self.values[name] = MetricValue(aggregate_results={name: number})

    def attempt(self, name: str, make: Callable[[], Any]) -> Any:
        """What the function gives; None when it raises, which is noted under the name."""
        try:
            return make()
        except Exception as error:
            self.fail(name, f"{type(error).__name__}: {error}")
            _log.debug("evaluate: %s", name, exc_info=True)
            return None

    def fail(self, name: str, why: str) -> None:
        """Note and tell why something is missing."""
        self.failures[name] = why
        _log.warning("evaluate: %r could not be made: %s", name, why)

    def numbers(self, prefix: str = "") -> dict[str, float]:
        """The aggregates under the names that they are logged with, which are MLflow's."""
        found = {}
        for name, value in self.values.items():
            for part, number in (value.aggregate_results or {}).items():
                if number is not None:
                    own = part == name.split("/", 1)[0]
                    key = f"{prefix}{name}" if own else f"{prefix}{name}/{prefix}{part}"
                    found[key] = _plain(number)
        return found


def _plain(number: Any) -> Any:
    return number.item() if hasattr(number, "item") else number
