"""The points of a metric as columns, for those who compute with them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NO_RANK = -1
"""What ``ranks`` holds for a point that has none."""


@dataclass(frozen=True, slots=True)
class MetricColumns:
    """Every point of a metric: columns of equal length, by (timestamp, step, value, rank).

    ``steps``, ``timestamps`` (Unix milliseconds) and ``ranks`` (-1: none) are arrays of 64-bit
    integers, ``values`` of doubles; each takes 8 bytes a point. ``ranks`` is empty when no point
    has a rank.

    Example:
        >>> from array import array
        >>> columns = MetricColumns("loss", *map(array, "qqdq", ([0, 1], [5, 6], [0.5, 0.25], [])))
        >>> len(columns), columns.values[-1]
        (2, 0.25)
    """

    key: str
    steps: array[int]
    timestamps: array[int]
    values: array[float]
    ranks: array[int]

    def __len__(self) -> int:
        return len(self.steps)

    def to_numpy(self) -> dict[str, np.ndarray[Any, Any]]:
        """``step``, ``timestamp``, ``value`` and, if any point has one, ``rank``: arrays of shape
        (points,) that share the memory of the columns. Raises ImportError without numpy.

        Example:
            >>> from array import array
            >>> columns = MetricColumns("loss", *map(array, "qqdq", ([0, 1], [5, 6], [1, 2], [])))
            >>> columns.to_numpy()["value"].mean()
            np.float64(1.5)
        """
        import numpy as np

        named = {
            "step": np.frombuffer(self.steps, np.int64),
            "timestamp": np.frombuffer(self.timestamps, np.int64),
            "value": np.frombuffer(self.values, np.float64),
        }
        if self.ranks:
            named["rank"] = np.frombuffer(self.ranks, np.int64)
        return named

    def to_pandas(self) -> pd.DataFrame:
        """A row for each point: ``step``, ``timestamp`` (UTC), ``value`` and, if any point has
        one, ``rank`` (Int64; missing where there is none). Raises ImportError without pandas.

        Example:
            >>> from array import array
            >>> columns = MetricColumns("loss", *map(array, "qqdq", ([0, 1], [5, 6], [1, 2], [])))
            >>> columns.to_pandas()["value"].tolist()
            [1.0, 2.0]
        """
        import pandas as pd

        table = pd.DataFrame(self.to_numpy())
        times = table["timestamp"].to_numpy().astype("datetime64[ms]")
        table["timestamp"] = pd.Series(times).dt.tz_localize("UTC")
        if self.ranks:
            ranks = table["rank"].astype("Int64")
            table["rank"] = ranks.mask(ranks == NO_RANK)
        return table
