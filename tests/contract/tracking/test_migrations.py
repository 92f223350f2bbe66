"""What older data become when the schema is brought up to date, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from runstone_kit import migrate
from runstone_kit.database import Database
from runstone_tracking.tables_metrics import metric_writers
from support import tracking


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'tracking.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with tracking.opened(url) as database:
        yield database


def test_writers_go_on_where_their_segments_end(empty: Database) -> None:
    migrate.upgrade(empty, tracking.MIGRATIONS, "0003")
    with empty.write() as connection:
        connection.execute(
            text(
                f"INSERT INTO {empty.qualified('runs')} (run_id, experiment_id, name, status,"
                " stage, user_id, start_time) VALUES ('a', 0, 'n', 'RUNNING', 'active', '', 1)"
            )
        )
        for writer, sequence in (("v", 1), ("w", 1), ("w", 2), ("w", 7)):
            connection.execute(
                text(
                    f"INSERT INTO {empty.qualified('metric_segments')} (run_id, writer_id,"
                    " sequence, points, digest, header, payload)"
                    " VALUES ('a', :writer, :sequence, 1, :bytes, :bytes, :bytes)"
                ),
                {"writer": writer, "sequence": sequence, "bytes": b"x"},
            )
    migrate.upgrade(empty, tracking.MIGRATIONS)
    with empty.read() as connection:
        rows = connection.execute(select(metric_writers).order_by(metric_writers.c.writer_id))
        assert [tuple(row) for row in rows] == [("a", "v", 1), ("a", "w", 7)]
