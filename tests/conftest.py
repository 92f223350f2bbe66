"""Fixtures that more than one kind of test uses. What they start, they stop."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import runstone
from support import binaries, processes, suites, tracking
from support.postgres import PostgresServer
from support.s3 import S3Server


def pytest_configure() -> None:
    """Has Ctrl-C end what tests start, whoever runs them: a shell's background job ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Has the servers installed before the first test, whose time limit is not for building."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    try:
        if wanted & {"postgres", "own_postgres"}:
            binaries.postgres_programs()
        if wanted & {"minio", "own_s3"}:
            binaries.s3_program(binaries.chosen_s3())
    except binaries.Unobtainable as error:
        pytest.exit(f"The tests cannot run: {error}", returncode=1)


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def own_journals(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test logs waits for delivery in a folder of its own; processes inherit it."""
    state = tmp_path_factory.getbasetemp() / f"state-{next(_numbers)}"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL shared by the session. Tests that kill one take `own_postgres`."""
    with contextlib.closing(PostgresServer()) as server:
        server.start()
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database for this one test."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="module")
def postgres_module_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database that the tests of one file share."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def minio() -> Iterator[S3Server]:
    """An S3 server shared by the session: MinIO, or what RUNSTONE_TEST_S3 names."""
    with contextlib.closing(S3Server()) as server:
        server.start()
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that this one test may kill."""
    with contextlib.closing(PostgresServer()) as server:
        server.start()
        yield server


@pytest.fixture
def own_s3() -> Iterator[S3Server]:
    """An S3 server that this one test may kill."""
    with contextlib.closing(S3Server()) as server:
        server.start()
        yield server


@pytest.fixture
def s3_bucket(minio: S3Server) -> str:
    """The URL of an empty bucket for this one test."""
    return minio.url(minio.create_bucket())


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    return processes.free_port()


@pytest.fixture
def wait_until() -> Callable[..., object]:
    """wait_until(condition, deadline): the only way to wait in a test."""
    return processes.wait_until


@pytest.fixture(scope="session")
def tracking_template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """template("sqlite" | "postgresql"): a migrated tracking database to copy, made once."""
    made: dict[str, str] = {}

    def template(dialect: str) -> str:
        if dialect not in made:
            if dialect == "sqlite":
                made[dialect] = str(tmp_path_factory.mktemp("tracking") / "template.db")
                tracking.migrate_database(f"sqlite:///{made[dialect]}")
            else:
                server: PostgresServer = request.getfixturevalue("postgres")
                made[dialect] = server.create_database()
                tracking.migrate_database(server.url(made[dialect]))
        return made[dialect]

    return template


@pytest.fixture(params=["sqlite", "postgresql"])
def tracking_url(
    request: pytest.FixtureRequest, tracking_template: Callable[[str], str], tmp_path: Path
) -> Iterator[str]:
    """The URL of a migrated, empty tracking database for this one test, on each database."""
    template = tracking_template(request.param)
    if request.param == "sqlite":
        copy = tmp_path / "tracking.db"
        shutil.copyfile(template, copy)
        yield f"sqlite:///{copy}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database(template) as url:
        yield url


@pytest.fixture
def target(tmp_path: Path) -> Iterator[runstone.Client]:
    """An empty suite of ours that something is brought over to."""
    with suites.suite(tmp_path / "data", background=True):
        client = runstone.Client(f"file:{tmp_path / 'data'}")
        yield client
        client.close()
