"""The latest values of points that are in the journal and not on the server yet.

MLflow's client reads a run for every ``mlflow.log_metric(…, run_id=…)``. If each of these waited
for delivery, logging would be as slow as the server; so what is on its way is added to the answer.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mlflow.entities import Metric


class Latest(NamedTuple):
    """A point, and how long the journal was behind it."""

    step: int
    timestamp_ms: int
    value: float
    mark: int


class Recent:
    """Latest points by run and key, forgotten when they are delivered and their run is read."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """In a forked child: the journal is the parent's, and a thread of it may hold the lock."""
        # A signal handler may log in the middle of a call of the same thread.
        self._lock = threading.RLock()
        self._runs: dict[str, dict[str, Latest]] = {}

    def add(
        self, run_id: str, step: int, timestamp_ms: int, values: Mapping[str, float], mark: int
    ) -> None:
        """Note one point of each metric; ``mark`` is the journal's length behind them."""
        with self._lock:
            known = self._runs.setdefault(run_id, {})
            for key, value in values.items():
                before = known.get(key)
                if before is None or _later(step, timestamp_ms, value, before):
                    known[key] = Latest(step, timestamp_ms, value, mark)

    def forget(self, run_id: str) -> None:
        """A run is deleted."""
        with self._lock:
            self._runs.pop(run_id, None)

    def over(self, run_id: str, stored: Iterable[Metric], delivered: int) -> list[Metric]:
        """The latest points of a run: those that the server had, and those on their way to it.

        Args:
            run_id: The run.
            stored: What the server answered.
            delivered: How far the journal was delivered before the server was asked.
        """
        with self._lock:
            known = self._runs.get(run_id)
            if known is None:
                return list(stored)
            for key in [key for key, point in known.items() if point.mark <= delivered]:
                del known[key]
            if not known:
                del self._runs[run_id]
            waiting = dict(known)
        found = {each.key: each for each in stored}
        for key, point in waiting.items():
            there = found.get(key)
            if there is None or _later(
                point.step,
                point.timestamp_ms,
                point.value,
                Latest(there.step, there.timestamp, there.value, 0),
            ):
                found[key] = Metric(key, point.value, point.timestamp_ms, point.step)
        return list(found.values())


def _later(step: int, timestamp_ms: int, value: float, than: Latest) -> bool:
    """By step, then time, then value; NaN is below every number."""
    place, other = (step, timestamp_ms), (than.step, than.timestamp_ms)
    return place > other or (place == other and (value > than.value or math.isnan(than.value)))
