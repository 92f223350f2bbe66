"""The artifact service over real gRPC: SQLite and a folder, PostgreSQL and S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.artifact import ArtifactServer


@pytest.fixture(params=["sqlite-folder", "postgresql-s3"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactServer]:
    if request.param == "sqlite-folder":
        server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/artifact.db")
    else:
        url = request.getfixturevalue("postgres_url")
        server = ArtifactServer(tmp_path, url, request.getfixturevalue("s3_bucket"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def folder_server(tmp_path: Path) -> Iterator[ArtifactServer]:
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/artifact.db").start()
    yield server
    server.stop()


@pytest.fixture
def s3_server(tmp_path: Path, s3_bucket: str) -> Iterator[ArtifactServer]:
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/artifact.db", s3_bucket).start()
    yield server
    server.stop()
