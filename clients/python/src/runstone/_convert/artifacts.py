"""Files and uploads."""

from __future__ import annotations

from runstone._convert.times import to_ms
from runstone._entities.artifacts import DamagedObject, FileInfo, ScrubReport, Upload, UploadPart
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import InvalidArgument


def owner(
    run_id: str | None, model_version_id: str | None, logged_model_id: str | None = None
) -> artifact_pb2.Owner:
    """Whose files: exactly one of the three. Raises InvalidArgument otherwise."""
    if sum(map(bool, (run_id, model_version_id, logged_model_id))) != 1:
        raise InvalidArgument(
            "exactly one of run_id, model_version_id and logged_model_id must be given"
        )
    if run_id:
        return artifact_pb2.Owner(run_id=run_id)
    if logged_model_id:
        return artifact_pb2.Owner(logged_model_id=logged_model_id)
    return artifact_pb2.Owner(model_version_id=model_version_id or "")


def file_info(message: artifact_pb2.Artifact) -> FileInfo:
    """A file or directory."""
    if message.is_directory:
        return FileInfo(message.path, is_dir=True)
    return FileInfo(
        path=message.path,
        is_dir=False,
        file_size=message.size,
        sha256=message.sha256 or None,
        creation_time=to_ms(message.create_time) if message.HasField("create_time") else None,
        blake3=message.blake3 or None,
    )


def upload(message: artifact_pb2.Upload) -> Upload:
    """An upload under way."""
    parts = [
        UploadPart(part.part_number, part.offset, part.size, part.url, dict(part.headers))
        for part in message.parts
    ]
    return Upload(message.upload_id, message.offset, message.size, parts)


def scrub_report(message: artifact_pb2.ScrubArtifactsResponse) -> ScrubReport:
    """What a scrub found."""
    damaged = [
        DamagedObject(each.sha256, each.problem, list(each.artifacts)) for each in message.damaged
    ]
    return ScrubReport(message.checked, message.size, damaged, message.next_page_token or None)
