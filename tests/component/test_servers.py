"""The servers that tests start are real, keep what they acknowledged, and come back."""

import contextlib
import io

import psycopg
import pytest

from support.postgres import PostgresServer
from support.s3 import S3Server


def test_postgres_is_durable(postgres_url: str) -> None:
    with contextlib.closing(psycopg.connect(postgres_url)) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
            assert row == ("on",), setting


def test_databases_of_two_tests_share_nothing(postgres: PostgresServer) -> None:
    with postgres.database() as one, postgres.database() as other:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE thing (id int)")
        with psycopg.connect(other) as connection:
            assert connection.execute("SELECT to_regclass('thing')").fetchone() == (None,)


def test_a_copy_of_a_template_has_its_rows(postgres: PostgresServer) -> None:
    template = postgres.create_database()
    with psycopg.connect(postgres.url(template)) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 7 AS id")
    with postgres.database(template) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM thing").fetchone() == (7,)
    postgres.drop_database(template)


@pytest.mark.faults
def test_postgres_keeps_a_commit_over_a_crash(own_postgres: PostgresServer) -> None:
    url = own_postgres.url(own_postgres.create_database())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 7 AS id")
    before = own_postgres.pid
    own_postgres.restart()
    assert own_postgres.pid != before
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM thing").fetchone() == (7,)


def test_a_bucket_is_empty_and_takes_objects(minio: S3Server, s3_bucket: str) -> None:
    bucket = s3_bucket.rsplit("/", 1)[1]
    client = minio.client()
    assert list(client.list_objects(bucket, recursive=True)) == []
    client.put_object(bucket, "a/b", io.BytesIO(b"stone"), 5)
    with contextlib.closing(client.get_object(bucket, "a/b")) as answer:
        assert answer.read() == b"stone"
    assert [entry.object_name for entry in client.list_objects(bucket, recursive=True)] == ["a/b"]


@pytest.mark.faults
def test_the_s3_server_keeps_objects_over_a_crash(own_s3: S3Server) -> None:
    bucket = own_s3.create_bucket()
    own_s3.client().put_object(bucket, "key", io.BytesIO(b"stone"), 5)
    before = own_s3.pid
    own_s3.restart()
    assert own_s3.pid != before
    with contextlib.closing(own_s3.client().get_object(bucket, "key")) as answer:
        assert answer.read() == b"stone"
