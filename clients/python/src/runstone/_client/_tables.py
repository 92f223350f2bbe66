"""Which runs' tables to read, and what to add to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone._client._runs import RunCalls
    from runstone._entities.tracking import Run


def runs_of(client: RunCalls, experiment_id: str, run_ids: Sequence[str] | None) -> Iterator[Run]:
    """The runs named, else all of an experiment."""
    if run_ids:
        yield from map(client.get_run, run_ids)
        return
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        yield from page
        token = page.token
        if token is None:
            return


def extra_values(run: Run, names: Sequence[str]) -> dict[str, Any]:
    """What a run says to each name; None where it says nothing. Raises InvalidArgument."""
    found: dict[str, Any] = {}
    for name in names:
        group, dot, key = name.partition(".")
        if dot and group in {"params", "metrics", "tags"}:
            found[name] = getattr(run.data, group).get(key)
        elif name.isidentifier() and hasattr(run.info, name):
            found[name] = getattr(run.info, name)
        else:
            raise InvalidArgument(f"{name!r} is neither of run.info nor params., metrics. or tags.")
    return found
