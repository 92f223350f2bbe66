"""Which buckets a live page has: a grid that depends on nothing but what was asked and the range
of the points, so that it is the same after a reconnect and for every watcher.
"""

from __future__ import annotations

from runstone_kit.validation import INT64_MAX, INT64_MIN
from runstone_tracking.model_samples import Grid, SampleQuery


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


def _width(range_: int, count: int) -> int:
    """The least power of two of which so many hold the range."""
    width = 1
    while width * count < range_:
        width *= 2
    return width
