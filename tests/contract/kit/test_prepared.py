"""A statement that is a transaction of its own: done, not applicable, or an error of a kind."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from runstone_kit.database import Database
from runstone_kit.dbengine import is_dead
from runstone_kit.dberrors import LostRace
from runstone_kit.dbprepared import Prepared
from runstone_kit.errors import ResourceExhausted, Unavailable
from support.processes import wait_until

INSERT = "INSERT INTO numbers SELECT 100 / $1::int8 RETURNING n"


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    made = Database.from_url(postgres_url, schema="public")
    with made.write() as connection:
        connection.execute(text("CREATE TABLE numbers (n int8 PRIMARY KEY)"))
    yield made
    made.dispose()


@pytest.fixture
def prepared(database: Database) -> Prepared:
    return database.prepared(INSERT)


def number(value: int) -> bytes:
    return struct.pack(">q", value)


def numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT n FROM numbers ORDER BY n")).scalars())


def backends(database: Database) -> int:
    found = text("SELECT count(*) FROM pg_stat_activity WHERE query = :query")
    with database.read() as connection:
        return int(connection.execute(found, {"query": INSERT}).scalar_one())


def end_backends(database: Database) -> None:
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = :query")
    with database.read() as connection:
        connection.execute(ended, {"query": INSERT})
    wait_until(lambda: not backends(database), 30, "the end of the statement's connections")


def test_it_is_done_or_does_not_apply(database: Database, prepared: Prepared) -> None:
    assert database.run_prepared(prepared, [number(5)]) is True
    assert database.run_prepared(prepared, [number(0)]) is False
    assert database.run_prepared(prepared, [number(10)]) is True
    assert numbers(database) == [10, 20]
    assert backends(database) == 1


def test_a_connection_that_died_while_idle_is_replaced(
    database: Database, prepared: Prepared
) -> None:
    assert database.run_prepared(prepared, [number(5)])
    end_backends(database)
    # The server has it off its list a moment before the goodbye is here.
    [idle] = prepared._idle
    wait_until(lambda: is_dead(idle.driver_connection), 30, "the goodbye")
    assert database.run_prepared(prepared, [number(10)])
    assert numbers(database) == [10, 20]


def test_a_connection_that_is_lost_in_use_is_unavailable(
    database: Database, prepared: Prepared
) -> None:
    slow = database.prepared("SELECT pg_sleep($1::int8)")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(database.run_prepared, slow, [number(60)])
        ended = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        with database.read() as connection:
            wait_until(
                lambda: bool(connection.execute(ended).scalars().all()), 30, "the sleeping backend"
            )
        with pytest.raises(Unavailable) as lost:
            asked.result(30)
    assert lost.value.reason == "DATABASE_UNAVAILABLE"
    assert database.run_prepared(prepared, [number(5)])


def test_other_python_runs_meanwhile(database: Database) -> None:
    slow = database.prepared("SELECT pg_sleep($1::int8)")
    turns = 0
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(database.run_prepared, slow, [number(1)])
        while not asked.done():
            turns += 1
            threading.Event().wait(0.01)
        assert asked.result() is True
    assert turns > 10


def test_errors_are_kinds(database: Database, prepared: Prepared) -> None:
    assert database.run_prepared(prepared, [number(5)])
    with pytest.raises(IntegrityError, match="duplicate key"):
        database.run_prepared(prepared, [number(5)])
    with database.write() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(text("LOCK TABLE numbers"))
        with pytest.raises(Unavailable) as locked:
            pool.submit(database.run_prepared, prepared, [number(10)]).result(30)
    assert locked.value.reason == "OVERLOADED"
    failing = {"40001": LostRace, "53100": ResourceExhausted}
    for state, kind in failing.items():
        name = f"fails_{state}"
        with database.write() as connection:
            connection.exec_driver_sql(
                f"CREATE FUNCTION {name}() RETURNS int8 LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION USING errcode = '{state}'; END $$"
            )
        with pytest.raises(kind):
            database.run_prepared(database.prepared(f"SELECT {name}()"), [])
    assert numbers(database) == [20]


def test_a_pooler_that_knows_nothing_of_it_makes_it_not_apply(
    database: Database, prepared: Prepared
) -> None:
    assert database.run_prepared(prepared, [number(5)])
    [connection] = prepared._idle
    connection.driver_connection.execute("DEALLOCATE ALL")
    assert database.run_prepared(prepared, [number(10)]) is False
    assert database.run_prepared(prepared, [number(10)]) is True


def test_a_database_that_is_away_is_unavailable() -> None:
    away = Database.from_url("postgresql://u@127.0.0.1:9/x", schema="public")
    with pytest.raises(Unavailable):
        away.run_prepared(away.prepared(INSERT), [number(1)])


def test_threads_have_connections_of_their_own(database: Database) -> None:
    together = database.prepared("SELECT pg_sleep(0.2), $1::int8")
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: database.run_prepared(together, [number(1)]), range(12)))
    assert done == [True] * 12
    assert len(together._idle) <= 2
    database.dispose()
    assert together._idle == []


def test_a_connection_in_use_is_closed_when_it_comes_back(
    database: Database, prepared: Prepared
) -> None:
    slow = database.prepared("SELECT pg_sleep(0.5), $1::int8")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(database.run_prepared, slow, [number(1)])
        time.sleep(0.2)
        database.dispose()
        assert asked.result(30) is True
    assert slow._idle == []
    assert database.run_prepared(prepared, [number(5)])


def test_a_pooler_that_knows_it_already(database: Database) -> None:
    one, other = database.prepared(INSERT), database.prepared(INSERT)
    assert database.run_prepared(one, [number(5)])
    [connection] = one._idle
    state = connection.driver_connection.pgconn.prepare(one._name, INSERT.encode())
    assert one._checked(connection.driver_connection.pgconn, state) == "42P05"
    assert other._name == one._name
    assert database.prepared("SELECT 1 / $1::int8")._name != one._name
