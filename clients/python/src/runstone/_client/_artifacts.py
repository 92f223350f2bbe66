"""The artifact service, call by call. Whole files and trees are in ``_files``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from isal.isal_zlib import crc32

from runstone._client._base import ClientBase
from runstone._convert import artifacts as convert
from runstone._entities.artifacts import (
    DownloadUrl,
    FileInfo,
    FileTotals,
    GarbageReport,
    ScrubReport,
    Upload,
)
from runstone.artifact.v1 import artifact_pb2


class ArtifactCalls(ClientBase):
    """Calls about files: of a run, or of the model version or logged model that is named."""

    def put_artifacts(
        self,
        run_id: str | None,
        files: Mapping[str, bytes],
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> list[FileInfo]:
        """Commit small files, path to bytes, all or none; at most 4 MiB in all.

        Raises:
            OwnerNotFound, OwnerDeleted, OwnerSealed, PathConflict
        """
        response = self._artifact.PutArtifacts(
            artifact_pb2.PutArtifactsRequest(
                owner=convert.owner(run_id, model_version_id, logged_model_id),
                files=[
                    artifact_pb2.SmallFile(path=path, content=content)
                    for path, content in files.items()
                ],
            )
        )
        return [convert.file_info(each) for each in response.artifacts]

    def begin_upload(
        self,
        run_id: str | None,
        path: str,
        size: int,
        *,
        sha256: str = "",
        presigned: bool = False,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> Upload | FileInfo:
        """Begin an upload of ``size`` bytes, or commit at once when the store holds the bytes.

        Raises:
            OwnerNotFound, OwnerDeleted, OwnerSealed, PathConflict
        """
        response = self._artifact.BeginUpload(
            artifact_pb2.BeginUploadRequest(
                owner=convert.owner(run_id, model_version_id, logged_model_id),
                path=path,
                size=size,
                sha256=sha256,
                presigned=presigned,
            )
        )
        if response.HasField("artifact"):
            return convert.file_info(response.artifact)
        return convert.upload(response.upload)

    def upload_chunks(self, upload_id: str, chunks: Iterable[bytes], offset: int = 0) -> Upload:
        """Send the next bytes, at most 4 MiB a chunk, from ``offset`` on.

        Raises:
            UploadNotFound, OffsetMismatch, SizeMismatch, ChunkDamaged, UploadBusy
        """

        def requests() -> Iterator[artifact_pb2.UploadChunksRequest]:
            position = offset
            for data in chunks:
                yield artifact_pb2.UploadChunksRequest(
                    upload_id=upload_id, offset=position, data=data, crc32=crc32(data)
                )
                position += len(data)

        return convert.upload(self._artifact.UploadChunks(requests()).upload)

    def get_upload(self, upload_id: str) -> Upload:
        """Where an upload stands. Raises UploadNotFound."""
        request = artifact_pb2.GetUploadRequest(upload_id=upload_id)
        return convert.upload(self._artifact.GetUpload(request).upload)

    def commit_upload(self, upload_id: str, *, sha256: str = "") -> FileInfo:
        """Check size and digest and make the file's entry.

        Raises:
            UploadNotFound, SizeMismatch, DigestMismatch, PathConflict, OwnerDeleted, OwnerSealed,
            UploadBusy
        """
        request = artifact_pb2.CommitUploadRequest(upload_id=upload_id, sha256=sha256)
        return convert.file_info(self._artifact.CommitUpload(request).artifact)

    def abort_upload(self, upload_id: str) -> None:
        """Give an upload up; one that is gone is fine. Raises UploadBusy."""
        self._artifact.AbortUpload(artifact_pb2.AbortUploadRequest(upload_id=upload_id))

    def get_artifact(
        self,
        run_id: str | None,
        path: str,
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> FileInfo:
        """What stands at a path. Raises ArtifactNotFound."""
        request = artifact_pb2.GetArtifactRequest(
            owner=convert.owner(run_id, model_version_id, logged_model_id), path=path
        )
        return convert.file_info(self._artifact.GetArtifact(request).artifact)

    def list_artifacts(
        self,
        run_id: str | None = None,
        path: str | None = None,
        *,
        recursive: bool = False,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> list[FileInfo]:
        """What stands in a directory (the top when absent), ordered by path; all of its pages.

        ``recursive`` gives every file below instead of the directory's own entries.
        """
        request = artifact_pb2.ListArtifactsRequest(
            owner=convert.owner(run_id, model_version_id, logged_model_id),
            path=path or "",
            recursive=recursive,
        )
        found: list[FileInfo] = []
        while True:
            response = self._artifact.ListArtifacts(request)
            found.extend(map(convert.file_info, response.artifacts))
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    def download_artifact(
        self,
        run_id: str | None,
        path: str,
        *,
        offset: int = 0,
        length: int = 0,
        sha256: str = "",
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> Iterator[bytes]:
        """The bytes of a file, or ``length`` of them from ``offset``, as they come.

        A range is checked against damage on the way; a whole file also against its digest, once the
        last bytes were given out.

        Raises:
            ArtifactNotFound, PathConflict, ChunkDamaged
            ObjectDamaged: the stored bytes are not what they were; after the last ones, or before.
            DigestMismatch: ``sha256`` was given and the file was replaced since.
        """
        request = artifact_pb2.DownloadArtifactRequest(
            owner=convert.owner(run_id, model_version_id, logged_model_id),
            path=path,
            offset=offset,
            length=length,
            sha256=sha256,
        )
        return _checked(self._artifact.DownloadArtifact(request), request)

    def create_download_urls(
        self,
        run_id: str | None,
        paths: Sequence[str],
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> list[DownloadUrl]:
        """Where files can be read by HTTP GET for an hour.

        Raises:
            ArtifactNotFound, PathConflict
            PresignUnsupported: the server keeps its files in a folder.
        """
        request = artifact_pb2.CreateDownloadUrlsRequest(
            owner=convert.owner(run_id, model_version_id, logged_model_id), paths=list(paths)
        )
        response = self._artifact.CreateDownloadUrls(request)
        return [DownloadUrl(convert.file_info(each.artifact), each.url) for each in response.urls]

    def delete_artifacts(
        self,
        run_id: str | None,
        path: str | None = None,
        *,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
    ) -> int:
        """Delete a file or a tree, all files without a path; returns how many went.

        Raises:
            ArtifactNotFound: nothing stands at the path.
            OwnerSealed
        """
        request = artifact_pb2.DeleteArtifactsRequest(
            owner=convert.owner(run_id, model_version_id, logged_model_id), path=path or ""
        )
        return self._artifact.DeleteArtifacts(request).deleted

    def copy_artifacts(
        self,
        source_run_id: str | None = None,
        source_path: str | None = None,
        *,
        source_model_version_id: str | None = None,
        source_logged_model_id: str | None = None,
        run_id: str | None = None,
        model_version_id: str | None = None,
        logged_model_id: str | None = None,
        path: str | None = None,
        seal: bool = False,
    ) -> FileTotals:
        """Give an owner the files of another without moving bytes.

        The run, model version or logged model named gets them, below ``path``; ``seal`` makes a
        model version's files final in the same step.

        Raises:
            OwnerNotFound, ArtifactNotFound, OwnerDeleted, OwnerSealed, PathConflict
        """
        response = self._artifact.CopyArtifacts(
            artifact_pb2.CopyArtifactsRequest(
                source=convert.owner(
                    source_run_id, source_model_version_id, source_logged_model_id
                ),
                source_path=source_path or "",
                destination=convert.owner(run_id, model_version_id, logged_model_id),
                destination_path=path or "",
                seal=seal,
            )
        )
        return FileTotals(response.copied, response.size)

    def open_artifacts(self, model_version_id: str) -> None:
        """Open a model version for uploads, as the registry does. Raises OwnerSealed."""
        owner = convert.owner(None, model_version_id)
        self._artifact.OpenArtifacts(artifact_pb2.OpenArtifactsRequest(owner=owner))

    def seal_artifacts(self, model_version_id: str) -> FileTotals:
        """Make a model version's files final, as the registry does. Raises OwnerNotFound."""
        owner = convert.owner(None, model_version_id)
        response = self._artifact.SealArtifacts(artifact_pb2.SealArtifactsRequest(owner=owner))
        return FileTotals(response.count, response.size)

    def collect_garbage(
        self, *, dry_run: bool = False, min_age_seconds: int | None = None
    ) -> GarbageReport:
        """Remove stored objects that nothing refers to and uploads that were left behind.

        What is younger than ``min_age_seconds`` (a day unless said) is left alone.

        Raises:
            StoreOfAnother: the server's object store belongs to another installation.
        """
        response = self._artifact.CollectGarbage(
            artifact_pb2.CollectGarbageRequest(
                dry_run=dry_run, min_age_seconds=min_age_seconds or 0
            )
        )
        return GarbageReport(response.objects, response.size, response.uploads, response.more)

    def scrub_artifacts(self, *, max_bytes: int = 0, page_token: str | None = None) -> ScrubReport:
        """Read stored objects (1 GiB unless said) and compare them with their digests.

        Raises:
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._artifact.ScrubArtifacts(
            artifact_pb2.ScrubArtifactsRequest(max_bytes=max_bytes, page_token=page_token or "")
        )
        return convert.scrub_report(response)


def _checked(
    stream: Iterable[Any], request: artifact_pb2.DownloadArtifactRequest
) -> Iterator[bytes]:
    # Imported here: it takes hashing along, which `import runstone` does without.
    from runstone._transfer.check import DigestCheck, require_whole

    check: DigestCheck | None = None
    for chunk in stream:
        if not (request.offset or request.length):
            check = check or DigestCheck(chunk.artifact)
            check.update(chunk.data)
        require_whole(chunk, request.path)
        if chunk.data:
            yield bytes(chunk.data)
    if check is not None:
        check.require()
