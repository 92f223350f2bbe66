"""Experiments and runs: found on the server, or made there once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runstone._client._runs import PARENT_RUN_ID
from runstone._entities.tracking import ViewType
from runstone._offline import layout, records
from runstone._offline.records import Record
from runstone._sender.server import is_refusal
from runstone._sync.report import Report, RunReport
from runstone._sync.server import SyncClient
from runstone._sync.state import State
from runstone.exceptions import ExperimentNameTaken, ExperimentNotFound, NotFound, RunstoneException

MARK = "runstone.offlineRunId"
"""The tag that names a run's id in its folder: how a sync finds what one before has made."""

TAGS_AT_ONCE = 90
"""A create takes 100 tags, and there is one of ours; the others follow."""

LOST_NOTE = "Its beginning was damaged in the folder of offline mode."


class Runs:
    """The runs of a folder on the server."""

    def __init__(self, client: SyncClient, state: State, report: Report) -> None:
        self._client = client
        self._state = state
        self._report = report
        self._begun: dict[str, dict[str, Any]] = {}
        self._experiments: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        """Runs that the server does not take now, and why."""

    def learn(self, found: Iterable[Record]) -> None:
        """Note the runs that begin with these records."""
        for each in found:
            if each.kind == records.RUN:
                self._begun[each.run_id] = each.about

    def knows(self, run_id: str) -> bool:
        """Whether it is known how a run began, or it is on the server."""
        return run_id in self._begun or run_id in self._state.runs

    def recover(self, run_id: str) -> None:
        """Make up the beginning of a run that is damaged, so that the rest of it is delivered."""
        about = {"run_id": run_id, "experiment": "0", "name": "", "user": "", "start_ms": None}
        self._begun[run_id] = {**about, "tags": {"mlflow.note.content": LOST_NOTE}}
        self._report.damaged.append(f"the beginning of run {run_id}: it is in experiment 0 now")

    def make(self) -> None:
        """Have all of them on the server, but those that it refuses."""
        for run_id in self._begun:
            self._ensure(run_id, ())

    def server_id(self, run_id: str) -> str:
        """What the server calls a run. Raises KeyError when it has not got it."""
        return self._state.runs[run_id]

    def translated(self, tags: dict[str, str]) -> dict[str, str]:
        """Tags as the server is to have them: a run's parent by its id there."""
        parent = tags.get(PARENT_RUN_ID)
        if parent in self._state.runs:
            return {**tags, PARENT_RUN_ID: self._state.runs[parent]}
        return tags

    def experiment_id(self, said: str) -> str:
        """What the server calls an experiment; one that only has a name is made when missing."""
        name = said.removeprefix(layout.NAMED)
        if name == said:
            return said
        if name not in self._experiments:
            self._experiments[name] = self._found_or_made(name)
        return self._experiments[name]

    def _found_or_made(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return self._client.create_experiment(name)
            except ExperimentNameTaken:
                # Somebody else made it in between.
                found = self._client.get_experiment_by_name(name)
        if found is None:
            raise ExperimentNotFound(f"experiment {name!r} was there a moment ago and is gone")
        return found.experiment_id

    def _ensure(self, run_id: str, children: tuple[str, ...]) -> None:
        if run_id in self._state.runs or run_id in self.waiting:
            return
        about = self._begun[run_id]
        parent = about["tags"].get(PARENT_RUN_ID, "")
        if parent in self._begun and parent not in children:
            self._ensure(parent, (*children, run_id))
            if parent in self.waiting:
                self.waiting[run_id] = f"its parent {parent} waits"
                return
        try:
            server_id = self._find_or_create(run_id, about)
        except RunstoneException as error:
            if not is_refusal(error):
                raise
            self.waiting[run_id] = error.message
            return
        self._state.made(run_id, server_id)

    def _find_or_create(self, run_id: str, about: dict[str, Any]) -> str:
        experiment = self.experiment_id(about["experiment"])
        tags = list(self.translated(about["tags"]).items())
        first = dict(tags[:TAGS_AT_ONCE])
        server_id = self._found(experiment, run_id)
        if not server_id:
            made = self._client.create_run(
                experiment,
                start_time=about["start_ms"],
                tags={**first, MARK: run_id},
                run_name=about["name"],
                # Of a sync that was killed the call may still be on its way.
                request_id=run_id,
            )
            server_id = made.info.run_id
            self._report.runs_created += 1
        if tags[TAGS_AT_ONCE:]:
            self._client.log_batch(server_id, tags=dict(tags[TAGS_AT_ONCE:]))
        return server_id

    def _found(self, experiment: str, run_id: str) -> str:
        """The run that a sync before has made; empty without one.

        The server remembers request ids for a day; this finds what was made before that, too.
        """
        query = f"tags.`{MARK}` = '{run_id}'"
        try:
            found = self._client.search_runs([experiment], query, ViewType.ALL, max_results=1)
        except NotFound:
            return ""  # an embedded suite whose folder is not made yet
        return found[0].info.run_id if found else ""

    def tell(self) -> None:
        """Put every run into the report."""
        for run_id in {**self._begun, **self._state.runs}:
            about = self._begun.get(run_id, {})
            self._report.runs.append(
                RunReport(
                    run_id,
                    self._state.runs.get(run_id, ""),
                    str(about.get("experiment", "")).removeprefix(layout.NAMED),
                    str(about.get("name", "")),
                    self.waiting.get(run_id, ""),
                )
            )
        for run_id, reason in self.waiting.items():
            self._report.waiting.append(f"run {run_id}: {reason}")
