"""Stored bytes that are lost or damaged: told, never referred to anew, healed when sent again."""

from collections.abc import Callable, Iterator

import pytest
from blake3 import blake3

from runstone import _transfer
from runstone.artifact.v1 import artifact_pb2 as pb
from runstone_artifact import main
from runstone_artifact.store import ObjectStore
from runstone_artifact.tables import blobs
from support.artifact import (
    MIB,
    ArtifactServer,
    begin,
    chunks,
    failure_of,
    noise,
    put,
    read,
    run_owner,
    sha256,
)

Damage = Callable[[ObjectStore], None]


def remove(objects: ObjectStore) -> None:
    for each in list(objects.list_objects()):
        objects.delete(each.key)


def cut(objects: ObjectStore) -> None:
    replace(objects, lambda data: data[:-1])


def flip(objects: ObjectStore) -> None:
    replace(objects, lambda data: bytes([data[0] ^ 1]) + data[1:])


def replace(objects: ObjectStore, change: Callable[[bytes], bytes]) -> None:
    for each in list(objects.list_objects()):
        data = b"".join(objects.read(each.key, 0, each.size))
        objects.delete(each.key)
        objects.put(each.key, [change(data)])


@pytest.fixture
def objects(server: ArtifactServer) -> Iterator[ObjectStore]:
    """The server's store, behind its back."""
    store = main.open_objects(server.settings)
    yield store
    store.close()


def scrub(server: ArtifactServer) -> list[str]:
    return [
        each.problem[:9] for each in server.stub.ScrubArtifacts(pb.ScrubArtifactsRequest()).damaged
    ]


def send(server: ArtifactServer, path: str, data: bytes, *, promised: bool = True) -> None:
    """By stream, with or without telling the digest first."""
    digest = sha256(data) if promised else ""
    upload = begin(server.stub, path, len(data), sha256=digest)
    assert upload.upload_id, "the server must not take the bytes for stored"
    server.stub.UploadChunks(chunks(upload.upload_id, data))
    server.stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload.upload_id))


def send_by_url(server: ArtifactServer, path: str, data: bytes) -> None:
    # By the client, which takes a stream where the store gives no URLs.
    source = server.folder / "source"
    source.write_bytes(data)
    _transfer.upload_file(server.transfers(), run_owner(), source, path)


@pytest.mark.parametrize("damage", [remove, cut])
@pytest.mark.parametrize("how", ["put", "promised", "unpromised", "url"])
def test_lost_bytes_are_replaced_though_nobody_scrubbed(
    server: ArtifactServer, objects: ObjectStore, how: str, damage: Damage
) -> None:
    data = noise(17 * MIB if how == "url" else 300_000)
    before = noise(5, 7)
    if how == "put":
        put(server.stub, {"old": data, "small": before})
    else:
        send(server, "old", data)
    damage(objects)
    if how == "put":
        put(server.stub, {"new": data, "again": before})
        assert read(server.stub, "small") == read(server.stub, "again") == before
    elif how == "url":
        send_by_url(server, "new", data)
    else:
        send(server, "new", data, promised=how == "promised")
    assert read(server.stub, "new") == data
    assert read(server.stub, "old") == data
    assert scrub(server) == []


@pytest.mark.parametrize("how", ["put", "promised", "unpromised"])
def test_other_bytes_are_told_by_the_scrub_and_replaced(
    server: ArtifactServer, objects: ObjectStore, how: str
) -> None:
    data = noise(300_000)
    put(server.stub, {"old": data})
    flip(objects)
    assert scrub(server) == ["sha256 is"]
    failed = failure_of(lambda: read(server.stub, "old"))
    assert failed[:3] == ("DATA_LOSS", "OBJECT_DAMAGED", {"sha256": sha256(data)})
    # What was found is kept: a service that starts anew knows it.
    server.restart()
    if how == "put":
        put(server.stub, {"new": data})
    else:
        send(server, "new", data, promised=how == "promised")
    assert read(server.stub, "old") == read(server.stub, "new") == data
    assert scrub(server) == []


def test_a_copy_is_healed_with_its_source(server: ArtifactServer, objects: ObjectStore) -> None:
    data = noise(1000)
    put(server.stub, {"f": data})
    to = pb.Owner(model_version_id="b" * 32)
    server.stub.CopyArtifacts(
        pb.CopyArtifactsRequest(source=run_owner(), destination=to, seal=True)
    )
    remove(objects)
    request = pb.DownloadArtifactRequest(owner=to, path="f")
    failed = failure_of(lambda: list(server.stub.DownloadArtifact(request)))
    assert (failed.code, failed.reason) == ("DATA_LOSS", "OBJECT_DAMAGED")
    put(server.stub, {"f": data})
    assert b"".join(each.data for each in server.stub.DownloadArtifact(request)) == data


def test_bytes_that_came_back_are_cleared_by_the_scrub(
    server: ArtifactServer, objects: ObjectStore
) -> None:
    data = noise(1000)
    put(server.stub, {"f": data})
    flip(objects)
    assert scrub(server) == ["sha256 is"]
    flip(objects)
    assert failure_of(lambda: read(server.stub, "f")).reason == "OBJECT_DAMAGED"
    assert scrub(server) == []
    assert read(server.stub, "f") == data


def test_a_damaged_file_has_no_url(s3_server: ArtifactServer) -> None:
    put(s3_server.stub, {"f": noise(300_000)})
    store = main.open_objects(s3_server.settings)
    flip(store)
    store.close()
    scrub(s3_server)
    request = pb.CreateDownloadUrlsRequest(owner=run_owner(), paths=["f"])
    assert s3_server.stub.CreateDownloadUrls(request).urls[0].url == ""


def test_two_uploads_of_lost_bytes_at_once(server: ArtifactServer, objects: ObjectStore) -> None:
    data = noise(300_000)
    put(server.stub, {"old": data})
    remove(objects)
    uploads = [begin(server.stub, name, len(data)) for name in ("one", "two")]
    for upload in uploads:
        server.stub.UploadChunks(chunks(upload.upload_id, data))
    for upload in uploads:
        server.stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload.upload_id))
    assert all(read(server.stub, name) == data for name in ("old", "one", "two"))


def test_every_way_in_tells_the_blake3(server: ArtifactServer) -> None:
    data = noise(300_000)
    put(server.stub, {"put": data})
    send(server, "stream", noise(300_001), promised=False)
    send_by_url(server, "url", noise(17 * MIB))
    listed = server.stub.ListArtifacts(pb.ListArtifactsRequest(owner=run_owner())).artifacts
    expected = {"put": data, "stream": noise(300_001), "url": noise(17 * MIB)}
    assert {each.path: each.blake3 for each in listed} == {
        path: blake3(each).hexdigest() for path, each in expected.items()
    }
    for path in expected:
        request = pb.GetArtifactRequest(owner=run_owner(), path=path)
        assert server.stub.GetArtifact(request).artifact in listed


def test_files_from_before_blake3_are_verified_and_scrubbed(server: ArtifactServer) -> None:
    data = noise(9 * MIB)
    send(server, "f", data)
    forget_blake3(server)
    stub = server.transfers()
    assert _transfer.read_file(stub, run_owner(), "f") == data
    got = _transfer.download(stub, run_owner(), "f", server.folder / "down")
    assert got.read_bytes() == data
    # Bytes that are known already are not asked for again, although one digest is missing.
    request = pb.BeginUploadRequest(
        owner=run_owner(), path="g", size=len(data), sha256=sha256(data)
    )
    assert server.stub.BeginUpload(request).artifact.blake3 == ""
    assert scrub(server) == []
    assert (
        server.stub.GetArtifact(pb.GetArtifactRequest(owner=run_owner(), path="g")).artifact.blake3
        == blake3(data).hexdigest()
    )


def forget_blake3(server: ArtifactServer) -> None:
    """As after the migration of an older service's rows."""
    database = main.open_database(server.settings)
    database.run_write(lambda connection: connection.execute(blobs.update(), {"blake3": None}))
    database.dispose()
