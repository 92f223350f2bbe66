"""Promises 1, 2 and 8: kill any part at any time; nothing acknowledged is lost or doubled.

20 kills of services in all; `make test-kill` repeats them ten times as often.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import runstone
from support.postgres import PostgresServer
from support.processes import wait_until
from support.s3 import S3Server
from support.services import NAMES, Cluster, cluster
from support.suites import end_suite, read_status
from support.writers import Load

TIMES = int(os.environ.get("RUNSTONE_TEST_KILLS", "1"))
KILLS_PER_SERVICE = 2 * TIMES
KILLS_OF_SUITE = 4 * TIMES
RESTARTS = 2 * TIMES

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240 * TIMES)]


@pytest.fixture
def services(tmp_path: Path, own_postgres: PostgresServer, own_s3: S3Server) -> Iterator[Cluster]:
    database = own_postgres.url(own_postgres.create_database())
    objects = own_s3.url(own_s3.create_bucket())
    with cluster(tmp_path, database, objects) as started:
        yield started


def test_killing_services_loses_nothing(services: Cluster, tmp_path: Path) -> None:
    load = Load(services.uri, "services", tmp_path)
    load.start()
    for _ in range(KILLS_PER_SERVICE):
        for name in NAMES:
            service = services.services[name]
            load.fault(service.restart, service.wait_serving)
    load.finish()


def test_crashes_of_postgres_and_s3_lose_nothing(
    services: Cluster, own_postgres: PostgresServer, own_s3: S3Server, tmp_path: Path
) -> None:
    load = Load(services.uri, "stores", tmp_path)
    load.start()
    pids = [service.process.pid for service in services.services.values()]
    for _ in range(RESTARTS):
        for store in (own_postgres, own_s3):
            load.fault(store.kill, store.start)
    load.finish()
    # It was the stores that went away, not the services.
    assert [service.process.pid for service in services.services.values()] == pids
    assert all(service.process.poll() is None for service in services.services.values())


def test_killing_the_embedded_suite_loses_nothing(
    tmp_path: Path, ending: Callable[[Path], None]
) -> None:
    data = tmp_path / "data"
    load = Load(str(data), "embedded", tmp_path)
    load.start()
    ending(data)
    for _ in range(KILLS_OF_SUITE):
        killed = read_status(data)["pid"]

        def another_serves(killed: int = killed) -> bool:
            return read_status(data).get("pid") not in (None, killed)

        load.fault(
            lambda killed=killed: os.kill(killed, signal.SIGKILL),
            # Nobody starts it but the clients themselves.
            lambda: wait_until(another_serves, 30.0, "a client starting the suite again"),
        )
    load.finish()


def test_the_next_call_finds_a_killed_suite_again(
    tmp_path: Path, ending: Callable[[Path], None]
) -> None:
    data = tmp_path / "data"
    client = runstone.Client(str(data))
    ending(data)
    kept = client.create_experiment("kept")
    os.kill(read_status(data)["pid"], signal.SIGKILL)
    assert client.get_experiment(kept).name == "kept"


@pytest.fixture
def ending() -> Iterator[Callable[[Path], None]]:
    """Ends, after the test, the background suites of the folders it is given."""
    folders: list[Path] = []
    yield folders.append
    for folder in folders:
        end_suite(folder)
