"""The kit's server as processes: signals, workers, and what a parent leaves."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support import probe
from support.binaries import REPOSITORY
from support.probe import handled, page
from support.processes import free_port, listens, running, wait_until


def served(*arguments: str) -> tuple[list[str], dict[str, Any]]:
    """Command and options of a probe server in a process of its own."""
    environ = dict(os.environ)
    path = [str(REPOSITORY / "tests"), environ.get("PYTHONPATH", "")]
    environ["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    return [sys.executable, "-m", "support.probe", *arguments], {"env": environ, "cwd": REPOSITORY}


def healthy(caller: probe.Caller) -> bool:
    stub = health_pb2_grpc.HealthStub(caller.channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_sigterm_drains(tmp_path: Path) -> None:
    port = free_port()
    command, options = served(str(port))
    log = tmp_path / "log"
    with (
        running(command, log, **options) as process,
        contextlib.closing(probe.Caller(f"127.0.0.1:{port}")) as caller,
    ):
        wait_until(lambda: healthy(caller), 30)
        slow = caller.unary.future(StringValue(value="sleep:1"), timeout=10)
        caller.say("hello")
        process.send_signal(signal.SIGTERM)
        assert slow.result().value == "sleep:1"
        assert process.wait(20) == 0
    text = log.read_text()
    assert "closed" in text
    assert "Traceback" not in text


def test_a_second_signal_ends_the_grace(tmp_path: Path) -> None:
    port = free_port()
    command, options = served(str(port), "--grace", "60")
    with (
        running(command, tmp_path / "log", **options) as process,
        contextlib.closing(probe.Caller(f"127.0.0.1:{port}")) as caller,
    ):
        wait_until(lambda: healthy(caller), 30)
        gate = threading.Event()

        def endless() -> Iterator[StringValue]:
            yield StringValue(value="one")
            gate.wait(30)

        call = caller.bidi_stream(endless(), timeout=60)
        next(call)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not healthy(caller))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        gate.set()
        with pytest.raises(grpc.RpcError):
            list(call)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    for arguments in (["--service", probe.BARE], ["--service", probe.BARE, "--workers", "2"]):
        command, options = served(str(free_port()), *arguments)
        log = tmp_path / f"log{len(arguments)}"
        with running(command, log, **options) as process:
            assert process.wait(60) == 3
        assert "no permission rule for" in log.read_text()


@pytest.mark.faults
def test_two_workers_share_a_port_and_a_page_and_outlive_one(tmp_path: Path) -> None:
    port, metrics_port = free_port(), free_port()
    command, options = served(str(port), "--workers", "2", "--metrics-port", str(metrics_port))
    log = tmp_path / "log"
    said = 0

    def pid() -> int:
        nonlocal said
        # A local channel of its own, else every call goes down the connection of the first.
        caller = probe.Caller(f"127.0.0.1:{port}", **{"grpc.use_local_subchannel_pool": 1})
        with contextlib.closing(caller):
            found = int(caller.say("pid", wait_for_ready=True))
        said += 1
        return found

    def both() -> set[int]:
        pids: set[int] = set()
        wait_until(lambda: pids.add(pid()) or len(pids) == 2, 30, "both workers answering")
        return pids

    with running(command, log, **options) as process:
        pids = both()
        assert process.pid not in pids
        wait_until(lambda: handled(page(metrics_port), "Unary", "OK") == said)
        os.kill(min(pids), signal.SIGKILL)
        wait_until(lambda: "worker died" in log.read_text(), 10)
        assert both() != pids
        wait_until(lambda: handled(page(metrics_port), "Unary", "OK") == said)
        rival, rival_options = served(str(port), "--workers", "2")
        with running(rival, tmp_path / "rival", **rival_options) as second:
            assert second.wait(30) == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert log.read_text().count("closed") >= 2
    assert not listens(port)


@pytest.mark.faults
def test_workers_end_with_their_parent_and_clean_up(tmp_path: Path) -> None:
    port = free_port()
    command, options = served(str(port), "--workers", "2")
    before = values_folders()
    with (
        running(command, tmp_path / "log", **options) as process,
        contextlib.closing(probe.Caller(f"127.0.0.1:{port}")) as caller,
    ):
        wait_until(lambda: healthy(caller), 30)
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not listens(port), 20)
        wait_until(lambda: values_folders() <= before)


def values_folders() -> set[Path]:
    """Where workers on this machine keep their metrics."""
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    return {found for place in places for found in place.glob("runstone-metrics-*")}
