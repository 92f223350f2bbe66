"""Finding runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Literal, overload

from runstone._arguments import checked
from runstone._entities.runcolumns import RunColumns
from runstone._entities.tracking import Run, ViewType
from runstone._fluent import _state
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    import pandas as pd

    from runstone._client import Client

MANY = 100_000
"""As MLflow's: what a DataFrame of runs may hold unless said otherwise."""

PAGE = 1000
FRAME_PAGE = 50_000
"""What a server gives at most in one call."""

EXPERIMENTS_A_CALL = 1000
"""The server's bound for one search."""


@checked
def get_run(run_id: str) -> Run:
    """A run with its parameters, tags, inputs and latest metrics, deleted or not.

    Raises:
        RunNotFound

    Example:
        >>> import runstone
        >>> with runstone.start_run(run_name="look me up") as run:
        ...     runstone.log_metric("acc", 0.9)
        >>> found = runstone.get_run(run.info.run_id)
        >>> found.info.run_name, found.data.metrics
        ('look me up', {'acc': 0.9})
    """
    return _state.client().get_run(run_id)


@checked
def get_parent_run(run_id: str) -> Run | None:
    """The run that this one is nested in; None when it is not nested.

    Raises:
        RunNotFound

    Example:
        >>> import runstone
        >>> with runstone.start_run() as parent:
        ...     with runstone.start_run(nested=True) as child:
        ...         pass
        >>> runstone.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
        True
    """
    return _state.client().get_parent_run(run_id)


@checked
def delete_run(run_id: str) -> None:
    """Delete a run; ``restore_run`` brings it back until it is purged.

    Raises:
        RunNotFound

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     pass
        >>> runstone.delete_run(run.info.run_id)
        >>> runstone.restore_run(run.info.run_id)
    """
    _state.client().delete_run(run_id)


@checked
def restore_run(run_id: str) -> None:
    """Restore a deleted run of an active experiment.

    Raises:
        RunNotFound, ExperimentDeleted

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     pass
        >>> runstone.delete_run(run.info.run_id)
        >>> runstone.restore_run(run.info.run_id)
        >>> runstone.get_run(run.info.run_id).info.lifecycle_stage
        'active'
    """
    _state.client().restore_run(run_id)


@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    output_format: Literal["pandas"] = ...,
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> pd.DataFrame: ...
@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    *,
    output_format: Literal["list"],
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> list[Run]: ...


@checked
def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = MANY,
    order_by: Sequence[str] | None = None,
    output_format: Literal["pandas", "list"] = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> pd.DataFrame | list[Run]:
    """The runs that match, of the active experiment unless others are named.

    Args:
        experiment_ids: Experiments to search.
        filter_string: Such as ``"metrics.acc > 0.9 AND (params.lr = '0.1' OR tags.x LIKE 'a%')"``;
            metrics mean their latest value.
        run_view_type: One of ``entities.ViewType``.
        max_results: At most this many.
        order_by: Such as ``["metrics.acc DESC"]``; the last started first when absent.
        output_format: ``"pandas"`` for a DataFrame with a row a run and the columns run_id,
            experiment_id, status, artifact_uri, start_time, end_time (UTC), metrics.*, params.*,
            tags.*; ``"list"`` for ``entities.Run`` objects.
        search_all_experiments: Search all active experiments when none are named.
        experiment_names: Experiments by name; unknown ones hold no runs.

    Raises:
        FilterInvalid: ``filter_string`` or ``order_by`` cannot be read.

    Example:
        >>> import runstone
        >>> _ = runstone.set_experiment("search")
        >>> for lr in (0.1, 0.2):
        ...     with runstone.start_run():
        ...         _ = runstone.log_param("lr", lr)
        ...         runstone.log_metric("acc", 1 - lr)
        >>> runs = runstone.search_runs(order_by=["metrics.acc DESC"], output_format="list")
        >>> [run.data.params["lr"] for run in runs]
        ['0.1', '0.2']
    """
    if output_format not in ("pandas", "list"):
        raise InvalidArgument(f"output_format must be 'pandas' or 'list', not {output_format!r}")
    client = _state.client()
    ids = _experiments(experiment_ids, experiment_names, search_all_experiments)
    if len(ids) > EXPERIMENTS_A_CALL:
        raise InvalidArgument(f"at most {EXPERIMENTS_A_CALL} experiments can be searched at once")
    if output_format == "pandas":
        return _frame(client, ids, filter_string, run_view_type, max_results, order_by)
    runs: list[Run] = []
    token: str | None = None
    while ids and len(runs) < max_results:
        size = min(PAGE, max_results - len(runs))
        page = client.search_runs(ids, filter_string, run_view_type, size, order_by, token)
        runs.extend(page)
        token = page.token
        if token is None:
            break
    return runs


def _experiments(
    ids: Sequence[str] | None, names: Sequence[str] | None, everywhere: bool
) -> list[str]:
    if ids and names:
        raise InvalidArgument("give experiment_ids or experiment_names, not both")
    if ids:
        return list(ids)
    client = _state.client()
    if names:
        found = [client.get_experiment_by_name(name) for name in names]
        return [each.experiment_id for each in found if each is not None]
    if everywhere:
        from runstone._fluent._experiments import search_experiments

        return [each.experiment_id for each in search_experiments()]
    return [_state.experiment_id()]


def _frame(
    client: Client,
    ids: Sequence[str],
    filter_string: str,
    run_view_type: int,
    max_results: int,
    order_by: Sequence[str] | None,
) -> pd.DataFrame:
    if find_spec("pandas") is None:
        raise InvalidArgument(
            'a DataFrame needs pandas: pip install pandas, or take output_format="list"'
        )
    frames: list[pd.DataFrame] = []
    left = max_results
    token: str | None = None
    with _importing_pandas():
        while ids and left > 0:
            size = min(FRAME_PAGE, left)
            found = client.search_run_columns(
                ids, filter_string, run_view_type, size, order_by, token
            )
            frames.append(found.to_pandas())
            left -= len(found)
            token = found.token
            if token is None:
                break
    if not frames:
        return RunColumns().to_pandas()
    if len(frames) == 1:
        return frames[0]
    import pandas as pd

    return pd.concat(frames, ignore_index=True)


@contextmanager
def _importing_pandas() -> Iterator[None]:
    """Import it while the server works: that takes most of a second, once in a process."""
    if "pandas" in sys.modules:
        yield
        return
    # Whoever needs it waits for it by importing it, and is told what went wrong.
    importing = Thread(target=_import_pandas, name="runstone-import-pandas")
    importing.start()
    try:
        yield
    finally:
        importing.join()


def _import_pandas() -> None:
    with suppress(Exception):
        import pandas  # noqa: F401, ICN001 - for those who import it later
