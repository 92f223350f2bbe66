"""Forks: a child calls through channels of its own, and is a writer of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import runstone
from runstone import _fork
from runstone._writer import Writers
from runstone.artifact.v1 import artifact_pb2
from runstone.tracking.v1 import metric_pb2, run_pb2


def test_a_fork_waits_for_the_calls_under_way() -> None:
    gate = _fork.Gate()
    entered, leave, closed = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        with gate.call():
            entered.set()
            leave.wait(20)

    def fork() -> None:
        gate.close()
        closed.set()
        gate.open()

    caller = threading.Thread(target=call)
    caller.start()
    entered.wait(20)
    forker = threading.Thread(target=fork)
    forker.start()
    assert not closed.wait(0.1)
    leave.set()
    assert closed.wait(20)
    caller.join()
    forker.join()


def test_a_fork_that_waits_keeps_new_calls_out() -> None:
    gate = _fork.Gate()
    entered, leave, closed, reopen, late = (threading.Event() for _ in range(5))

    def call() -> None:
        with gate.call():
            entered.set()
            leave.wait(20)
            with gate.call():
                pass

    def fork() -> None:
        gate.close()
        closed.set()
        reopen.wait(20)
        gate.open()

    def call_late() -> None:
        with gate.call():
            late.set()

    threads = [threading.Thread(target=each) for each in (call, fork, call_late)]
    threads[0].start()
    entered.wait(20)
    threads[1].start()
    while not gate._closing:
        closed.wait(0.01)
    threads[2].start()
    assert not late.wait(0.1)
    leave.set()
    assert closed.wait(20)
    assert not late.wait(0.1)
    reopen.set()
    assert late.wait(20)
    for each in threads:
        each.join()


def test_a_fork_does_not_wait_for_an_upload(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fork, "LONGEST_WAIT_SECONDS", 60)
    server.answers["UploadChunks"] = lambda *_: artifact_pb2.UploadChunksResponse()
    begun, more, closed = threading.Event(), threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"a"
        begun.set()
        more.wait(20)
        yield b"b"

    def fork() -> None:
        _fork.gate.close()
        closed.set()
        _fork.gate.open()

    client = runstone.Client(server.uri)
    caller = threading.Thread(target=lambda: client.upload_chunks("u", chunks()))
    caller.start()
    assert begun.wait(20)
    forker = threading.Thread(target=fork)
    forker.start()
    in_time = closed.wait(10)
    more.set()
    caller.join()
    forker.join()
    assert in_time
    assert len(server.named("UploadChunks")[0][2]) == 2


def test_a_fork_does_not_wait_for_its_own_call() -> None:
    gate = _fork.Gate()
    with gate.call():
        gate.close()
        gate.open()


def test_a_fork_waits_no_longer_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fork, "LONGEST_WAIT_SECONDS", 0.05)
    gate = _fork.Gate()
    entered, leave = threading.Event(), threading.Event()

    def call() -> None:
        with gate.call():
            entered.set()
            leave.wait(20)

    caller = threading.Thread(target=call)
    caller.start()
    entered.wait(20)
    gate.close()
    gate.open()
    leave.set()
    caller.join()


def test_a_writer_counts_each_run_by_itself_and_starts_anew() -> None:
    writers = Writers()
    with writers.batch("a") as (first, number):
        assert number == 1
    with writers.batch("a") as again:
        assert again == (first, 2)
    with writers.batch("b") as (_, number):
        assert number == 1
    writers.renew()
    with writers.batch("a") as (other, number):
        assert other != first
        assert number == 1


def test_calls_at_once_are_writers_of_their_own_and_a_failed_one_is_not_used_again() -> None:
    writers = Writers()
    with writers.batch("a") as (first, _), writers.batch("a") as (second, number):
        assert second != first
        assert number == 1
    with (
        pytest.raises(ZeroDivisionError),
        writers.batch("a") as (failed, _),
    ):
        raise ZeroDivisionError
    used = set()
    for _ in range(3):
        with writers.batch("a") as (writer_id, _):
            used.add(writer_id)
    assert used == {first, second} - {failed}


SCRIPT = """
    import os, sys, threading, warnings
    warnings.simplefilter("ignore")  # forking with threads is the point
    import runstone
    from runstone._channel import pool

    client = runstone.Client(sys.argv[1])
    client.get_run("parent")
    inherited = next(iter(pool._open.values()))[0]
    stop = threading.Event()

    def load():
        while not stop.is_set():
            client.get_run("load")

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    codes = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                ok = not pool._open
                client.log_metric("forked", "loss", number)
                ok = ok and all(channel is not inherited for channel, _ in pool._open.values())
                ok = ok and client.get_run("child").info.run_id == "child"
                os._exit(0 if ok else 3)
            except BaseException as error:
                os.write(2, repr(error).encode())
                os._exit(4)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    client.log_metric("forked", "loss", 99)
    assert client.get_run("after").info.run_id == "after"
    assert codes == [0] * 8, codes
"""


def test_children_of_a_busy_process_call_and_write_by_themselves(server: Any) -> None:
    server.answers["GetRun"] = lambda request, _: run_pb2.GetRunResponse(
        run=run_pb2.Run(run_id=request.run_id)
    )
    server.answers["AppendMetrics"] = lambda *_: metric_pb2.AppendMetricsResponse()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), server.uri],
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    batches = [(m.writer_id, m.sequence) for _, _, m in server.named("AppendMetrics")]
    assert len(batches) == 9
    assert len({writer for writer, _ in batches}) == 9
    assert {sequence for _, sequence in batches} == {1}
