"""Reading files: lists and their tokens, downloads, URLs, and objects that are damaged."""

import os
import urllib.request
from pathlib import Path

from runstone.artifact.v1 import artifact_pb2 as pb
from support.artifact import (
    MIB,
    ArtifactServer,
    failure_of,
    noise,
    put,
    read,
    run_owner,
    sha256,
)

OTHER_RUN = "c" * 32


def test_lists_are_paged(server: ArtifactServer) -> None:
    stub = server.stub
    put(stub, {f"d{number % 7}/f{number:03}": b"x" for number in range(100)})
    for recursive, expected in ((True, 100), (False, 7)):
        seen: list[str] = []
        token = ""
        while True:
            page = stub.ListArtifacts(
                pb.ListArtifactsRequest(
                    owner=run_owner(), recursive=recursive, page_size=3, page_token=token
                )
            )
            seen += [each.path for each in page.artifacts]
            token = page.next_page_token
            if not token:
                break
        assert len(seen) == expected
        assert seen == sorted(set(seen))
    alone = pb.ListArtifactsRequest(owner=run_owner(), path="d0/f000")
    assert [each.path for each in stub.ListArtifacts(alone).artifacts] == ["d0/f000"]


def test_tokens_of_another_list(folder_server: ArtifactServer) -> None:
    stub = folder_server.stub
    put(stub, {"a": b"", "b": b""})
    page = stub.ListArtifacts(pb.ListArtifactsRequest(owner=run_owner(), page_size=1))
    other = pb.ListArtifactsRequest(
        owner=run_owner(OTHER_RUN), page_size=1, page_token=page.next_page_token
    )
    assert failure_of(lambda: stub.ListArtifacts(other)).reason == "PAGE_TOKEN_OTHER_QUERY"
    other.page_token = "nonsense"
    assert failure_of(lambda: stub.ListArtifacts(other)).reason == "PAGE_TOKEN_INVALID"
    negative = pb.ListArtifactsRequest(owner=run_owner(), page_size=-1)
    assert failure_of(lambda: stub.ListArtifacts(negative)).fields == ["page_size"]


def test_a_token_goes_on_with_another_page_size_and_not_when_altered(
    folder_server: ArtifactServer,
) -> None:
    stub = folder_server.stub
    put(stub, dict.fromkeys("abcd", b""))
    first = stub.ListArtifacts(pb.ListArtifactsRequest(owner=run_owner(), page_size=1))
    more = pb.ListArtifactsRequest(owner=run_owner(), page_size=2, page_token=first.next_page_token)
    assert [each.path for each in stub.ListArtifacts(more).artifacts] == ["b", "c"]
    more.page_token += "="
    failed = failure_of(lambda: stub.ListArtifacts(more))
    assert (failed.reason, failed.fields) == ("PAGE_TOKEN_INVALID", ["page_token"])


def test_what_cannot_be_read(server: ArtifactServer) -> None:
    stub = server.stub
    put(stub, {"d/f": b"12345"})
    assert failure_of(lambda: read(stub, "x"))[:2] == ("NOT_FOUND", "ARTIFACT_NOT_FOUND")
    failed = failure_of(lambda: read(stub, "d"))
    assert failed[:3] == ("FAILED_PRECONDITION", "PATH_CONFLICT", {"path": "d"})
    assert failure_of(lambda: read(stub, "d/f", offset=6)).fields == ["offset"]
    assert failure_of(lambda: read(stub, "d/f", offset=-1)).fields == ["offset"]
    assert failure_of(lambda: read(stub, "d/f", length=-1)).fields == ["length"]
    failed = failure_of(
        lambda: stub.GetArtifact(pb.GetArtifactRequest(owner=run_owner(), path="x"))
    )
    assert failed.reason == "ARTIFACT_NOT_FOUND"
    failed = failure_of(
        lambda: stub.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=run_owner(), path="x"))
    )
    assert failed.reason == "ARTIFACT_NOT_FOUND"


def test_a_file_that_is_replaced_while_it_is_downloaded(server: ArtifactServer) -> None:
    stub = server.stub
    old, new = noise(3 * MIB, 1), noise(3 * MIB, 2)
    put(stub, {"f": old})
    stream = stub.DownloadArtifact(pb.DownloadArtifactRequest(owner=run_owner(), path="f"))
    got = bytearray(next(stream).data)
    put(stub, {"f": new})
    for each in stream:
        got += each.data
    assert bytes(got) == old
    assert read(stub, "f") == new
    failed = failure_of(lambda: read(stub, "f", offset=MIB, sha256=sha256(old)))
    assert failed[:2] == ("FAILED_PRECONDITION", "DIGEST_MISMATCH")


def test_urls_read_the_file_from_the_store(s3_server: ArtifactServer) -> None:
    stub = s3_server.stub
    large = noise(300_000)
    put(stub, {"large": large, "small": b"s", "little": b"l"})
    request = pb.CreateDownloadUrlsRequest(owner=run_owner(), paths=["large", "small"])
    urls = stub.CreateDownloadUrls(request).urls
    with urllib.request.urlopen(urls[0].url) as response:
        assert response.read() == large
    assert urls[1].url == ""
    assert urls[1].artifact.sha256 == sha256(b"s")
    request.paths.append("nothing")
    assert failure_of(lambda: stub.CreateDownloadUrls(request)).reason == "ARTIFACT_NOT_FOUND"


def test_a_folder_has_no_urls(folder_server: ArtifactServer) -> None:
    put(folder_server.stub, {"f": b""})
    request = pb.CreateDownloadUrlsRequest(owner=run_owner(), paths=["f"])
    failed = failure_of(lambda: folder_server.stub.CreateDownloadUrls(request))
    assert failed[:2] == ("FAILED_PRECONDITION", "PRESIGN_UNSUPPORTED")


def objects_of(server: ArtifactServer) -> list[Path]:
    return [path for path in (server.folder / "objects-root/objects").rglob("*") if path.is_file()]


def test_damaged_and_missing_objects_are_told(folder_server: ArtifactServer) -> None:
    stub = folder_server.stub
    data = noise(2 * MIB)
    put(stub, {"f": data})
    (path,) = objects_of(folder_server)
    os.truncate(path, MIB + 5)
    failed = failure_of(lambda: read(stub, "f"))
    assert failed[:3] == ("DATA_LOSS", "OBJECT_DAMAGED", {"sha256": sha256(data)})
    scrubbed = stub.ScrubArtifacts(pb.ScrubArtifactsRequest())
    assert [each.problem for each in scrubbed.damaged] == [f"size {MIB + 5} instead of {2 * MIB}"]
    assert list(scrubbed.damaged[0].artifacts) == [f"runs/{'a' * 32}/f"]
    path.write_bytes(noise(2 * MIB, 9))
    scrubbed = stub.ScrubArtifacts(pb.ScrubArtifactsRequest())
    assert [each.problem[:9] for each in scrubbed.damaged] == ["sha256 is"]
    path.unlink()
    assert failure_of(lambda: read(stub, "f")).reason == "OBJECT_DAMAGED"
    assert stub.ScrubArtifacts(pb.ScrubArtifactsRequest()).damaged[0].problem == "missing"


def test_scrub_goes_on_where_it_stopped(server: ArtifactServer) -> None:
    stub = server.stub
    put(stub, {f"f{number}": noise(1000, number) for number in range(5)})
    checked, token, calls = 0, "", 0
    while True:
        scrubbed = stub.ScrubArtifacts(pb.ScrubArtifactsRequest(max_bytes=1500, page_token=token))
        assert not scrubbed.damaged
        checked, token, calls = checked + scrubbed.checked, scrubbed.next_page_token, calls + 1
        if not token:
            break
    assert checked == 5
    assert calls == 3
