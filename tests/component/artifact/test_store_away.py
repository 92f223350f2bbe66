"""The object store full, away and back; the service restarted under what it holds."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio
from structlog.testing import capture_logs

from runstone.artifact.v1 import artifact_pb2 as pb
from support.artifact import (
    MIB,
    ArtifactServer,
    begin,
    chunks,
    failure_of,
    listed,
    noise,
    put,
    read,
)
from support.full_disk import FullDisk
from support.processes import wait_until
from support.s3 import S3Server


@pytest.fixture
def full(tmp_path: Path) -> Iterator[FullDisk]:
    disk = FullDisk(tmp_path / "small", 12 * MIB)
    yield disk
    disk.close()


def test_a_full_disk(full: FullDisk, tmp_path: Path) -> None:
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/a.db", str(full.folder)).start()
    try:
        stub = server.stub
        put(stub, {"kept": b"kept"})
        upload_id = begin(stub, "big", 32 * MIB).upload_id
        failed = failure_of(lambda: stub.UploadChunks(chunks(upload_id, noise(32 * MIB))))
        assert failed[:2] == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
        assert failed.retry_after
        failed = failure_of(lambda: put(stub, {"a": noise(3 * MIB), "b": noise(MIB, 2)}))
        assert failed[:2] == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
        assert listed(stub) == ["kept"]
        assert read(stub, "kept") == b"kept"
        stub.AbortUpload(pb.AbortUploadRequest(upload_id=upload_id))
        files = [path for path in full.folder.rglob("*") if path.is_file()]
        left = [path for path in files if path.name != "installation"]
        assert [path.read_bytes() for path in left] == [b"kept"]
        put(stub, {"a": noise(3 * MIB), "b": noise(MIB, 2)})
        assert listed(stub) == ["a", "b", "kept"]
    finally:
        server.stop()


def test_an_object_store_that_is_killed_and_started_again(tmp_path: Path) -> None:
    minio = S3Server()
    minio.start()
    url = minio.url(minio.create_bucket())
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/a.db", url).start()
    try:
        stub = server.stub
        data = noise(20 * MIB)
        put(stub, {"f": b"before"})
        upload_id = begin(stub, "big", len(data)).upload_id
        stub.UploadChunks(chunks(upload_id, data[: 9 * MIB]))
        minio.kill()
        for call in (
            lambda: put(stub, {"g": b"x"}),
            lambda: read(stub, "f"),
            lambda: begin(stub, "h", 100 * MIB),
        ):
            failed = failure_of(call)
            assert failed[:2] == ("UNAVAILABLE", "OBJECT_STORE_UNAVAILABLE")
        minio.start()
        wait_until(lambda: put(stub, {"g": b"after"}), 15, "a put after the restart")
        at = stub.GetUpload(pb.GetUploadRequest(upload_id=upload_id)).upload.offset
        assert at == 8 * MIB
        stub.UploadChunks(chunks(upload_id, data[at:], at))
        stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload_id))
        assert read(stub, "big") == data
        assert listed(stub) == ["big", "f", "g"]
    finally:
        server.stop()
        minio.close()


def remove(bucket: Minio, name: str) -> None:
    for each in bucket.list_objects(name, recursive=True):
        bucket.remove_object(name, str(each.object_name))
    bucket.remove_bucket(name)


def test_a_bucket_that_is_lost_is_told_and_not_made_anew(tmp_path: Path, minio: S3Server) -> None:
    name = f"lost-{uuid.uuid4().hex}"
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/a.db", minio.url(name)).start()
    bucket = minio.client()
    try:
        # Nothing is stored yet, so it was made.
        assert bucket.bucket_exists(name)
        put(server.stub, {"f": b"kept"})
        remove(bucket, name)
        assert server.running is not None
        assert not server.running.readiness.ask()
        assert (
            failure_of(lambda: put(server.stub, {"g": b"x"})).reason == "OBJECT_STORE_UNAVAILABLE"
        )
        # One that somebody makes instead is this service's before anything is written to it.
        bucket.make_bucket(name)
        assert server.running.readiness.ask()
        assert len(list(bucket.list_objects(name, recursive=True))) == 1
        remove(bucket, name)
        server.stop()
        with capture_logs() as lines:
            server.start()
            assert not server.running.readiness.ask()
        [lost] = [line for line in lines if line["event"] == "not ready"]
        assert f"/{name}: the bucket is gone" in lost["reason"]
        assert not bucket.bucket_exists(name)
        bucket.make_bucket(name)
        assert server.running.readiness.ask()
        put(server.stub, {"g": b"after"})
        assert read(server.stub, "g") == b"after"
    finally:
        server.stop()


def test_a_store_that_was_away_at_the_start_and_is_anothers(tmp_path: Path) -> None:
    minio = S3Server()
    minio.start()
    url = minio.url(minio.create_bucket())
    owner = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/a.db", url)
    other = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/b.db", url)
    try:
        owner.start()
        put(owner.stub, {"f": b"kept"})
        owner.stop()
        minio.kill()
        other.start()
        assert failure_of(lambda: put(other.stub, {"g": b"x"})).reason == "OBJECT_STORE_UNAVAILABLE"
        assert other.running is not None
        minio.start()

        def refused() -> bool:
            calls = (lambda: put(other.stub, {"g": b"x"}), lambda: begin(other.stub, "h", 9 * MIB))
            return {failure_of(call).reason for call in calls} == {"STORE_OF_ANOTHER"}

        wait_until(refused, 15, "a put that is refused")
        assert not other.running.readiness.ask()
        # What is away at the start of its own service is claimed when it is back.
        minio.kill()
        owner.start()
        minio.start()
        wait_until(lambda: put(owner.stub, {"g": b"after"}), 15, "a put after the restart")
        assert read(owner.stub, "f") == b"kept"
    finally:
        owner.stop()
        other.stop()
        minio.close()


def test_a_store_that_is_away_is_told_once(free_port: int, tmp_path: Path) -> None:
    url = f"s3+http://key:hush@127.0.0.1:{free_port}/bucket"
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/a.db", url)
    with capture_logs() as lines:
        server.start()
        assert server.running is not None
        for _ in range(3):
            assert not server.running.readiness.ask()
        server.stop()
    [away] = [line for line in lines if line["event"] == "not ready"]
    assert f"127.0.0.1:{free_port}/bucket: " in away["reason"]
    assert "refused" in away["reason"]
    assert len([line for line in lines if line["event"] == "object store away"]) <= 1
    assert "hush" not in str(lines)
