"""Checks side by side: what fails or hangs hides nothing else, and no secret leaves."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from runstone._doctor import running
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Check, Found, Line, Report
from runstone._doctor.table import CHECKS
from runstone.exceptions import InvalidUri

release = threading.Event()


def good(_asked: Asked, name: str) -> Iterator[Line]:
    yield Line(name, OK, "all is well")


def half(_asked: Asked, name: str) -> Iterator[Line]:
    yield Line(f"{name}.first", WARNING, "seen before")
    raise ImportError("no module named sparkle", name="sparkle.core")


def hangs(_asked: Asked, name: str) -> Iterator[Line]:
    yield Line(f"{name}.first", OK, "seen before")
    release.wait()


def leaves(_asked: Asked, _name: str) -> Iterator[Line]:
    yield from ()
    raise SystemExit(3)


def lost(_asked: Asked, _name: str) -> Iterator[Line]:
    yield from ()
    raise InvalidUri("cannot read the URI")


def tells(asked: Asked, name: str) -> Iterator[Line]:
    secret = asked.environment["MY_TOKEN"]
    yield Line(name, OK, f"the token is {secret}", f"use {secret}", {"deep": [{"x": secret}]})


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = ModuleType("runstone._doctor.imagined")
    for each in (good, half, hangs, leaves, lost, tells):
        setattr(made, each.__name__, each)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    release.clear()
    yield
    release.set()


def examine(*names: str, seconds: float = 30.0, **environment: str) -> list[Line]:
    checks = [Check(each, "Things", f"imagined:{each}", "look there") for each in names]
    report = running.examine(Asked(seconds=seconds, environment=environment), checks)
    return [each.line for each in report.found]


def test_order_is_the_tables_and_a_failure_is_a_line() -> None:
    lines = examine("half", "leaves", "good")
    assert [each.name for each in lines] == ["half.first", "half", "leaves", "good"]
    assert lines[0].status == WARNING
    assert (lines[1].status, lines[1].details["kind"]) == (FAILURE, "ImportError")
    assert lines[1].fix.endswith("pip install --force-reinstall runstone sparkle")
    assert lines[2].details["kind"] == "SystemExit"
    assert lines[3].status == OK


def test_what_hangs_is_told_and_what_it_said_before_stays() -> None:
    lines = examine("hangs", "good", seconds=0.5)
    assert [each.name for each in lines] == ["hangs.first", "hangs", "good"]
    assert lines[1].summary == "no answer within 0.5 s"
    assert (lines[1].status, lines[1].fix) == (FAILURE, "look there")


def test_a_uri_that_cannot_be_read_is_told_by_its_own_line_alone() -> None:
    assert examine("lost") == []


def test_a_module_that_is_missing_is_a_line() -> None:
    checks = [Check("x", "Things", "nowhere:look")]
    (found,) = running.examine(Asked(), checks).found
    assert found.line.status == FAILURE
    assert "ModuleNotFoundError" in found.line.summary


def test_no_secret_leaves() -> None:
    (line,) = examine("tells", MY_TOKEN="open sesame")
    assert line.summary == "the token is ***"
    assert line.fix == "use ***"
    assert line.details == {"deep": [{"x": "***"}]}


def test_the_worst_line_is_the_reports() -> None:
    lines = {each: Found("g", Line("n", each, "")) for each in (OK, WARNING, FAILURE)}
    assert Report([], 0).status == OK
    assert Report([lines[OK], lines[WARNING]], 0).status == WARNING
    report = Report([lines[FAILURE], lines[WARNING], lines[OK]], 0.25)
    assert report.to_dictionary() == {
        "status": "failure",
        "seconds": 0.25,
        "counts": {"ok": 1, "warning": 1, "failure": 1},
        "checks": [
            {"name": "n", "group": "g", "status": each, "summary": "", "details": {}, "fix": ""}
            for each in ("failure", "warning", "ok")
        ],
    }


def test_the_table_names_what_is_there() -> None:
    assert len({each.name for each in CHECKS}) == len(CHECKS)
    for each in CHECKS:
        module, _, function = each.function.partition(":")
        found = running.import_module(f"{running.ROOM}.{module}")
        assert callable(getattr(found, function))
