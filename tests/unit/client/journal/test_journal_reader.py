"""What is read of a journal, whole and damaged."""

from __future__ import annotations

import math
import os
import random
import struct
from pathlib import Path

import pytest

from runstone._journal import format as frames
from runstone._journal.progress import START, Position
from runstone._journal.reader import Damage, Other, Points, Reader

FLIPS = int(os.environ.get("RUNSTONE_TEST_FLIPS", "500"))


def journal(folder: Path, number: int, data: bytes) -> None:
    frames.file_path(folder, number).write_bytes(data)


def head() -> bytes:
    return frames.run_frame(0, "run-a", 3) + frames.keys_frame(0, ("loss", "größe"))


def points(step: int, *, run: int = 0, key_set: int = 0) -> bytes:
    return frames.points_frame(run, key_set, step, 1000 + step, [step / 2, -1.0])


def steps(folder: Path, *, final: bool = False) -> list[int]:
    return [
        each.step
        for stretch in Reader(folder, final=final)
        for each in stretch.records
        if isinstance(each, Points)
    ]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    journal(tmp_path, 1, head() + points(7))
    found = Reader(tmp_path).read()
    (point,) = found.records
    assert isinstance(point, Points)
    assert (point.run_id, point.rank, point.keys) == ("run-a", 3, ("loss", "größe"))
    assert (point.step, point.timestamp_ms, list(point.values)) == (7, 1007, [3.5, -1.0])
    assert found.damage == []


def test_numbers_at_their_limits(tmp_path: Path) -> None:
    ends = [math.inf, -math.inf, 5e-324, 1.7976931348623157e308]
    keys = ("a", "b", "c", "d")
    journal(
        tmp_path,
        1,
        frames.run_frame(2**32 - 1, "r")
        + frames.keys_frame(2**32 - 1, keys)
        + frames.points_frame(2**32 - 1, 2**32 - 1, -(2**63), 2**63 - 1, ends),
    )
    (point,) = Reader(tmp_path).read().records
    assert isinstance(point, Points)
    assert point.rank is None
    assert (point.step, point.timestamp_ms) == (-(2**63), 2**63 - 1)
    assert list(point.values) == ends


def test_the_bits_of_a_nan_are_kept(tmp_path: Path) -> None:
    (odd,) = struct.unpack("<d", bytes.fromhex("efbeadde0000f87f"))
    journal(
        tmp_path,
        1,
        frames.run_frame(0, "r")
        + frames.keys_frame(0, ("a",))
        + frames.points_frame(0, 0, 0, 0, [odd]),
    )
    (point,) = Reader(tmp_path).read().records
    assert isinstance(point, Points)
    assert point.values.tobytes().hex() == "efbeadde0000f87f"


def test_reading_goes_on_from_a_position_in_pieces(tmp_path: Path) -> None:
    journal(tmp_path, 1, head() + b"".join(points(step) for step in range(100)))
    reader, position, found = Reader(tmp_path), START, []
    while (stretch := reader.read(position, 200)).position != position:
        found += stretch.records
        position = stretch.position
    assert [each.step for each in found if isinstance(each, Points)] == list(range(100))
    # Another reader has to learn what was declared before it.
    middle = Reader(tmp_path).read(Position(1, len(head()) + 50 * len(points(0))))
    assert next(each.step for each in middle.records if isinstance(each, Points)) == 50


def test_a_frame_longer_than_a_read_is_read(tmp_path: Path) -> None:
    keys = tuple(f"key-{number:05d}" for number in range(1000))
    journal(
        tmp_path,
        1,
        frames.run_frame(0, "r")
        + frames.keys_frame(0, keys)
        + frames.points_frame(0, 0, 1, 1, [0.5] * 1000),
    )
    reader, position, found = Reader(tmp_path), START, []
    while (stretch := reader.read(position, 100)).position != position:
        found += stretch.records
        position = stretch.position
    (point,) = found
    assert isinstance(point, Points)
    assert point.keys == keys


def test_an_unfinished_frame_is_no_more_yet_until_the_rest_comes(tmp_path: Path) -> None:
    whole = head() + points(0)
    reader = Reader(tmp_path)
    assert reader.read() == type(reader.read())(START)
    for cut in range(len(points(0))):
        journal(tmp_path, 1, whole + points(1)[:cut])
        first = reader.read(START)
        assert first.position == Position(1, len(whole))
        assert first.damage == []
        again = reader.read(first.position)
        assert (again.position, again.records, again.damage) == (first.position, [], [])
    journal(tmp_path, 1, whole + points(1))
    assert [each.step for each in reader.read(first.position).records] == [1]  # type: ignore[union-attr]


def test_an_unfinished_frame_is_damage_when_nothing_can_follow(tmp_path: Path) -> None:
    whole, torn = head() + points(0), points(1)[:-3]
    journal(tmp_path, 1, whole + torn)
    expected = [Damage(1, len(whole), len(whole) + len(torn))]
    assert Reader(tmp_path, final=True).read().damage == expected
    # The next file says so as well, and is read.
    journal(tmp_path, 2, head() + points(2))
    stretches = list(Reader(tmp_path))
    assert [each for stretch in stretches for each in stretch.damage] == expected
    assert steps(tmp_path) == [0, 2]


def test_files_that_were_deleted_are_passed_over(tmp_path: Path) -> None:
    journal(tmp_path, 5, head() + points(5))
    journal(tmp_path, 6, head() + points(6))
    assert steps(tmp_path) == [5, 6]
    assert Reader(tmp_path).read(Position(3, 77)).records[0].step == 5  # type: ignore[union-attr]


def test_a_declaration_counts_for_its_own_file(tmp_path: Path) -> None:
    journal(tmp_path, 1, head() + points(1))
    journal(tmp_path, 2, points(2))
    found = [each for stretch in Reader(tmp_path) for each in stretch.damage]
    assert found == [Damage(2, 0, len(points(2)))]


def test_frames_of_unknown_types_are_given_as_they_are(tmp_path: Path) -> None:
    journal(tmp_path, 1, head() + frames.frame(17, b'{"a": 1}') + points(1))
    other, _ = Reader(tmp_path).read().records
    assert other == Other(17, b'{"a": 1}')


@pytest.mark.parametrize(
    "bad",
    [
        frames.frame(frames.RUN, b"\0"),
        frames.frame(frames.RUN, frames.RUN_HEAD.pack(0, 0) + b"\xff"),
        frames.frame(frames.KEYS, b"\0\0\0\0loss"),
        frames.frame(frames.POINTS, b"short"),
        frames.points_frame(0, 0, 1, 1, [1.0]),
        frames.points_frame(9, 0, 1, 1, [1.0, 2.0]),
        frames.frame(frames.POINTS, frames.POINTS_HEAD.pack(0, 0, 0, 0) + b"odd"),
        b"\0" * 4096,
        b"\xc3\x5a" * 1000,
        os.urandom(5000),
    ],
)
def test_nonsense_is_reported_and_passed_over(tmp_path: Path, bad: bytes) -> None:
    journal(tmp_path, 1, head() + points(1) + bad + points(2))
    begin = len(head() + points(1))
    (damage,) = [each for stretch in Reader(tmp_path) for each in stretch.damage]
    assert (damage.start, damage.end) == (begin, begin + len(bad))
    assert steps(tmp_path) == [1, 2]


def test_a_damaged_length_does_not_hide_what_follows_in_a_live_file(tmp_path: Path) -> None:
    bad = bytearray(points(1))
    bad[6] = 0x10  # a megabyte that is not there yet
    journal(tmp_path, 1, head() + bytes(bad) + points(2))
    assert steps(tmp_path) == [2]


def test_bits_that_flip_cost_their_frame_and_nothing_else(tmp_path: Path) -> None:
    """Every point is read as it was written, or its place is reported as damage."""
    chance = random.Random(20_261_121)
    count = 40
    frame = len(points(0))
    good = head() + b"".join(points(step) for step in range(count))
    for _ in range(FLIPS):
        data = bytearray(good)
        place = chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
        journal(tmp_path, 1, bytes(data))
        damage = [each for stretch in Reader(tmp_path, final=True) for each in stretch.damage]
        found = steps(tmp_path, final=True)
        assert any(each.start <= place < each.end for each in damage)
        if place < len(head()):
            assert found == []  # what the points mean is lost in this file
            assert sum(each.end - each.start for each in damage) > frame * count
        else:
            lost = (place - len(head())) // frame
            assert found == [step for step in range(count) if step != lost]


def test_what_is_cut_off_costs_no_more_than_that(tmp_path: Path) -> None:
    chance = random.Random(20_261_122)
    frame, count = len(points(0)), 40
    good = head() + b"".join(points(step) for step in range(count))
    for _ in range(FLIPS):
        size = chance.randrange(len(head()), len(good))
        journal(tmp_path, 1, good[:size])
        whole, rest = divmod(size - len(head()), frame)
        assert steps(tmp_path) == list(range(whole))
        damage = [each for stretch in Reader(tmp_path, final=True) for each in stretch.damage]
        assert damage == ([Damage(1, size - rest, size)] if rest else [])
