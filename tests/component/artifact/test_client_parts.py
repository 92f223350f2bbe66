"""Uploads by URL whose parts the client cuts, and whose size nobody tells beforehand."""

from collections.abc import Callable

import pytest
from urllib3 import PoolManager

from runstone.artifact.v1 import artifact_pb2 as pb
from support.artifact import MIB, ArtifactServer, failure_of, listed, noise, read, run_owner, sha256

PART = 5 * MIB
FILE = noise(2 * PART + 4321)


def begin(server: ArtifactServer, part_count: int, **more: object) -> pb.Upload:
    request = pb.BeginUploadRequest(
        owner=run_owner(), path="big.bin", part_count=part_count, **more
    )
    return server.stub.BeginUpload(request).upload


def send(upload: pb.Upload, data: bytes = FILE, size: int = PART) -> list[str]:
    """The ETags of all parts, sent as their URLs say."""
    http = PoolManager()
    etags = []
    for part in upload.parts:
        at = (part.part_number - 1) * size
        answer = http.request("PUT", part.url, body=data[at : at + size])
        assert answer.status == 200
        etags.append(answer.headers["ETag"])
    http.clear()
    return etags


def commit(server: ArtifactServer, upload: pb.Upload, etags: list[str], **more: str) -> pb.Artifact:
    request = pb.CommitUploadRequest(upload_id=upload.upload_id, part_etags=etags, **more)
    return server.stub.CommitUpload(request).artifact


def test_parts_that_the_client_cut_become_the_file(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 3)
    assert [part.part_number for part in upload.parts] == [1, 2, 3]
    etags = send(upload)
    made = commit(s3_server, upload, etags)
    assert (made.size, made.sha256) == (len(FILE), sha256(FILE))
    assert read(s3_server.stub, "big.bin") == FILE
    assert commit(s3_server, upload, etags) == made


def test_missing_parts_get_urls_again(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 3)
    first = pb.Upload(upload_id=upload.upload_id, parts=upload.parts[:1])
    etags = send(first)
    rest = s3_server.stub.GetUpload(pb.GetUploadRequest(upload_id=upload.upload_id)).upload
    assert [part.part_number for part in rest.parts] == [2, 3]
    made = commit(s3_server, upload, etags + send(rest))
    assert made.sha256 == sha256(FILE)


@pytest.mark.parametrize(
    "change",
    [
        lambda etags: [],
        lambda etags: etags[:2],
        lambda etags: [*etags, etags[0]],
        lambda etags: [etags[1], etags[0], etags[2]],
        lambda etags: [*etags[:2], "0" * 32],
    ],
    ids=["none", "too few", "too many", "in another order", "another"],
)
def test_other_parts_than_the_store_has_are_refused(
    s3_server: ArtifactServer, change: Callable[[list[str]], list[str]]
) -> None:
    upload = begin(s3_server, 3)
    etags = send(upload)
    failed = failure_of(lambda: commit(s3_server, upload, change(etags)))
    assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", ["part_etags"])
    assert listed(s3_server.stub) == []
    assert commit(s3_server, upload, etags).size == len(FILE)


def test_a_part_that_was_never_sent_is_named(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 2)
    etags = send(pb.Upload(parts=upload.parts[:1]))
    failed = failure_of(lambda: commit(s3_server, upload, [*etags, "0" * 32]))
    assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", ["part_etags"])
    assert "part 2" in failed.message


def test_a_small_part_in_the_middle_is_named(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 2)
    etags = send(upload, FILE[: 2 * MIB], MIB)
    failed = failure_of(lambda: commit(s3_server, upload, etags))
    assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", ["part_etags"])
    assert "part 1 of 1048576 bytes" in failed.message


def test_a_digest_that_is_not_the_parts_removes_them(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 3)
    etags = send(upload)
    failed = failure_of(lambda: commit(s3_server, upload, etags, sha256="0" * 64))
    assert failed.reason == "DIGEST_MISMATCH"
    failed = failure_of(lambda: commit(s3_server, upload, etags))
    assert failed.reason == "UPLOAD_NOT_FOUND"


def test_a_commit_that_broke_off_behind_the_store_goes_on(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 3)
    etags = send(upload)
    s3_server.runs.away = True
    request = pb.CommitUploadRequest(upload_id=upload.upload_id, part_etags=etags)
    failed = failure_of(lambda: s3_server.stub.CommitUpload(request, timeout=30))
    assert failed.reason == "TRACKING_UNAVAILABLE"
    s3_server.runs.away = False
    assert commit(s3_server, upload, etags).sha256 == sha256(FILE)


def test_an_aborted_one_leaves_no_parts(s3_server: ArtifactServer) -> None:
    upload = begin(s3_server, 3)
    etags = send(upload)
    s3_server.stub.AbortUpload(pb.AbortUploadRequest(upload_id=upload.upload_id))
    assert failure_of(lambda: commit(s3_server, upload, etags)).reason == "UPLOAD_NOT_FOUND"


def test_a_folder_has_no_urls_for_parts(folder_server: ArtifactServer) -> None:
    failed = failure_of(lambda: begin(folder_server, 3))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PRESIGN_UNSUPPORTED")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"part_count": -1}, "part_count"),
        ({"part_count": 10_001}, "part_count"),
        ({"part_count": 1, "size": 5}, "size"),
        ({"part_count": 1, "sha256": "0" * 64}, "sha256"),
    ],
)
def test_bad_counts_are_named(
    folder_server: ArtifactServer, more: dict[str, object], field: str
) -> None:
    request = pb.BeginUploadRequest(owner=run_owner(), path="big.bin", **more)
    failed = failure_of(lambda: folder_server.stub.BeginUpload(request))
    assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", [field])


@pytest.mark.parametrize("etag", ["", "x" * 101])
def test_bad_etags_are_named(folder_server: ArtifactServer, etag: str) -> None:
    request = pb.CommitUploadRequest(upload_id="a" * 32, part_etags=[etag])
    failed = failure_of(lambda: folder_server.stub.CommitUpload(request))
    assert (failed.code, failed.fields) == ("INVALID_ARGUMENT", ["part_etags[0]"])
