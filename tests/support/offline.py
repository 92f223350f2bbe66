"""Offline mode in the test's own process, and a suite made of dicts to deliver it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import runstone
from runstone._entities.tracking import DatasetInput, Experiment, Run, RunData, RunInfo
from runstone._sender.server import Refused
from runstone._sync.folder import sync
from runstone._sync.report import Report
from runstone._sync.runs import MARK
from runstone._transfer.local import LocalFile
from runstone.exceptions import (
    ExperimentDeleted,
    ExperimentNameTaken,
    ParamImmutable,
    RunDeleted,
    RunNotFound,
    TagNotFound,
)
from runstone.tracking.v1 import metric_pb2

Point = tuple[str, int, float]


@dataclass
class Stored:
    """A run as the suite has it."""

    experiment: str
    name: str
    start_ms: int | None
    tags: dict[str, str]
    status: str = "RUNNING"
    end_ms: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    deleted: bool = False


class FakeSuite:
    """Takes what a sync calls; ``step`` is called around each change, and may raise."""

    def __init__(self, uri: str = "runstone://fake:5051") -> None:
        self.tracking_uri = uri
        self.name = uri.rpartition("/")[2]
        self.runs: dict[str, Stored] = {}
        self.experiments: dict[str, str] = {}
        self.experiment_tags: dict[str, dict[str, str]] = {}
        self.deleted_experiments: set[str] = set()
        self.step: Callable[[], None] = lambda: None
        self.takes_requests_back = False
        self._requests: dict[str, str] = {}
        self._batches: dict[tuple[str, str], int] = {}

    # What SyncClient has.

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        found = self.experiments.get(name)
        return Experiment(found, name) if found else None

    def create_experiment(self, name: str) -> str:
        if name in self.experiments:
            raise ExperimentNameTaken(name)
        self.step()
        self.experiments[name] = str(len(self.experiments) + 1)
        self.step()
        return self.experiments[name]

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        self.step()
        self.experiment_tags.setdefault(experiment_id, {}).update(tags)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        self.step()
        if self.experiment_tags.get(experiment_id, {}).pop(key, None) is None:
            raise TagNotFound(key)

    def search_runs(
        self, experiments: Sequence[str], query: str, view: int, max_results: int
    ) -> list[Run]:
        assert query.startswith(f"tags.`{MARK}` = '")
        local = query.split("'")[1]
        return [
            self.get_run(run_id)
            for run_id, run in self.runs.items()
            if run.experiment in experiments and run.tags.get(MARK) == local
        ]

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None,
        tags: Mapping[str, str],
        run_name: str,
        request_id: str,
    ) -> Run:
        if experiment_id in self.deleted_experiments:
            raise ExperimentDeleted(f"experiment {experiment_id} is deleted")
        self.step()
        if request_id not in self._requests:
            run_id = self._requests[request_id] = f"run-{len(self.runs)}-{self.name}"
            self.runs[run_id] = Stored(experiment_id, run_name, start_time, dict(tags))
        made = self.get_run(self._requests[request_id])
        if self.takes_requests_back:
            # More than a day goes by.
            self._requests.clear()
        self.step()
        return made

    def get_run(self, run_id: str) -> Run:
        run = self._run(run_id)
        info = RunInfo(run_id, run.experiment, run.name, run.status)
        return Run(info, RunData(tags=dict(run.tags), params=dict(run.params)))

    def log_batch(
        self, run_id: str, params: Mapping[str, str] = {}, tags: Mapping[str, str] = {}
    ) -> None:
        run = self._active(run_id)
        for key, value in params.items():
            if run.params.get(key, value) != value:
                raise ParamImmutable(f"param {key} is {run.params[key]}")
        self.step()
        run.params.update(params)
        run.tags.update(tags)
        self.step()

    def delete_tag(self, run_id: str, key: str) -> None:
        run = self._active(run_id)
        if key not in run.tags:
            raise TagNotFound(key)
        self.step()
        del run.tags[key]
        self.step()

    def log_inputs(self, run_id: str, inputs: Iterable[DatasetInput]) -> None:
        self.step()
        run = self._active(run_id)
        run.inputs += [e.dataset.name for e in inputs if e.dataset.name not in run.inputs]

    def update_run(
        self, run_id: str, status: str | None, name: str | None, end_time: int | None
    ) -> None:
        run = self._active(run_id)
        self.step()
        run.name = name or run.name
        run.status, run.end_ms = status or run.status, end_time
        self.step()

    def send_files(self, run_id: str, files: Sequence[LocalFile], shown: Any) -> None:
        run = self._active(run_id)
        for each in files:
            self.step()
            run.files[each.path] = each.source.read_bytes()
            shown.advance(each.size)

    # What a sender's server has.

    def append(self, request: bytes) -> bool:
        batch = metric_pb2.AppendMetricsRequest.FromString(request)
        run = self.runs[batch.run_id]
        if run.deleted:
            raise Refused("FAILED_PRECONDITION", "RUN_DELETED", "the run is deleted")
        writer = (batch.run_id, batch.writer_id)
        expected = self._batches.get(writer, 0) + 1
        assert batch.sequence <= expected
        self.step()
        new = batch.sequence == expected
        if new:
            self._batches[writer] = expected
            for series in batch.series:
                for step, value in zip(series.steps, series.values, strict=True):
                    run.points.append((series.key, step, value))
        self.step()
        return new

    def close(self) -> None:
        pass

    # For tests.

    def of(self, local: str) -> Stored:
        """The one run that an offline run became."""
        (found,) = [each for each in self.runs.values() if each.tags.get(MARK) == local]
        return found

    def sync(self, folder: Path, *, again: bool = False, clean: bool = False) -> Report:
        """Deliver a folder here."""
        return sync(folder, self, again=again, clean=clean)  # type: ignore[arg-type]

    def _run(self, run_id: str) -> Stored:
        if run_id not in self.runs:
            raise RunNotFound(f"there is no run {run_id}")
        return self.runs[run_id]

    def _active(self, run_id: str) -> Stored:
        run = self._run(run_id)
        if run.deleted:
            raise RunDeleted(f"run {run_id} is deleted")
        return run


def log_everything(steps: int = 20) -> tuple[str, str]:
    """A run with a nested one, with something of every kind; their ids."""
    runstone.set_experiment("everything")
    runstone.set_experiment_tags({"team": "risk"})
    with runstone.start_run(run_name="outer", tags={"given": "yes"}) as run:
        runstone.log_params({"lr": 0.1, "layers": 3})
        runstone.set_tags({"phase": "first", "draft": "yes"})
        runstone.delete_tag("draft")
        runstone.log_input(runstone.entities.Dataset("wine", "a1", "local", "wine.csv"))
        for step in range(steps):
            runstone.log_metric("loss", step / 2, step=step)
        runstone.log_text("one", "notes/a.txt")
        runstone.log_text("old", "b.txt")
        with runstone.start_run(run_name="inner", nested=True) as child:
            runstone.log_metric("m", 1.0)
        runstone.log_text("new", "b.txt")
        runstone.set_tag("phase", "second")
    return run.info.run_id, child.info.run_id


def check_everything(suite: FakeSuite, ids: tuple[str, str], steps: int = 20) -> None:
    """Assert that it is all there, once."""
    outer, inner = map(suite.of, ids)
    assert len(suite.runs) == 2
    assert suite.experiments == {"everything": outer.experiment}
    assert suite.experiment_tags == {outer.experiment: {"team": "risk"}}
    assert (outer.name, outer.status, inner.name, inner.status) == (
        *("outer", "FINISHED"),
        *("inner", "FINISHED"),
    )
    assert 0 < (outer.start_ms or 0) <= (outer.end_ms or 0)
    assert outer.params == {"lr": "0.1", "layers": "3"}
    assert (outer.tags["given"], outer.tags["phase"]) == ("yes", "second")
    assert "draft" not in outer.tags
    assert outer.inputs == ["wine"]
    assert sorted(outer.points) == [("loss", step, step / 2) for step in range(steps)]
    assert inner.points == [("m", 0, 1.0)]
    assert outer.files == {"notes/a.txt": b"one", "b.txt": b"new"}
    parents = [key for key, run in suite.runs.items() if run is outer]
    assert inner.tags["mlflow.parentRunId"] == parents[0]
