"""Objects in a bucket of anything that speaks S3, through the ``minio`` client.

Only the S3 API is used, never a vendor's administration. The client's calls for single parts begin
with an underscore in its Python API; ``tests/contract/artifact`` holds them to what we need.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from minio import Minio
from minio.datatypes import Part as SentPart
from minio.error import MinioException, S3Error, ServerError
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from runstone_artifact.errors import ObjectStoreUnavailable, StorageFull, UploadNotFound
from runstone_artifact.model import KEY, Part, StoredObject, Upload
from runstone_artifact.objectstore_s3_pool import StorePool
from runstone_kit.errors import invalid_field
from runstone_kit.logs import OnceAMinute

MIB = 2**20

READ_BYTES = MIB
"""As the folder's."""

STREAM_PART = 8 * MIB
"""A stream holds two parts and a copy at once: far below the 64 MiB that are promised."""

PRESIGNED_PART = 16 * MIB
"""A lost part costs little, and one HTTP round trip in 16 MiB is not felt."""

MAX_STREAM_PARTS = 9_900
"""S3 takes 10,000 parts."""

MAX_STREAM_PART = 16 * MIB
"""A stream keeps parts in memory: three of these stay below the 64 MiB that are promised."""

MAX_STREAM_BYTES = MAX_STREAM_PARTS * MAX_STREAM_PART
"""155 GiB; what is larger goes by URL."""

MAX_PRESIGNED_PARTS = 2_000
"""URLs of half a kilobyte all fit one answer; 5 TiB in 2,000 parts stay below 5 GiB a part."""

URL_LIFE = timedelta(hours=1)
"""What the contract says."""

PREFIX = "objects/"
"""Beside it there is room for what a bucket may be asked to hold later."""

MARKER = "installation"
"""Says whose the bucket is."""

LOST = (
    "the bucket is gone, with the files in it; bring it back from a backup, or make an empty one to"
    " go on without them"
)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_GONE = {"NoSuchKey", "NoSuchUpload"}
_FULL_CODES = {"XMinioStorageFull", "InsufficientCapacity", "QuotaExceeded"}
_FULL_STATUS = 507

MAX_CAUSE = 300
"""Characters of a failure that a log line takes."""

_log = structlog.get_logger("runstone_artifact.s3")
_said = OnceAMinute()


@dataclass(frozen=True, slots=True)
class S3Address:
    """``s3+http://key:secret@host:9000/bucket?region=us-east-1`` taken apart."""

    endpoint: str
    secure: bool
    access_key: str
    secret_key: str
    bucket: str
    region: str

    @classmethod
    def parse(cls, url: str) -> S3Address:
        """Raises ValueError, without the URL: it holds a secret."""
        try:
            parts = urlsplit(url)
            usable = parts.hostname is not None and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.scheme not in ("s3+http", "s3+https"):
            raise ValueError("an object store's URL is s3+http://key:secret@host:port/bucket")
        bucket = parts.path.strip("/")
        if not bucket or "/" in bucket or not parts.username or not parts.password:
            raise ValueError("an S3 URL names a key, a secret and a bucket")
        if _BUCKET.fullmatch(bucket) is None or ".." in bucket:
            raise ValueError(
                "an S3 bucket's name has 3 to 63 small letters, digits, dots and hyphens"
            )
        return cls(
            endpoint=parts.netloc.rpartition("@")[2],
            secure=parts.scheme == "s3+https",
            access_key=unquote(parts.username),
            secret_key=unquote(parts.password),
            bucket=bucket,
            # Named, so that making a URL never asks the store where the bucket lives.
            region=parse_qs(parts.query).get("region", ["us-east-1"])[0],
        )


@contextmanager
def _kinds() -> Iterator[None]:
    """What the store says, as the service's errors; an object that is not there is a KeyError."""
    try:
        yield
    except S3Error as error:
        if error.code in _GONE:
            raise KeyError(error.code) from error
        if error.code in _FULL_CODES or error.response.status == _FULL_STATUS:
            raise StorageFull from error
        if _said.due(str(error.code)):
            _log.warning("object store refused", code=error.code, message=error.message)
        raise _away(f"{error.code}: {error.message}") from error
    except ServerError as error:
        if error.status_code == _FULL_STATUS:
            raise StorageFull from error
        raise ObjectStoreUnavailable from error
    except (HTTPError, MinioException, OSError) as error:
        cause = getattr(error, "reason", None) or error
        if _said.due(type(cause).__name__):
            _log.warning("object store away", error=_short(cause))
        raise _away(_short(cause)) from error


def _away(cause: str) -> ObjectStoreUnavailable:
    away = ObjectStoreUnavailable()
    away.private = cause
    return away


def _short(cause: object) -> str:
    # urllib3 begins with the object that failed: <…HTTPConnection object at 0x…>: Failed to …
    return re.sub(r"^[^ ]*?<[^>]*>:? ?|^[\w.]*Connection\(.*?\): ", "", str(cause))[:MAX_CAUSE]


class S3ObjectStore:
    """``store.ObjectStore`` in a bucket; ``public_url`` is where clients reach the same store."""

    presigns = True

    def __init__(self, address: S3Address, public_url: str = "", *, connections: int = 32) -> None:
        self._bucket = address.bucket
        self._place = f"{address.endpoint}/{address.bucket}"
        self._pool = StorePool(connections)
        self._client = _client(address, address.endpoint, address.secure, self._pool)
        self._signer = self._client
        if public_url:
            public = urlsplit(public_url)
            secure = public.scheme.endswith("https")
            self._signer = _client(address, public.netloc, secure, self._pool)

    def close(self) -> None:
        """See ObjectStore."""
        self._pool.clear()

    def prepare(self) -> None:
        """See ObjectStore."""
        with self._placed():
            if not self._client.bucket_exists(self._bucket):
                with suppress(S3Error):
                    # Another replica may have made it meanwhile.
                    self._client.make_bucket(self._bucket)
                if not self._client.bucket_exists(self._bucket):
                    raise _away("the bucket is not there and cannot be made")

    def ping(self) -> None:
        """See ObjectStore."""
        with self._placed():
            if not self._client.bucket_exists(self._bucket):
                raise _away(LOST)

    @contextmanager
    def _placed(self) -> Iterator[None]:
        try:
            with _kinds():
                yield
        except ObjectStoreUnavailable as error:
            error.private = f"{self._place}: {error.private}"
            raise

    def claim(self, installation_id: str) -> str:
        """See ObjectStore."""
        try:
            return self._marker()
        except KeyError:
            data = installation_id.encode()
            with _kinds():
                self._client.put_object(self._bucket, MARKER, BytesIO(data), len(data))
        # Another installation may have come at the same time: the last one has it.
        try:
            return self._marker()
        except KeyError:
            raise ObjectStoreUnavailable from None

    def _marker(self) -> str:
        with _kinds():
            response = self._client.get_object(self._bucket, MARKER)
        return b"".join(_chunks(response)).decode("ascii", "replace").strip()

    def put(self, key: str, chunks: Sequence[bytes]) -> None:
        """See ObjectStore."""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        with _kinds():
            self._client.put_object(self._bucket, PREFIX + key, BytesIO(data), len(data))

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """See ObjectStore."""
        if length == 0:
            if self.size(key) is None:
                raise KeyError(key)
            return iter(())
        try:
            with _kinds():
                response = self._client.get_object(
                    self._bucket, PREFIX + key, offset=offset, length=length
                )
        except ObjectStoreUnavailable as error:
            # Asked for bytes behind the end: the object is shorter than it was.
            if getattr(error.__cause__, "code", "") == "InvalidRange":
                return iter(())
            raise
        return _chunks(response)

    def size(self, key: str) -> int | None:
        """See ObjectStore."""
        try:
            with _kinds():
                return self._client.stat_object(self._bucket, PREFIX + key).size
        except KeyError:
            return None

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with suppress(KeyError), _kinds():
            self._client.remove_object(self._bucket, PREFIX + key)

    def list_objects(self) -> Iterator[StoredObject]:
        """See ObjectStore."""
        with _kinds():
            for item in self._client.list_objects(self._bucket, PREFIX, recursive=True):
                key, modified = str(item.object_name).removeprefix(PREFIX), item.last_modified
                if KEY.fullmatch(key) is None:
                    continue
                yield StoredObject(
                    key,
                    item.size or 0,
                    int(modified.timestamp() * 1000) if modified else 0,
                )

    def stage(self, upload_id: str, key: str, size: int, *, presigned: bool) -> tuple[int, str]:
        """See ObjectStore."""
        least, most = (
            (PRESIGNED_PART, MAX_PRESIGNED_PARTS) if presigned else (STREAM_PART, MAX_STREAM_PARTS)
        )
        if not presigned and size <= least:
            # One put does it, and an empty object cannot be made of parts.
            return 0, ""
        if not presigned and size > MAX_STREAM_BYTES:
            raise invalid_field(
                "size",
                f"is more than the {MAX_STREAM_BYTES} bytes that a stream may bring to this object "
                "store; ask for presigned URLs (presigned)",
            )
        part_size = max(least, -(-size // most // MIB) * MIB)
        with _kinds():
            return part_size, self._client._create_multipart_upload(self._bucket, PREFIX + key, {})

    def writer(self, upload: Upload) -> S3Writer:
        """See ObjectStore."""
        return S3Writer(self, upload)

    def put_part(self, upload: Upload, number: int, data: bytes) -> Part:
        """Store one part of a streamed upload."""
        try:
            with _kinds():
                etag = self._client._upload_part(
                    self._bucket,
                    PREFIX + upload.object_key,
                    data,
                    None,
                    upload.multipart_id,
                    number,
                )
        except KeyError:
            raise UploadNotFound(upload.upload_id) from None
        return Part(number, len(data), etag)

    def read_staged(self, upload: Upload) -> Iterator[bytes] | None:
        """See ObjectStore: parts cannot be read before they are one object."""
        return None

    def complete(self, upload: Upload) -> None:
        """See ObjectStore."""
        try:
            # Without parts it was completed before; not every store would say so by itself.
            if not upload.multipart_id or not upload.parts:
                raise KeyError(upload.object_key)
            with _kinds():
                self._client._complete_multipart_upload(
                    self._bucket,
                    PREFIX + upload.object_key,
                    upload.multipart_id,
                    [SentPart(part.number, part.etag) for part in upload.parts],
                )
        except KeyError:
            if self.size(upload.object_key) != upload.size:
                raise UploadNotFound(upload.upload_id) from None
            return
        # S3 may answer 200 with an error in the body, which the client does not look at.
        if self.size(upload.object_key) != upload.size:
            _log.warning("object store completed nothing", key=upload.object_key)
            raise ObjectStoreUnavailable

    def discard(self, upload: Upload) -> None:
        """See ObjectStore."""
        if upload.multipart_id:
            self.discard_staged(upload.object_key, upload.multipart_id)

    def list_staged(self, before_ms: int) -> Iterator[tuple[str, str]]:
        """See ObjectStore."""
        key = name = None
        while True:
            with _kinds():
                page = self._client._list_multipart_uploads(
                    self._bucket, prefix=PREFIX, key_marker=key, upload_id_marker=name
                )
            for each in page.uploads:
                key, name = str(each.object_name), str(each.upload_id)
                begun = each.initiated_time
                if begun is None or KEY.fullmatch(key.removeprefix(PREFIX)) is None:
                    continue
                if begun.timestamp() * 1000 < before_ms:
                    yield key.removeprefix(PREFIX), name
            if not page.is_truncated or not page.uploads:
                return

    def discard_staged(self, key: str, name: str) -> None:
        """See ObjectStore."""
        with suppress(KeyError), _kinds():
            self._client._abort_multipart_upload(self._bucket, PREFIX + key, name)

    def sent_parts(self, upload: Upload) -> list[Part]:
        """See ObjectStore."""
        parts: list[Part] = []
        marker: str | None = None
        while True:
            try:
                with _kinds():
                    page = self._client._list_parts(
                        self._bucket,
                        PREFIX + upload.object_key,
                        upload.multipart_id,
                        part_number_marker=marker,
                    )
            except KeyError:
                raise UploadNotFound(upload.upload_id) from None
            parts += [
                Part(part.part_number, part.size or 0, part.etag.strip('"')) for part in page.parts
            ]
            if not page.is_truncated or not page.parts:
                return parts
            marker = str(page.parts[-1].part_number)

    def part_url(self, upload: Upload, number: int) -> str:
        """See ObjectStore."""
        with _kinds():
            return self._signer.get_presigned_url(
                "PUT",
                self._bucket,
                PREFIX + upload.object_key,
                expires=URL_LIFE,
                extra_query_params={"uploadId": upload.multipart_id, "partNumber": str(number)},
            )

    def object_url(self, key: str) -> str:
        """See ObjectStore."""
        with _kinds():
            return self._signer.get_presigned_url(
                "GET", self._bucket, PREFIX + key, expires=URL_LIFE
            )


class S3Writer:
    """``store.StagingWriter`` of parts: one is filled while the one before is sent."""

    def __init__(self, store: S3ObjectStore, upload: Upload) -> None:
        self._store = store
        self._upload = upload
        self._secured = upload.offset
        self._written = upload.offset
        self._chunks: list[memoryview] = []
        self._filled = 0
        self._new: list[Part] = []
        self._sending: Future[Part] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="part")

    @property
    def secured(self) -> int:
        """See StagingWriter."""
        return self._secured

    def take_parts(self) -> list[Part]:
        """See StagingWriter."""
        new, self._new = self._new, []
        return new

    def write(self, data: bytes | memoryview) -> None:
        """See StagingWriter."""
        rest = memoryview(data)
        size = self._upload.part_size
        while rest:
            room = size - self._filled if size else len(rest)
            self._chunks.append(rest[:room])
            taken = len(self._chunks[-1])
            self._filled += taken
            self._written += taken
            rest = rest[taken:]
            if size and self._filled == size:
                self._send()

    def finish(self) -> None:
        """See StagingWriter."""
        if self._written == self._upload.size:
            if not self._upload.multipart_id:
                self._store.put(self._upload.object_key, [b"".join(self._chunks)])
                self._secured = self._written
            elif self._filled:
                self._send()
        self._wait()

    def close(self) -> None:
        """See StagingWriter."""
        self._chunks.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self) -> None:
        self._wait()
        number = self._secured // self._upload.part_size + 1
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._filled = 0
        self._sending = self._pool.submit(self._store.put_part, self._upload, number, data)

    def _wait(self) -> None:
        if self._sending is not None:
            part = self._sending.result()
            self._sending = None
            self._secured += part.size
            self._new.append(part)


def _client(address: S3Address, endpoint: str, secure: bool, pool: PoolManager) -> Minio:
    return Minio(
        endpoint,
        access_key=address.access_key,
        secret_key=address.secret_key,
        secure=secure,
        region=address.region,
        http_client=pool,
    )


def _chunks(response: Any) -> Iterator[bytes]:
    try:
        with _kinds():
            yield from response.stream(READ_BYTES)
    finally:
        response.close()
        response.release_conn()
