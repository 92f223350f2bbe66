"""How many calls may wait for a thread of a server, and what becomes of the rest."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2

from support.probe import handled
from support.probe_server import Probe, details, each_kind, refused
from support.processes import wait_until


def test_calls_past_the_waiting_ones_are_told_to_come_again() -> None:
    with contextlib.closing(Probe(max_threads=1, max_waiting=2)) as server:
        counted = handled(server.metrics(), "Unary", "RESOURCE_EXHAUSTED")
        with _one_thread_held(server) as release:
            waiting = [
                server.caller.unary.future(StringValue(value=word), timeout=30) for word in "ab"
            ]
            wait_until(lambda: _full(server), 10, "two calls waiting")
            for name, call in each_kind(server, "hello").items():
                error = refused(call)
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, name
                assert details(error, error_details_pb2.ErrorInfo).reason == "OVERLOADED"
                delay = details(error, error_details_pb2.RetryInfo).retry_delay
                assert 1.0 <= delay.ToTimedelta().total_seconds() <= 2.0
            # Health has a thread of its own, so a busy server is not taken for a dead one.
            assert server.health() == health_pb2.HealthCheckResponse.SERVING
            release.set()
            assert [call.result().value for call in waiting] == ["a", "b"]
        assert handled(server.metrics(), "Unary", "RESOURCE_EXHAUSTED") > counted
        assert server.caller.say("hello") == "hello"


def test_refused_calls_are_not_read_and_keep_no_memory() -> None:
    with (
        contextlib.closing(Probe(max_threads=1, max_waiting=1)) as server,
        _one_thread_held(server) as release,
    ):
        first = server.caller.unary.future(StringValue(value="a"), timeout=30)
        wait_until(lambda: _full(server), 10, "a call waiting")
        before = _resident()
        big = StringValue(value="x" * 16 * 2**20)
        for _ in range(10):
            error = refused(lambda: server.caller.unary(big, timeout=30))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert _resident() - before < 80 * 2**20
        release.set()
        assert first.result().value == "a"


@contextlib.contextmanager
def _one_thread_held(server: Probe) -> Iterator[threading.Event]:
    """Keeps a thread of the server busy until the event is set."""
    release = threading.Event()

    def requests() -> Iterator[StringValue]:
        yield StringValue(value="open")
        release.wait(30)

    held = server.caller.bidi_stream(requests())
    assert next(held).value == "open"
    try:
        yield release
    finally:
        release.set()
        assert list(held) == []


def _full(server: Probe) -> bool:
    """Whether a call more is refused at once."""
    try:
        server.caller.unary(StringValue(value="one more"), timeout=0.2)
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return False


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
