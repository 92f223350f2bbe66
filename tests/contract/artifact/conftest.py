"""The row store on each database, the object store in a folder and in S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone_artifact.objectstore_folder import FolderObjectStore
from runstone_artifact.objectstore_s3 import S3Address, S3ObjectStore
from runstone_artifact.sqlstore import SqlArtifactStore
from runstone_artifact.store import ObjectStore
from runstone_kit.database import Database
from support import artifact


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/artifact.db"
    else:
        url = request.getfixturevalue("postgres_url")
    with artifact.opened(url) as database:
        yield database


@pytest.fixture
def rows(database: Database) -> SqlArtifactStore:
    return SqlArtifactStore(database)


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "folder":
        yield FolderObjectStore(tmp_path / "objects")
        return
    store = S3ObjectStore(S3Address.parse(request.getfixturevalue("s3_bucket")))
    store.prepare()
    store.ping()
    yield store
    store.close()
