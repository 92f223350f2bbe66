"""Many runs as columns, for tables of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(slots=True)
class RunColumns:
    """Runs as columns: each list has a place for every run, and the same length.

    ``metrics`` (latest values; NaN where a run lacks one), ``params`` and ``tags`` (None where it
    lacks one) are by key. Times are Unix milliseconds; the end of a run that goes on is None.
    ``token`` leads to the next page, None on the last one.

    Example:
        >>> import runstone
        >>> client = runstone.Client()
        >>> run = client.create_run("0", run_name="a row")
        >>> client.log_batch(run.info.run_id, params={"lr": 0.1})
        >>> columns = client.search_run_columns(["0"], "attributes.run_name = 'a row'")
        >>> columns.params
        {'lr': ['0.1']}
    """

    run_ids: list[str] = field(default_factory=list)
    experiment_ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    lifecycle_stages: list[str] = field(default_factory=list)
    user_ids: list[str] = field(default_factory=list)
    artifact_uris: list[str] = field(default_factory=list)
    start_times: list[int] = field(default_factory=list)
    end_times: list[int | None] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    params: dict[str, list[str | None]] = field(default_factory=dict)
    tags: dict[str, list[str | None]] = field(default_factory=dict)
    token: str | None = None

    def __len__(self) -> int:
        return len(self.run_ids)

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with a row a run: run_id, experiment_id, status, artifact_uri, start_time,
        end_time (UTC), metrics.*, params.*, tags.*. Raises ImportError without pandas.

        Example:
            >>> import runstone
            >>> client = runstone.Client()
            >>> _ = client.create_run("0", run_name="in a frame")
            >>> found = client.search_run_columns(["0"], "attributes.run_name = 'in a frame'")
            >>> found.to_pandas()["tags.mlflow.runName"].tolist()
            ['in a frame']
        """
        import pandas as pd

        columns: dict[str, Any] = {
            "run_id": self.run_ids,
            "experiment_id": self.experiment_ids,
            "status": self.statuses,
            "artifact_uri": self.artifact_uris,
            "start_time": _times(self.start_times),
            "end_time": _times(self.end_times),
        }
        for group in ("metrics", "params", "tags"):
            values: dict[str, list[Any]] = getattr(self, group)
            columns |= {f"{group}.{key}": values[key] for key in sorted(values)}
        return pd.DataFrame(columns)


def _times(milliseconds: list[Any]) -> pd.Series[pd.Timestamp]:
    import pandas as pd

    return pd.to_datetime(pd.Series(milliseconds, dtype="Int64"), unit="ms", utc=True)
