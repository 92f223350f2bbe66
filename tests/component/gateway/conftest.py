"""A suite with HTTP, embedded and on PostgreSQL with an object store; shared by a file's tests."""

from collections.abc import Iterator

import pytest

from support.http_gateway import Gateway, gateway
from support.s3 import S3Server


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("embedded")) as started:
        yield started


@pytest.fixture(scope="module")
def on_s3(
    tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str, minio: S3Server
) -> Iterator[Gateway]:
    told = {
        "RUNSTONE_DATABASE_URL": postgres_module_url,
        "RUNSTONE_OBJECTS_URL": minio.url(minio.create_bucket()),
    }
    with gateway(tmp_path_factory.mktemp("s3"), **told) as started:
        yield started


@pytest.fixture(params=["embedded", "on_s3"])
def server(request: pytest.FixtureRequest) -> Gateway:
    found: Gateway = request.getfixturevalue(request.param)
    return found
