"""Journals that nobody delivers any more are delivered by whoever comes next."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runstone._journal import folder as folders
from runstone._sender import delivery as deliveries
from runstone._sender.adoption import Adoption
from runstone.tracking.v1 import metric_pb2
from support.journals import Journal


class Server:
    """Takes everything."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.opened: list[tuple[str, bool]] = []

    def append(self, request: bytes) -> bool:
        for series in metric_pb2.AppendMetricsRequest.FromString(request).series:
            self.steps += series.steps
        return True

    def release(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()

    def opened(uri: str, user: str, ambient: bool) -> Server:
        made.opened.append((uri, ambient))
        return made

    monkeypatch.setattr(deliveries, "Server", opened)
    return made


def left(root: Path, step: int, uri: str = "runstone://127.0.0.1:1") -> Path:
    """A journal whose process is gone."""
    with Journal(root, uri) as journal:
        journal.log("run", {"loss": 0.5}, step)
    return journal.folder


def test_one_that_cannot_be_read_does_not_keep_the_others_waiting(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "own"
    left(tmp_path, 0)
    # Names are by the second, so any of them may come first.
    left(tmp_path, 1)
    first, second = folders.journals(tmp_path)
    (first / folders.META).write_text("{", "utf-8")
    with Adoption(own) as adoption:
        adoption.wait_round()
    assert len(server.steps) == 1
    assert folders.journals(tmp_path) == [first]
    assert f"{first} cannot be delivered" in caplog.text
    assert not second.exists()


def test_the_environments_token_goes_to_the_own_server_alone(
    tmp_path: Path, server: Server
) -> None:
    ours, other = "runstone://127.0.0.1:1", "runstone://127.0.0.1:2"
    own = left(tmp_path, 0, ours)
    left(tmp_path, 1, ours)
    left(tmp_path, 2, other)
    with Adoption(own) as adoption:
        shutil.rmtree(own)  # as its sender does when all of it is delivered
        adoption.wait_round()
    assert sorted(server.opened) == [(ours, True), (other, False)]
    assert sorted(server.steps) == [1, 2]
