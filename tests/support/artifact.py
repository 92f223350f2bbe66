"""The artifact service for tests: databases, a run directory, owners, bytes, the service itself."""

import hashlib
import random
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from runstone._connection import Connection
from runstone._uri import Remote
from runstone.artifact.v1 import artifact_pb2 as pb
from runstone.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runstone_artifact import main
from runstone_artifact.errors import OwnerDeleted, OwnerNotFound, TrackingUnavailable
from runstone_artifact.model import Content, Owner, OwnerKind
from runstone_artifact.model_digests import Digests
from runstone_artifact.settings import ArtifactSettings
from runstone_artifact.store import ObjectStore
from runstone_artifact.tables import SCHEMA
from runstone_kit.clock import Clock
from runstone_kit.database import Database
from runstone_kit.migrate import upgrade
from runstone_kit.server import Running, ServerSpec, start
from support.processes import free_port

MIB = 2**20


@contextmanager
def opened(url: str, pool_size: int = 8) -> Iterator[Database]:
    """A migrated database for the length of a `with`."""
    database = Database.from_url(url, schema=SCHEMA, pool_size=pool_size)
    try:
        upgrade(database, main.MIGRATIONS)
        yield database
    finally:
        database.dispose()


def run(run_id: str = "a" * 32) -> Owner:
    return Owner(OwnerKind.RUN, run_id)


def version(version_id: str = "b" * 32) -> Owner:
    return Owner(OwnerKind.MODEL_VERSION, version_id)


def logged_model(model_id: str = "m-" + "c" * 32) -> Owner:
    return Owner(OwnerKind.LOGGED_MODEL, model_id)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content(path: str, data: bytes) -> Content:
    """A small file as the service takes it from its message."""
    digests = Digests(data)
    return Content(path, data, digests.sha256, digests.blake3)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no compression and no zero page makes easier, the same for the same seed."""
    return random.Random(seed).randbytes(size)


class KnownRuns:
    """A run directory that knows every run and logged model but the ones it is told of."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.deleted: set[str] = set()
        self.away = False
        self.asked = 0
        self._lock = threading.Lock()

    def require_active(self, run_id: str) -> None:
        self._require(run(run_id))

    def require_active_model(self, model_id: str) -> None:
        self._require(logged_model(model_id))

    def _require(self, owner: Owner) -> None:
        with self._lock:
            self.asked += 1
        if self.away:
            raise TrackingUnavailable
        if owner.id in self.missing:
            raise OwnerNotFound(owner)
        if owner.id in self.deleted:
            raise OwnerDeleted(owner)


class HandClock:
    """A clock that moves when it is told to, from a time that is behind the machine's."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class ArtifactServer:
    """The service on a port of its own, its objects in `folder` unless told otherwise.

    `stop` and `start` it again over the same stores.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        objects_url: str = "",
        *,
        objects: ObjectStore | None = None,
        clock: Clock | None = None,
        max_transfers: int = 8,
        max_threads: int = 16,
    ) -> None:
        self.folder = folder
        self.runs = KnownRuns()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._objects = objects
        self._clock = clock
        self.settings = ArtifactSettings.load(
            database_url=database_url,
            objects_url=objects_url or str(folder / "objects-root"),
            listen=self.address,
            max_transfers=max_transfers,
            max_threads=max_threads,
        )
        self.running: Running | None = None
        self.channel: grpc.Channel | None = None

    @property
    def stub(self) -> ArtifactServiceStub:
        assert self.channel is not None
        return ArtifactServiceStub(self.channel)

    def transfers(self) -> Any:
        """The stub that the client's transfer engine is used with: retries, our exceptions."""
        return Connection(Remote("127.0.0.1", self.port)).service("artifact")

    def start(self) -> "ArtifactServer":
        main.upgrade(self.settings)
        spec = ServerSpec.from_settings(
            "artifact",
            self.settings,
            lambda: [
                main.build(self.settings, objects=self._objects, runs=self.runs, clock=self._clock)
            ],
            access_log="off",
        )
        self.running = start(spec)
        self.channel = grpc.insecure_channel(self.address, [("grpc.max_reconnect_backoff_ms", 500)])
        return self

    def stop(self) -> None:
        if self.channel is not None:
            self.channel.close()
        if self.running is not None:
            self.running.stop(grace_s=0.5)
        self.running = self.channel = None

    def restart(self) -> None:
        self.stop()
        self.start()


def run_owner(run_id: str = "a" * 32) -> pb.Owner:
    return pb.Owner(run_id=run_id)


def version_owner(version_id: str = "b" * 32) -> pb.Owner:
    return pb.Owner(model_version_id=version_id)


class Failed(NamedTuple):
    """How a call failed."""

    code: str
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    retry_after: float | None
    message: str


def failure_of(call: Callable[[], object]) -> Failed:
    """Makes a call that must fail, and tells how."""
    try:
        call()
    except grpc.RpcError as error:
        return _told(error)
    raise AssertionError("the call did not fail")


def _told(error: grpc.RpcError) -> Failed:
    reason, metadata, fields, retry_after = "", {}, [], None
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        if detail.Unpack(info):
            assert info.domain == "artifact.runstone"
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    message = error.details() or ""
    return Failed(error.code().name, reason, metadata, fields, retry_after, message)


def chunks(
    upload_id: str, data: bytes, offset: int = 0, *, size: int = MIB
) -> Iterator[pb.UploadChunksRequest]:
    """`data` in chunks, from `offset` of the upload on."""
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        yield pb.UploadChunksRequest(
            upload_id=upload_id, offset=offset + at, data=piece, crc32=zlib.crc32(piece)
        )


def begin(stub: ArtifactServiceStub, path: str, size: int, **more: Any) -> pb.Upload:
    """An upload to the usual run."""
    request = pb.BeginUploadRequest(owner=run_owner(), path=path, size=size, **more)
    return stub.BeginUpload(request).upload


def put(stub: ArtifactServiceStub, files: dict[str, bytes], **owner: str) -> list[pb.Artifact]:
    """Small files for the usual run, or another owner."""
    request = pb.PutArtifactsRequest(
        owner=pb.Owner(**owner) if owner else run_owner(),
        files=[pb.SmallFile(path=path, content=content) for path, content in files.items()],
    )
    return list(stub.PutArtifacts(request).artifacts)


def read(stub: ArtifactServiceStub, path: str, **more: Any) -> bytes:
    """The bytes of a file of the usual run."""
    request = pb.DownloadArtifactRequest(owner=run_owner(), path=path, **more)
    return b"".join(each.data for each in stub.DownloadArtifact(request))


def listed(stub: ArtifactServiceStub, path: str = "", **owner: str) -> list[str]:
    """All files of the usual run, or another owner."""
    request = pb.ListArtifactsRequest(
        owner=pb.Owner(**owner) if owner else run_owner(), path=path, recursive=True
    )
    return [each.path for each in stub.ListArtifacts(request).artifacts]
