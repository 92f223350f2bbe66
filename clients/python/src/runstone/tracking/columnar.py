"""Packed 64-bit fields of a message as the raw little-endian bytes they are on the wire.

A packed ``sfixed64`` or ``double`` field is one length-delimited run of 8-byte little-endian
numbers, exactly as a ``bytes`` field of the same number would be. A ``View`` of a message class
is a class of the same wire format in which such fields are ``repeated bytes``: parsing costs a
copy of memory, not a Python object per number. It is derived from the public descriptor when it
is made, so it cannot differ from the proto.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from runstone.tracking.v1 import metric_pb2, run_columns_pb2

ITEM_SIZE = 8
"""Bytes of one number."""

_FIXED64 = (
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_DOUBLE,
)

_DELIMITED = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE)


class View:
    """A message class with some packed 64-bit fields as ``repeated bytes``.

    ``fields`` names them as "Message.field", the message without its package. Each element of
    such a field is one run of the packed field: one in practice, but a sender may legally cut a
    packed field in several, so read with ``joined``. ``message_class`` builds such messages;
    they serialize to what the public class parses.

    A repeated message field may be named too; its elements are then the serialized messages. And
    one of texts, which are then UTF-8.

    Raises ValueError for any other field.
    """

    def __init__(self, message_class: type[Message], fields: Sequence[str]) -> None:
        self.public_class = message_class
        descriptor = message_class.DESCRIPTOR
        pool = descriptor_pool.DescriptorPool()
        _add(pool, descriptor.file, frozenset(fields))
        view = pool.FindMessageTypeByName(descriptor.full_name)
        self.message_class: Any = message_factory.GetMessageClass(view)

    def parse(self, data: bytes) -> Any:
        """The view of a serialized message, without what is unknown in it.

        A view field that came unpacked is packed first: to the view it is unknown. Raises
        google.protobuf.message.DecodeError for bytes that are no such message; only a run that
        ends inside a number, which the public class refuses as well, is found by ``joined``.
        """
        message = self.message_class.FromString(data)
        message.DiscardUnknownFields()
        if message.ByteSize() == len(data):
            return message
        public = self.public_class.FromString(data)
        public.DiscardUnknownFields()
        return self.message_class.FromString(public.SerializeToString())


def _add(pool: descriptor_pool.DescriptorPool, file: Any, fields: frozenset[str]) -> None:
    """Put ``file`` and what it imports in ``pool``, with ``fields`` turned into bytes."""
    for imported in file.dependencies:
        _add(pool, imported, frozenset())
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    missing = set(fields)
    for message in proto.message_type:
        for field in message.field:
            name = f"{message.name}.{field.name}"
            if name in missing:
                missing.remove(name)
                public = file.message_types_by_name[message.name].fields_by_name[field.name]
                packed = public.type in _FIXED64 and public.is_packed
                if not packed and not (public.type in _DELIMITED and public.is_repeated):
                    raise ValueError(
                        f"{name} is no repeated field of packed 64-bit numbers, texts or messages"
                    )
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
                field.options.ClearField("packed")
    if missing:
        raise ValueError(f"{file.name} has no field {', '.join(sorted(missing))}")
    pool.Add(proto)


@cache
def append_metrics_envelope() -> View:
    """The view of AppendMetricsRequest with each of its series as a serialized message."""
    return View(metric_pb2.AppendMetricsRequest, ("AppendMetricsRequest.series",))


@cache
def metric_series() -> View:
    """The view of Series with its columns as bytes."""
    return View(metric_pb2.Series, ("Series.steps", "Series.timestamps_ms", "Series.values"))


@cache
def metric_history_response() -> View:
    """The view of GetMetricHistoryResponse with its columns as bytes."""
    name = "GetMetricHistoryResponse"
    return View(
        metric_pb2.GetMetricHistoryResponse,
        (f"{name}.steps", f"{name}.timestamps_ms", f"{name}.values"),
    )


@cache
def run_columns_response() -> View:
    """The view of SearchRunColumnsResponse with its numbers, texts and inputs as bytes."""
    return View(
        run_columns_pb2.SearchRunColumnsResponse,
        (
            "SearchRunColumnsResponse.inputs",
            "MetricColumn.values",
            "MetricColumn.steps",
            "MetricColumn.timestamps_ms",
            "TextColumn.values",
        ),
    )


def joined(runs: Sequence[bytes]) -> bytes:
    """The whole column of a view field; not joined anew when it came in one run, as it does.

    Raises google.protobuf.message.DecodeError when a run ends inside a number.
    """
    if len(runs) == 1:
        column = runs[0]
    else:
        if any(len(run) % ITEM_SIZE for run in runs):
            raise DecodeError(f"a packed run of {ITEM_SIZE}-byte numbers ends inside one")
        column = b"".join(runs)
    if len(column) % ITEM_SIZE:
        raise DecodeError(f"a packed column of {len(column)} bytes ends inside a number")
    return column


def pack_int64(numbers: Iterable[int]) -> bytes:
    """Integers as column bytes. Takes lists, ``array`` and numpy arrays.

    Raises OverflowError for an integer outside int64, TypeError for what is not an integer.
    """
    return _pack("q", "<i8", numbers)


def pack_double(numbers: Iterable[float]) -> bytes:
    """Numbers as column bytes, bit for bit: NaN, infinities and -0.0 stay what they are.

    Takes lists, ``array`` and numpy arrays. Raises TypeError for what is not a number.
    """
    return _pack("d", "<f8", numbers)


def unpack_int64(column: bytes) -> array[int]:
    """Column bytes as integers."""
    return _unpack("q", column)


def unpack_double(column: bytes) -> array[float]:
    """Column bytes as floats."""
    return _unpack("d", column)


def _pack(code: str, dtype: str, numbers: Iterable[Any]) -> bytes:
    numpy = sys.modules.get("numpy")  # whoever hands us a numpy array has imported it
    if numpy is not None and isinstance(numbers, numpy.ndarray):
        packed: bytes = numbers.astype(dtype, casting="safe", copy=False).tobytes()
        return packed
    if isinstance(numbers, array) and numbers.typecode != code:
        numbers = numbers.tolist()
    column = array(code, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _unpack(code: str, column: bytes) -> array[Any]:
    numbers: array[Any] = array(code)
    numbers.frombytes(column)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
