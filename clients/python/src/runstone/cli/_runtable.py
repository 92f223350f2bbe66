"""The columns of `runstone runs search`: which there are, in what order, how people read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import click

from runstone.cli._format import duration_text, number, seconds_between, short_time, word
from runstone.cli._table import Column, Row

SHORTEST_ID = 8
"""An id's shown beginning: unique among a million runs but for one chance in eight thousand."""

NAMED_KEY = re.compile(r"""\b(metric|param)s?\.(?:"([^"]+)"|`([^`]+)`|([\w./-]+))""", re.IGNORECASE)
"""A metric or parameter as the filter language names it."""


def short_ids(run_ids: Sequence[str]) -> dict[str, str]:
    """The shortest beginning of each id that no other one of them has, 8 characters at least."""
    ordered = sorted(set(run_ids))
    lengths = dict.fromkeys(ordered, SHORTEST_ID)
    for one, next_one in pairwise(ordered):
        same = next(
            (at for at, pair in enumerate(zip(one, next_one, strict=False)) if len(set(pair)) > 1),
            min(len(one), len(next_one)),
        )
        for each in (one, next_one):
            lengths[each] = max(lengths[each], same + 1)
    return {run_id: run_id[:length] for run_id, length in lengths.items()}


def named_first(keys: Iterable[str], kind: str, texts: Iterable[str]) -> list[str]:
    """Keys, those first that a filter or order names, in its order; the others by the alphabet."""
    named = [
        key
        for text in texts
        for what, *forms in NAMED_KEY.findall(text)
        if what.lower() == kind
        for key in forms
        if key
    ]
    places = {key: place for place, key in reversed(list(enumerate(named)))}
    return sorted(set(keys), key=lambda key: (places.get(key, len(named)), key))


class RunColumns:
    """The columns that a list of runs can have.

    The rows are those of `with_latest`; `experiments` gives names by id; `texts` are the filter and
    orders of the search.
    """

    def __init__(
        self, rows: Sequence[Row], experiments: Mapping[str, str], texts: Sequence[str]
    ) -> None:
        self._short = short_ids([row["run_id"] for row in rows])
        self._experiments = experiments
        self._several = len({row["experiment_id"] for row in rows}) > 1
        self._metrics = named_first((key for row in rows for key in row["latest"]), "metric", texts)
        self._params = named_first((key for row in rows for key in row["params"]), "param", texts)
        self._makers: dict[str, Callable[[], Column]] = {
            "run_id": self._run_id,
            "name": self._name,
            "experiment": self._experiment,
            "status": self._status,
            "start_time": self._start_time,
            "end_time": self._end_time,
            "duration": self._duration,
            "user_id": self._user_id,
            "lifecycle_stage": self._lifecycle_stage,
        }

    def usual(self, *, piped: bool) -> list[Column]:
        """What is shown when nothing is chosen; a pipe's first six are always the same."""
        fixed = ["run_id", "name", "experiment", "status", "start_time", "duration"]
        if not piped and not self._several:
            fixed.remove("experiment")
        return [
            *(self._makers[each]() for each in fixed),
            *map(_metric, self._metrics),
            *map(_param, self._params),
        ]

    def chosen(self, names: Iterable[str]) -> list[Column]:
        """The columns of these names. Raises click.BadParameter for one that there is not."""
        columns: list[Column] = []
        for name in names:
            kind, dot, key = name.partition(".")
            if name in self._makers:
                columns.append(self._makers[name]())
            elif name == "metrics":
                columns += map(_metric, self._metrics)
            elif name == "params":
                columns += map(_param, self._params)
            elif dot and key and kind in KEYED:
                columns.append(KEYED[kind](key))
            else:
                raise click.BadParameter(
                    f"there is no column {name!r}; there are {', '.join(self._makers)},"
                    " metrics, params, metrics.KEY, params.KEY and tags.KEY",
                    param_hint="--columns",
                )
        return columns

    def _run_id(self) -> Column:
        return Column("RUN", lambda row: row["run_id"], lambda row: self._short[row["run_id"]])

    def _name(self) -> Column:
        return Column("NAME", lambda row: row["name"], text=True)

    def _experiment(self) -> Column:
        return Column(
            "EXPERIMENT",
            lambda row: row["experiment_id"],
            lambda row: self._experiments.get(row["experiment_id"], row["experiment_id"]),
            text=True,
        )

    def _status(self) -> Column:
        return Column("STATUS", lambda row: word(row["status"]))

    def _start_time(self) -> Column:
        return Column(
            "STARTED", lambda row: row["start_time"], lambda row: short_time(row["start_time"])
        )

    def _end_time(self) -> Column:
        return Column("ENDED", lambda row: row["end_time"], lambda row: short_time(row["end_time"]))

    def _duration(self) -> Column:
        return Column(
            "DURATION",
            lambda row: _rounded(seconds_between(row["start_time"], row["end_time"])),
            lambda row: duration_text(seconds_between(row["start_time"], row["end_time"])),
            right=True,
        )

    def _user_id(self) -> Column:
        return Column("USER", lambda row: row["user_id"], text=True)

    def _lifecycle_stage(self) -> Column:
        return Column("STAGE", lambda row: word(row["lifecycle_stage"]))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _metric(key: str) -> Column:
    return Column(
        key,
        lambda row: row["latest"].get(key),
        lambda row: number(row["latest"].get(key)),
        right=True,
        optional=True,
        name=f"metrics.{key}",
    )


def _param(key: str) -> Column:
    return Column(key, lambda row: row["params"].get(key), optional=True, name=f"params.{key}")


def _tag(key: str) -> Column:
    return Column(key, lambda row: row["tags"].get(key), optional=True, name=f"tags.{key}")


KEYED: dict[str, Callable[[str], Column]] = {"metrics": _metric, "params": _param, "tags": _tag}


def with_latest(row: Mapping[str, Any]) -> dict[str, Any]:
    """A run as `--json` prints it, and the latest value of each metric by its key."""
    return {**row, "latest": {metric["key"]: metric["value"] for metric in row["metrics"]}}
