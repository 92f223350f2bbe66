"""The way back: what we hold, written to a tracking server of MLflow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from runstone._entities.tracking import Experiment, LifecycleStage, Run, ViewType
from runstone._migrate import marks
from runstone._migrate.copying import THREADS, at_once
from runstone._migrate.experiments import DEFAULT, FAIL, MERGE, RENAME, free_name
from runstone._migrate.export_registry import ModelExport
from runstone._migrate.export_run import RUN, RunExport, parent_of
from runstone._migrate.progress import Watcher
from runstone._migrate.rest import Rest, RestError
from runstone._migrate.tally import Counts, Moved, Report, Tally
from runstone._migrate.target import TargetClient
from runstone.exceptions import InvalidArgument, RunNotFound

EXPERIMENT = "runstone.exportedExperimentId"
"""The tag of MLflow's experiment that names ours; several, with blanks, where they were joined."""

PAGE = 500


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What an export is to do."""

    experiments: tuple[str, ...] = ()
    on_conflict: str = FAIL
    files: bool = True
    registry: bool = True
    threads: int = THREADS


class Export:
    """Writes what we hold to a server.

    Args:
        client: Of ours.
        url: Of the tracking server.
        options: What is wanted.
    """

    def __init__(self, client: TargetClient, url: str, options: ExportOptions) -> None:
        self._client = client
        self._rest = Rest(url)
        self._options = options
        self._tally = Tally(client.tracking_uri, self._rest.where)
        self._known: dict[str, str] = {}
        """Our run ids to MLflow's."""
        self._places: dict[str, str] = {}
        """Our experiment ids to MLflow's."""
        self._making = threading.Lock()

    def write(self, watcher: Watcher) -> Report:
        """Write all that is wanted.

        May be killed anywhere and called again: it goes on, and ends with the same.

        Raises:
            InvalidArgument: a name is taken; nothing was changed.
            SourceUnreadable, RunstoneException: a side does not answer.
        """
        plan = self._plan()
        models = ModelExport(self._rest, self._client, self._tally, self._known)
        chosen = models.plan(self._options.on_conflict) if self._options.registry else []
        for ours, name, there in plan:
            self._places[ours.experiment_id] = self._place(ours, name, there)
        for ours, _, _ in plan:
            place = self._places[ours.experiment_id]
            for each in self._runs_there(place):
                self._known[each[0]] = each[1]
        for ours, _, _ in plan:
            runs = self._runs(ours.experiment_id)
            at_once(
                self._options.threads,
                (partial(self._run, ours, run, watcher) for run in runs),
            )
        for model in chosen:
            if not self._options.experiments or models.is_of(model, self._known):
                models.write(model)
                watcher.done(f"model {model.ours.name}")
        for ours, _, _ in plan:
            self._close(ours)
        return self._tally.report

    def close(self) -> None:
        """Let connections go."""
        self._rest.close()

    def _plan(self) -> list[tuple[Experiment, str, Any]]:
        """Our experiments, each with its name there and what stands there for it."""
        there = self._experiments_there()
        by_mark = {mark: each for each in there for mark in _tags(each).get(EXPERIMENT, "").split()}
        by_name = {each["name"]: each for each in there}
        plan, taken = [], []
        for ours in self._wanted():
            found, name = by_mark.get(ours.experiment_id), ours.name
            if found is None and ours.name in by_name and ours.name != DEFAULT:
                if self._options.on_conflict == RENAME:
                    name = free_name(ours.name, by_name)
                elif self._options.on_conflict == FAIL:
                    taken.append(ours.name)
            if found is None:
                found = by_name.get(name)
            plan.append((ours, name, found))
        if taken:
            raise InvalidArgument(
                f"{self._rest.where} has other experiments of these names:"
                f" {', '.join(map(repr, taken))}. --on-conflict {MERGE} puts the runs into them,"
                f" --on-conflict {RENAME} makes new ones"
            )
        return plan

    def _wanted(self) -> list[Experiment]:
        found: list[Experiment] = []
        token: str | None = None
        while True:
            page = self._client.search_experiments(ViewType.ALL, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                break
        names = self._options.experiments
        if missing := set(names) - {each.name for each in found}:
            raise InvalidArgument(f"there is no experiment {', '.join(map(repr, missing))}")
        return [each for each in found if not names or each.name in names]

    def _experiments_there(self) -> list[Any]:
        given = {"max_results": 1000, "view_type": "ALL"}
        return list(self._rest.pages("POST", "experiments/search", "experiments", given))

    def _place(self, ours: Experiment, name: str, there: Any) -> str:
        """MLflow's id of an experiment, which is made when it is missing."""
        tags = marks.without_ours(ours.tags)
        has = _tags(there or {})
        new = there is None
        if new:
            first = [{"key": EXPERIMENT, "value": ours.experiment_id}]
            made = self._rest.create("experiments/create", {"name": name, "tags": first})
            place = str(made["experiment_id"])
            self._tally.count(written=Counts(experiments=1))
        else:
            place = str(there["experiment_id"])
        mine = has.get(EXPERIMENT, "").split()
        if new or ours.experiment_id in mine or there["name"] == DEFAULT:
            wanted = {key: value for key, value in tags.items() if has.get(key) != value}
        else:
            wanted = {key: value for key, value in tags.items() if key not in has}
        if not new and ours.experiment_id not in mine:
            wanted[EXPERIMENT] = " ".join([*mine, ours.experiment_id])
        if wanted and there is not None and there.get("lifecycle_stage") == LifecycleStage.DELETED:
            self._rest.post("experiments/restore", {"experiment_id": place})
        for key, value in wanted.items():
            said = {"experiment_id": place, "key": key, "value": value}
            self._rest.post("experiments/set-experiment-tag", said)
        self._tally.report.moved.append(Moved("experiment", ours.name, name, new))
        self._tally.count(
            source=Counts(experiments=1, tags=len(tags)),
            target=Counts(experiments=1, tags=len(tags)),
        )
        return place

    def _runs_there(self, place: str) -> Iterator[tuple[str, str]]:
        """What exports before have made: our ids and MLflow's."""
        given = {
            "experiment_ids": [place],
            "run_view_type": "ALL",
            "max_results": PAGE,
            "filter": f"tags.`{RUN}` LIKE '%'",
        }
        for each in self._rest.pages("POST", "runs/search", "runs", given):
            yield _tags(each["data"])[RUN], each["info"]["run_id"]

    def _runs(self, experiment_id: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [experiment_id], "", ViewType.ALL, PAGE, ["attributes.start_time ASC"], token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _run(self, experiment: Experiment, run: Run, watcher: Watcher) -> None:
        run_id, new = self._ensure(run)
        if former := run.data.tags.get(marks.RUN):
            # A version whose files were copied knows its run by this one only.
            self._known[former] = run_id
        whole = self._client.get_run(run.info.run_id)
        export = RunExport(
            self._rest,
            self._client,
            self._tally,
            whole,
            self._known,
            files=self._options.files,
        )
        deletes = experiment.lifecycle_stage == LifecycleStage.DELETED
        export.write(run_id, new=new, deletes=deletes)
        watcher.done(f"run {run.info.run_id}")

    def _ensure(self, run: Run) -> tuple[str, bool]:
        """MLflow's run for ours, made when it is missing; its parents before it."""
        if found := self._known.get(run.info.run_id):
            return found, False
        # One at a time: MLflow does not know a create that is repeated.
        with self._making:
            return self._made(run, ())

    def _made(self, run: Run, below: tuple[str, ...]) -> tuple[str, bool]:
        if found := self._known.get(run.info.run_id):
            return found, False
        parent = parent_of(run)
        if parent and parent not in self._known and parent not in below:
            try:
                above = self._client.get_run(parent)
                if above.info.experiment_id in self._places:
                    self._made(above, (*below, run.info.run_id))
            except RunNotFound:
                pass
        place = self._places[run.info.experiment_id]
        body = {
            "experiment_id": place,
            "user_id": run.info.user_id,
            "run_name": run.info.run_name,
            "start_time": run.info.start_time,
            "tags": [{"key": RUN, "value": run.info.run_id}],
        }
        try:
            made = self._rest.create("runs/create", body)
        except RestError as error:
            if error.mlflow_code != "INVALID_STATE" and "active" not in error.message:
                raise
            # Its experiment is deleted there, as an export before has left it.
            self._rest.post("experiments/restore", {"experiment_id": place})
            made = self._rest.create("runs/create", body)
        run_id = str(made["run"]["info"]["run_id"])
        self._known[run.info.run_id] = run_id
        return run_id, True

    def _close(self, ours: Experiment) -> None:
        """Delete it there, if it is deleted here."""
        if ours.lifecycle_stage != LifecycleStage.DELETED:
            return
        place = self._places[ours.experiment_id]
        there = self._rest.get("experiments/get", experiment_id=place)["experiment"]
        if there.get("lifecycle_stage") != LifecycleStage.DELETED:
            self._rest.post("experiments/delete", {"experiment_id": place})


def _tags(said: Any) -> dict[str, str]:
    return {each["key"]: each.get("value", "") for each in said.get("tags", ())}
