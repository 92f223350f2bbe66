"""What the operator reads of a thing that is away: which one, why, and not every two seconds."""

import logging
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health
from structlog.testing import capture_logs

from runstone_kit import errors, logs
from runstone_kit.database import Database
from runstone_kit.health import Readiness
from runstone_kit.interceptors import Method
from runstone_kit.interceptors.access_log import AccessLogLayer


def test_a_line_is_said_at_once_then_once_a_minute_and_is_news_again_when_it_was_over() -> None:
    now = [100.0]
    said = logs.OnceAMinute(lambda: now[0])
    assert said.due("a")
    assert said.due("b")
    now[0] += 59
    assert not said.due("a")
    now[0] += 1
    assert said.due("a")
    assert not said.due("a")
    said.over("a")
    assert said.due("a")
    said.over("never said")


def test_a_check_that_goes_on_failing_is_told_once_and_its_end_is_too() -> None:
    trouble = [errors.Unavailable("the database cannot be reached right now")]
    trouble[0].private = "db.example:5432/runs: refused"

    def check() -> None:
        if trouble:
            raise trouble[0]

    readiness = Readiness(health.HealthServicer(), [], {"database": check})
    with capture_logs() as lines:
        for _ in range(5):
            assert not readiness.ask()
        trouble.clear()
        for _ in range(2):
            assert readiness.ask()
    readiness.stop()
    assert [(line["event"], line["check"], line["log_level"]) for line in lines] == [
        ("not ready", "database", "warning"),
        ("ready again", "database", "warning"),
    ]
    assert "db.example:5432/runs: refused" in lines[0]["reason"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hush@127.0.0.1:1/runs", ("127.0.0.1:1/runs: ", "refused")),
        ("postgresql://u@127.0.0.1:1/runs?password=hush", ("127.0.0.1:1/runs: ", "refused")),
        (
            "postgresql:///runs?host=/nowhere&password=hush",
            ("/nowhere:5432/runs: ", "No such file"),
        ),
        ("sqlite:////nowhere/at/all.db", ("/nowhere/at/all.db: ", "unable to open")),
    ],
)
def test_a_database_that_is_away_is_named_to_the_operator_only(
    url: str, said: tuple[str, str]
) -> None:
    database = Database.from_url(url, schema="runstone_probe")
    with pytest.raises(errors.Unavailable) as away:
        database.ping()
    database.dispose()
    assert away.value.message == "the database cannot be reached right now"
    assert all(each in away.value.for_operator for each in said), away.value.for_operator
    assert "hush" not in away.value.for_operator
    assert "\n" not in away.value.for_operator


def test_libraries_do_not_tell_every_attempt() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.configure("probe", "debug")
        assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING)
    finally:
        structlog.reset_defaults()
        root.handlers[:] = before
        root.setLevel(level)


class Answer:
    """The context of a call that ended with a code."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "no"


@pytest.mark.parametrize("failures_only", [False, True])
def test_an_answer_that_was_asked_for_is_no_failure(failures_only: bool) -> None:
    written: list[str] = []
    layer = AccessLogLayer(lambda *line: written.append(line[1]), failures_only=failures_only)

    def fail(_request: Any, _context: Any) -> Any:
        raise Exception

    call = layer.wrap(Method("/a.B/C", False, False), fail)
    for code in ("NOT_FOUND", "ALREADY_EXISTS", "INTERNAL", "INVALID_ARGUMENT"):
        with pytest.raises(Exception):  # noqa: B017 - what context.abort raises
            call(None, Answer(grpc.StatusCode[code]))
    expected = ["INTERNAL", "INVALID_ARGUMENT"]
    assert written == (expected if failures_only else ["NOT_FOUND", "ALREADY_EXISTS", *expected])
