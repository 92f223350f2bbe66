"""Chunks on the wire, without the copies that protobuf makes of bytes.

Generated code copies each megabyte twice more; on a machine with two cores that is a third of
what an upload costs beside hashing. The format is protobuf's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from isal.isal_zlib import crc32

from runstone.artifact.v1 import artifact_pb2
from runstone.artifact.v1 import artifact_service_pb2_grpc as generated

_SERVICE = "/runstone.artifact.v1.ArtifactService/"

# Tags of UploadChunksRequest: field number and wire type.
_UP_ID, _UP_OFFSET, _UP_DATA, _UP_CRC32 = b"\x0a", b"\x10", b"\x1a", b"\x25"

# Tags of DownloadArtifactResponse.
_DOWN_ARTIFACT, _DOWN_DATA, _DOWN_CRC32 = 0x0A, 0x12, 0x1D

_CRC_BYTES = 4


@dataclass(slots=True)
class UploadChunk:
    """An UploadChunksRequest with the CRC-32 of its data, which may come in pieces."""

    upload_id: str
    offset: int
    data: bytes | Sequence[bytes]


@dataclass(slots=True)
class DownloadChunk:
    """A DownloadArtifactResponse whose ``data`` is a view of the bytes that arrived."""

    artifact: artifact_pb2.Artifact = field(default_factory=artifact_pb2.Artifact)
    data: bytes | memoryview = b""
    crc32: int = 0
    has_artifact: bool = False

    def HasField(self, name: str) -> bool:  # noqa: N802 - as a message has it
        """Whether the message came with the artifact, which the first one does."""
        return name == "artifact" and self.has_artifact


class ArtifactServiceStub(generated.ArtifactServiceStub):
    """The generated stub, with the two streams read and written here.

    UploadChunks takes UploadChunk as well as the message; DownloadArtifact gives DownloadChunk.
    """

    def __init__(self, channel: Any) -> None:
        # The stubs declare how it is called by __new__.
        super().__init__(channel)  # type: ignore[call-arg]
        self.UploadChunks: Any = channel.stream_unary(
            _SERVICE + "UploadChunks",
            request_serializer=write_upload,
            response_deserializer=artifact_pb2.UploadChunksResponse.FromString,
            _registered_method=True,
        )
        self.DownloadArtifact: Any = channel.unary_stream(
            _SERVICE + "DownloadArtifact",
            request_serializer=artifact_pb2.DownloadArtifactRequest.SerializeToString,
            response_deserializer=read_download,
            _registered_method=True,
        )


def write_upload(chunk: UploadChunk | artifact_pb2.UploadChunksRequest) -> bytes:
    """An UploadChunksRequest as bytes."""
    if not isinstance(chunk, UploadChunk):
        return chunk.SerializeToString()
    name = chunk.upload_id.encode()
    pieces = (chunk.data,) if isinstance(chunk.data, bytes) else chunk.data
    crc = size = 0
    for piece in pieces:
        crc, size = crc32(piece, crc), size + len(piece)
    check = crc.to_bytes(_CRC_BYTES, "little")
    head = (_UP_ID, _varint(len(name)), name, _UP_OFFSET, _varint(chunk.offset), _UP_CRC32, check)
    return b"".join((*head, _UP_DATA, _varint(size), *pieces))


def read_download(raw: bytes) -> DownloadChunk:
    """A DownloadArtifactResponse. Raises protobuf's DecodeError."""
    try:
        return _read(raw)
    except (IndexError, ValueError):
        message = artifact_pb2.DownloadArtifactResponse.FromString(raw)
        return DownloadChunk(
            message.artifact, message.data, message.crc32, message.HasField("artifact")
        )


def _read(raw: bytes) -> DownloadChunk:
    chunk, at, end = DownloadChunk(), 0, len(raw)
    while at < end:
        tag = raw[at]
        at += 1
        if tag == _DOWN_CRC32:
            chunk.crc32 = int.from_bytes(raw[at : at + _CRC_BYTES], "little")
            at += _CRC_BYTES
        elif tag in (_DOWN_DATA, _DOWN_ARTIFACT):
            size, at = _read_varint(raw, at)
            value = memoryview(raw)[at : at + size]
            at += size
            if tag == _DOWN_DATA:
                chunk.data = value
            else:
                chunk.artifact = artifact_pb2.Artifact.FromString(bytes(value))
                chunk.has_artifact = True
        else:
            raise ValueError("a field that is not known here")
    if at != end:
        raise ValueError("cut short")
    return chunk


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
