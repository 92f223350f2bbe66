"""Views: what they read and write is what the public messages write and read."""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2

VIEW = columnar.View(
    metric_pb2.AppendMetricsRequest, ("Series.steps", "Series.timestamps_ms", "Series.values")
)

INT64 = st.integers(-(2**63), 2**63 - 1)
ODD_DOUBLES = [math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, math.nan]
NAN_WITH_PAYLOAD = bytes.fromhex("efbeadde0000f4ff")

series = st.builds(
    lambda key, points: metric_pb2.Series(
        key=key,
        steps=[point[0] for point in points],
        timestamps_ms=[point[1] for point in points],
        values=[point[2] for point in points],
    ),
    st.text("abc/", max_size=4),
    st.lists(st.tuples(INT64, INT64, st.floats()), max_size=8),
)


@given(st.text("ab", max_size=3), INT64, st.lists(series, max_size=4))
def test_view_reads_what_the_public_message_writes(
    run_id: str, sequence: int, all_series: list[metric_pb2.Series]
) -> None:
    public = metric_pb2.AppendMetricsRequest(run_id=run_id, sequence=sequence, series=all_series)
    view = VIEW.parse(public.SerializeToString())
    assert (view.run_id, view.writer_id, view.sequence) == (run_id, "", sequence)
    for got, sent in zip(view.series, all_series, strict=True):
        assert got.key == sent.key
        assert columnar.unpack_int64(columnar.joined(got.steps)).tolist() == list(sent.steps)
        assert columnar.joined(got.timestamps_ms) == columnar.pack_int64(sent.timestamps_ms)
        assert columnar.joined(got.values) == struct.pack(f"<{len(sent.values)}d", *sent.values)
    assert view.SerializeToString() == public.SerializeToString()


def test_public_message_reads_what_the_view_writes() -> None:
    view = columnar.metric_history_response()
    message = view.message_class(
        steps=[columnar.pack_int64([1, -(2**63), 2**63 - 1])],
        timestamps_ms=[columnar.pack_int64(range(3))],
        values=[NAN_WITH_PAYLOAD + columnar.pack_double([-0.0, -math.inf])],
    )
    public = metric_pb2.GetMetricHistoryResponse.FromString(message.SerializeToString())
    assert list(public.steps) == [1, -(2**63), 2**63 - 1]
    assert list(public.timestamps_ms) == [0, 1, 2]
    assert struct.pack("<d", public.values[0]) == NAN_WITH_PAYLOAD
    assert struct.pack("<2d", *public.values[1:]) == struct.pack("<2d", -0.0, -math.inf)


def _field(number: int, wire_type: int, payload: bytes) -> bytes:
    length = bytes([len(payload)]) if wire_type == 2 else b""
    return bytes([number << 3 | wire_type]) + length + payload


def _request(series_bytes: bytes) -> bytes:
    return _field(1, 2, b"run") + _field(4, 2, series_bytes)


def _columns(data: bytes) -> tuple[list[int], list[int], list[float]]:
    [got] = VIEW.parse(data).series
    return (
        columnar.unpack_int64(columnar.joined(got.steps)).tolist(),
        columnar.unpack_int64(columnar.joined(got.timestamps_ms)).tolist(),
        columnar.unpack_double(columnar.joined(got.values)).tolist(),
    )


def test_a_packed_field_in_several_runs_is_one_column() -> None:
    data = _request(
        _field(1, 2, b"k")
        + _field(2, 2, columnar.pack_int64([1, 2]))
        + _field(4, 2, columnar.pack_double([0.5]))
        + _field(2, 2, b"")
        + _field(2, 2, columnar.pack_int64([3]))
    )
    assert _columns(data) == ([1, 2, 3], [], [0.5])


@pytest.mark.parametrize("packed_first", [True, False])
def test_an_unpacked_field_is_read_too(packed_first: bool) -> None:
    runs = [
        _field(2, 2, columnar.pack_int64([1, 2])),
        _field(2, 1, columnar.pack_int64([3])) + _field(2, 1, columnar.pack_int64([4])),
    ]
    if not packed_first:
        runs.reverse()
    data = _request(b"".join(runs) + _field(4, 1, columnar.pack_double([0.5])))
    steps = [1, 2, 3, 4] if packed_first else [3, 4, 1, 2]
    assert _columns(data) == (steps, [], [0.5])


def test_a_field_from_the_future_is_left_out() -> None:
    view = columnar.View(metric_pb2.AppendMetricsRequest, ["Series.steps"])
    data = _request(_field(2, 2, columnar.pack_int64([7])) + _field(15, 2, b"new"))
    [got] = view.parse(data + _field(14, 2, b"newer")).series
    assert columnar.joined(got.steps) == columnar.pack_int64([7])
    assert got.SerializeToString() == _field(2, 2, columnar.pack_int64([7]))


@pytest.mark.parametrize(
    "data",
    [
        _request(_field(2, 2, b"seven b")),
        _request(_field(2, 2, columnar.pack_int64([1]) + b"x")),
        _request(_field(2, 2, b"four") + _field(2, 2, b"four")),
        _request(_field(2, 2, b""))[:-1],
        b"\xff\xff\xff",
        _field(1, 2, b"\xff\xfe"),
    ],
    ids=["short run", "run with a rest", "two halves", "cut off", "noise", "invalid UTF-8"],
)
def test_broken_bytes_are_refused_by_view_and_public_class_alike(data: bytes) -> None:
    with pytest.raises(DecodeError):
        metric_pb2.AppendMetricsRequest.FromString(data)
    with pytest.raises(DecodeError):
        _columns(data)


@pytest.mark.parametrize("field", ["Series.key", "AppendMetricsRequest.sequence"])
def test_only_packed_fixed64_fields_texts_and_messages_can_be_viewed(field: str) -> None:
    with pytest.raises(ValueError, match="is no repeated field of packed 64-bit numbers, texts or"):
        columnar.View(metric_pb2.AppendMetricsRequest, [field])


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has no field Series\.nothing"):
        columnar.View(metric_pb2.AppendMetricsRequest, ["Series.nothing"])


@pytest.mark.parametrize(
    "numbers",
    [
        [1, -2, 2**63 - 1],
        (1, -2, 2**63 - 1),
        array("q", [1, -2, 2**63 - 1]),
        np.array([1, -2, 2**63 - 1]),
        np.array([1, 0, -2, 0, 2**63 - 1])[::2],
        np.array([1, -2, 2**63 - 1], dtype=">i8"),
    ],
    ids=["list", "tuple", "array", "numpy", "strided", "big-endian"],
)
def test_pack_int64_takes(numbers: Any) -> None:
    assert columnar.pack_int64(numbers) == struct.pack("<3q", 1, -2, 2**63 - 1)


@pytest.mark.parametrize(
    "numbers",
    [
        [1.5, -0.0, math.inf],
        array("d", [1.5, -0.0, math.inf]),
        array("f", [1.5, -0.0, math.inf]),
        np.array([1.5, -0.0, math.inf]),
        np.array([1.5, -0.0, math.inf], dtype=np.float32),
    ],
    ids=["list", "array", "float array", "numpy", "float32"],
)
def test_pack_double_takes(numbers: Any) -> None:
    assert columnar.pack_double(numbers) == struct.pack("<3d", 1.5, -0.0, math.inf)


def test_small_numpy_integers_are_widened() -> None:
    assert columnar.pack_int64(np.array([1, -2], dtype=np.int8)) == struct.pack("<2q", 1, -2)
    assert columnar.pack_double(np.array([1, -2], dtype=np.int8)) == struct.pack("<2d", 1, -2)


@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        ([2**63], OverflowError),
        ([1.5], TypeError),
        (["1"], TypeError),
        (np.array([1.5]), TypeError),
        (np.array([1], dtype=np.uint64), TypeError),
    ],
    ids=["too large", "float", "text", "numpy floats", "numpy unsigned"],
)
def test_pack_int64_refuses(numbers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        columnar.pack_int64(numbers)


@pytest.mark.parametrize("value", ODD_DOUBLES)
def test_doubles_keep_every_bit(value: float) -> None:
    packed = columnar.pack_double([value])
    assert packed == struct.pack("<d", value)
    assert columnar.pack_double(columnar.unpack_double(packed)) == packed
    assert columnar.pack_double(columnar.unpack_double(NAN_WITH_PAYLOAD)) == NAN_WITH_PAYLOAD
