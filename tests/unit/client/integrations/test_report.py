"""Calls of a training that wait for a server, and whether a training goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runstone._integrations import report as reports
from runstone._integrations.frames import Call
from runstone._integrations.report import Report
from runstone._integrations.where import Begun
from runstone.exceptions import RunDeleted, Unauthenticated, Unavailable

FRAMEWORK: dict[str, Any] = {"__name__": "toys.training"}
exec(
    """
def train(hook, callback):
    found = listed(hook)
    return callback(found)
def listed(hook):
    return hook()
""",
    FRAMEWORK,
)
train: Callable[..., Any] = FRAMEWORK["train"]


class Client:
    """Answers every call with `error`, or takes it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.made: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any, **named: Any) -> None:
            if self.error is not None:
                raise self.error
            self.made.append((name, named))

        return call


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(reports, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(reports, "LOOK_SECONDS", 0.0)
    return Client()


@pytest.fixture
def report(client: Client) -> Report:
    run: Any = SimpleNamespace(
        info=SimpleNamespace(run_id="a" * 32, experiment_id="0"), client=client
    )
    return Report("toy", Begun(run, own=False))


def waiting(folder: Path) -> list[Path]:
    return list(folder.glob(".runstone-waiting-*"))


def test_links_of_files_that_are_refused_are_removed(
    client: Client, report: Report, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(b"1234")
    client.error = Unavailable("away")
    report.artifact(checkpoint)
    assert len(waiting(tmp_path)) == 1
    client.error = RunDeleted("gone")
    report.end()
    assert waiting(tmp_path) == []
    assert checkpoint.exists()


def test_files_that_are_given_up_are_where_the_warning_says(
    client: Client, report: Report, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(b"1234")
    client.error = Unavailable("away")
    report.params({"lr": 0.1})
    report.artifact(checkpoint)
    checkpoint.unlink()
    report.end("KILLED", wait=0)
    assert "2 calls of run" in caplog.text
    assert f"their files are kept in {tmp_path / '.runstone-waiting-'}*" in caplog.text
    [folder] = waiting(tmp_path)
    assert (folder / "last.ckpt").read_bytes() == b"1234"


def test_what_a_server_takes_no_token_for_is_kept(client: Client, report: Report) -> None:
    client.error = Unauthenticated("the token is being exchanged")
    report.params({"lr": 0.1})
    report.tags({"team": "risk"})
    client.error = None
    report.end()
    assert client.made == [
        ("log_batch", {"params": {"lr": "0.1"}}),
        ("log_batch", {"tags": {"team": "risk"}}),
    ]


def test_a_training_goes_on_in_its_callbacks() -> None:
    def inner(outer: Call) -> bool:
        found: bool = train(outer.goes_on, lambda answer: answer)
        return found

    assert train(Call, inner)


def test_a_training_that_raised_is_over_in_the_next_attempt() -> None:
    calls: list[Call] = []

    def attempt() -> bool:
        found: bool = train(
            lambda: (calls[-1].goes_on() if calls else False, calls.append(Call()))[0], raised
        )
        return found

    def raised(answer: bool) -> bool:
        if len(calls) < 10:
            raise MemoryError
        return answer

    for _ in range(9):
        with pytest.raises(MemoryError):
            attempt()
    assert not attempt()
