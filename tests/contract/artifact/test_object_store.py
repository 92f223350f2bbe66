"""What every object store does: a folder and an S3 server, by the same tests."""

import time
import urllib.request
from pathlib import Path

import pytest

from runstone_artifact.errors import (
    ObjectStoreUnavailable,
    PresignUnsupported,
    UploadBusy,
    UploadNotFound,
)
from runstone_artifact.model import Part, Upload
from runstone_artifact.objectstore_folder import FolderObjectStore
from runstone_artifact.objectstore_s3 import (
    MAX_STREAM_BYTES,
    MAX_STREAM_PART,
    PRESIGNED_PART,
    STREAM_PART,
    S3ObjectStore,
)
from runstone_artifact.store import ObjectStore
from runstone_kit.errors import InvalidArgument
from support.artifact import MIB, noise, run

KEY = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
UPLOAD = "5" * 32


def whole(objects: ObjectStore, key: str, offset: int = 0, length: int = 2**40) -> bytes:
    return b"".join(objects.read(key, offset, length))


def staged(objects: ObjectStore, size: int, *, presigned: bool = False) -> Upload:
    part_size, multipart_id = objects.stage(UPLOAD, KEY, size, presigned=presigned)
    return Upload(
        upload_id=UPLOAD,
        owner=run(),
        path="f",
        size=size,
        object_key=KEY,
        update_ms=0,
        part_size=part_size,
        multipart_id=multipart_id,
        presigned=presigned,
    )


def advanced(upload: Upload, offset: int, parts: list[Part]) -> Upload:
    values = {name: getattr(upload, name) for name in Upload.__slots__}
    return Upload(**{**values, "offset": offset, "parts": (*upload.parts, *parts)})


def test_what_was_put_is_read_whole_and_in_ranges(objects: ObjectStore) -> None:
    data = noise(3 * MIB + 17)
    objects.put(KEY, [data[:1000], data[1000:]])
    assert whole(objects, KEY) == data
    assert whole(objects, KEY, 5, 10) == data[5:15]
    assert whole(objects, KEY, len(data) - 3, 100) == data[-3:]
    assert whole(objects, KEY, len(data), 5) == b""
    assert whole(objects, KEY, 7, 0) == b""
    assert all(len(chunk) <= MIB for chunk in objects.read(KEY, 0, len(data)))
    assert objects.size(KEY) == len(data)


def test_an_empty_object(objects: ObjectStore) -> None:
    objects.put(KEY, [b""])
    assert objects.size(KEY) == 0
    assert whole(objects, KEY, 0, 0) == b""


def test_an_object_that_is_not_there(objects: ObjectStore) -> None:
    assert objects.size(KEY) is None
    for length in (0, 10):
        with pytest.raises(KeyError):
            list(objects.read(KEY, 0, length))
    objects.delete(KEY)


def test_delete_removes_and_may_be_repeated(objects: ObjectStore) -> None:
    objects.put(KEY, [b"x"])
    objects.put(OTHER, [b"y"])
    objects.delete(KEY)
    objects.delete(KEY)
    assert objects.size(KEY) is None
    assert whole(objects, OTHER) == b"y"


def test_objects_are_listed_with_size_and_time(objects: ObjectStore) -> None:
    before = int(time.time() * 1000) - 2000
    objects.put(KEY, [b"abc"])
    objects.put(OTHER, [b""])
    listed = {each.key: each for each in objects.list_objects()}
    assert {key: each.size for key, each in listed.items()} == {KEY: 3, OTHER: 0}
    assert all(before <= each.modified_ms <= time.time() * 1000 + 2000 for each in listed.values())


def test_the_first_to_claim_a_store_has_it(objects: ObjectStore) -> None:
    assert [objects.claim(each) for each in (KEY, OTHER, KEY)] == [KEY] * 3
    assert list(objects.list_objects()) == []
    assert list(objects.list_staged(2**62)) == []


def test_a_claim_that_a_crash_left_half_written_is_nobodys(tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    for left in ("", OTHER[:10]):
        (tmp_path / "installation").write_text(left, "ascii")
        assert objects.claim(KEY) == FolderObjectStore(tmp_path).claim(OTHER) == KEY
    assert (tmp_path / "installation").read_text("ascii") == KEY


@pytest.mark.parametrize("size", [0, 1, STREAM_PART, 2 * STREAM_PART, 2 * STREAM_PART + 5])
def test_a_staged_upload_becomes_the_object(objects: ObjectStore, size: int) -> None:
    data = noise(size)
    upload = staged(objects, size)
    writer = objects.writer(upload)
    for at in range(0, size, MIB):
        writer.write(memoryview(data)[at : at + MIB])
    writer.finish()
    upload = advanced(upload, writer.secured, writer.take_parts())
    writer.close()
    assert upload.offset == size
    assert objects.size(KEY) is None or not upload.multipart_id
    objects.complete(upload)
    assert whole(objects, KEY) == data
    objects.complete(upload)
    objects.discard(upload)
    assert whole(objects, KEY) == data


def test_a_broken_upload_goes_on_where_it_is_durable(objects: ObjectStore) -> None:
    data = noise(3 * STREAM_PART)
    upload = staged(objects, len(data))
    writer = objects.writer(upload)
    writer.write(data[: STREAM_PART + 1000])
    writer.finish()
    upload = advanced(upload, writer.secured, writer.take_parts())
    writer.close()
    assert 0 < upload.offset <= STREAM_PART + 1000
    seen = objects.read_staged(upload)
    assert seen is None or b"".join(seen) == data[: upload.offset]
    writer = objects.writer(upload)
    writer.write(data[upload.offset :])
    writer.finish()
    upload = advanced(upload, writer.secured, writer.take_parts())
    writer.close()
    objects.complete(upload)
    assert whole(objects, KEY) == data


def test_what_was_written_and_not_noted_is_overwritten(objects: ObjectStore) -> None:
    upload = staged(objects, 10)
    writer = objects.writer(upload)
    writer.write(b"wrong")
    writer.close()
    writer = objects.writer(upload)
    writer.write(b"0123456789")
    writer.finish()
    objects.complete(advanced(upload, writer.secured, writer.take_parts()))
    writer.close()
    assert whole(objects, KEY) == b"0123456789"


def test_a_discarded_upload_cannot_be_completed(objects: ObjectStore) -> None:
    upload = staged(objects, 2 * STREAM_PART)
    writer = objects.writer(upload)
    writer.write(noise(STREAM_PART))
    writer.finish()
    upload = advanced(upload, writer.secured, writer.take_parts())
    writer.close()
    objects.discard(upload)
    objects.discard(upload)
    with pytest.raises(UploadNotFound):
        objects.complete(upload)
    assert objects.size(KEY) is None


def test_staged_uploads_can_be_found_and_removed_by_age(tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    staged(objects, 10)
    now = int(time.time() * 1000)
    assert list(objects.list_staged(now - 60_000)) == []
    assert list(objects.list_staged(now + 60_000)) == [("", UPLOAD)]
    objects.discard_staged("", UPLOAD)
    objects.discard_staged("", UPLOAD)
    assert list(objects.list_staged(now + 60_000)) == []


def test_what_is_not_ours_is_not_listed(tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    objects.put(KEY, [b"abc"])
    (tmp_path / "objects" / "00" / ".nfs0001").write_bytes(b"x")
    (tmp_path / "objects" / "00" / ("0" * 32)).mkdir()
    (tmp_path / "staging" / "lost+found").mkdir()
    (tmp_path / "staging" / ("0" * 32)).mkdir()
    assert [each.key for each in objects.list_objects()] == [KEY]
    assert list(objects.list_staged(2**62)) == []


def test_two_writers_in_one_folder(tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    upload = staged(objects, 10)
    writer = objects.writer(upload)
    with pytest.raises(UploadBusy):
        FolderObjectStore(tmp_path).writer(upload)
    writer.close()
    objects.writer(upload).close()


def test_keys_are_never_paths(tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    for bad in ("../" * 10 + "etc", "", "a/b", "A" * 32):
        with pytest.raises(ValueError):
            objects.put(bad, [b""])


def test_a_folder_gives_no_urls(tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path)
    with pytest.raises(PresignUnsupported):
        objects.object_url(KEY)


@pytest.fixture
def s3(objects: ObjectStore) -> ObjectStore:
    assert isinstance(objects, S3ObjectStore)
    return objects


def put(url: str, data: bytes) -> None:
    request = urllib.request.Request(url, data=data, method="PUT")
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


@pytest.mark.parametrize("objects", ["s3"], indirect=True)
def test_presigned_parts_are_sent_listed_and_completed(s3: S3ObjectStore) -> None:
    data = noise(PRESIGNED_PART + 100)
    upload = staged(s3, len(data), presigned=True)
    assert s3.sent_parts(upload) == []
    put(s3.part_url(upload, 2), data[upload.part_size :])
    assert [(part.number, part.size) for part in s3.sent_parts(upload)] == [(2, 100)]
    put(s3.part_url(upload, 1), data[: upload.part_size])
    s3.complete(advanced(upload, 0, s3.sent_parts(upload)))
    with urllib.request.urlopen(s3.object_url(KEY)) as response:
        assert response.read() == data
    with pytest.raises(UploadNotFound):
        s3.sent_parts(upload)


@pytest.mark.parametrize("objects", ["s3"], indirect=True)
def test_a_part_that_was_sent_again_fails_the_old_list(s3: S3ObjectStore) -> None:
    upload = staged(s3, 2 * STREAM_PART)
    old = s3.put_part(upload, 1, noise(STREAM_PART, 1))
    last = s3.put_part(upload, 2, noise(STREAM_PART, 2))
    s3.put_part(upload, 1, noise(STREAM_PART, 3))
    with pytest.raises(Exception, match="cannot be reached"):
        s3.complete(advanced(upload, upload.size, [old, last]))
    assert s3.size(KEY) is None


@pytest.mark.parametrize("objects", ["s3"], indirect=True)
def test_a_completion_that_made_nothing_is_noticed(
    s3: S3ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 says 200 before it begins, and the error in the body afterwards."""
    upload = staged(s3, 2 * STREAM_PART)
    upload = advanced(upload, upload.size, [s3.put_part(upload, 1, noise(STREAM_PART))])
    with monkeypatch.context() as patched:
        patched.setattr(s3._client, "_complete_multipart_upload", lambda *_: None)
        with pytest.raises(ObjectStoreUnavailable):
            s3.complete(upload)
    s3.discard(upload)
    s3.put(KEY, [b"shorter"])
    with pytest.raises(UploadNotFound):
        s3.complete(upload)


@pytest.mark.parametrize("objects", ["s3"], indirect=True)
def test_what_is_not_ours_in_a_bucket_is_not_listed(s3: S3ObjectStore) -> None:
    for name in ("backup/of/somebody", "0" * 31, KEY):
        s3.put(name, [b"abc"])
    assert [each.key for each in s3.list_objects()] == [KEY]


@pytest.mark.parametrize("objects", ["s3"], indirect=True)
def test_a_stream_never_needs_parts_that_fill_the_memory(s3: S3ObjectStore) -> None:
    largest = staged(s3, MAX_STREAM_BYTES)
    assert largest.part_size == MAX_STREAM_PART
    with pytest.raises(InvalidArgument, match=r"size .*presigned"):
        staged(s3, MAX_STREAM_BYTES + 1)
    assert staged(s3, 5 * 2**40, presigned=True).part_size > MAX_STREAM_PART
