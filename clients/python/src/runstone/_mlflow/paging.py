"""Pages as MLflow's callers expect them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow.store.entities.paged_list import PagedList


def filled(
    page: Callable[[int, str | None], Any],
    convert: Callable[[Any], Any],
    wanted: int,
    token: str | None,
) -> PagedList:
    """As many results as were asked for: our pages may end earlier, by their bytes.

    Args:
        page: Gives a page of at most so many results, from a token on.
        convert: Makes MLflow's entity of ours.
        wanted: How many results; a number below 1 is the server's to refuse.
        token: Where to begin.
    """
    found: list[Any] = []
    while True:
        some = page(wanted - len(found), token)
        found.extend(map(convert, some))
        token = some.token
        if not token or len(found) >= wanted:
            return PagedList(found, token)
