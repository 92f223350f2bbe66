"""Versions, clocks, and the words of the health protocol."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2

from runstone._doctor import health, services
from runstone._doctor.model import FAILURE, OK, WARNING
from runstone._version import __version__


@pytest.mark.parametrize("name", ["", "runstone.tracking.v1.TrackingService/database"])
def test_requests_are_those_of_the_generated_code(name: str) -> None:
    wanted = health_pb2.HealthCheckRequest(service=name).SerializeToString()
    assert health.request(name) == wanted


def test_answers_are_those_of_the_generated_code() -> None:
    for number in health_pb2.HealthCheckResponse.ServingStatus.values():
        data = health_pb2.HealthCheckResponse(status=number).SerializeToString()
        assert health.status(data) == number
    for data in (b"\x08", b"\x12\x01", b"<html>"):
        with pytest.raises(ValueError, match="health"):
            health.status(data)


def answer(began: float, ended: float, time: float | None) -> health.Answer:
    return health.Answer(health.SERVING, began, ended, ended - began, "", time)


def test_the_bounds_of_all_answers_together() -> None:
    # The server is 10 s ahead: read at once, at the end, and in the middle.
    answers = [answer(0, 1, 10.0), answer(5, 6, 16.0), answer(7, 7.5, 17.25)]
    assert services.skew(answers) == pytest.approx((10.0, 10.0))
    assert services.skew([answer(0, 1, 10.5)]) == (9.5, 10.5)
    assert services.skew([answer(0, 1, None)]) is None


@pytest.mark.parametrize(
    ("ahead", "status"), [(0.0, OK), (1.9, OK), (-3.0, WARNING), (400.0, FAILURE)]
)
def test_clocks(ahead: float, status: str) -> None:
    line = services._clock("tracking", [answer(100.0, 100.2, 100.1 + ahead)])
    assert (line.name, line.status) == ("clock.tracking", status)
    assert line.details["within_ms"] == 100
    assert bool(line.fix) == (status != OK)


def test_an_unsure_clock_is_not_called_wrong() -> None:
    line = services._clock("tracking", [answer(100.0, 130.0, 101.0)])
    assert line.status == OK


@pytest.mark.parametrize(
    ("ours", "server", "status"),
    [
        ("0.1.0", "0.1.0", OK),
        ("0.1.0", "0.2.0", OK),
        ("0.2.0", "0.1.9", WARNING),
        ("0.10.0", "0.9.0", WARNING),
        ("1.0.0", "0.9.0", FAILURE),
        ("1.0.0", "2.0.0rc1", WARNING),
        ("0.1.0", "", WARNING),
    ],
)
def test_versions(monkeypatch: pytest.MonkeyPatch, ours: str, server: str, status: str) -> None:
    monkeypatch.setattr(services._version, "__version__", ours)
    line = services._versions("tracking", server)
    assert (line.name, line.status) == ("version.tracking", status)
    assert line.details == {"client": ours, "server": server}
    assert bool(line.fix) == (status != OK)


def test_this_release_is_of_a_form_that_is_understood() -> None:
    assert services._ordered(__version__) > (0, 0, 0)
