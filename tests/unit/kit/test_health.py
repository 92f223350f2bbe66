"""Readiness: what a failing, a recovering and a hanging check do to health."""

import threading

from grpc_health.v1 import health, health_pb2

from runstone_kit.health import Readiness

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def status(servicer: health.HealthServicer, service: str = "") -> int:
    answer = servicer.Check(health_pb2.HealthCheckRequest(service=service), None)
    return int(answer.status)


def test_nothing_is_served_before_it_was_asked() -> None:
    servicer = health.HealthServicer()
    readiness = Readiness(servicer, ["a.B"], {})
    assert status(servicer) == status(servicer, "a.B") == NOT_SERVING
    assert readiness.ask()
    assert status(servicer) == status(servicer, "a.B") == SERVING
    readiness.stop()
    assert status(servicer) == status(servicer, "a.B") == NOT_SERVING


def test_one_failing_check_is_enough_and_recovery_is_seen() -> None:
    servicer = health.HealthServicer()
    trouble: list[Exception] = [OSError("away")]

    def check() -> None:
        if trouble:
            raise trouble[0]

    readiness = Readiness(servicer, ["a.B"], {"database": check, "bucket": lambda: None})
    assert not readiness.ask()
    assert status(servicer, "a.B") == NOT_SERVING
    assert (status(servicer, "database"), status(servicer, "bucket")) == (NOT_SERVING, SERVING)
    trouble.clear()
    assert readiness.ask()
    assert status(servicer, "a.B") == status(servicer, "database") == SERVING
    readiness.stop()
    assert status(servicer, "bucket") == NOT_SERVING


def test_a_check_that_times_out_inside_fails_and_is_asked_again() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        raise TimeoutError

    readiness = Readiness(health.HealthServicer(), [], {"database": check})
    assert not readiness.ask()
    assert not readiness.ask()
    assert len(calls) == 2
    readiness.stop()


def test_a_check_that_hangs_fails_and_is_not_piled_up() -> None:
    release = threading.Event()
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        release.wait(10)

    readiness = Readiness(health.HealthServicer(), [], {"database": check}, check_timeout_s=0.01)
    assert not readiness.ask()
    assert not readiness.ask()
    assert len(calls) == 1
    release.set()
    readiness.stop()
