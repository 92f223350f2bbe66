"""Fixtures that more than one kind of test uses. What they start, they stop."""

from collections.abc import Callable, Iterator

import pytest

from support import binaries, processes
from support.postgres import PostgresServer
from support.s3 import S3Server


def pytest_collection_finish(session: pytest.Session) -> None:
    """Has the servers installed before the first test, whose time limit is not for building."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    try:
        if "postgres" in wanted:
            binaries.postgres_programs()
        if "minio" in wanted:
            binaries.s3_program(binaries.chosen_s3())
    except binaries.Unobtainable as error:
        pytest.exit(f"The tests cannot run: {error}", returncode=1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL shared by the session. Tests that kill one start their own."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


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
    server = S3Server()
    try:
        server.start()
        yield server
    finally:
        server.close()


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
