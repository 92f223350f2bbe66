"""What all copies of an import share: the way to both sides, and which run became which."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from runstone._client._runs import PARENT_RUN_ID
from runstone._entities.tracking import Run, ViewType
from runstone._migrate import marks
from runstone._migrate.model import Source, SourceRun
from runstone._migrate.tally import Counts, Tally
from runstone._migrate.target import TargetClient
from runstone._values import MAX_TAG_VALUE

MAX_NAME = 250
MAX_USER = 256
"""Characters of a run's name and user."""

MOST_EXPERIMENTS = 1000
"""Of one search."""

MOST_NESTED = 100
"""Runs above one another that are followed; a circle ends there too."""


class Place:
    """An experiment of the target that one of the source goes to.

    Args:
        client: Of the target.
        experiment_id: At the target.
        active: Whether it is active there now.
        deletes: Whether it is to be deleted in the end, with its runs.
    """

    def __init__(
        self, client: TargetClient, experiment_id: str, *, active: bool, deletes: bool
    ) -> None:
        self.experiment_id = experiment_id
        self.deletes = deletes
        self._client = client
        self._active = active
        self._lock = threading.Lock()

    def open(self) -> None:
        """Have it take what is written to it."""
        with self._lock:
            if not self._active:
                self._client.restore_experiment(self.experiment_id)
                self._active = True

    def close(self) -> None:
        """Delete it, if that is what it is at the source."""
        if self.deletes and self._active:
            self._client.delete_experiment(self.experiment_id)
            self._active = False


class RunIds:
    """Which run of the source is which of the target. Safe to share between threads."""

    def __init__(self, client: TargetClient, source: Source, tally: Tally) -> None:
        self._client = client
        self._source = source
        self._tally = tally
        self._ids: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._absent: set[str] = set()
        self._lock = threading.Lock()

    def learn(self, places: dict[str, Place]) -> None:
        """Find what imports before have made in these experiments, by their ids of the source."""
        self._places.update(places)
        wanted = sorted({each.experiment_id for each in places.values()})
        for start in range(0, len(wanted), MOST_EXPERIMENTS):
            for run in self._marked(wanted[start : start + MOST_EXPERIMENTS]):
                self._ids[run.data.tags[marks.RUN]] = run.info.run_id

    def _marked(self, experiment_ids: list[str]) -> Iterator[Run]:
        token: str | None = None
        while True:
            found = self._client.search_runs(
                experiment_ids,
                f"tags.`{marks.RUN}` IS NOT NULL",
                ViewType.ALL,
                page_token=token,
            )
            yield from found
            token = found.token
            if not token:
                return

    def get(self, source_id: str) -> str:
        """What a run of the source is at the target; empty when it is not there."""
        return self._ids.get(source_id, "")

    def ensure(self, run: SourceRun, place: Place, depth: int = 0) -> tuple[str, Run | None]:
        """The run's id at the target, and the run itself if it was made just now.

        Two threads that make the same run get the same one: the request is the same.
        """
        if found := self._ids.get(run.run_id):
            return found, None
        tags = {marks.RUN: run.run_id}
        parent = run.tags.get(PARENT_RUN_ID, "")
        if parent and (above := self.parent(parent, depth + 1)):
            tags[PARENT_RUN_ID] = above
        if user := run.tags.get("mlflow.user"):
            tags["mlflow.user"] = user[:MAX_TAG_VALUE]
        place.open()
        made = self._client.make_run(
            place.experiment_id,
            run.name[:MAX_NAME],
            run.user_id[:MAX_USER],
            run.start_time,
            tags,
            marks.request_id("run", place.experiment_id, run.run_id),
        )
        with self._lock:
            first = run.run_id not in self._ids
            self._ids[run.run_id] = made.info.run_id
        if first:
            self._tally.count(written=Counts(runs=1))
        return made.info.run_id, made

    def parent(self, source_id: str, depth: int = 0) -> str:
        """The same of a run that another one is nested in, which is made when it is missing.

        Empty when it is gone at the source, or of an experiment that is not imported.
        """
        if found := self._ids.get(source_id):
            return found
        if source_id in self._absent or depth > MOST_NESTED:
            return ""
        run = self._source.run(source_id)
        place = self._places.get(run.experiment_id) if run is not None else None
        if run is None or place is None:
            self._absent.add(source_id)
            return ""
        return self.ensure(run, place, depth)[0]


@dataclass(frozen=True, slots=True)
class Migration:
    """What all copies share."""

    source: Source
    client: TargetClient
    tally: Tally
    runs: RunIds
    files: bool
    """Whether files are copied."""
