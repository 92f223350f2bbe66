"""Uploads: by stream and by URL, broken off, damaged, resumed, repeated."""

import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone_artifact import main
from runstone_artifact.service_limits import TransferSlots
from runstone_artifact.tables import SCHEMA, uploads
from runstone_kit.database import Database
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
    run_owner,
    sha256,
)
from support.processes import wait_until

BIG = 20 * MIB + 123


def commit(stub: Any, upload_id: str, **more: Any) -> pb.Artifact:
    return stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload_id, **more)).artifact


def state_of(stub: Any, upload_id: str) -> pb.Upload:
    return stub.GetUpload(pb.GetUploadRequest(upload_id=upload_id)).upload


def leftovers(server: ArtifactServer) -> list[Path]:
    root = server.folder / "objects-root"
    return [path for path in root.rglob("*") if path.is_file() and path.name != "installation"]


@pytest.mark.parametrize("size", [0, 1, MIB, BIG])
def test_a_file_by_stream(server: ArtifactServer, size: int) -> None:
    stub, data = server.stub, noise(size)
    upload = begin(stub, "f", size, presigned=False)
    assert (upload.offset, upload.size, len(upload.parts)) == (0, size, 0)
    if size:
        sent = stub.UploadChunks(chunks(upload.upload_id, data)).upload
        assert sent.offset == size
    made = commit(stub, upload.upload_id)
    assert (made.path, made.size, made.sha256) == ("f", size, sha256(data))
    assert read(stub, "f") == data


def test_commit_may_be_repeated_and_answers_the_same(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(100)
    upload = begin(stub, "f", 100)
    stub.UploadChunks(chunks(upload.upload_id, data))
    made = commit(stub, upload.upload_id, sha256=sha256(data))
    assert commit(stub, upload.upload_id) == made
    put(stub, {"f": b"another"})
    assert commit(stub, upload.upload_id, sha256=sha256(data)) == made
    assert read(stub, "f") == b"another"
    failed = failure_of(lambda: commit(stub, upload.upload_id, sha256="0" * 64))
    assert failed.reason == "DIGEST_MISMATCH"
    assert stub.UploadChunks(chunks(upload.upload_id, data)).upload.offset == 100
    stub.AbortUpload(pb.AbortUploadRequest(upload_id=upload.upload_id))
    assert state_of(stub, upload.upload_id).offset == 100


def test_known_bytes_are_not_sent_again(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(300_000)
    put(stub, {"first": data})
    request = pb.BeginUploadRequest(
        owner=run_owner(), path="second", size=len(data), sha256=sha256(data)
    )
    begun = stub.BeginUpload(request)
    assert not begun.HasField("upload")
    assert begun.artifact.sha256 == sha256(data)
    assert read(stub, "second") == data
    # A lie about the size is found out at the end, not believed.
    request.size = 5
    assert stub.BeginUpload(request).HasField("upload")


def holder_of(server: ArtifactServer, upload_id: str) -> str:
    """Who holds the upload, as the database has it."""
    url = server.settings.database_url
    assert url is not None
    with closing_database(url.get_secret_value()) as database, database.read() as connection:
        query = select(uploads.c.holder).where(uploads.c.upload_id == upload_id)
        return str(connection.execute(query).scalar_one())


@contextmanager
def closing_database(url: str) -> Iterator[Database]:
    database = Database.from_url(url, schema=SCHEMA, pool_size=1)
    try:
        yield database
    finally:
        database.dispose()


def broken(
    stream: Iterator[Any], after: int, gate: threading.Event, reached: threading.Event
) -> Iterator[Any]:
    """Sends some chunks, then waits: the test breaks the connection meanwhile."""
    for index, each in enumerate(stream):
        if index == after:
            reached.set()
            gate.wait(20)
            return
        yield each


@pytest.mark.parametrize("restart", [False, True])
def test_a_broken_upload_is_taken_up_where_it_stands(server: ArtifactServer, restart: bool) -> None:
    stub, data = server.stub, noise(BIG)
    upload_id = begin(stub, "f", BIG).upload_id
    gate, reached = threading.Event(), threading.Event()
    call = stub.UploadChunks.future(broken(chunks(upload_id, data), 15, gate, reached))
    assert reached.wait(20)
    # What is on its way when the connection breaks may arrive or not; the first part is there.
    wait_until(lambda: holder_of(server, upload_id), 10, "the upload held")
    if restart:
        server.restart()
        stub = server.stub
    else:
        call.cancel()
    gate.set()
    wait_until(lambda: not holder_of(server, upload_id), 10, "the upload let go")
    at = state_of(stub, upload_id).offset
    assert at <= 15 * MIB
    stub.UploadChunks(chunks(upload_id, data[at:], at))
    made = commit(stub, upload_id)
    assert made.sha256 == sha256(data)
    assert read(stub, "f") == data


def test_an_upload_continues_in_several_streams(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(BIG)
    upload_id = begin(stub, "f", BIG, sha256=sha256(data)).upload_id
    at = 0
    while at < BIG:
        sent = stub.UploadChunks(chunks(upload_id, data[at : at + 9 * MIB], at)).upload
        assert sent == state_of(stub, upload_id) or sent.offset > at
        at = state_of(stub, upload_id).offset
    assert commit(stub, upload_id).sha256 == sha256(data)


def test_wrong_offsets(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(100)
    upload_id = begin(stub, "f", 100).upload_id
    failed = failure_of(lambda: stub.UploadChunks(chunks(upload_id, data, 50)))
    assert failed[:3] == (
        "FAILED_PRECONDITION",
        "OFFSET_MISMATCH",
        {"upload_id": upload_id, "expected_offset": "0"},
    )
    gap = [*chunks(upload_id, data[:10]), *chunks(upload_id, data[20:], 20)]
    failed = failure_of(lambda: stub.UploadChunks(iter(gap)))
    assert failed.reason == "OFFSET_MISMATCH"
    assert failed.metadata["expected_offset"] == "10"
    at = state_of(stub, upload_id).offset
    stub.UploadChunks(chunks(upload_id, data[at:], at))
    assert commit(stub, upload_id).sha256 == sha256(data)


def test_wrong_sizes(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(100)
    upload_id = begin(stub, "f", 99).upload_id
    failed = failure_of(lambda: stub.UploadChunks(chunks(upload_id, data)))
    assert failed.reason == "SIZE_MISMATCH"
    assert (failed.metadata["expected_size"], failed.metadata["size"]) == ("99", "100")
    failed = failure_of(lambda: commit(stub, upload_id))
    assert failed[:2] == ("FAILED_PRECONDITION", "SIZE_MISMATCH")
    stub.UploadChunks(chunks(upload_id, data[:99]))
    assert commit(stub, upload_id).size == 99


def test_a_damaged_chunk_is_refused_and_sent_again(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(3 * MIB)
    upload_id = begin(stub, "f", len(data)).upload_id
    bad = list(chunks(upload_id, data))
    bad[1].crc32 ^= 1
    failed = failure_of(lambda: stub.UploadChunks(iter(bad)))
    assert failed[:3] == (
        "ABORTED",
        "CHUNK_DAMAGED",
        {"upload_id": upload_id, "expected_offset": str(MIB)},
    )
    at = state_of(stub, upload_id).offset
    assert at <= MIB
    stub.UploadChunks(chunks(upload_id, data[at:], at))
    assert commit(stub, upload_id).sha256 == sha256(data)


def test_a_wrong_digest_ends_the_upload(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(100)
    upload_id = begin(stub, "f", 100).upload_id
    stub.UploadChunks(chunks(upload_id, data))
    failed = failure_of(lambda: commit(stub, upload_id, sha256="0" * 64))
    assert failed[:3] == (
        "FAILED_PRECONDITION",
        "DIGEST_MISMATCH",
        {"upload_id": upload_id, "expected_sha256": "0" * 64, "sha256": sha256(data)},
    )
    failed = failure_of(lambda: state_of(stub, upload_id))
    assert failed[:2] == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert listed(stub) == []
    assert leftovers(server) == []
    upload_id = begin(stub, "f", 100, sha256="1" * 64).upload_id
    failed = failure_of(lambda: commit(stub, upload_id, sha256="2" * 64))
    assert failed.reason == "DIGEST_MISMATCH"
    begun, committed = "1" * 64, "2" * 64
    assert failed.message == (
        f"CommitUpload has the digest {committed} and not {begun}, with which the upload was begun"
    )


def test_checksums_of_parts_are_for_uploads_by_url(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(100)
    upload_id = begin(stub, "f", 100, presigned=False).upload_id
    stub.UploadChunks(chunks(upload_id, data))
    failed = failure_of(lambda: commit(stub, upload_id, part_crc32s=[1]))
    assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", ["part_crc32s"])
    assert commit(stub, upload_id).sha256 == sha256(data)


def test_two_writers_to_one_upload(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(2 * MIB)
    upload_id = begin(stub, "f", len(data)).upload_id
    gate = threading.Event()
    first = stub.UploadChunks.future(broken(chunks(upload_id, data), 1, gate, threading.Event()))
    wait_until(lambda: holder_of(server, upload_id), 10, "the first writer at work")
    calls = (
        lambda: stub.UploadChunks(chunks(upload_id, data)),
        lambda: commit(stub, upload_id),
        lambda: stub.AbortUpload(pb.AbortUploadRequest(upload_id=upload_id)),
    )
    for call in calls:
        failed = failure_of(call)
        assert failed[:3] == ("ABORTED", "UPLOAD_BUSY", {"upload_id": upload_id})
        assert failed.retry_after
    gate.set()
    first.result()
    at = state_of(stub, upload_id).offset
    stub.UploadChunks(chunks(upload_id, data[at:], at))
    assert commit(stub, upload_id).sha256 == sha256(data)


def test_a_silent_stream_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "TransferSlots", lambda _: TransferSlots(1, silence_s=0.3))
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/artifact.db").start()
    gate, data = threading.Event(), noise(2 * MIB)
    try:
        stub = server.stub
        upload_id = begin(stub, "f", len(data)).upload_id
        stream = broken(chunks(upload_id, data), 1, gate, threading.Event())
        assert failure_of(lambda: stub.UploadChunks(stream, timeout=20)).code == "CANCELLED"
        # What it had sent stays, and its slot is free.
        wait_until(lambda: not holder_of(server, upload_id), 10, "the upload let go")
        assert state_of(stub, upload_id).offset == MIB
        stub.UploadChunks(chunks(upload_id, data[MIB:], MIB))
        assert commit(stub, upload_id).sha256 == sha256(data)
    finally:
        gate.set()
        server.stop()


def test_an_aborted_upload_is_gone(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(BIG)
    upload_id = begin(stub, "f", BIG).upload_id
    stub.UploadChunks(chunks(upload_id, data[: 9 * MIB]))
    for _ in range(2):
        stub.AbortUpload(pb.AbortUploadRequest(upload_id=upload_id))
    for call in (
        lambda: state_of(stub, upload_id),
        lambda: commit(stub, upload_id),
        lambda: stub.UploadChunks(chunks(upload_id, data)),
    ):
        assert failure_of(call)[:2] == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert leftovers(server) == []


def test_an_upload_whose_place_was_taken_meanwhile(server: ArtifactServer) -> None:
    stub, data = server.stub, noise(100)
    upload_id = begin(stub, "f", 100).upload_id
    stub.UploadChunks(chunks(upload_id, data))
    put(stub, {"f/below": b"x"})
    assert failure_of(lambda: commit(stub, upload_id)).reason == "PATH_CONFLICT"
    failed = failure_of(lambda: begin(stub, "f", 100))
    assert failed.reason == "PATH_CONFLICT"
    stub.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=run_owner(), path="f"))
    assert commit(stub, upload_id).sha256 == sha256(data)


def test_fields_of_uploads(folder_server: ArtifactServer) -> None:
    stub = folder_server.stub
    assert failure_of(lambda: begin(stub, "f", -1)).fields == ["size"]
    assert failure_of(lambda: begin(stub, "f", 5 * 2**40 + 1)).fields == ["size"]
    assert failure_of(lambda: begin(stub, "f", 1, sha256="xyz")).fields == ["sha256"]
    begin(stub, "f", 5 * 2**40)
    for bad in ("", "x", "../" * 5, "A" * 32, "a" * 33):
        assert failure_of(lambda bad=bad: state_of(stub, bad)).fields == ["upload_id"]
        assert failure_of(lambda bad=bad: commit(stub, bad)).fields == ["upload_id"]
    upload_id = begin(stub, "g", 10 * MIB).upload_id
    large = pb.UploadChunksRequest(upload_id=upload_id, data=b"x" * (4 * MIB + 1))
    assert failure_of(lambda: stub.UploadChunks(iter([large]))).fields == ["data"]
    other = [*chunks(upload_id, b"a"), *chunks("f" * 32, b"b", 1)]
    assert failure_of(lambda: stub.UploadChunks(iter(other))).fields == ["upload_id"]


# --- By URL -----------------------------------------------------------------------------------


def put_url(part: pb.UploadPart, data: bytes) -> None:
    request = urllib.request.Request(part.url, data=data, method="PUT", headers=dict(part.headers))
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


def piece(data: bytes, part: pb.UploadPart) -> bytes:
    return data[part.offset : part.offset + part.size]


@pytest.mark.parametrize("by", ["commit", "begin", "crc32"])
def test_a_file_by_urls(s3_server: ArtifactServer, by: str) -> None:
    stub, data = s3_server.stub, noise(BIG)
    digest = sha256(data)
    upload = begin(stub, "f", BIG, presigned=True, sha256=digest if by == "begin" else "")
    assert [part.part_number for part in upload.parts] == [1, 2]
    for part in upload.parts:
        put_url(part, piece(data, part))
    crc32s = [zlib.crc32(piece(data, part)) for part in upload.parts]
    if by == "crc32":
        made = commit(stub, upload.upload_id, part_crc32s=crc32s)
    else:
        made = commit(stub, upload.upload_id, sha256=digest if by == "commit" else "")
    assert made.sha256 == digest
    assert commit(stub, upload.upload_id) == made
    assert read(stub, "f") == data
    assert state_of(stub, upload.upload_id).parts == []
    with pytest.raises(urllib.error.HTTPError):
        put_url(upload.parts[0], b"late")
    assert read(stub, "f") == data


def test_parts_that_are_missing_are_told_with_fresh_urls(s3_server: ArtifactServer) -> None:
    stub, data = s3_server.stub, noise(BIG)
    upload = begin(stub, "f", BIG, presigned=True)
    put_url(upload.parts[1], piece(data, upload.parts[1]))
    failed = failure_of(lambda: commit(stub, upload.upload_id, sha256=sha256(data)))
    assert failed.reason == "SIZE_MISMATCH"
    assert failed.metadata["size"] == str(upload.parts[1].size)
    s3_server.restart()
    stub = s3_server.stub
    again = state_of(stub, upload.upload_id)
    assert [part.part_number for part in again.parts] == [1]
    put_url(again.parts[0], piece(data, again.parts[0]))
    assert commit(stub, upload.upload_id, sha256=sha256(data)).sha256 == sha256(data)


def test_a_part_that_is_too_short(s3_server: ArtifactServer) -> None:
    stub, data = s3_server.stub, noise(BIG)
    upload = begin(stub, "f", BIG, presigned=True)
    for part in upload.parts:
        put_url(part, piece(data, part)[:-1])
    failed = failure_of(lambda: commit(stub, upload.upload_id, sha256=sha256(data)))
    assert failed.reason == "SIZE_MISMATCH"
    assert len(state_of(stub, upload.upload_id).parts) == 2


def test_wrong_bytes_by_url_are_refused(s3_server: ArtifactServer) -> None:
    stub, data = s3_server.stub, noise(BIG)
    upload = begin(stub, "f", BIG, presigned=True)
    for part in upload.parts:
        put_url(part, piece(data, part))
    assert failure_of(lambda: commit(stub, upload.upload_id)).fields == ["sha256"]
    failed = failure_of(lambda: commit(stub, upload.upload_id, sha256="0" * 64))
    assert failed[:3] == (
        "FAILED_PRECONDITION",
        "DIGEST_MISMATCH",
        {"upload_id": upload.upload_id, "expected_sha256": "0" * 64, "sha256": sha256(data)},
    )
    assert failure_of(lambda: state_of(stub, upload.upload_id)).reason == "UPLOAD_NOT_FOUND"
    assert listed(stub) == []
    collected = stub.CollectGarbage(pb.CollectGarbageRequest(dry_run=True, min_age_seconds=1))
    assert (collected.objects, collected.uploads) == (0, 0)


def test_a_part_that_was_damaged_on_the_way(s3_server: ArtifactServer) -> None:
    stub, data = s3_server.stub, noise(BIG)
    upload = begin(stub, "f", BIG, presigned=True)
    crc32s = []
    for part in upload.parts:
        sent = piece(data, part)
        crc32s.append(zlib.crc32(sent))
        put_url(part, sent if part.part_number == 1 else bytes([sent[0] ^ 1]) + sent[1:])
    failed = failure_of(lambda: commit(stub, upload.upload_id, part_crc32s=crc32s))
    assert (failed.code, failed.reason) == ("ABORTED", "CHUNK_DAMAGED")
    assert failed.metadata["expected_offset"] == str(upload.parts[1].offset)
    assert failure_of(lambda: state_of(stub, upload.upload_id)).reason == "UPLOAD_NOT_FOUND"
    assert listed(stub) == []


def test_small_files_and_folders_get_no_urls(server: ArtifactServer) -> None:
    assert not begin(server.stub, "f", 1000, presigned=True).parts
    parts = begin(server.stub, "g", BIG, presigned=True).parts
    assert bool(parts) == bool(server.settings.objects_url.get_secret_value().startswith("s3+"))


def test_chunks_for_an_upload_by_url(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server.stub, "f", BIG, presigned=True)
    failed = failure_of(lambda: s3_server.stub.UploadChunks(chunks(upload.upload_id, noise(10))))
    assert failed.fields == ["upload_id"]
