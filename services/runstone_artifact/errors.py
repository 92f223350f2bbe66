"""Why a call of the artifact service fails; the reasons are those of error_reason.proto.

NotFound
├── OwnerNotFound            OWNER_NOT_FOUND
├── ArtifactNotFound         ARTIFACT_NOT_FOUND
└── UploadNotFound           UPLOAD_NOT_FOUND
FailedPrecondition
├── OwnerDeleted             OWNER_DELETED
├── OwnerSealed              OWNER_SEALED
├── PathConflict             PATH_CONFLICT
├── OffsetMismatch           OFFSET_MISMATCH
├── SizeMismatch             SIZE_MISMATCH
├── DigestMismatch           DIGEST_MISMATCH
├── PresignUnsupported       PRESIGN_UNSUPPORTED
└── StoreOfAnother           STORE_OF_ANOTHER
Aborted
├── ChunkDamaged             CHUNK_DAMAGED
├── UploadBusy               UPLOAD_BUSY
└── BytesCollected           never sent: the service stores the bytes again
DataLoss
└── ObjectDamaged            OBJECT_DAMAGED
Unavailable
├── ObjectStoreUnavailable   OBJECT_STORE_UNAVAILABLE
└── TrackingUnavailable      TRACKING_UNAVAILABLE
ResourceExhausted
├── StorageFull              STORAGE_FULL
└── Overloaded               OVERLOADED
"""

from __future__ import annotations

from runstone_kit.errors import (
    Aborted,
    DataLoss,
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    Unavailable,
)

DOMAIN = "artifact.runstone"


class OwnerNotFound(NotFound):
    """No such run or logged model, or a model version that was never opened."""

    domain = DOMAIN
    reason = "OWNER_NOT_FOUND"

    def __init__(self, owner: object) -> None:
        kind, _, name = str(owner).partition("/")
        what = {"runs": "run", "models": "logged model"}.get(kind, "model version with files")
        super().__init__(f"there is no {what} {name}", metadata={"owner": str(owner)})


class ArtifactNotFound(NotFound):
    """Nothing stands at the path."""

    domain = DOMAIN
    reason = "ARTIFACT_NOT_FOUND"

    def __init__(self, owner: object, path: str) -> None:
        where = f"{owner}/{path}" if path else f"{owner}"
        super().__init__(
            f"there is no artifact {where}", metadata={"owner": str(owner), "path": path}
        )


class UploadNotFound(NotFound):
    """The upload is unknown, aborted or forgotten."""

    domain = DOMAIN
    reason = "UPLOAD_NOT_FOUND"

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"there is no upload {upload_id}: it was aborted, or left alone for a day",
            metadata={"upload_id": upload_id},
        )


class OwnerDeleted(FailedPrecondition):
    """The run or logged model is deleted."""

    domain = DOMAIN
    reason = "OWNER_DELETED"

    def __init__(self, owner: object) -> None:
        super().__init__(
            f"{owner} is deleted; only what is active takes artifacts",
            metadata={"owner": str(owner)},
        )


class OwnerSealed(FailedPrecondition):
    """The model version's files are final."""

    domain = DOMAIN
    reason = "OWNER_SEALED"

    def __init__(self, owner: object) -> None:
        super().__init__(f"the files of {owner} are final", metadata={"owner": str(owner)})


class PathConflict(FailedPrecondition):
    """A directory stands where a file is wanted, or the other way round."""

    domain = DOMAIN
    reason = "PATH_CONFLICT"

    def __init__(self, path: str, *, is_directory: bool) -> None:
        what = "a directory" if is_directory else "a file"
        super().__init__(f"{path} is {what}", metadata={"path": path})


class OffsetMismatch(FailedPrecondition):
    """The chunk does not start where the upload stands."""

    domain = DOMAIN
    reason = "OFFSET_MISMATCH"

    def __init__(self, upload_id: str, expected: int, offset: int) -> None:
        super().__init__(
            f"the upload stands at byte {expected}, and the chunk starts at {offset}",
            metadata={"upload_id": upload_id, "expected_offset": str(expected)},
        )


class SizeMismatch(FailedPrecondition):
    """Bytes are missing or too many."""

    domain = DOMAIN
    reason = "SIZE_MISMATCH"

    def __init__(self, upload_id: str, expected: int, size: int) -> None:
        super().__init__(
            f"the upload has {size} bytes and not {expected}",
            metadata={
                "upload_id": upload_id,
                "expected_size": str(expected),
                "size": str(size),
            },
        )


class DigestMismatch(FailedPrecondition):
    """The bytes do not have the digest that was promised."""

    domain = DOMAIN
    reason = "DIGEST_MISMATCH"

    def __init__(
        self, what: str, expected: str, found: str, *, upload_id: str = "", promised: bool = False
    ) -> None:
        """``promised``: both digests are the caller's, one at the beginning and one at the end."""
        begun = ", with which the upload was begun" if promised else ""
        super().__init__(
            f"{what} has the digest {found} and not {expected}{begun}",
            metadata={"upload_id": upload_id, "expected_sha256": expected, "sha256": found},
        )


class PresignUnsupported(FailedPrecondition):
    """The object store gives no presigned URLs."""

    domain = DOMAIN
    reason = "PRESIGN_UNSUPPORTED"

    def __init__(self) -> None:
        super().__init__("artifacts are kept in a folder: there are no URLs to read them from")


class StoreOfAnother(FailedPrecondition):
    """The object store was claimed by another installation: its objects are not ours to judge."""

    domain = DOMAIN
    reason = "STORE_OF_ANOTHER"

    def __init__(self, installation_id: str) -> None:
        super().__init__(
            f"the object store belongs to another installation ({installation_id}), whose objects "
            "are left alone; give each database an object store of its own. If that installation "
            "is gone for good, remove the store's `installation` marker",
            metadata={"installation_id": installation_id},
        )


class ChunkDamaged(Aborted):
    """A chunk's CRC-32 is wrong: it was damaged on the way."""

    domain = DOMAIN
    reason = "CHUNK_DAMAGED"

    def __init__(self, upload_id: str, offset: int) -> None:
        super().__init__(
            f"the bytes at {offset} were damaged on the way; send them again",
            metadata={"upload_id": upload_id, "expected_offset": str(offset)},
        )


class UploadBusy(Aborted):
    """Another call writes to the upload."""

    domain = DOMAIN
    reason = "UPLOAD_BUSY"

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            "another call writes to the upload",
            metadata={"upload_id": upload_id},
            retry_after=0.5,
        )


class BytesCollected(Aborted):
    """Stored bytes that were to be referred to are garbage collected; store them again.

    Only between store and service. A caller sees it when five attempts in a row met a collection.
    """

    domain = DOMAIN
    reason = "UPLOAD_BUSY"

    def __init__(self) -> None:
        super().__init__("garbage collection came between; try again", retry_after=0.5)


class ObjectDamaged(DataLoss):
    """The stored object is missing or damaged."""

    domain = DOMAIN
    reason = "OBJECT_DAMAGED"

    def __init__(self, sha256: str, problem: str) -> None:
        super().__init__(f"the stored object is {problem}", metadata={"sha256": sha256})


class ObjectStoreUnavailable(Unavailable):
    """The object store cannot be reached, or fails by its own fault."""

    domain = DOMAIN
    reason = "OBJECT_STORE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the object store cannot be reached right now", retry_after=1.0)


class TrackingUnavailable(Unavailable):
    """The run cannot be checked, because the tracking service is away."""

    domain = DOMAIN
    reason = "TRACKING_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the tracking service cannot be reached right now", retry_after=1.0)


class StorageFull(ResourceExhausted):
    """The object store has no room left."""

    domain = DOMAIN
    reason = "STORAGE_FULL"

    def __init__(self) -> None:
        super().__init__(
            "the object store has no room left; nothing was committed", retry_after=30.0
        )


class Overloaded(ResourceExhausted):
    """Too many transfers at once."""

    domain = DOMAIN
    reason = "OVERLOADED"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} transfers are under way, which is the limit; try again", retry_after=0.5
        )
