"""Which buckets a live page has: a grid that depends on nothing but what was asked and the range
of the points, so that it is the same after a reconnect and for every watcher.
"""

from __future__ import annotations

from dataclasses import dataclass

from runstone_kit.validation import INT64_MAX, INT64_MIN
from runstone_tracking.model_samples import Grid, SampleQuery

EXACT_PLACES = 2**62
"""Beyond, the start of a run added to a place may leave int64, and a range is cut there."""


@dataclass(frozen=True, slots=True)
class Part:
    """Buckets of a grid from ``first`` to ``last``, which is in it, and the range they divide.

    Empty when ``last`` is below ``first``.
    """

    first: int
    last: int
    places: tuple[int, int]


def grid_of(query: SampleQuery, span: tuple[int, int] | None) -> Grid | None:
    """The grid of SampleGrid's rule for points that span a range; None while none can be told.

    Example:
        >>> grid_of(asked, (10, 29))  # asked: 8 buckets and no edge
        Grid(start=8, end=39, buckets=8)
    """
    count = query.buckets
    if query.start is not None and query.end is not None:
        return Grid(query.start, query.end, count)
    if span is None:
        return None
    first, last = span
    if query.start is not None:
        start = query.start
        end = start + count * _width(last - start + 1, count) - 1
    elif query.end is not None:
        end = query.end
        start = end + 1 - count * _width(end - first + 1, count)
    elif count == 1:
        # Multiples of a width never have both sides of zero in one bucket.
        start, end = INT64_MIN, INT64_MAX
    else:
        width = _width(last - first + 1, count)
        while last // width - first // width >= count:
            width *= 2
        start = first // width * width
        end = start + count * width - 1
    return Grid(max(start, INT64_MIN), min(end, INT64_MAX), count)


def part_of(grid: Grid, span: tuple[int, int]) -> Part | None:
    """The buckets that a range touches; None where their edges are not whole numbers to us."""
    size = grid.end - grid.start + 1
    if size * grid.buckets > INT64_MAX or max(-grid.start, grid.end) > EXACT_PLACES:
        return None
    first = (max(span[0], grid.start) - grid.start) * grid.buckets // size
    last = (min(span[1], grid.end) - grid.start) * grid.buckets // size
    # The first place of a bucket is that at which the division gives its number.
    start = grid.start - (-first * size // grid.buckets)
    end = grid.start - (-(last + 1) * size // grid.buckets) - 1
    return Part(first, last, (start, end))


def _width(range_: int, count: int) -> int:
    """The least power of two of which so many hold the range."""
    width = 1
    while width * count < range_:
        width *= 2
    return width
