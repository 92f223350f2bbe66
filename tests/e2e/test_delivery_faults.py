"""Promises 1 to 4 of the journal: what `log_metrics` returned from is stored exactly once.

Each test kills or breaks one part while a training process logs, and then counts what is lost and
what is there twice: acknowledged ⊆ stored ⊆ attempted. A few rounds each; `make test-faults` runs
the numbers of rounds that `LONG` has. Printed for each: rounds, points, what was lost and doubled,
and how long the calls of `log_metrics` took.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import pytest

from runstone._journal import folder as folders
from runstone._sender.adoption import adopted
from support import tracking
from support.clock import Clock
from support.damage import Harm, harm
from support.full_disk import FillingDisk
from support.lossy_proxy import LossyProxy
from support.postgres import PostgresServer
from support.processes import free_port, wait_until
from support.services import ServiceProcess
from support.suites import SuiteProcess, end_suite, suite
from support.tracking_service import tracking_process
from support.trainer import KEYS
from support.training import Training, import_path

LONG = bool(os.environ.get("RUNSTONE_TEST_FAULTS"))

SEED = 20_261_121

STILL_SECONDS = 20.0
"""How long a server stands still in the long form."""

DISK_BYTES = 2**25

JOURNALS_AT_ONCE = 25
"""So many are damaged and then delivered together, as after a reboot."""

HOUR = 3600.0
BACK = (0.5, 60.0, HOUR, 24 * HOUR, 366 * 24 * HOUR)
"""Seconds by which a clock is set back."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600 if LONG else 120)]


def rounds(few: int, many: int) -> range:
    return range(many if LONG else few)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SuiteProcess]:
    with suite(tmp_path / "data", "--grpc-port", str(free_port())) as started:
        yield started


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """One of this test alone: it may be stopped."""
    with contextlib.closing(PostgresServer()) as started:
        started.start()
        yield started


@pytest.fixture
def service(postgres: PostgresServer) -> Iterator[ServiceProcess]:
    """The tracking service, alone and on PostgreSQL."""
    url = postgres.url(postgres.create_database())
    tracking.migrate_database(url)
    with tracking_process(url) as started:
        yield started


@pytest.fixture
def report(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[Training, int], None]]:
    """report(training, rounds): a line of the table, past pytest's capture; and the verdict."""

    def line(training: Training, count: int) -> None:
        found = training.count()
        p50, p99 = (training.record.latency(share) * 1e6 for share in (0.5, 0.99))
        with capsys.disabled():
            print(
                f"\n{request.node.name.removeprefix('test_'):48}{count:5} rounds"
                f"{found.points:9} points {found.lost:3} lost {found.twice:3} twice"
                f"   log_metrics p50 {p50:6.1f} µs   p99 {p99:6.1f} µs",
                end="",
            )
        assert found.good, found

    return line


def port(server: SuiteProcess) -> int:
    return int(server.command[-1])


def address(server: SuiteProcess) -> str:
    return f"runstone://127.0.0.1:{port(server)}"


@contextlib.contextmanager
def training(
    folder: Path, uri: str, server: str = "", journals: Path | None = None, **settings: str
) -> Iterator[Training]:
    (folder / "training").mkdir()
    with contextlib.closing(
        Training(folder / "training", uri, server, journals, **settings)
    ) as started:
        yield started


Report = Callable[[Training, int], None]


def test_killing_the_training(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(3, 200)
    with training(tmp_path, address(server)) as job:
        for _ in times:
            job.start()
            job.more(400)
            job.kill()
        job.start()
        job.deliver()
        report(job, len(times))


def test_killing_the_sender(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(3, 100)
    with training(tmp_path, address(server)) as job:
        job.start()
        for _ in times:
            job.more(800)
            job.kill_sender()
        job.deliver()
        report(job, len(times))


def test_killing_training_and_sender(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(2, 50)
    with training(tmp_path, address(server)) as job:
        for _ in times:
            job.start()
            job.more(400)
            sender = job.sender()
            job.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(sender, signal.SIGKILL)
        job.start()
        job.deliver()
        report(job, len(times))


def test_killing_the_server(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(1, 50)
    with training(tmp_path, address(server)) as job:
        job.start()
        for _ in times:
            job.more(800)
            server.restart()
            server.wait_serving()
        job.deliver()
        report(job, len(times))


def test_killing_the_tracking_service(
    tmp_path: Path, service: ServiceProcess, report: Report
) -> None:
    times = rounds(1, 50)
    with training(tmp_path, f"runstone://{service.address}") as job:
        job.start()
        for _ in times:
            job.more(800)
            service.restart()
            service.wait_serving()
        job.deliver()
        report(job, len(times))


def test_losing_answers(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(3, 50)
    with (
        LossyProxy(port(server)) as proxy,
        training(tmp_path, f"runstone://{proxy.address}", address(server)) as job,
    ):
        job.start()
        for number in times:
            job.more(400)
            proxy.lose()
            proxy.wait_lost(number + 1)
        job.deliver()
        report(job, len(times))


def test_a_server_that_stands_still(tmp_path: Path, server: SuiteProcess, report: Report) -> None:
    times = rounds(1, 5)
    seconds = STILL_SECONDS if LONG else 2.0
    with training(tmp_path, address(server)) as job:
        job.start()
        for _ in times:
            stopped = time.monotonic()
            server.process.send_signal(signal.SIGSTOP)
            # Nobody who logs waits for it.
            while time.monotonic() < stopped + seconds:
                job.more(400)
            server.process.send_signal(signal.SIGCONT)
            job.more(400)
        job.deliver()
        report(job, len(times))


def test_stopping_postgres_at_once(
    tmp_path: Path, postgres: PostgresServer, service: ServiceProcess, report: Report
) -> None:
    times = rounds(1, 10)
    with training(tmp_path, f"runstone://{service.address}") as job:
        job.start()
        for _ in times:
            job.more(800)
            postgres.stop_at_once()
            job.more(800)
            postgres.start()
        job.deliver()
        report(job, len(times))


def test_an_embedded_suite_is_started_for_what_is_left(tmp_path: Path, report: Report) -> None:
    times = rounds(1, 20)
    data = tmp_path / "data"
    with training(tmp_path, data.as_uri()) as job:
        try:
            for _ in times:
                job.start()
                job.more(400)
                end_suite(data)
                job.kill()
            job.start()
            job.deliver()
            report(job, len(times))
        finally:
            end_suite(data)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FillingDisk]:
    with contextlib.closing(FillingDisk(tmp_path / "small", DISK_BYTES)) as small:
        yield small


def test_a_full_disk_under_the_journal(
    tmp_path: Path, server: SuiteProcess, disk: FillingDisk, report: Report
) -> None:
    """`log_metrics` waits, and is killed there now and then."""
    times = rounds(3, 30)
    with training(tmp_path, address(server), journals=disk.folder) as job:
        job.start()
        for number in times:
            # Else what is delivered gives its room back at once.
            server.process.send_signal(signal.SIGSTOP)
            disk.fill(job.pid)
            job.wait_stuck()
            server.process.send_signal(signal.SIGCONT)
            if number % 3 == 0:
                job.more(10)
            if number % 3 == 1:
                job.kill_sender()
            if number % 3 == 2:
                job.kill()
            disk.make_room()
            if number % 3 == 2:
                job.start()
            job.more(400)
        job.deliver()
        report(job, len(times))


def test_a_full_disk_costs_the_points_of_the_receipt(
    tmp_path: Path, server: SuiteProcess, disk: FillingDisk, report: Report
) -> None:
    """`log_metrics` goes on without them."""
    times = rounds(2, 20)
    drops = {"RUNSTONE_JOURNAL_POLICY": "drop"}
    with training(tmp_path, address(server), journals=disk.folder, **drops) as job:
        job.start()
        for _ in times:
            disk.fill(job.pid)
            job.more(400)
            disk.make_room()
            job.more(400)
        dropped = job.dropped()
        assert dropped
        job.deliver(job.settled)
        assert job.dropped() == dropped
        report(job, len(times))


def test_journals_with_flipped_bits_and_cuts(
    tmp_path: Path, server: SuiteProcess, report: Report
) -> None:
    """Every frame that is whole is delivered; what is not is told, and kept aside."""
    times = rounds(8, 500)
    chance = random.Random(SEED)
    with training(tmp_path, address(server)) as job:
        for group in range(0, len(times), JOURNALS_AT_ONCE):
            done: list[Harm] = []
            for _ in times[group : group + JOURNALS_AT_ONCE]:
                known = set(folders.journals(job.journals))
                # Killed before anything is delivered.
                job.start(pause=0.0, sender=False)
                job.more(chance.randrange(300))
                job.kill()
                (folder,) = set(folders.journals(job.journals)) - known
                done.append(harm(folder, chance))
                job.spared |= done[-1].lost
            job.deliver(job.settled)
            for each in done:
                assert each.told(), each
                remove(each.folder)
        report(job, len(times))


def remove(folder: Path) -> None:
    """What was kept aside is kept until somebody has looked at it; here that is done."""

    def removed() -> bool:
        if not folder.exists():
            return True
        with adopted(folder) as ours:
            if ours:
                shutil.rmtree(folder)
            return ours

    wait_until(removed, 30.0, "the end of the sender")


def test_a_clock_that_is_set_back(tmp_path: Path, report: Report) -> None:
    """Under the training, its sender and the server: it is one machine's."""
    times = rounds(4, 50)
    chance = random.Random(SEED)
    clock = Clock(tmp_path / "clock")
    path = os.pathsep.join([str(clock.folder), *import_path()])
    grpc_port = str(free_port())
    with (
        suite(
            tmp_path / "data", "--grpc-port", grpc_port, environment={"PYTHONPATH": path}
        ) as server,
        training(tmp_path, address(server), PYTHONPATH=path) as job,
    ):
        job.start()
        for number in times:
            job.more(200)
            clock.set_back(chance.choice(BACK))
            job.more(200)
            # The journal of a new life is older by its name than the one before.
            if number % 4 == 1:
                job.kill()
                job.start()
            if number % 4 == 3:
                job.kill_sender()
        job.deliver()
        report(job, len(times))
        newest = {each.key: each.last_step for each in job.client.list_metric_keys(job.run_id)}
        for key in KEYS:
            history = job.client.get_metric_history(job.run_id, key)
            # The times are the clock's, as it was; which point is the newest, the steps say.
            clocks = [point.timestamp for point in sorted(history, key=attrgetter("step"))]
            assert sum(later < sooner for sooner, later in pairwise(clocks)) >= len(times)
            assert newest[key] == max(point.step for point in history)
