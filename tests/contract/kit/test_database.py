"""What stores may rely on, on SQLite and on PostgreSQL alike."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from runstone_kit.context import RequestContext, use
from runstone_kit.database import Database, driver_connection
from runstone_kit.dberrors import LostRace
from runstone_kit.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from support.postgres import PostgresServer

SCHEMA = "runstone_probe"

things = Table(
    "things",
    MetaData(schema=SCHEMA),
    Column("id", BigInteger, primary_key=True),
    Column("name", Text),
)


def prepare(database: Database) -> Database:
    """The schema and an empty table of things."""
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        things.create(connection)
    return database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'probe.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with opened(url, pool_size=4, pool_timeout=0.2) as made:
        yield made


@contextlib.contextmanager
def opened(url: str, **options: Any) -> Iterator[Database]:
    database = Database.from_url(url, schema=SCHEMA, **options)
    try:
        yield prepare(database)
    finally:
        database.dispose()


def add(connection: Connection, thing: int) -> None:
    connection.execute(insert(things).values(id=thing, name=f"thing {thing}"))


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(things.c.id)).all())


def test_a_write_is_committed_at_the_end(database: Database) -> None:
    with database.write() as connection:
        add(connection, 1)
        add(connection, 2)
    assert count(database) == 2


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        add(connection, 1)
        raise KeyError

    with pytest.raises(KeyError):
        database.run_write(fail)
    assert count(database) == 0
    with database.write() as connection:
        add(connection, 1)
    assert count(database) == 1


def test_a_broken_constraint_is_the_stores_to_explain(database: Database) -> None:
    with database.write() as connection:
        add(connection, 1)
    with pytest.raises(IntegrityError), database.write() as connection:
        add(connection, 1)


def test_a_defect_of_ours_is_no_kind(database: Database) -> None:
    with pytest.raises(Exception, match="nowhere") as caught, database.read() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, (Unavailable, ResourceExhausted))
    assert database.dialect == "sqlite" or isinstance(caught.value, ProgrammingError)


def test_a_snapshot_does_not_see_what_came_later(database: Database) -> None:
    with database.read(snapshot=True) as connection:
        before = connection.execute(select(things.c.id)).all()
        with ThreadPoolExecutor(1) as other:
            other.submit(write_one, database, 1).result()
        assert connection.execute(select(things.c.id)).all() == before == []
    assert count(database) == 1


def write_one(database: Database, thing: int) -> None:
    with database.write() as connection:
        add(connection, thing)


def test_a_snapshot_streams(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(things), [{"id": n, "name": "x"} for n in range(1000)])
    with database.read(snapshot=True) as connection:
        rows = connection.execution_options(yield_per=100).execute(select(things.c.id))
        assert sum(row.id for row in rows) == 499500


ENDLESS = """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
    SELECT count(*) FROM n
"""


def test_a_bounded_read_ends_with_its_caller(database: Database) -> None:
    began = time.monotonic()
    with (
        use(RequestContext(deadline=began + 0.2)),
        pytest.raises(DeadlineExceeded),
        database.read(snapshot=True, bounded=True) as connection,
    ):
        connection.execute(text(ENDLESS))
    # Neither the connection nor a read without a deadline keeps the limit.
    some = ENDLESS.replace("1000000000", "100000")
    with database.read(snapshot=True, bounded=True) as connection:
        assert connection.execute(text(some)).scalar_one() == 100_000
        if database.dialect == "postgresql":
            assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"


def test_blocks_do_not_nest(database: Database) -> None:
    with pytest.raises(RuntimeError, match="nest"), database.read(), database.read():
        pass
    database.ping()


def test_a_busy_pool_refuses_instead_of_hanging(database: Database) -> None:
    release = threading.Event()
    inside = threading.Barrier(5)

    def hold() -> None:
        with database.read():
            inside.wait(10)
            release.wait(10)

    holders = [threading.Thread(target=hold) for _ in range(4)]
    for holder in holders:
        holder.start()
    inside.wait(10)
    with pytest.raises(ResourceExhausted) as caught, database.read():
        pass
    release.set()
    for holder in holders:
        holder.join()
    assert caught.value.reason == "OVERLOADED"
    assert caught.value.retry_after is not None
    database.ping()


def test_writers_wait_for_each_other_and_lose_nothing(url: str) -> None:
    with opened(url, pool_size=8) as database:

        def work(number: int) -> None:
            for step in range(10):
                with database.write() as connection:
                    add(connection, number * 10 + step)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert count(database) == 80


def test_a_lost_race_is_repeated_by_run_write(database: Database) -> None:
    attempts: list[int] = []

    def work(connection: Connection) -> str:
        attempts.append(1)
        add(connection, len(attempts))
        if len(attempts) < 3:
            raise LostRace
        return "done"

    assert database.run_write(work) == "done"
    assert (len(attempts), count(database)) == (3, 1)

    def always(_connection: Connection) -> None:
        raise LostRace

    with pytest.raises(LostRace):
        database.run_write(always, attempts=2)


def test_the_drivers_connection_can_be_had(database: Database) -> None:
    with database.write() as connection:
        raw = driver_connection(connection)
        raw.execute(f"INSERT INTO {database.qualified('things')} VALUES (7, 'seven')")
    assert count(database) == 1


def test_no_password_in_the_error_for_a_bad_url() -> None:
    for bad in ("mysql://u:sesame@h/d", "sesame", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(ValueError, match="database") as caught:
            Database.from_url(bad, schema=SCHEMA)
        assert "sesame" not in str(caught.value)


def test_sqlite_is_durable_and_checked(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'a.db'}") as database:
        for block in (database.read, database.write):
            with block() as connection:
                pragmas = {
                    name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                    for name in ("journal_mode", "synchronous", "foreign_keys")
                }
            assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_full_sqlite_disk_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'a.db'}") as database:

        def fill(connection: Connection) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 8")
            connection.execute(insert(things).values(id=1, name="x" * 100_000))

        with pytest.raises(ResourceExhausted) as caught:
            database.run_write(fill)
        assert caught.value.reason == "STORAGE_FULL"
        assert count(database) == 0


def test_a_sqlite_file_in_no_folder_is_unavailable(tmp_path: Path) -> None:
    database = Database.from_url(f"sqlite:///{tmp_path / 'no' / 'a.db'}", schema=SCHEMA)
    with pytest.raises(Unavailable):
        database.ping()


def deadlock(database: Database, both: threading.Barrier, order: tuple[int, int]) -> None:
    first_try = True

    def work(connection: Connection) -> None:
        nonlocal first_try
        statement = text(f"UPDATE {database.qualified('things')} SET name = 'y' WHERE id = :id")
        connection.execute(statement, {"id": order[0]})
        if first_try:
            first_try = False
            both.wait(10)
        connection.execute(statement, {"id": order[1]})

    database.run_write(work)


def test_a_real_deadlock_is_repeated(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        with database.write() as connection:
            add(connection, 1)
            add(connection, 2)
        both = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(deadlock, database, both, order) for order in ((1, 2), (2, 1))]
            for future in futures:
                future.result(20)


def test_an_empty_write_is_two_round_trips(postgres_url: str, tmp_path: Path) -> None:
    with opened(postgres_url) as database:
        database.ping()
        trace = tmp_path / "trace"
        with trace.open("w") as file:
            with database.read() as connection:
                pgconn = driver_connection(connection).pgconn
            pgconn.trace(file.fileno())
            with database.write():
                pass
            pgconn.untrace()
    sent = [line for line in trace.read_text().splitlines() if "ReadyForQuery" in line]
    assert len(sent) == 2


@pytest.mark.faults
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_first_call_after_a_restart_succeeds(end: str) -> None:
    with contextlib.closing(PostgresServer()) as server:
        server.start()
        url = server.url(server.create_database())
        with opened(url, pool_size=3) as database:
            calls: list[Callable[[], None]] = [
                lambda: write_one(database, 1),
                database.ping,
                lambda: write_one(database, 2),
            ]
            for call in calls:
                fill_pool(database, 3)
                getattr(server, end)()
                with pytest.raises(Unavailable) as caught:
                    database.ping()
                assert caught.value.reason == "DATABASE_UNAVAILABLE"
                server.start()
                call()
            assert count(database) == 2


def fill_pool(database: Database, size: int) -> None:
    """Leaves `size` idle connections in the pool."""
    inside = threading.Barrier(size)

    def use() -> None:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
            inside.wait(10)

    with ThreadPoolExecutor(size) as pool:
        for future in [pool.submit(use) for _ in range(size)]:
            future.result()


@pytest.mark.faults
def test_idle_connections_that_died_cost_no_call() -> None:
    with contextlib.closing(PostgresServer()) as server:
        server.start()
        with opened(server.url(server.create_database()), pool_size=3) as database:
            for number, call in enumerate((database.ping, lambda: write_one(database, 9))):
                fill_pool(database, 3)
                server.restart()
                call()
                assert count(database) == number


@pytest.mark.faults
def test_a_connection_lost_in_a_write_is_unavailable() -> None:
    with contextlib.closing(PostgresServer()) as server:
        server.start()
        with opened(server.url(server.create_database())) as database:

            def work(connection: Connection) -> None:
                add(connection, 1)
                server.restart()
                add(connection, 2)

            with pytest.raises(Unavailable):
                database.run_write(work)
            assert count(database) == 0
