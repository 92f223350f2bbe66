"""The grid of a live page, as SampleGrid's comment has it."""

import random

import pytest

from runstone_tracking.model_samples import Axis, Grid, SampleQuery
from runstone_tracking.service_grid import grid_of, part_of

INT64 = 2**63


def asked(buckets: int, start: int | None = None, end: int | None = None) -> SampleQuery:
    return SampleQuery(("r",), ("k",), (), buckets, Axis.STEP, start, end, across_ranks=False)


def test_a_grid_by_its_edges() -> None:
    assert grid_of(asked(8), None) is None
    assert grid_of(asked(8, start=3), None) is None
    assert grid_of(asked(8, 3, 90), None) == Grid(3, 90, 8)
    assert grid_of(asked(8, 3, 90), (-5, 500)) == Grid(3, 90, 8)
    assert grid_of(asked(8), (5, 5)) == Grid(5, 12, 8)
    assert grid_of(asked(8), (10, 29)) == Grid(8, 39, 8)
    assert grid_of(asked(8, start=3), (10, 29)) == Grid(3, 34, 8)
    assert grid_of(asked(8, end=30), (10, 29)) == Grid(-1, 30, 8)
    assert grid_of(asked(8, start=50), (10, 29)) == Grid(50, 57, 8)
    assert grid_of(asked(8, end=5), (10, 29)) == Grid(-2, 5, 8)


@pytest.mark.parametrize("seed", range(20))
def test_a_range_is_held_by_half_of_the_buckets_or_more(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        buckets = chance.randint(2, 4096)
        first = chance.randrange(-(10 ** chance.randint(1, 17)), 10**6)
        last = first + chance.randrange(10 ** chance.randint(1, 17))
        grid = grid_of(asked(buckets), (first, last))
        assert grid is not None
        width, rest = divmod(grid.end - grid.start + 1, buckets)
        assert (rest, width & (width - 1), grid.start % width) == (0, 0, 0)
        assert grid.start <= first <= last <= grid.end
        filled = (last - grid.start) // width - (first - grid.start) // width + 1
        assert width == 1 or filled > buckets // 2
        # What grows within the grid leaves it as it is.
        assert grid_of(asked(buckets), (grid.start, last)) == grid
        assert grid_of(asked(buckets), (first, grid.end)) == grid


@pytest.mark.parametrize("seed", range(5))
def test_a_part_is_whole_buckets(seed: int) -> None:
    chance = random.Random(seed)

    def number(place: int) -> int:
        return (place - grid.start) * grid.buckets // (grid.end - grid.start + 1)

    for _ in range(300):
        start = chance.randint(-(10 ** chance.randint(1, 14)), 10**14)
        grid = Grid(
            start, start + chance.randrange(10 ** chance.randint(1, 14)), 1 + chance.randrange(99)
        )
        begin, end = sorted(chance.randint(grid.start - 9, grid.end + 9) for _ in range(2))
        part = part_of(grid, (begin, end))
        assert part is not None
        inside = [each for each in (begin, end) if grid.start <= each <= grid.end]
        if part.last < part.first:
            assert inside == []
            continue
        assert all(part.first <= number(each) <= part.last for each in inside)
        first, last = part.places
        if first <= last:
            assert part.first <= number(first) <= number(last) <= part.last
        assert first == grid.start or number(first - 1) < part.first
        assert last == grid.end or number(last + 1) > part.last
    assert part_of(Grid(-INT64, INT64 - 1, 2), (0, 1)) is None
    assert part_of(Grid(2**62, 2**62 + 1, 2), (0, 1)) is None


def test_ends_of_int64() -> None:
    whole = Grid(-INT64, INT64 - 1, 2)
    assert grid_of(asked(2), (-INT64, INT64 - 1)) == whole
    assert grid_of(asked(1), (-1, 0)) == Grid(-INT64, INT64 - 1, 1)
    found = grid_of(asked(1000, start=5), (5, INT64 - 1))
    assert found == Grid(5, INT64 - 1, 1000)
    found = grid_of(asked(1000, end=5), (-INT64, 0))
    assert found == Grid(-INT64, 5, 1000)
