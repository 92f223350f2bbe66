"""Promises 1 to 4 of the journal: what `log_metrics` returned from is stored exactly once.

Each test kills or breaks one part while a training process logs, and then looks that
acknowledged ⊆ stored ⊆ attempted, and nothing twice. A few rounds each; `make test-faults` runs the
numbers of rounds that `LONG` has. Printed for each: rounds, points, and how long the calls took.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import tracking
from support.lossy_proxy import LossyProxy
from support.postgres import PostgresServer
from support.processes import free_port
from support.suites import SuiteProcess, end_suite, suite
from support.tracking_service import tracking_process
from support.trainer import KEYS
from support.training import Training

LONG = bool(os.environ.get("RUNSTONE_TEST_FAULTS"))

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600 if LONG else 120)]


def rounds(few: int, many: int) -> range:
    return range(many if LONG else few)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SuiteProcess]:
    with suite(tmp_path / "data", "--grpc-port", str(free_port())) as started:
        yield started


@pytest.fixture
def report(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[Training, int], None]]:
    """report(training, rounds): a line of the table, past pytest's capture."""

    def line(training: Training, count: int) -> None:
        record = training.record
        p50, p99 = (record.latency(share) * 1e6 for share in (0.5, 0.99))
        with capsys.disabled():
            print(
                f"\n{request.node.name.removeprefix('test_'):48}{count:5} rounds"
                f"{record.attempted * len(KEYS):9} points   0 lost   0 twice"
                f"   p50 {p50:6.1f} µs   p99 {p99:6.1f} µs",
                end="",
            )

    return line


def port(server: SuiteProcess) -> int:
    return int(server.command[-1])


def address(server: SuiteProcess) -> str:
    return f"runstone://127.0.0.1:{port(server)}"


@contextlib.contextmanager
def training(folder: Path, uri: str, server: str = "") -> Iterator[Training]:
    (folder / "training").mkdir()
    with contextlib.closing(Training(folder / "training", uri, server)) as started:
        yield started


Report = Callable[[Training, int], None]


def test_killing_the_training(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(3, 200)
    with training(tmp_path, address(server)) as job:
        for _ in times:
            job.start()
            job.more(100)
            job.kill()
        job.start()
        job.finish()
        report(job, len(times))


def test_killing_the_sender(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(3, 100)
    with training(tmp_path, address(server)) as job:
        job.start()
        for _ in times:
            job.more(200)
            job.kill_sender()
        job.finish()
        report(job, len(times))


def test_killing_training_and_sender(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(2, 50)
    with training(tmp_path, address(server)) as job:
        for _ in times:
            job.start()
            job.more(100)
            sender = job.sender()
            job.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(sender, signal.SIGKILL)
        job.start()
        job.finish()
        report(job, len(times))


def test_killing_the_server(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(1, 50)
    with training(tmp_path, address(server)) as job:
        job.start()
        for _ in times:
            job.more(200)
            server.restart()
            server.wait_serving()
        job.finish()
        report(job, len(times))


def test_losing_answers(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(3, 50)
    with (
        LossyProxy(port(server)) as proxy,
        training(tmp_path, f"runstone://{proxy.address}", address(server)) as job,
    ):
        job.start()
        for number in times:
            job.more(100)
            proxy.lose()
            proxy.wait_lost(number + 1)
        job.finish()
        report(job, len(times))


def test_a_server_that_stands_still(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(1, 10)
    with training(tmp_path, address(server)) as job:
        job.start()
        for _ in times:
            server.process.send_signal(signal.SIGSTOP)
            # At most 500 steps a second: as many as 20 s have, in the long form.
            job.more(10_000 if LONG else 1_000)
            server.process.send_signal(signal.SIGCONT)
        job.finish()
        report(job, len(times))


def test_stopping_postgres_at_once(tmp_path: Path, report: Report) -> None:
    times = rounds(1, 10)
    with contextlib.closing(PostgresServer()) as postgres:
        postgres.start()
        url = postgres.url(postgres.create_database())
        tracking.migrate_database(url)
        with (
            tracking_process(url) as service,
            training(tmp_path, f"runstone://{service.address}") as job,
        ):
            job.start()
            for _ in times:
                job.more(200)
                postgres.kill()
                postgres.start()
            job.finish()
            report(job, len(times))


def test_an_embedded_suite_is_started_for_what_is_left(tmp_path: Path, report: Report) -> None:
    times = rounds(1, 20)
    data = tmp_path / "data"
    with training(tmp_path, data.as_uri()) as job:
        try:
            for _ in times:
                job.start()
                job.more(100)
                end_suite(data)
                job.kill()
            job.start()
            job.finish()
            report(job, len(times))
        finally:
            end_suite(data)
