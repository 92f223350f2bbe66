"""Series of AppendMetrics that are taken apart by hand: as if protobuf read each of them."""

from __future__ import annotations

import time

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import InvalidArgument
from runstone_tracking import convert_appends
from runstone_tracking.model_metrics import Append
from support.metric_points import bits, points_of

RUN = "a" * 32
KEYS = ["a", "é", "train/loss", "k" * 127, "k" * 128, "é" * 64, "k" * 250]
RANKS = [None, 0, 1, 127, 128, 16_384, 2**20 - 1]
COUNTS = [1, 2, 15, 16, 17, 2_047, 2_048]

points = st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1), st.floats())


def forget() -> None:
    convert_appends._keys.clear()
    convert_appends._ranks.clear()
    convert_appends._ranks[b""] = ""


def read(data: bytes) -> Append:
    return convert_appends.read_append(convert_appends.parse_append(data))


@pytest.fixture(autouse=True)
def forgotten() -> None:
    forget()


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


def _plain(asked: Append) -> tuple[object, ...]:
    batch = asked.batch
    return batch.names, batch.counts.tolist(), bits(points_of(batch.points))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("rank", RANKS)
def test_every_length_of_key_rank_and_columns(key: str, rank: int | None) -> None:
    for count in COUNTS:
        for first in (0, 7):
            sent = _series(key, rank, count, first)
            asked = read(_request(sent))
            assert asked.batch.names == (key if rank is None else f"{key}\t{rank}",)
            assert points_of(asked.batch.points) == list(
                zip(sent.steps, sent.timestamps_ms, sent.values, strict=True)
            )
    data = _series(key, rank, 1).SerializeToString()
    assert (convert_appends._take_apart(0, data) is None) is (len(key.encode()) > 127)


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
        found = _plain(read(data))
        keys, ranks = dict(convert_appends._keys), dict(convert_appends._ranks)
        forget()
        assert _plain(read(data)) == found
        convert_appends._keys.update(keys)
        convert_appends._ranks.update(ranks)


def _raw(*fields: bytes) -> bytes:
    series = b"".join(fields)
    head = pb.AppendMetricsRequest(run_id=RUN, writer_id="w", sequence=1).SerializeToString()
    return head + b"\x22" + bytes([len(series)]) + series


def test_odd_series_as_long_as_a_known_one_are_read_as_they_are() -> None:
    sent = _series("ab", None, 1)
    plain = sent.SerializeToString()
    key, steps, times, values = plain[:4], plain[4:14], plain[14:24], plain[24:34]
    assert read(_raw(key, steps, times, values)).batch.names == ("ab",)
    expected = _plain(read(_request(sent)))
    for order in (
        (steps, key, times, values),
        (key, values, times, steps),
        (key, times, steps, values),
    ):
        assert _plain(read(_raw(*order))) == expected
    # The last key of several holds, as protobuf says.
    assert read(_raw(key, b"\x0a\x02xy", steps, times, values)).batch.names == ("xy",)
    with pytest.raises(InvalidArgument, match=r"series\[0\]") as unreadable:
        read(_raw(b"\x0a\x02\xff\xfe", steps, times, values))
    assert "cannot be read" in str(unreadable.value.violations)
    for broken in (
        (key, steps, times, b"\x22\x09" + values[2:]),
        (key, steps, times, b"\x2a" + values[1:]),
    ):
        with pytest.raises((DecodeError, InvalidArgument)):
            read(_raw(*broken))


def test_a_refused_series_is_refused_again() -> None:
    read(_request(_series("good", 1, 1)))
    for bad in (_series("b(d!", 1, 1), _series("good", 2**20, 1), _series("good", -1, 1)):
        for _ in range(2):
            with pytest.raises(InvalidArgument):
                read(_request(bad))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert_appends, "KNOWN", 10)
    for number in range(50):
        asked = read(_request(_series(f"k{number}", number, 1)))
        assert asked.batch.names == (f"k{number}\t{number}",)
        assert len(convert_appends._keys) <= 10
        assert len(convert_appends._ranks) <= 10


def test_what_is_too_large_or_unknown_costs_little() -> None:
    series = _series("k", None, 1)
    known = _request(series)
    # Unknown fields: small numbers, and the series' own number as one.
    for unknown in (b"\x78\x00", b"\x20\x00"):
        began = time.process_time()
        assert read(known + unknown * 1_000_000).batch.names == ("k",)
        # Seconds, when each became an object.
        assert time.process_time() - began < 1
    for size in (5, 60):
        began = time.process_time()
        with pytest.raises(InvalidArgument, match="must have at most 4194304 bytes"):
            read(known + b"\x78\x00" * (size * 2**19))
        assert time.process_time() - began < 1
