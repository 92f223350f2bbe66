"""Shapes of metric messages: what is taken, and how each mistake is named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import InvalidArgument, Violations
from runstone_tracking import convert_metrics as convert
from runstone_tracking.convert_appends import (
    MAX_APPEND_BYTES,
    MAX_SERIES,
    parse_append,
    read_series,
)
from runstone_tracking.convert_appends import read_append as read_envelope
from runstone_tracking.model_metrics import Append
from support.metric_points import columns, points_of

VIEW = columnar.View(
    pb.AppendMetricsRequest, ("Series.steps", "Series.timestamps_ms", "Series.values")
)

RUN = "a" * 32


def _request(*series: pb.Series, **fields: Any) -> bytes:
    sent = pb.AppendMetricsRequest(
        **{"run_id": RUN, "writer_id": "w", "sequence": 1, **fields}, series=series
    )
    return sent.SerializeToString()


def _series(key: str, count: int = 1, **fields: Any) -> pb.Series:
    return pb.Series(
        **{
            "key": key,
            "steps": list(range(count)),
            "timestamps_ms": [10**12] * count,
            "values": [0.5] * count,
            **fields,
        }
    )


def read_append(data: bytes) -> Append:
    return read_envelope(parse_append(data))


def _violations(request: bytes) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        read_append(request)
    assert caught.value.reason == "INVALID_FIELD"
    return {each.field: each.description for each in caught.value.violations}


def test_series_are_sorted_by_key_and_their_points_keep_their_order() -> None:
    asked = read_append(
        _request(
            _series("b", 2, steps=[9, 8], values=[math.inf, -0.0]),
            _series("a/x y", 1, timestamps_ms=[7]),
            sequence=2**63 - 1,
        )
    )
    assert (asked.run_id, asked.writer_id, asked.sequence) == (RUN, "w", 2**63 - 1)
    assert asked.batch.names == ("a/x y", "b")
    assert asked.batch.counts.tolist() == [1, 2]
    assert points_of(asked.batch.points) == [
        (0, 7, 0.5),
        (9, 10**12, math.inf),
        (8, 10**12, -0.0),
    ]


def test_public_messages_are_read_like_views() -> None:
    sent = [_series("b", 3, values=[math.nan, 1.0, 2.0]), _series("a", 2)]
    violations = Violations()
    batch = read_series(violations, sent)
    viewed = read_append(_request(*sent)).batch
    assert not violations
    assert batch is not None
    assert batch.names == viewed.names
    assert batch.counts.tolist() == viewed.counts.tolist()
    assert batch.points.values.tobytes() == viewed.points.values.tobytes()
    assert np.array_equal(batch.points.steps, viewed.points.steps)
    assert np.array_equal(batch.points.timestamps_ms, viewed.points.timestamps_ms)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    found = _violations(
        _request(
            _series("a"),
            _series("a"),
            _series("../b"),
            _series("c", 2, values=[1.0]),
            _series("d", 0),
            _series(""),
            run_id="no/run",
            writer_id="",
            sequence=0,
        )
    )
    assert set(found) == {
        *("run_id", "writer_id", "sequence"),
        *("series[1].key", "series[2].key", "series[3]", "series[4].steps", "series[5].key"),
    }
    assert found["series[1].key"] == (
        "must not be the key of series[0] too, unless their ranks differ"
    )
    assert "2 steps and 2 timestamps_ms and 1 values" in found["series[3]"]


def test_a_negative_time_is_named_where_it_was_sent() -> None:
    found = _violations(
        _request(_series("b", 3, timestamps_ms=[0, 5, -1]), _series("a", 2, timestamps_ms=[-7, 1]))
    )
    assert found == {
        "series[0].timestamps_ms[2]": "must not be negative, as -1 is",
        "series[1].timestamps_ms[0]": "must not be negative, as -7 is",
    }


def test_a_column_that_ends_inside_a_number_is_named() -> None:
    request = VIEW.parse(_request(_series("a"), _series("b")))
    request.series[1].values[0] = b"1234"
    found = _violations(request.SerializeToString())
    assert found["series[1].values"] == "must hold whole 8-byte numbers"


@pytest.mark.parametrize(
    ("field", "allowed", "refused"),
    [
        ("writer_id", "w" * 64, "w" * 65),
        ("writer_id", "é", "a\nb"),
        ("writer_id", "w", "a\0"),
        ("sequence", 1, 0),
        ("sequence", 2**63 - 1, -(2**63)),
        ("run_id", "x" * 256, "x" * 257),
    ],
)
def test_limits_at_and_past(field: str, allowed: Any, refused: Any) -> None:
    read_append(_request(_series("a"), **{field: allowed}))
    assert set(_violations(_request(_series("a"), **{field: refused}))) == {field}


def test_key_limit_at_and_past() -> None:
    read_append(_request(_series("k" * 250)))
    assert set(_violations(_request(_series("k" * 251)))) == {"series[0].key"}


def test_series_limit_at_and_past() -> None:
    many = [_series(f"k{i}") for i in range(MAX_SERIES + 1)]
    assert len(read_append(_request(*many[:-1])).batch.names) == MAX_SERIES
    assert set(_violations(_request(*many))) == {"series"}
    assert set(_violations(_request())) == {"series"}


def test_of_a_request_that_is_too_large_the_largest_series_is_named() -> None:
    sent = pb.AppendMetricsRequest(series=[_series("a", 3), _series("b", 180_000), _series("c")])
    data = sent.SerializeToString()
    with pytest.raises(InvalidArgument) as caught:
        read_append(data)
    [violation] = caught.value.violations
    assert violation.field == "request"
    largest = f"series[1] has {sent.series[1].ByteSize()} of them"
    assert violation.description.endswith(f", not {len(data)}; {largest}")
    empty = pb.AppendMetricsRequest(run_id="r" * MAX_APPEND_BYTES).SerializeToString()
    with pytest.raises(InvalidArgument, match=f"not {len(empty)}$"):
        read_append(empty)


def test_points_are_written_as_the_public_message() -> None:
    points = [(1, 2, math.nan), (-(2**63), 3, -math.inf)]
    message = convert.write_points(columns(points))
    public = pb.GetMetricHistoryResponse.FromString(message.SerializeToString())
    assert list(public.steps) == [1, -(2**63)]
    assert list(public.timestamps_ms) == [2, 3]
    assert math.isnan(public.values[0])
    assert public.values[1] == -math.inf
