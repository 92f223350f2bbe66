"""Bytes written and read by hand, against protobuf's own."""

from __future__ import annotations

import math
from array import array

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from runstone._sender import wire
from runstone.tracking.v1 import metric_pb2

INT64 = st.integers(-(2**63), 2**63 - 1)
POINTS = st.lists(st.tuples(INT64, INT64, st.floats(width=64)), max_size=40)


def series(key: str, points: list[tuple[int, int, float]], rank: int = wire.NO_RANK) -> wire.Series:
    return wire.Series(
        key,
        rank,
        array("q", [step for step, _, _ in points]),
        array("q", [time for _, time, _ in points]),
        array("d", [value for _, _, value in points]),
    )


@given(
    run_id=st.text(max_size=64),
    writer_id=st.text(max_size=64),
    sequence=st.integers(1, 2**63 - 1),
    every=st.lists(st.tuples(st.text(max_size=250), POINTS), max_size=5),
)
def test_protobuf_reads_the_same_request(
    run_id: str,
    writer_id: str,
    sequence: int,
    every: list[tuple[str, list[tuple[int, int, float]]]],
) -> None:
    sent = wire.append_request(
        run_id, writer_id, sequence, [series(key, points) for key, points in every]
    )
    read = metric_pb2.AppendMetricsRequest.FromString(sent)
    assert (read.run_id, read.writer_id, read.sequence) == (run_id, writer_id, sequence)
    assert [each.key for each in read.series] == [key for key, _ in every]
    for each, (_, points) in zip(read.series, every, strict=True):
        assert list(each.steps) == [step for step, _, _ in points]
        assert list(each.timestamps_ms) == [time for _, time, _ in points]
        assert array("d", each.values).tobytes() == series("", points).values.tobytes()


def test_a_rank_is_field_five() -> None:
    points = [(1, 2, math.pi)]
    plain = wire.append_request("run", "writer", 1, [series("loss", points)])
    ranked = wire.append_request("run", "writer", 1, [series("loss", points, rank=300)])
    assert len(ranked) == len(plain) + 3
    assert ranked.endswith(b"\x28\xac\x02")


@pytest.mark.parametrize("duplicate", [False, True])
def test_the_answer_says_whether_it_is_a_repetition(duplicate: bool) -> None:
    answer = metric_pb2.AppendMetricsResponse(duplicate=duplicate).SerializeToString()
    assert wire.is_duplicate(answer) is duplicate


def status(*messages: object) -> bytes:
    details = []
    for message in messages:
        details.append(any_pb2.Any())
        details[-1].Pack(message)
    return status_pb2.Status(code=9, message="no", details=details).SerializeToString()


def test_reason_metadata_and_retry_are_read() -> None:
    read = wire.details(
        status(
            error_details_pb2.BadRequest(
                field_violations=[error_details_pb2.BadRequest.FieldViolation(field="a")]
            ),
            error_details_pb2.ErrorInfo(
                reason="SEQUENCE_GAP", domain="d", metadata={"expected_sequence": "7", "run": "r"}
            ),
            error_details_pb2.RetryInfo(
                retry_delay=duration_pb2.Duration(seconds=2, nanos=5 * 10**8)
            ),
        )
    )
    assert read.reason == "SEQUENCE_GAP"
    assert read.metadata == {"expected_sequence": "7", "run": "r"}
    assert read.retry_after == 2.5


@given(st.binary(max_size=200))
def test_damaged_details_say_nothing_or_something_but_never_fail(data: bytes) -> None:
    assert isinstance(wire.details(data), wire.Details)


def test_cut_details_never_fail() -> None:
    whole = status(error_details_pb2.ErrorInfo(reason="RUN_DELETED", metadata={"run_id": "r"}))
    for end in range(len(whole)):
        assert wire.details(whole[:end]).reason in {"", "RUN_DELETED"}
