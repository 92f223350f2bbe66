"""A process's journals: made once, and delivered whoever interrupts whom, and when."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone import _fork, _journal
from runstone._fluent import _runs
from runstone._journal import folder as folders
from runstone._journal import outlet as outlets
from runstone._journal.outlet import Outlet
from runstone._sender import delivery as deliveries
from runstone._sender import spawn
from support.fluent import abandon_journals

URI = "runstone://127.0.0.1:1"
SECONDS = 20.0
"""No test waits so long unless something is stuck."""


class Server:
    """Takes everything, one call after the other, as long as it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = threading.Event()
        self.asked = threading.Event()
        self.open.set()

    def append(self, request: bytes) -> bool:
        self.asked.set()
        assert self.open.wait(SECONDS)
        self.calls += 1
        return True

    def close(self) -> None:
        pass


class Sender:
    """In the place of a sender process."""

    def __init__(self, folder: Path, *, supervised: bool = True) -> None:
        self.folder = folder
        self.supervised = supervised
        self.started = self.closed = False
        self.asked = 0
        senders.append(self)

    def wait_started(self) -> None:
        self.started = True

    def flush(self) -> None:
        self.asked += 1

    def close(self, seconds: float = 0.0) -> bool:
        self.closed = True
        return True

    @property
    def alive(self) -> bool:
        return not self.closed


senders: list[Sender] = []


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    fake = Server()
    senders.clear()
    monkeypatch.setattr(deliveries, "Server", lambda uri, user, ambient: fake)
    monkeypatch.setattr(spawn, "spawn", Sender)
    monkeypatch.setattr(outlets, "_leave_to_sender", lambda folder: None)
    yield fake
    fake.open.set()
    abandon_journals()


def log(outlet: Outlet) -> None:
    outlet.log("run", {"loss": 0.5}, 0, 0)


def test_a_handler_that_flushes_in_the_middle_of_a_flush_does_not_wait_for_it(
    server: Server,
) -> None:
    """The main thread waits; its handler runs in that wait, and waits for the same delivery."""
    outlet = outlets.outlet(URI, "ada")
    log(outlet)
    server.open.clear()
    outer = threading.Thread(target=outlet.flush, args=(SECONDS,))
    outer.start()
    assert server.asked.wait(SECONDS)
    # What a handler does that interrupts the flush: none of it may wait for the delivery.
    outlet.wake()
    assert not outlet.flush(timeout=0.05)
    server.open.set()
    assert outlet.flush(timeout=SECONDS)
    outer.join(SECONDS)
    assert not outer.is_alive()


def test_a_delivery_in_this_process_gives_way_to_a_sender(server: Server) -> None:
    outlet = outlets.outlet(URI, "ada")
    for _ in range(10):
        log(outlet)
    server.open.clear()
    flushing = threading.Thread(target=outlet.flush, args=(SECONDS,), daemon=True)
    flushing.start()
    assert server.asked.wait(SECONDS)
    log(outlet)
    outlet.start_sender()
    server.open.set()
    end = time.monotonic() + SECONDS
    while (lock := folders.take(outlet.journal.folder / folders.SENDER_LOCK)) is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    os.close(lock)
    assert server.calls == 1


def test_a_flush_that_is_interrupted_stops_its_delivery(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BaseException):
        pass

    outlet = outlets.outlet(URI, "ada")
    log(outlet)
    server.open.clear()
    join = threading.Thread.join

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        if self.name != "runstone-delivery":
            join(self, timeout)
            return
        assert server.asked.wait(SECONDS)
        log(outlet)
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(Interrupted):
            outlet.flush()
    server.open.set()
    assert outlet._delivering.acquire(timeout=SECONDS)
    outlet._delivering.release()
    assert server.calls == 1
    assert outlet.flush(timeout=SECONDS)
    assert server.calls == 2


def test_a_program_that_has_ended_delivers_without_a_thread(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    outlet = outlets.outlet(URI, "ada")
    log(outlet)
    monkeypatch.setattr(threading.Thread, "start", refuses)
    assert outlet.flush(timeout=SECONDS)
    assert server.calls == 1


def test_what_the_last_functions_of_a_program_log_has_a_sender_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuses(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(_journal, "ending", True)
    monkeypatch.setattr(threading.Thread, "start", refuses)
    outlet = outlets.outlet(URI, "ada")
    assert senders == []
    log(outlet)
    log(outlet)
    (sender,) = senders
    assert sender.started
    assert not sender.supervised
    assert outlet.flush(timeout=0.01) is False
    assert sender.asked


def test_a_forked_worker_has_a_sender_with_its_first_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fork, "forked", True)
    outlet = outlets.outlet(URI, "ada")
    assert senders == []
    log(outlet)
    (sender,) = senders
    assert sender.started
    assert sender.supervised


def test_a_sender_that_cannot_be_started_is_told_and_costs_no_point(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(folder: Path, *, supervised: bool) -> Sender:
        raise OSError("no more processes")

    monkeypatch.setattr(spawn, "spawn", refuses)
    monkeypatch.setattr(_journal, "ending", True)
    outlet = outlets.outlet(URI, "ada")
    log(outlet)
    assert outlet.journal.points == 1
    assert "delivered by the next process: no more processes" in caplog.text


def test_a_handler_that_logs_first_while_the_first_point_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both are at the same outlet; the one that came second is put away."""
    create = folders.create
    inner: list[Outlet] = []

    def interrupted(*arguments: Any) -> Any:
        made = create(*arguments)
        if not inner:
            inner.append(None)  # type: ignore[arg-type]
            inner[0] = outlets.outlet(URI, "ada")
        return made

    monkeypatch.setattr(folders, "create", interrupted)
    outer = outlets.outlet(URI, "ada")
    assert outer is inner[0]
    assert outlets.outlets() == [outer]
    assert folders.journals(folders.root()) == [outer.journal.folder]


def test_a_handler_that_needs_a_sender_while_one_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outlet = outlets.outlet(URI, "ada")

    def interrupted(folder: Path, *, supervised: bool) -> Sender:
        if not senders:
            made = Sender(folder)
            outlet.wake()
            return made
        return Sender(folder)

    monkeypatch.setattr(spawn, "spawn", interrupted)
    outlet.wake()
    outer, inner = senders
    assert outlet.sender is inner  # type: ignore[comparison-overlap]
    assert outer.closed
    assert not inner.closed
    assert inner.asked == 2


def test_journals_that_vanish_while_they_are_looked_at_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when many ranks end at the same time and look after each other's."""
    root = folders.root()
    for _ in range(3):
        _, lock = folders.create(root, URI, "ada")
        os.close(lock)
    first, second, third = folders.journals(root)
    left = []

    def undelivered(folder: Path) -> int:
        if folder == first:
            raise FileNotFoundError(folder)
        return int(folder == third)

    monkeypatch.setattr(folders, "undelivered", undelivered)
    monkeypatch.setattr(outlets, "_leave_to_sender", left.append)
    outlets.close()
    assert left == [third]
    for folder in (first, second, third):
        for name in (folders.OWNER_LOCK, folders.SENDER_LOCK):
            lock_again = folders.take(folder / name)
            assert lock_again is not None
            os.close(lock_again)


def test_runs_are_ended_also_when_the_journal_cannot_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Client:
        def set_terminated(self, run_id: str, status: str) -> None:
            ended.append((run_id, status))

    def fails(timeout: float) -> None:
        raise PermissionError("the journal's folder")

    ended: list[tuple[str, str]] = []
    with monkeypatch.context() as patched:
        patched.setattr(outlets, "close", fails)
        patched.setattr(_runs, "_open", {"a": (os.getpid(), Client())})
        _runs._end_left_over()
    assert ended == [("a", "FINISHED")]
    assert "metrics are delivered later: the journal's folder" in caplog.text
