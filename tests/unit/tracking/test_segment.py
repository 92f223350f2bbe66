"""Segments: what goes in comes out bit for bit, and damage is told, never decoded."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone_tracking import segment, segment_encode
from runstone_tracking.model_chunks import StoredSegment
from runstone_tracking.model_metrics import Append, MetricBatch, NewSegment, series_name
from runstone_tracking.segment_encode import FRAME_POINTS, MIN_COMPRESSED
from runstone_tracking.segment_planes import SegmentCorrupt
from support.metric_points import Point, batch, bits, points_of, total_order

INT64 = st.integers(-(2**63), 2**63 - 1)
NAN_WITH_PAYLOAD: float = struct.unpack("<d", bytes.fromhex("efbeadde0000f47f"))[0]
ODD_VALUES = [math.nan, NAN_WITH_PAYLOAD, math.inf, -math.inf, -0.0, 0.0, 5e-324, -1.5]

steps = INT64 | st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63), 2**62])
values = st.floats() | st.sampled_from(ODD_VALUES)
points = st.tuples(steps, st.integers(0, 2**63 - 1) | st.integers(0, 3), values)
some_points = st.lists(points, min_size=1, max_size=10)
# Long enough for a frame, without drawing every point.
many_points = st.builds(lambda few, times: few * times, some_points, st.just(MIN_COMPRESSED))
all_series = st.dictionaries(
    st.text("ab/é ", min_size=1, max_size=5), some_points | many_points, min_size=1, max_size=5
)


def _encode(points_by_key: dict[str, list[Point]]) -> NewSegment:
    return segment_encode.encode("run", "writer", 7, batch(points_by_key))


def _decode(stored: NewSegment, key: str) -> list[Point] | None:
    blocks = segment.find_blocks(stored.writer_id, stored.sequence, stored.header, key)
    if not blocks:
        return None
    [block] = blocks
    data = stored.payload[block.offset : block.offset + block.length]
    found = points_of(segment.decode_blocks([block], [data])[0])
    assert block.count == len(found)
    assert block.min_timestamp_ms == min(point[1] for point in found)
    assert block.max_timestamp_ms == max(point[1] for point in found)
    return found


def _whole(stored: NewSegment) -> dict[str, list[Point]]:
    kept = StoredSegment(stored.writer_id, stored.sequence, stored.header, stored.payload)
    return {name: points_of(found) for name, found in segment.decode(kept)}


@given(all_series)
def test_a_segment_is_decoded_whole(series: dict[str, list[Point]]) -> None:
    found = _whole(_encode(series))
    assert list(found) == sorted(series)
    assert {key: bits(each) for key, each in found.items()} == {
        key: bits(each) for key, each in series.items()
    }


@pytest.mark.parametrize("many", [False, True], ids=["short", "long"])
def test_a_damaged_segment_is_not_decoded_whole(many: bool) -> None:
    few = [(1, 1, 0.5), (2, 2, 0.25)]
    stored = _encode({"a": few, "b": few * (MIN_COMPRESSED if many else 1), "c": few})
    for place in range(len(stored.payload)):
        with pytest.raises(SegmentCorrupt):
            _whole(replace(stored, payload=_flipped(stored.payload, place)))
    for place in range(len(stored.header)):
        with pytest.raises(SegmentCorrupt):
            _whole(replace(stored, header=_flipped(stored.header, place)))
    for cut in range(len(stored.payload)):
        with pytest.raises(SegmentCorrupt):
            _whole(replace(stored, payload=stored.payload[:cut]))


@given(all_series)
def test_points_come_back_bit_for_bit(series: dict[str, list[Point]]) -> None:
    stored = _encode(series)
    assert (stored.run_id, stored.writer_id, stored.sequence) == ("run", "writer", 7)
    assert stored.points == sum(map(len, series.values()))
    for key, sent in series.items():
        found = _decode(stored, key)
        assert found is not None
        assert bits(found) == bits(sent)
    assert _decode(stored, "c") is None


@given(st.lists(all_series, min_size=1, max_size=4))
def test_batches_that_are_encoded_together_are_as_if_alone(
    several: list[dict[str, list[Point]]],
) -> None:
    appends = [Append(f"r{n}", "w", n, batch(series)) for n, series in enumerate(several)]
    for append, found in zip(appends, segment_encode.encode_all(appends), strict=True):
        alone = segment_encode.encode(append.run_id, "w", append.sequence, append.batch)
        assert (found.run_id, found.sequence) == (alone.run_id, alone.sequence)
        assert (found.digest, found.points) == (alone.digest, alone.points)
        assert (found.header, found.payload) == (alone.header, alone.payload)
        assert found.summaries.keys == alone.summaries.keys
        assert found.summaries.records.tobytes() == alone.summaries.records.tobytes()


def test_series_share_a_frame_as_long_as_they_fit() -> None:
    few = FRAME_POINTS // 3
    series = {f"k{n}": [(step, step, 0.5) for step in range(few)] for n in range(7)}
    series["k3"] *= 4
    stored = _encode(series)
    blocks = [segment.find_blocks("writer", 7, stored.header, key)[0] for key in sorted(series)]
    assert [len({block.offset for block in blocks[: n + 1]}) for n in range(7)] == [
        *(1, 1, 1, 2, 3, 3, 3),
    ]
    for key, sent in series.items():
        assert _decode(stored, key) == sent


@given(all_series)
def test_summaries_are_those_of_the_points(series: dict[str, list[Point]]) -> None:
    stored = _encode(series)
    assert stored.summaries.keys == tuple(sorted(series))
    for key, record in zip(stored.summaries.keys, stored.summaries.records.tolist(), strict=True):
        value, step, time, low, high, count, nan_count, first_step = record
        sent = series[key]
        latest = max(sent, key=total_order)
        assert total_order((step, time, value)) == total_order(latest)
        numbers = [point[2] for point in sent if not math.isnan(point[2])]
        assert (count, nan_count) == (len(sent), len(sent) - len(numbers))
        assert first_step == min(point[0] for point in sent)
        if numbers:
            assert (low, high) == (min(numbers), max(numbers))
        else:
            assert math.isnan(low)
            assert math.isnan(high)


REGULAR = {
    "constant": [(0, 0, 0.1)] * 1000,
    "counting": [(step, 1_700_000_000_000 + 50 * step, 1 / (step + 1)) for step in range(1000)],
    "downwards": [(-step, 10**12 - step, float(step)) for step in range(1000)],
    "widest": [
        ((-1) ** i * (2**63 - 1), i % 2 * (2**63 - 1), ODD_VALUES[i % 8]) for i in range(99)
    ],
    "every width": [(3**i % 2**62, 2**i, 0.5) for i in range(63)] + [(0, 0, 0.0)] * 5,
    "one": [(5, 6, NAN_WITH_PAYLOAD)],
    "at the limit": [(i, i * i, math.sin(i)) for i in range(MIN_COMPRESSED)],
    "below the limit": [(i, i * i, math.sin(i)) for i in range(MIN_COMPRESSED - 1)],
}


@pytest.mark.parametrize("key", REGULAR)
def test_regular_series(key: str) -> None:
    alone, together = _encode({key: REGULAR[key]}), _encode(REGULAR)
    for stored in (alone, together):
        found = _decode(stored, key)
        assert found is not None
        assert bits(found) == bits(REGULAR[key])


def test_a_regular_series_takes_few_bytes() -> None:
    counting = _encode({"k": [(i, 10**12 + 50 * i, float(np.float32(0.1))) for i in range(10_000)]})
    assert len(counting.payload) < 1_000


def test_many_series_have_a_small_header_and_are_all_found() -> None:
    series = {f"layer.{i:05}/norm": [(1, 10**12, float(i))] for i in range(10_000)}
    stored = _encode(series)
    assert len(stored.header) < 600_000
    assert stored.header[1:2] == segment.flags_of_compressed()
    for i in (0, 1, 4_321, 9_999):
        assert _decode(stored, f"layer.{i:05}/norm") == [(1, 10**12, float(i))]


@pytest.mark.parametrize(
    ("key", "found"), [("b", True), ("a b", True), ("a", False), ("bc", False), ("", False)]
)
def test_a_small_header_can_be_searched_as_bytes(key: str, found: bool) -> None:
    stored = _encode({"b": [(1, 2, 3.0)], "a b": [(1, 2, 3.0)], "abc": [(1, 2, 3.0)]})
    assert stored.header[1:2] != segment.flags_of_compressed()
    assert any(each in stored.header for each in segment.key_patterns(key)) is found
    assert (_decode(stored, key) is not None) is found


def test_ranks_of_a_key_are_series_of_their_own_and_one_summary() -> None:
    series: dict[str, list[Point]] = {
        series_name("a", 0): [(1, 10, 0.5)],
        series_name("a", 10): [(3, 30, 0.25), (2, 20, 4.0)],
        series_name("a", 2): [(3, 30, math.nan)],
        "a": [(0, 5, 1.0)],
        "a b": [(9, 9, 9.0)],
        series_name("b", 7): [(1, 1, 1.0)],
    }
    for more in ({}, {f"wide{i}": [(1, 1, 1.0)] for i in range(500)}):
        stored = _encode({**series, **more})
        found = segment.find_blocks("writer", 7, stored.header, "a")
        assert [(block.rank, block.count) for block in found] == [(-1, 1), (0, 1), (10, 2), (2, 1)]
        [alone] = segment.find_blocks("writer", 7, stored.header, "a", 10)
        data = stored.payload[alone.offset : alone.offset + alone.length]
        [points] = segment.decode_blocks([alone], [data])
        assert points_of(points) == series[series_name("a", 10)]
        assert points.ranks is not None
        assert points.ranks.tolist() == [10, 10]
        assert segment.find_blocks("writer", 7, stored.header, "a", 1) == []
        assert [b.rank for b in segment.find_blocks("writer", 7, stored.header, "b")] == [7]
        assert stored.summaries.keys[:3] == ("a", "a b", "b")
        value, step, time, low, high, count, nan_count, first = stored.summaries.records[0].item()
        assert (value, step, time, low, high) == (0.25, 3, 30, 0.25, 4.0)
        assert (count, nan_count, first) == (5, 1, 0)


def _digest(points_by_key: dict[str, list[Point]]) -> bytes:
    return _encode(points_by_key).digest


def test_the_digest_tells_any_other_content() -> None:
    base: list[Point] = [(1, 10, 0.5), (2, 20, 0.25)]
    others: Sequence[dict[str, list[Point]]] = [
        {"a": base},
        {"b": base},
        {"a": base[:1], "b": base[1:]},
        {"a": base[::-1]},
        {"a": [(1, 10, 0.5), (2, 20, 0.125)]},
        {"a": [(1, 10, 0.5), (2, 21, 0.25)]},
        {"a": [(1, 10, 0.5), (3, 20, 0.25)]},
        {"a": [(1, 10, 0.0), (2, 20, 0.25)]},
        {"a": [(1, 10, -0.0), (2, 20, 0.25)]},
        {"a": [(1, 10, math.nan), (2, 20, 0.25)]},
        {"a": [(1, 10, NAN_WITH_PAYLOAD), (2, 20, 0.25)]},
    ]
    assert len({_digest(other) for other in others}) == len(others)
    assert _digest({"a": list(base)}) == _digest({"a": base})


@pytest.mark.parametrize("key", ["counting", "one", "every width"])
def test_any_flipped_bit_is_noticed(key: str) -> None:
    stored = _encode({"a": [(1, 2, 3.0)], key: REGULAR[key]})
    [block] = segment.find_blocks("writer", 7, stored.header, key)
    data = stored.payload[block.offset : block.offset + block.length]
    for place in range(0, len(data), max(1, len(data) // 50)):
        with pytest.raises(SegmentCorrupt, match="is damaged"):
            segment.decode_blocks([block], [_flipped(data, place)])
    for place in range(len(stored.header)):
        with pytest.raises(SegmentCorrupt):
            segment.find_blocks("writer", 7, _flipped(stored.header, place), key)


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def test_cut_and_foreign_bytes_are_refused() -> None:
    stored = _encode({f"k{i}": REGULAR["counting"] for i in range(40)})
    [block] = segment.find_blocks("writer", 7, stored.header, "k3")
    for data in (b"", b"x", stored.payload):
        with pytest.raises(SegmentCorrupt):
            segment.decode_blocks([block], [data])
    for header in (b"", b"\1", stored.header[:-1], stored.header[:17], b"\3" + stored.header[1:]):
        with pytest.raises(SegmentCorrupt):
            segment.find_blocks("writer", 7, header, "k3")


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(SegmentCorrupt):
        segment.find_blocks(
            "w", 1, bytes([segment.VERSION]) + segment.flags_of_compressed() + data, "k"
        )


def test_series_sorted_by_a_step_that_wraps_are_not_taken_for_increasing() -> None:
    sent: MetricBatch = batch({"k": [(2**63 - 1, 0, 1.0), (-(2**63), 0, 2.0)]})
    [record] = segment_encode.encode("r", "w", 1, sent).summaries.records.tolist()
    assert record[:2] == (1.0, 2**63 - 1)
