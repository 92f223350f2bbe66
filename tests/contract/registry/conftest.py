"""The registry on each of its databases."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runstone_kit.database import Database
from runstone_registry.tables import SCHEMA
from support.postgres import PostgresServer
from support.registry import Registry, Templates


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("registry"))


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(
    request: pytest.FixtureRequest, templates: Templates, tmp_path: Path
) -> Iterator[Registry]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = templates.sqlite(tmp_path)
        else:
            server: PostgresServer = request.getfixturevalue("postgres")
            url = stack.enter_context(templates.postgresql(server))
        database = Database.from_url(url, schema=SCHEMA, pool_size=20, pool_timeout=30.0)
        stack.callback(database.dispose)
        yield Registry(database)
