"""Requests of AppendMetrics read by the shapes of earlier ones: as if each were the first."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import InvalidArgument
from runstone_tracking import convert_appends
from runstone_tracking.convert_appends import AppendRequest, read_append
from support.metric_points import bits, points_of

RUN = "a" * 32
KEYS = ["a", "é", "train/loss", "k" * 127, "k" * 128, "é" * 64, "k" * 250]
RANKS = [None, 0, 1, 127, 128, 16_384, 2**20 - 1]
COUNTS = [1, 2, 15, 16, 17, 2_047, 2_048]

points = st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1), st.floats())


@pytest.fixture(autouse=True)
def forgotten() -> None:
    convert_appends._names.clear()
    convert_appends._shapes.clear()


def _series(key: str, rank: int | None, count: int, first: int = 0) -> pb.Series:
    numbers = range(first, first + count)
    return pb.Series(
        key=key,
        steps=numbers,
        timestamps_ms=[number + 5 for number in numbers],
        values=[number / 3 for number in numbers],
        rank=rank,
    )


def _request(*series: pb.Series) -> bytes:
    return pb.AppendMetricsRequest(
        run_id=RUN, writer_id="w", sequence=1, series=series
    ).SerializeToString()


def _plain(asked: AppendRequest) -> tuple[object, ...]:
    batch = asked.batch
    return batch.names, batch.counts.tolist(), bits(points_of(batch.points))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("rank", RANKS)
def test_every_length_of_key_rank_and_columns(key: str, rank: int | None) -> None:
    for count in COUNTS:
        for first in (0, 7):
            sent = _series(key, rank, count, first)
            asked = read_append(_request(sent))
            assert asked.batch.names == (key if rank is None else f"{key}\t{rank}",)
            assert points_of(asked.batch.points) == list(
                zip(sent.steps, sent.timestamps_ms, sent.values, strict=True)
            )
    # The second request of each count was read by its shape.
    assert len(convert_appends._shapes) == len(COUNTS)
    assert len(convert_appends._names) == 1


@given(
    st.lists(
        st.dictionaries(
            st.tuples(st.sampled_from(KEYS), st.sampled_from(RANKS)),
            st.lists(points, min_size=1, max_size=3),
            min_size=1,
            max_size=4,
        ),
        min_size=2,
        max_size=5,
    )
)
def test_what_came_before_changes_nothing(
    requests: list[dict[tuple[str, int | None], list[tuple[int, int, float]]]],
) -> None:
    for each in requests:
        series = []
        for (key, rank), sent in each.items():
            steps, times, values = zip(*sent, strict=True)
            series.append(
                pb.Series(key=key, rank=rank, steps=steps, timestamps_ms=times, values=values)
            )
        data = _request(*series)
        found = _plain(read_append(data))
        known = dict(convert_appends._names), dict(convert_appends._shapes)
        convert_appends._names.clear()
        convert_appends._shapes.clear()
        assert _plain(read_append(data)) == found
        convert_appends._names.update(known[0])
        convert_appends._shapes.update(known[1])


def _raw(*fields: bytes) -> bytes:
    series = b"".join(fields)
    head = pb.AppendMetricsRequest(run_id=RUN, writer_id="w", sequence=1).SerializeToString()
    return head + b"\x22" + bytes([len(series)]) + series


def test_odd_series_as_long_as_a_known_one_are_read_as_they_are() -> None:
    sent = _series("ab", None, 1)
    plain = sent.SerializeToString()
    key, steps, times, values = plain[:4], plain[4:14], plain[14:24], plain[24:34]
    assert read_append(_raw(key, steps, times, values)).batch.names == ("ab",)
    expected = _plain(read_append(_request(sent)))
    for order in (
        (steps, key, times, values),
        (key, values, times, steps),
        (key, times, steps, values),
    ):
        assert _plain(read_append(_raw(*order))) == expected
    # The last key of several holds, as protobuf says.
    assert read_append(_raw(key, b"\x0a\x02xy", steps, times, values)).batch.names == ("xy",)
    for broken in (
        (key, steps, times, b"\x22\x09" + values[2:]),
        (key, steps, times, b"\x2a" + values[1:]),
        (b"\x0a\x02\xff\xfe", steps, times, values),
    ):
        with pytest.raises((DecodeError, InvalidArgument)):
            read_append(_raw(*broken))


def test_a_refused_series_is_refused_again() -> None:
    read_append(_request(_series("good", 1, 1)))
    for bad in (_series("b(d!", 1, 1), _series("good", 2**20, 1), _series("good", -1, 1)):
        for _ in range(2):
            with pytest.raises(InvalidArgument):
                read_append(_request(bad))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert_appends, "KNOWN_NAMES", 10)
    monkeypatch.setattr(convert_appends, "KNOWN_SHAPES", 3)
    for number in range(50):
        asked = read_append(_request(_series(f"k{number}", None, 1 + number % 7)))
        assert asked.batch.names == (f"k{number}",)
        assert len(convert_appends._names) <= 10
        assert len(convert_appends._shapes) <= 3
