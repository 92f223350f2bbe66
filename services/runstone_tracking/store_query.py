"""What a search asks of a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runstone_kit.filterlang import Expression, OrderBy
from runstone_kit.paging import KeyValue
from runstone_tracking.model import Stage

MAX_SORT_TEXT = 256
"""Text sorts by its first 256 characters: a page token holds the last row's keys."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to find, in which order, after which row, and how many at most.

    ``order`` ends with keys that no two rows share. ``after`` has one value for each of them:
    None where the row lacks it, NaN where a metric is NaN; None as a whole means from the start.
    """

    stages: tuple[Stage, ...]
    filter: Expression | None
    order: tuple[OrderBy, ...]
    after: Sequence[KeyValue] | None
    limit: int
    experiment_ids: tuple[str, ...] = ()
