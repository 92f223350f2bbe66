"""Health that is asked, not assumed: readiness checks feed grpc.health.v1."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import structlog
from grpc_health.v1 import health, health_pb2

from runstone_kit.errors import RunstoneError
from runstone_kit.logs import OnceAMinute

Check = Callable[[], object]
"""Raises when the service cannot work; what it returns means nothing."""

INTERVAL_S = 2.0
"""How old an answer may be: a load balancer asks every few seconds."""

CHECK_TIMEOUT_S = 5.0
"""A check that hangs is a check that fails; a database takes this long to refuse a connection."""

_log = structlog.get_logger("runstone_kit.health")


class Readiness:
    """Asks every check at a fixed interval and publishes the answer in a health servicer.

    Every name in ``services`` (and ``""``, the whole server) gets SERVING while all checks pass,
    else NOT_SERVING. The name of a check (``runstone.tracking.v1.TrackingService/database``) tells
    of that one alone. Before the first round, and after ``stop``, all are NOT_SERVING.
    """

    def __init__(
        self,
        servicer: health.HealthServicer,
        services: Sequence[str],
        checks: Mapping[str, Check],
        *,
        interval_s: float = INTERVAL_S,
        check_timeout_s: float = CHECK_TIMEOUT_S,
    ) -> None:
        self._servicer = servicer
        self._services = ["", *services]
        self._checks = dict(checks)
        self._interval_s = interval_s
        self._check_timeout_s = check_timeout_s
        self._pool = ThreadPoolExecutor(
            max_workers=max(1, len(self._checks)), thread_name_prefix="readiness"
        )
        self._asked: dict[str, Future[object]] = {}
        self._failing: dict[str, str] = {}
        self._said = OnceAMinute()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
        self._publish(self._checks.keys(), ready=False)

    def start(self) -> None:
        """Ask once now, then go on asking in the background."""
        self.ask()
        self._thread.start()

    def stop(self) -> None:
        """Say NOT_SERVING from now on and ask no more."""
        self._stopped.set()
        self._servicer.enter_graceful_shutdown()
        if self._thread.is_alive():
            self._thread.join()
        # A check that hangs in a driver must not hold up the end of the process.
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self) -> bool:
        """Ask every check now and publish; True when all passed."""
        failing = self._failures()
        for name, reason in failing.items():
            if self._said.due(name):
                _log.warning("not ready", check=name, reason=reason)
        for name in self._failing.keys() - failing.keys():
            self._said.over(name)
            # As loud as the line that it ends.
            _log.warning("ready again", check=name)
        self._failing = failing
        self._publish(failing.keys(), ready=not failing)
        return not failing

    def _failures(self) -> dict[str, str]:
        for name, check in self._checks.items():
            # One that still hangs is not asked again: it would take the pool's threads.
            if name not in self._asked:
                self._asked[name] = self._pool.submit(check)
        until = time.monotonic() + self._check_timeout_s
        failing = {}
        for name, future in list(self._asked.items()):
            try:
                future.result(timeout=max(0.0, until - time.monotonic()))
            except FutureTimeout:
                if not future.done():
                    failing[name] = "no answer in time"
                    continue
                failing[name] = "it timed out"
            except RunstoneError as error:
                failing[name] = error.for_operator
            except Exception as error:
                failing[name] = f"{type(error).__name__}: {error}"
            del self._asked[name]
        return failing

    def _publish(self, failing: Collection[str], *, ready: bool) -> None:
        for name in self._checks:
            self._servicer.set(name, _status(name not in failing))
        for service in self._services:
            self._servicer.set(service, _status(ready))

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self.ask()


def _status(ready: bool) -> Any:
    answers = health_pb2.HealthCheckResponse
    return answers.SERVING if ready else answers.NOT_SERVING
