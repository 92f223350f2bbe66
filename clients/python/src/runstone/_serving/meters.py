"""Figures for Prometheus: kept when prometheus-client is installed, else nothing is."""

from __future__ import annotations

import functools
import os
from typing import Any

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class Meters:
    """The figures of one process; of all that share a port, where their parent says so."""

    def __init__(self) -> None:
        import prometheus_client as prometheus

        self._prometheus = prometheus
        # A registry of its own: several models may be served by one process of a test.
        registry = self._registry = prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "runstone_serving_requests", "Answered.", ["endpoint", "status"], registry=registry
        )
        self._seconds = prometheus.Histogram(
            "runstone_serving_seconds",
            "Until the answer.",
            ["endpoint"],
            buckets=SECONDS,
            registry=registry,
        )
        self._rows = prometheus.Histogram(
            "runstone_serving_batch_rows", "Of one prediction.", buckets=ROWS, registry=registry
        )
        self._in_flight = prometheus.Gauge(
            "runstone_serving_in_flight",
            "Not answered yet.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._reloads = prometheus.Counter(
            "runstone_serving_reloads",
            "New versions, by whether they could be loaded.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("loaded", "failed"):
            self._reloads.labels(outcome)
        # Finding a child by its labels costs as much as counting.
        self._request = functools.cache(self._requests.labels)
        self._time = functools.cache(self._seconds.labels)

    def began(self) -> None:
        """A request is here."""
        self._in_flight.inc()

    def ended(self, endpoint: str, status: int, seconds: float) -> None:
        """It is answered."""
        self._in_flight.dec()
        self._request(endpoint, str(status)).inc()
        self._time(endpoint).observe(seconds)

    def predicted(self, rows: int) -> None:
        """One prediction was made."""
        self._rows.observe(rows)

    def reloaded(self, outcome: str) -> None:
        """A new version was "loaded", or "failed" to be."""
        self._reloads.labels(outcome).inc()

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = self._prometheus.CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return self._prometheus.generate_latest(registry)


class NoMeters:
    """Keeps no figures: prometheus-client is not installed."""

    def began(self) -> None:
        """Nothing."""

    def ended(self, endpoint: str, status: int, seconds: float) -> None:
        """Nothing."""

    def predicted(self, rows: int) -> None:
        """Nothing."""

    def reloaded(self, outcome: str) -> None:
        """Nothing."""

    def page(self) -> bytes | None:
        """There is none."""
        return None


def meters() -> Any:
    """What keeps the figures here."""
    try:
        return Meters()
    except ImportError:
        return NoMeters()
