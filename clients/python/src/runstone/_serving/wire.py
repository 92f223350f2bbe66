"""Tensors as bytes and as fields of messages, as the Open Inference Protocol has them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from runstone._serving.inference import DTYPES, datatype, shaped
from runstone._serving.refusals import Refusal, mismatch

if TYPE_CHECKING:
    import numpy as np

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field that holds the values of a type; there is none for 16 bit floats."""


def from_bytes(raw: bytes, kind: str, shape: Any, where: str) -> np.ndarray[Any, Any]:
    """A tensor of its bytes: row by row, the lowest byte first; texts behind their lengths.

    Raises:
        Refusal: the bytes are not so many as type and shape say.
    """
    import numpy as np

    if kind not in DTYPES:
        raise Refusal(f"{where}: datatype must be one of {', '.join(DTYPES)}, not {kind!r:.50}")
    if kind == "BYTES":
        return shaped(_texts(_pieces(raw, where), where), shape, where)
    dtype = np.dtype(DTYPES[kind]).newbyteorder("<")
    if len(raw) % dtype.itemsize:
        raise Refusal(f"{where}: {len(raw)} bytes are not values of {dtype.itemsize} bytes each")
    # A copy: what models do to their input must not meet the message.
    return shaped(np.frombuffer(raw, dtype).astype(dtype.newbyteorder("=")), shape, where)


def to_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """The bytes of a tensor."""
    if datatype(array) == "BYTES":
        pieces = [_encoded(value) for value in array.reshape(-1).tolist()]
        return b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces)
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def from_contents(contents: Any, kind: str, shape: list[int], where: str) -> np.ndarray[Any, Any]:
    """A tensor of the field that its type has. Raises Refusal."""
    import numpy as np

    if kind not in CONTENTS:
        raise Refusal(f"{where}: datatype must be one of {', '.join(CONTENTS)}, not {kind!r:.50}")
    values = getattr(contents, CONTENTS[kind])
    if kind == "BYTES":
        return shaped(_texts(list(values), where), shape, where)
    try:
        found = np.array(values, DTYPES[kind])
    except OverflowError as error:
        raise mismatch(f"{where}: must be {kind}: {error}") from None
    return shaped(found, shape, where)


def to_contents(array: np.ndarray[Any, Any]) -> dict[str, list[Any]]:
    """The field of a tensor's values."""
    kind = datatype(array)
    values = array.reshape(-1).tolist()
    if kind == "BYTES":
        values = [_encoded(value) for value in values]
    return {CONTENTS[kind]: values}


def _pieces(raw: bytes, where: str) -> list[bytes]:
    pieces, at = [], 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise Refusal(f"{where}: the bytes end within a length")
        (length,) = struct.unpack_from("<I", raw, at)
        at += 4 + length
        if at > len(raw):
            raise Refusal(f"{where}: the bytes end within a text")
        pieces.append(raw[at - length : at])
    return pieces


def _texts(pieces: list[bytes], where: str) -> np.ndarray[Any, Any]:
    import numpy as np

    found = np.empty(len(pieces), object)
    try:
        found[:] = [piece.decode() for piece in pieces]
    except UnicodeDecodeError as error:
        raise mismatch(f"{where}: must be texts in UTF-8: {error}") from None
    return found


def _encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
