"""Proto to model and back; shape checks gathered into one INVALID_ARGUMENT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone_artifact.convert_paths import check_path
from runstone_artifact.errors import DigestMismatch
from runstone_artifact.model import (
    MAX_SIZE,
    Begun,
    Collected,
    Content,
    File,
    Found,
    Owner,
    OwnerKind,
    Scrubbed,
    Upload,
)
from runstone_artifact.model_digests import Digests
from runstone_kit.errors import Violations
from runstone_kit.validation import (
    INT64_MAX,
    check_count,
    check_id,
    check_logged_model_id,
    check_page_size,
    check_range,
    check_run_id,
    check_sha256,
    check_version_id,
)

MAX_PUT_BYTES = 4 * 2**20
"""PutArtifacts is held in memory whole."""

MAX_CHUNK_BYTES = 4 * 2**20
"""As the contract says; a stream holds a few of them."""

MAX_FILES = 1000
MAX_PATHS = 1000
MAX_PARTS = 2000
MAX_CLIENT_PARTS = 10_000
"""What S3 takes; a URL has half a kilobyte."""

MAX_ETAG = 100
"""Characters; S3's have 32 hexadecimal digits, those of other stores somewhat more."""

MAX_SCRUB_BYTES = 2**40
MAX_AGE_S = 100 * 365 * 86_400
"""Past any age; the product in milliseconds stays far inside int64."""


def owner_of(violations: Violations, field: str, owner: pb.Owner) -> Owner:
    """The owner that a request names."""
    which = owner.WhichOneof("owner")
    if which == "run_id":
        check_run_id(violations, f"{field}.run_id", owner.run_id)
        return Owner(OwnerKind.RUN, owner.run_id)
    if which == "model_version_id":
        check_version_id(violations, f"{field}.model_version_id", owner.model_version_id)
        return Owner(OwnerKind.MODEL_VERSION, owner.model_version_id)
    if which == "logged_model_id":
        check_logged_model_id(violations, f"{field}.logged_model_id", owner.logged_model_id)
        return Owner(OwnerKind.LOGGED_MODEL, owner.logged_model_id)
    violations.add(field, "is required: a run_id, a logged_model_id or a model_version_id")
    return Owner(OwnerKind.RUN, "")


def version_of(violations: Violations, field: str, owner: pb.Owner) -> Owner:
    """The model version that a request names."""
    found = owner_of(violations, field, owner)
    if found.is_tracked and found.id:
        violations.add(field, "must be a model version; others are open while they are active")
    return found


def read_put(request: pb.PutArtifactsRequest) -> tuple[Owner, list[Content]]:
    """Owner and files. Raises InvalidArgument, DigestMismatch."""
    violations = Violations()
    owner = owner_of(violations, "owner", request.owner)
    check_count(violations, "files", len(request.files), MAX_FILES, minimum=1)
    size = sum(len(file.content) for file in request.files)
    if size > MAX_PUT_BYTES:
        violations.add("files", f"must have at most {MAX_PUT_BYTES} bytes together, not {size}")
    seen: set[str] = set()
    for index, file in enumerate(request.files[:MAX_FILES]):
        field = f"files[{index}]"
        check_path(violations, f"{field}.path", file.path)
        if file.path in seen:
            violations.add(f"{field}.path", "must not be the path of another file of the call")
        seen.add(file.path)
        if file.sha256:
            check_sha256(violations, f"{field}.sha256", file.sha256)
    violations.raise_if_any()
    contents = []
    for file in request.files:
        found = Digests(file.content)
        if file.sha256 and file.sha256 != found.sha256:
            raise DigestMismatch(file.path, file.sha256, found.sha256)
        contents.append(Content(file.path, file.content, found.sha256, found.blake3))
    return owner, contents


def read_begin(request: pb.BeginUploadRequest) -> Owner:
    """Checks all fields; the others are used as they are. Raises InvalidArgument."""
    violations = Violations()
    owner = owner_of(violations, "owner", request.owner)
    check_path(violations, "path", request.path)
    check_range(violations, "size", request.size, 0, MAX_SIZE)
    if request.sha256:
        check_sha256(violations, "sha256", request.sha256)
    check_range(violations, "part_count", request.part_count, 0, MAX_CLIENT_PARTS)
    if request.part_count:
        if request.size:
            violations.add("size", "must not be set with part_count: the parts tell it")
        if request.sha256:
            violations.add("sha256", "must not be set with part_count; CommitUpload takes it")
    violations.raise_if_any()
    return owner


def check_chunk(upload_id: str, offset: int, size: int, *, first: bool) -> None:
    """Shape of a chunk. Raises InvalidArgument."""
    violations = Violations()
    if first or upload_id:
        check_id(violations, "upload_id", upload_id)
    check_range(violations, "offset", offset, 0, MAX_SIZE)
    if size > MAX_CHUNK_BYTES:
        violations.add("data", f"must have at most {MAX_CHUNK_BYTES} bytes, not {size}")
    violations.raise_if_any()


def check_upload_id(upload_id: str) -> None:
    """Raises InvalidArgument."""
    violations = Violations()
    check_id(violations, "upload_id", upload_id)
    violations.raise_if_any()


def check_commit(request: pb.CommitUploadRequest) -> None:
    """Raises InvalidArgument."""
    violations = Violations()
    check_id(violations, "upload_id", request.upload_id)
    if request.sha256:
        check_sha256(violations, "sha256", request.sha256)
    check_count(violations, "part_crc32s", len(request.part_crc32s), MAX_PARTS)
    check_count(violations, "part_etags", len(request.part_etags), MAX_CLIENT_PARTS)
    for index, etag in enumerate(request.part_etags[:MAX_CLIENT_PARTS]):
        if not 0 < len(etag) <= MAX_ETAG:
            violations.add(f"part_etags[{index}]", f"must have 1 to {MAX_ETAG} characters")
    violations.raise_if_any()


def read_place(owner: pb.Owner, path: str, *, required: bool) -> Owner:
    """An owner beside a path. Raises InvalidArgument."""
    violations = Violations()
    found = owner_of(violations, "owner", owner)
    check_path(violations, "path", path, required=required)
    violations.raise_if_any()
    return found


def read_list(request: pb.ListArtifactsRequest) -> Owner:
    """Raises InvalidArgument."""
    violations = Violations()
    owner = owner_of(violations, "owner", request.owner)
    check_path(violations, "path", request.path, required=False)
    check_page_size(violations, "page_size", request.page_size)
    violations.raise_if_any()
    return owner


def read_download(request: pb.DownloadArtifactRequest) -> Owner:
    """Raises InvalidArgument."""
    violations = Violations()
    owner = owner_of(violations, "owner", request.owner)
    check_path(violations, "path", request.path)
    check_range(violations, "offset", request.offset, 0, INT64_MAX)
    check_range(violations, "length", request.length, 0, INT64_MAX)
    if request.sha256:
        check_sha256(violations, "sha256", request.sha256)
    violations.raise_if_any()
    return owner


def read_urls(request: pb.CreateDownloadUrlsRequest) -> Owner:
    """Raises InvalidArgument."""
    violations = Violations()
    owner = owner_of(violations, "owner", request.owner)
    check_count(violations, "paths", len(request.paths), MAX_PATHS, minimum=1)
    for index, path in enumerate(request.paths[:MAX_PATHS]):
        check_path(violations, f"paths[{index}]", path)
    violations.raise_if_any()
    return owner


def read_copy(request: pb.CopyArtifactsRequest) -> tuple[Owner, Owner]:
    """Source and destination. Raises InvalidArgument."""
    violations = Violations()
    source = owner_of(violations, "source", request.source)
    destination = owner_of(violations, "destination", request.destination)
    check_path(violations, "source_path", request.source_path, required=False)
    check_path(violations, "destination_path", request.destination_path, required=False)
    if request.seal and destination.is_tracked and destination.id:
        violations.add("seal", "is for model versions only")
    violations.raise_if_any()
    return source, destination


def read_version(owner: pb.Owner) -> Owner:
    """A model version. Raises InvalidArgument."""
    violations = Violations()
    found = version_of(violations, "owner", owner)
    violations.raise_if_any()
    return found


def check_collect(request: pb.CollectGarbageRequest) -> None:
    """Raises InvalidArgument."""
    violations = Violations()
    check_range(violations, "min_age_seconds", request.min_age_seconds, 0, MAX_AGE_S)
    violations.raise_if_any()


def check_scrub(request: pb.ScrubArtifactsRequest) -> None:
    """Raises InvalidArgument."""
    violations = Violations()
    check_range(violations, "max_bytes", request.max_bytes, 0, MAX_SCRUB_BYTES)
    violations.raise_if_any()


def timestamp(ms: int) -> Timestamp:
    """Unix milliseconds as a Timestamp."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def artifact(found: Found) -> pb.Artifact:
    """What stands at a path, as a message."""
    if isinstance(found, File):
        return pb.Artifact(
            path=found.path,
            size=found.size,
            sha256=found.sha256,
            create_time=timestamp(found.create_ms),
            blake3=found.blake3,
        )
    return pb.Artifact(path=found.path, is_directory=True)


def artifacts(found: Iterable[Found]) -> list[pb.Artifact]:
    """Many of them."""
    return [artifact(each) for each in found]


def upload(begun: Begun | Upload) -> pb.Upload:
    """An upload as a message, with its URLs if it has any."""
    found, urls = (begun.upload, begun.urls) if isinstance(begun, Begun) else (begun, ())
    assert found is not None
    return pb.Upload(
        upload_id=found.upload_id,
        offset=found.offset,
        size=found.size,
        parts=[
            pb.UploadPart(part_number=url.number, offset=url.offset, size=url.size, url=url.url)
            for url in urls
        ],
    )


def begun(result: Begun) -> pb.BeginUploadResponse:
    """The answer of BeginUpload."""
    if result.artifact is not None:
        return pb.BeginUploadResponse(artifact=artifact(result.artifact))
    return pb.BeginUploadResponse(upload=upload(result))


def urls(found: Sequence[tuple[File, str]]) -> pb.CreateDownloadUrlsResponse:
    """The answer of CreateDownloadUrls."""
    return pb.CreateDownloadUrlsResponse(
        urls=[pb.DownloadUrl(artifact=artifact(file), url=url) for file, url in found]
    )


def collected(result: Collected) -> pb.CollectGarbageResponse:
    """The answer of CollectGarbage."""
    return pb.CollectGarbageResponse(
        objects=result.objects.count,
        size=result.objects.size,
        uploads=result.uploads,
        more=result.more,
    )


def scrubbed(result: Scrubbed) -> pb.ScrubArtifactsResponse:
    """The answer of ScrubArtifacts."""
    return pb.ScrubArtifactsResponse(
        checked=result.checked.count,
        size=result.checked.size,
        damaged=[
            pb.DamagedObject(sha256=each.sha256, problem=each.problem, artifacts=each.artifacts)
            for each in result.damaged
        ],
        next_page_token=result.next_page_token,
    )
