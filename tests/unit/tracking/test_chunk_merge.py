"""Which chunks new points are merged with."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from runstone_tracking import chunk
from runstone_tracking.chunk_merge import Merge, plan
from runstone_tracking.model_chunks import ChunkRef
from runstone_tracking.model_metrics import Columns
from support.metric_points import columns

FULL = 64


def points(*steps: int) -> Columns:
    return chunk.in_order(columns([(step, step, 0.5) for step in steps]))


def refs(*ranges: tuple[int, int]) -> list[ChunkRef]:
    """Chunks of a point for each step of a range, its end included."""
    found = []
    for number, (first, last) in enumerate(ranges):
        made = chunk.encode(points(*range(first, last + 1)))
        found.append(
            ChunkRef("k", number, made.count, made.first, made.last, first, last),
        )
    return found


def planned(chunks: list[ChunkRef], new: Columns) -> list[tuple[list[int], list[int]]]:
    """Of each merge the numbers of its chunks, and the steps of its new points."""
    return [
        ([each.number for each in merge.chunks], new.steps[merge.start : merge.end].tolist())
        for merge in plan(chunks, new, FULL)
    ]


def test_the_first_points_make_a_chunk_of_their_own() -> None:
    assert planned([], points(1, 2, 3)) == [([], [1, 2, 3])]


def test_points_behind_a_full_chunk_leave_it_alone() -> None:
    assert planned(refs((0, 63)), points(64, 65)) == [([], [64, 65])]


@pytest.mark.parametrize(("size", "taken"), [(1, True), (8, True), (9, False), (63, False)])
def test_a_small_last_chunk_is_taken_up(size: int, taken: bool) -> None:
    assert planned(refs((0, size - 1)), points(100, 101)) == [([0] if taken else [], [100, 101])]


def test_chunks_of_falling_sizes_are_taken_up_one_after_the_other() -> None:
    chunks = refs((0, 63), (64, 127), (128, 159), (160, 167), (168, 169))
    # Of 1 point: 2 are few, then 3 * 4 are more than 8, then 11 * 4 more than 32, then it is full.
    assert planned(chunks, points(170)) == [([2, 3, 4], [170])]


def test_late_points_touch_the_chunks_that_they_lie_in() -> None:
    chunks = refs((0, 63), (100, 163), (200, 263), (300, 363))
    assert planned(chunks, points(50, 210, 211)) == [([0], [50]), ([2], [210, 211])]
    assert planned(chunks, points(70, 71)) == [([], [70, 71])]
    # What is between two chunks that are touched holds them together.
    assert planned(chunks, points(110, 170, 210)) == [([1, 2], [110, 170, 210])]


def test_late_points_that_are_far_apart_are_merged_some_chunks_at_a_time() -> None:
    chunks = refs(*((number * 100, number * 100 + 63) for number in range(40)))
    new = points(*(number * 100 + 50 for number in range(40)), 3_000 + 64)
    merges = plan(chunks, new, FULL)
    assert max(len(merge.chunks) for merge in merges) <= 16
    assert [ref.number for merge in merges for ref in merge.chunks] == list(range(40))
    assert _covers(merges, len(new))


def test_a_duplicate_of_a_chunks_end_is_in_it() -> None:
    chunks = refs((0, 63), (64, 127))
    assert planned(chunks, points(63)) == [([0], [63])]
    assert planned(chunks, points(64)) == [([1], [64])]
    assert planned(chunks, points(63, 64)) == [([0, 1], [63, 64])]


def test_points_before_the_first_chunk() -> None:
    assert planned(refs((10, 73)), points(1, 2)) == [([], [1, 2])]
    assert planned(refs((10, 12)), points(1, 2)) == [([0], [1, 2])]


@pytest.mark.parametrize("seed", range(20))
def test_chunks_stay_disjoint_whatever_comes(seed: int) -> None:
    """By the same rule again and again, beside a set of points as the model."""
    chance = random.Random(seed)
    held: list[Columns] = []
    expected: set[int] = set()
    for _ in range(30):
        low = chance.randrange(2_000)
        new = points(*(low + chance.randrange(chance.choice((5, 200, 2_000))) for _ in range(20)))
        expected.update(new.steps.tolist())
        chunks = [_ref(number, each) for number, each in enumerate(held)]
        merges = plan(chunks, new, FULL)
        assert _covers(merges, len(new))
        for merge in merges:
            numbers = [each.number for each in merge.chunks]
            assert numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else True
        gone = {each.number for merge in merges for each in merge.chunks}
        kept = [each for number, each in enumerate(held) if number not in gone]
        for merge in merges:
            steps = new.steps[merge.start : merge.end].tolist()
            steps += [step for ref in merge.chunks for step in held[ref.number].steps.tolist()]
            kept += chunk.parts(points(*steps), FULL)
        held = sorted(kept, key=lambda each: int(each.steps[0]))
        assert all(a.steps[-1] < b.steps[0] for a, b in pairwise(held))
        assert {step for each in held for step in each.steps.tolist()} == expected


def _covers(merges: list[Merge], count: int) -> bool:
    """Each new point is in one merge."""
    return [at for merge in merges for at in range(merge.start, merge.end)] == list(range(count))


def _ref(number: int, held: Columns) -> ChunkRef:
    made = chunk.encode(held)
    return ChunkRef("k", number, made.count, made.first, made.last, 0, 0)
