"""The small parts of the artifact service, each alone."""

import errno
import threading
import zlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from blake3 import blake3
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone.tracking.v1 import logged_model_pb2, run_pb2
from runstone_artifact.convert_chunks import read_chunk, write_chunk
from runstone_artifact.convert_paths import check_path
from runstone_artifact.errors import (
    ObjectStoreUnavailable,
    Overloaded,
    OwnerDeleted,
    OwnerNotFound,
    TrackingUnavailable,
)
from runstone_artifact.main import open_objects
from runstone_artifact.model import Upload
from runstone_artifact.model_digests import Digests
from runstone_artifact.objectstore_folder import FolderObjectStore
from runstone_artifact.objectstore_s3 import S3Address
from runstone_artifact.peers import RpcRunDirectory
from runstone_artifact.service_hashing import HashingThread, HashMemory
from runstone_artifact.service_limits import ActiveRuns, TransferSlots
from runstone_artifact.service_parts import PartChecks
from runstone_artifact.settings import ArtifactSettings
from runstone_kit.errors import NotFound, RunstoneError, Unavailable, Violations
from runstone_kit.interceptors.error_mapping import status_of
from runstone_kit.settings import SettingsError
from runstone_suite.inprocess import LocalError
from runstone_suite.settings import SuiteSettings
from support.artifact import KnownRuns, noise, run, sha256, version

# --- Chunks on the wire -----------------------------------------------------------------------


@given(
    st.text(max_size=40), st.integers(0, 2**62), st.binary(max_size=300), st.integers(0, 2**32 - 1)
)
def test_a_chunk_reads_as_protobuf_reads_it(
    upload_id: str, offset: int, data: bytes, crc32: int
) -> None:
    message = pb.UploadChunksRequest(upload_id=upload_id, offset=offset, data=data, crc32=crc32)
    chunk = read_chunk(message.SerializeToString())
    assert (chunk.upload_id, chunk.offset, bytes(chunk.data), chunk.crc32) == (
        upload_id,
        offset,
        data,
        crc32,
    )


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_protobuf_reads_them_or_refused(raw: bytes) -> None:
    try:
        expected = pb.UploadChunksRequest.FromString(raw)
    except DecodeError:
        with pytest.raises(DecodeError):
            read_chunk(raw)
        return
    chunk = read_chunk(raw)
    assert (chunk.upload_id, chunk.offset, bytes(chunk.data), chunk.crc32) == (
        expected.upload_id,
        expected.offset,
        expected.data,
        expected.crc32,
    )


def test_a_negative_offset_is_left_to_protobuf() -> None:
    raw = pb.UploadChunksRequest(offset=-1).SerializeToString()
    assert read_chunk(raw).offset == -1


@given(st.binary(max_size=300))
def test_a_download_chunk_is_protobuf_s(data: bytes) -> None:
    message = pb.DownloadArtifactResponse.FromString(write_chunk(data))
    assert (message.data, message.crc32) == (data, zlib.crc32(data))


# --- Paths ------------------------------------------------------------------------------------


@given(st.text(max_size=50))
def test_an_accepted_path_stays_below_where_it_is_put(path: str) -> None:
    violations = Violations()
    if check_path(violations, "path", path):
        assert not violations
        root = Path("/root/of/all")
        assert (root / path).is_relative_to(root)
        assert ".." not in (root / path).parts
        assert str(root / path) == f"{root}/{path}"
    else:
        assert len(violations) == 1


@pytest.mark.parametrize(
    ("path", "fine"),
    [("x" * 255, True), ("x" * 256, False), ("é" * 127, True), ("é" * 128, False),
     ("/".join(["y" * 204] * 5), True), ("/".join(["y" * 204] * 5) + "y", False)],
)  # fmt: skip
def test_the_limits_of_a_path(path: str, fine: bool) -> None:
    assert check_path(Violations(), "path", path) is fine


def test_the_empty_path_is_the_top() -> None:
    assert check_path(Violations(), "path", "", required=False)
    assert not check_path(Violations(), "path", "")


# --- Limits -----------------------------------------------------------------------------------


def test_slots_are_given_back() -> None:
    slots = TransferSlots(2)
    with slots.take(), slots.take(), pytest.raises(Overloaded), slots.take():
        pass
    with pytest.raises(KeyError), slots.take():
        raise KeyError
    with slots.take(), slots.take():
        pass
    slots.drain()
    with pytest.raises(Overloaded), slots.take():
        pass


def test_a_yes_is_remembered_and_a_no_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("runstone_artifact.service_limits.time.monotonic", lambda: now[0])
    runs = KnownRuns()
    active = ActiveRuns(runs)
    active.require(version())
    assert runs.asked == 0
    active.require(run(), now_too=False)
    runs.deleted.add(run().id)
    active.require(run(), now_too=False)
    assert runs.asked == 1
    now[0] += 3.1
    for _ in range(2):
        with pytest.raises(OwnerDeleted):
            active.require(run(), now_too=False)
    runs.deleted.clear()
    active.require(run(), now_too=False)
    assert runs.asked == 4


def test_who_makes_a_file_asks_anew() -> None:
    runs = KnownRuns()
    active = ActiveRuns(runs)
    active.require(run(), now_too=False)
    runs.deleted.add(run().id)
    with pytest.raises(OwnerDeleted):
        active.require(run())
    # It is known now.
    with pytest.raises(OwnerDeleted):
        active.require(run(), now_too=False)


# --- Hashing ----------------------------------------------------------------------------------


def test_a_hash_goes_on_from_a_state_or_a_seed() -> None:
    data = noise(5000)
    first = HashingThread()
    first.update(data[:1000])
    state = first.end()
    assert first.size == 1000
    second = HashingThread(state, size=1000)
    second.update(memoryview(data)[1000:])
    whole = second.end()
    assert whole is not None
    assert (whole.sha256, whole.blake3) == (sha256(data), blake3(data).hexdigest())
    seeded = HashingThread(seed=[data[:3000], data[3000:4000]], size=4000)
    seeded.update(data[4000:])
    again = seeded.end()
    assert again is not None
    assert (again.sha256, again.blake3) == (whole.sha256, whole.blake3)


def test_a_seed_that_cannot_be_read_makes_the_hash_unknown() -> None:
    def failing() -> Any:
        yield b"x"
        raise OSError

    hashing = HashingThread(seed=failing())
    for _ in range(20):
        hashing.update(b"y")
    assert hashing.end() is None


def test_a_remembered_hash_fits_one_offset_and_one_use() -> None:
    memory, state = HashMemory(), Digests()
    memory.keep("u", 5, state)
    assert memory.take("u", 6) is None
    memory.keep("u", 5, state)
    assert memory.take("u", 5) is state
    assert memory.take("u", 5) is None
    for number in range(300):
        memory.keep(str(number), 0, number)
    assert memory.take("0", 0) is None
    assert memory.take("299", 0) == 299


@pytest.mark.parametrize("step", [1, 7, 10, 100])
def test_part_checks_do_not_care_how_the_bytes_come(step: int) -> None:
    data, sizes = noise(25), [10, 10, 5]
    checks = PartChecks(sizes)
    for at in range(0, 25, step):
        checks.update(data[at : at + step])
    assert checks.found == [zlib.crc32(data[:10]), zlib.crc32(data[10:20]), zlib.crc32(data[20:])]


# --- A folder whose disk fails ----------------------------------------------------------------


def test_a_sync_that_failed_is_never_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells an error once; whoever syncs next is told that all is well."""
    failed = threading.Event()

    def told_once(_descriptor: int) -> None:
        if not failed.is_set():
            failed.set()
            raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr("runstone_artifact.objectstore_folder.SYNC_BYTES", 4)
    objects = FolderObjectStore(tmp_path)
    upload = Upload("1" * 32, run(), "f", 8, "2" * 32, 0)
    objects.stage(upload.upload_id, upload.object_key, 8, presigned=False)
    writer = objects.writer(upload)
    monkeypatch.setattr("runstone_artifact.objectstore_folder.os.fdatasync", told_once)
    writer.write(b"12345678")
    assert failed.wait(10)
    for _ in range(2):
        with pytest.raises(ObjectStoreUnavailable):
            writer.finish()
    assert writer.secured == 0
    writer.close()


# --- Settings and peers -----------------------------------------------------------------------


def test_an_s3_address() -> None:
    parsed = S3Address.parse("s3+https://key:se%2Fc@s3.example.org:9000/bucket?region=eu")
    assert parsed == S3Address("s3.example.org:9000", True, "key", "se/c", "bucket", "eu")
    assert S3Address.parse("s3+http://k:s@h/bkt").region == "us-east-1"
    for bad in (
        "s3://k:s@h/b",
        "s3+http://h/b",
        "s3+http://k:s@h",
        "s3+http://k:s@h/b/c",
        "s3+http://k:s@h:notaport/bucket",
        "s3+http://k:s@h:0/bucket",
        "s3+http://k:s@[h/bucket",
        "s3+http://k:s@h/Bucket_1",
        "s3+http://k:s@h/a..b",
        "s3+http:",
    ):
        with pytest.raises(ValueError, match=r"s3|S3") as caught:
            S3Address.parse(bad)
        assert "k:s" not in str(caught.value)


def test_object_store_urls(tmp_path: Path) -> None:
    for url in (str(tmp_path / "a b"), f"file://{tmp_path}/a%20b"):
        objects = open_objects(ArtifactSettings.load(objects_url=url))
        assert isinstance(objects, FolderObjectStore)
    assert (tmp_path / "a b" / "objects").is_dir()
    for bad in ("s3+http://nothing", "gs://bucket", "file://host/path"):
        with pytest.raises(SettingsError, match="RUNSTONE_OBJECTS_URL"):
            open_objects(ArtifactSettings.load(objects_url=bad))
    with pytest.raises(SettingsError, match="not set"):
        open_objects(ArtifactSettings.load())


def test_an_empty_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_OBJECTS_URL", "")
    assert SuiteSettings.load().objects_url is None
    monkeypatch.setenv("RUNSTONE_OBJECTS_PUBLIC_URL", "")
    with pytest.raises(SettingsError, match="not set"):
        open_objects(ArtifactSettings.load())
    assert ArtifactSettings.load().objects_public_url is None


@pytest.mark.parametrize(
    "url", ["store:9000", "s3+http://h", "http://h:notaport", "http://", "http://h/below"]
)
def test_a_public_url_is_a_web_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RUNSTONE_OBJECTS_PUBLIC_URL", url)
    with pytest.raises(SettingsError, match=r"RUNSTONE_OBJECTS_PUBLIC_URL: .*http://host:port"):
        ArtifactSettings.load()


class FakeTracking(grpc.Channel):
    """A channel whose GetRun and GetLoggedModel answer as told."""

    def __init__(self, answer: run_pb2.Run | logged_model_pb2.LoggedModel | RunstoneError) -> None:
        self._answer = answer

    def unary_unary(self, method: str, *_arguments: Any, **_options: Any) -> Any:
        def call(_request: object, **_: Any) -> Any:
            if isinstance(self._answer, RunstoneError):
                raise LocalError(status_of(self._answer, "tracking.runstone"))
            if isinstance(self._answer, run_pb2.Run):
                assert method.endswith("/GetRun")
                return run_pb2.GetRunResponse(run=self._answer)
            assert method.endswith("/GetLoggedModel")
            return logged_model_pb2.GetLoggedModelResponse(model=self._answer)

        return call

    unary_stream = stream_unary = stream_stream = unary_unary

    def subscribe(self, *_arguments: Any, **_options: Any) -> None: ...

    def unsubscribe(self, *_arguments: Any) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...


def test_what_tracking_says_of_a_run() -> None:
    RpcRunDirectory(FakeTracking(run_pb2.Run(run_id="r"))).require_active("r")
    deleted = run_pb2.Run(run_id="r")
    deleted.delete_time.seconds = 5
    answers: list[tuple[Any, type[RunstoneError]]] = [
        (deleted, OwnerDeleted),
        (NotFound("no", reason="RUN_NOT_FOUND"), OwnerNotFound),
        (Unavailable("away", reason="DATABASE_UNAVAILABLE"), TrackingUnavailable),
        (NotFound("no", reason="SOMETHING_ELSE"), TrackingUnavailable),
    ]
    for answer, expected in answers:
        with pytest.raises(expected):
            RpcRunDirectory(FakeTracking(answer)).require_active("r")


def test_what_tracking_says_of_a_logged_model() -> None:
    active = logged_model_pb2.LoggedModel(model_id="m")
    RpcRunDirectory(FakeTracking(active)).require_active_model("m")
    deleted = logged_model_pb2.LoggedModel(model_id="m")
    deleted.delete_time.seconds = 5
    answers: list[tuple[Any, type[RunstoneError]]] = [
        (deleted, OwnerDeleted),
        (NotFound("no", reason="LOGGED_MODEL_NOT_FOUND"), OwnerNotFound),
        (NotFound("no", reason="RUN_NOT_FOUND"), TrackingUnavailable),
        (Unavailable("away", reason="DATABASE_UNAVAILABLE"), TrackingUnavailable),
    ]
    for answer, expected in answers:
        with pytest.raises(expected) as caught:
            RpcRunDirectory(FakeTracking(answer)).require_active_model("m")
        if expected is not TrackingUnavailable:
            assert caught.value.metadata == {"owner": "models/m"}
