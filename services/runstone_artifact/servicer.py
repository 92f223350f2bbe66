"""Convert in, call the service, convert out."""

# ruff: noqa: N802 - methods are named after their RPCs

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone.artifact.v1 import artifact_service_pb2_grpc as rpc
from runstone_artifact import convert
from runstone_artifact.convert_chunks import read_chunk, write_chunk
from runstone_artifact.model import File
from runstone_artifact.service import FileService
from runstone_artifact.service_downloads import DownloadService
from runstone_artifact.service_upkeep import UpkeepService
from runstone_artifact.service_uploads import Chunk, UploadService

Context = grpc.ServicerContext


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases."""

    files: FileService
    uploads: UploadService
    downloads: DownloadService
    upkeep: UpkeepService


class ArtifactServicer(rpc.ArtifactServiceServicer):
    """The RPCs of runstone.artifact.v1.ArtifactService."""

    def __init__(self, services: Services) -> None:
        self._files = services.files
        self._uploads = services.uploads
        self._downloads = services.downloads
        self._upkeep = services.upkeep

    def PutArtifacts(
        self, request: pb.PutArtifactsRequest, context: Context
    ) -> pb.PutArtifactsResponse:
        owner, contents = convert.read_put(request)
        files = self._files.put_artifacts(owner, contents)
        return pb.PutArtifactsResponse(artifacts=convert.artifacts(files))

    def BeginUpload(
        self, request: pb.BeginUploadRequest, context: Context
    ) -> pb.BeginUploadResponse:
        owner = convert.read_begin(request)
        return convert.begun(
            self._uploads.begin_upload(
                owner,
                request.path,
                request.size,
                request.sha256,
                presigned=request.presigned,
                part_count=request.part_count,
            )
        )

    def UploadChunks(self, request_iterator: Any, context: Context) -> pb.UploadChunksResponse:
        upload = self._uploads.upload_chunks(_checked(request_iterator), context.cancel)
        return pb.UploadChunksResponse(upload=convert.upload(upload))

    def GetUpload(self, request: pb.GetUploadRequest, context: Context) -> pb.GetUploadResponse:
        convert.check_upload_id(request.upload_id)
        upload = self._uploads.get_upload(request.upload_id)
        return pb.GetUploadResponse(upload=convert.upload(upload))

    def CommitUpload(
        self, request: pb.CommitUploadRequest, context: Context
    ) -> pb.CommitUploadResponse:
        convert.check_commit(request)
        file = self._uploads.commit_upload(
            request.upload_id,
            request.sha256,
            list(request.part_crc32s),
            list(request.part_etags),
        )
        return pb.CommitUploadResponse(artifact=convert.artifact(file))

    def AbortUpload(
        self, request: pb.AbortUploadRequest, context: Context
    ) -> pb.AbortUploadResponse:
        convert.check_upload_id(request.upload_id)
        self._uploads.abort_upload(request.upload_id)
        return pb.AbortUploadResponse()

    def GetArtifact(
        self, request: pb.GetArtifactRequest, context: Context
    ) -> pb.GetArtifactResponse:
        owner = convert.read_place(request.owner, request.path, required=True)
        found = self._files.get_artifact(owner, request.path)
        return pb.GetArtifactResponse(artifact=convert.artifact(found))

    def ListArtifacts(
        self, request: pb.ListArtifactsRequest, context: Context
    ) -> pb.ListArtifactsResponse:
        page = self._files.list_artifacts(
            convert.read_list(request),
            request.path,
            recursive=request.recursive,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListArtifactsResponse(
            artifacts=convert.artifacts(page.items), next_page_token=page.next_page_token
        )

    def DownloadArtifact(
        self, request: pb.DownloadArtifactRequest, context: Context
    ) -> Iterator[Any]:
        owner = convert.read_download(request)
        sent = self._downloads.download_artifact(
            owner, request.path, request.offset, request.length, request.sha256
        )
        for each in sent:
            if isinstance(each, File):
                yield pb.DownloadArtifactResponse(artifact=convert.artifact(each))
            else:
                yield each

    def CreateDownloadUrls(
        self, request: pb.CreateDownloadUrlsRequest, context: Context
    ) -> pb.CreateDownloadUrlsResponse:
        owner = convert.read_urls(request)
        return convert.urls(self._downloads.create_download_urls(owner, list(request.paths)))

    def DeleteArtifacts(
        self, request: pb.DeleteArtifactsRequest, context: Context
    ) -> pb.DeleteArtifactsResponse:
        owner = convert.read_place(request.owner, request.path, required=False)
        deleted = self._files.delete_artifacts(owner, request.path)
        return pb.DeleteArtifactsResponse(deleted=deleted)

    def CopyArtifacts(
        self, request: pb.CopyArtifactsRequest, context: Context
    ) -> pb.CopyArtifactsResponse:
        source, destination = convert.read_copy(request)
        totals = self._files.copy_artifacts(
            (source, request.source_path),
            (destination, request.destination_path),
            seal=request.seal,
        )
        return pb.CopyArtifactsResponse(copied=totals.count, size=totals.size)

    def OpenArtifacts(
        self, request: pb.OpenArtifactsRequest, context: Context
    ) -> pb.OpenArtifactsResponse:
        self._files.open_artifacts(convert.read_version(request.owner))
        return pb.OpenArtifactsResponse()

    def SealArtifacts(
        self, request: pb.SealArtifactsRequest, context: Context
    ) -> pb.SealArtifactsResponse:
        totals = self._files.seal_artifacts(convert.read_version(request.owner))
        return pb.SealArtifactsResponse(count=totals.count, size=totals.size)

    def CollectGarbage(
        self, request: pb.CollectGarbageRequest, context: Context
    ) -> pb.CollectGarbageResponse:
        convert.check_collect(request)
        return convert.collected(
            self._upkeep.collect_garbage(dry_run=request.dry_run, min_age_s=request.min_age_seconds)
        )

    def ScrubArtifacts(
        self, request: pb.ScrubArtifactsRequest, context: Context
    ) -> pb.ScrubArtifactsResponse:
        convert.check_scrub(request)
        return convert.scrubbed(
            self._upkeep.scrub_artifacts(max_bytes=request.max_bytes, page_token=request.page_token)
        )


def add_to_server(services: Services, server: grpc.Server) -> None:
    """Register the servicer, with chunks read and written by ``convert_chunks``."""
    wrapped: Any = _WithChunks(server)
    rpc.add_ArtifactServiceServicer_to_server(ArtifactServicer(services), wrapped)


class _WithChunks:
    """Passes handlers on to the server; those of the two streams read and write bytes uncopied."""

    def __init__(self, server: grpc.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """Not passed on: they are the registered ones once more, with the generated code."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        handlers = dict(handlers)
        handlers["UploadChunks"] = grpc.stream_unary_rpc_method_handler(
            handlers["UploadChunks"].stream_unary,
            request_deserializer=read_chunk,
            response_serializer=pb.UploadChunksResponse.SerializeToString,
        )
        handlers["DownloadArtifact"] = grpc.unary_stream_rpc_method_handler(
            handlers["DownloadArtifact"].unary_stream,
            request_deserializer=pb.DownloadArtifactRequest.FromString,
            response_serializer=_write_download,
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, handlers),)
        )
        self._server.add_registered_method_handlers(service, handlers)


def _write_download(response: pb.DownloadArtifactResponse | bytes) -> bytes:
    return write_chunk(response) if isinstance(response, bytes) else response.SerializeToString()


def _checked(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    first = True
    for chunk in chunks:
        convert.check_chunk(chunk.upload_id, chunk.offset, len(chunk.data), first=first)
        first = False
        yield chunk
