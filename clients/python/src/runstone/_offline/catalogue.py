"""What the records of a folder say: experiments, runs, and where the copy of each file is.

A process keeps it up as it writes, and looks at what others wrote when it needs to know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstone._convert.tracking import artifact_uri
from runstone._entities.tracking import (
    Dataset,
    DatasetInput,
    InputTag,
    Run,
    RunData,
    RunInfo,
    RunInputs,
)
from runstone._offline import layout, records
from runstone._offline.latest import latest
from runstone._offline.records import Record


@dataclass(slots=True)
class Kept:
    """Where the copy of a file is that a run has under a path."""

    at: int
    part: Path
    file: str


@dataclass(slots=True)
class Known:
    """A run, as its records say."""

    about: dict[str, Any]
    name: str
    status: str = "RUNNING"
    end_ms: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, Kept] = field(default_factory=dict)


class Catalogue:
    """Of one folder; ``own`` is the part of this process, whose records are taken by ``take``."""

    def __init__(self, folder: Path, own: Path) -> None:
        self.runs: dict[str, Known] = {}
        self.experiments: dict[str, dict[str, str]] = {}
        """Name to tags."""
        self._folder = folder
        self._own = own
        self._read: dict[Path, int] = {}
        self._early: dict[str, list[tuple[Path, Record]]] = {}
        """Of runs whose beginning is in a part that was not looked at yet."""

    def refresh(self) -> None:
        """Look at what others have written since."""
        for part in layout.parts(self._folder):
            if part != self._own:
                found = records.read(part / layout.RECORDS, self._read.get(part, 0))
                self._read[part] = found.end
                for each in found.records:
                    self.take(part, each)

    def run(self, run_id: str) -> Known | None:
        """A run of the folder; None when no process began it here."""
        if run_id not in self.runs:
            self.refresh()
        return self.runs.get(run_id)

    def take(self, part: Path, record: Record) -> None:
        """Note what a record says."""
        about = record.about
        if record.kind == records.EXPERIMENT:
            self.experiments.setdefault(about["name"], {}).update(about["tags"])
        elif record.kind == records.EXPERIMENT_TAGS:
            name = about["experiment"].removeprefix(layout.NAMED)
            self.experiments.setdefault(name, {}).update(about["tags"])
        elif record.kind == records.EXPERIMENT_UNTAG:
            name = about["experiment"].removeprefix(layout.NAMED)
            for key in about["keys"]:
                self.experiments.setdefault(name, {}).pop(key, None)
        elif record.kind == records.RUN:
            self.runs[record.run_id] = Known(about, about["name"], tags=dict(about["tags"]))
            for early in self._early.pop(record.run_id, ()):
                self._note(self.runs[record.run_id], *early)
        elif record.run_id in self.runs:
            self._note(self.runs[record.run_id], part, record)
        else:
            self._early.setdefault(record.run_id, []).append((part, record))

    def _note(self, run: Known, part: Path, record: Record) -> None:
        about = record.about
        if record.kind == records.UPDATE:
            run.name = about.get("name", run.name)
            run.status = about.get("status", run.status)
            run.end_ms = about.get("end_ms", run.end_ms)
        elif record.kind == records.PARAMS:
            run.params.update(about["params"])
        elif record.kind == records.TAGS:
            run.tags.update(about["tags"])
        elif record.kind == records.UNTAG:
            for key in about["keys"]:
                run.tags.pop(key, None)
        elif record.kind == records.INPUTS:
            run.inputs += [each for each in about["inputs"] if each not in run.inputs]
        elif record.kind == records.FILE:
            before = run.files.get(about["path"])
            if before is None or before.at < record.at:
                run.files[about["path"]] = Kept(record.at, part, about["file"])

    def described(self, run_id: str, run: Known) -> Run:
        """A run as the client gives it. Reads all points of the folder: they are in no record."""
        data = RunData(latest(layout.parts(self._folder), run_id), dict(run.params), dict(run.tags))
        inputs = RunInputs([read_input(each) for each in run.inputs])
        return Run(self.info(run_id, run), data, inputs)

    def info(self, run_id: str, run: Known) -> RunInfo:
        """What a run is."""
        return RunInfo(
            run_id=run_id,
            experiment_id=run.about["experiment"],
            run_name=run.name,
            status=run.status,
            user_id=run.about["user"],
            start_time=run.about["start_ms"],
            end_time=run.end_ms,
            artifact_uri=artifact_uri(run_id),
        )


def input_said(each: DatasetInput) -> dict[str, Any]:
    """A data set and its use, for a record."""
    dataset = each.dataset
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "source_type": dataset.source_type,
            "source": dataset.source,
            "schema": dataset.schema,
            "profile": dataset.profile,
        },
        "tags": {tag.key: str(tag.value) for tag in each.tags},
    }


def read_input(said: dict[str, Any]) -> DatasetInput:
    """What ``input_said`` made a record of."""
    tags = [InputTag(key, value) for key, value in said["tags"].items()]
    return DatasetInput(Dataset(**said["dataset"]), tags)
