"""One run of ours, written to a tracking server of MLflow."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runstone._client._runs import PARENT_RUN_ID
from runstone._entities.artifacts import FileInfo
from runstone._entities.tracking import LifecycleStage, Run
from runstone._migrate import marks
from runstone._migrate.model import Points
from runstone._migrate.rest import Rest, RestError, quoted
from runstone._migrate.source_rest import RestSource
from runstone._migrate.tally import Counts, Tally
from runstone._migrate.target import TargetClient
from runstone._migrate.trees import PROXY_PATH, of_run, proxy_path

RUN = "runstone.exportedRunId"
"""The tag of MLflow's run that names ours."""

STATE = "runstone.exportState"
"""Of a run that is there whole: what it was here."""

MARKS = frozenset({RUN, STATE})

METRICS_AT_ONCE = 1000
TEXTS_AT_ONCE = 100
INPUTS_AT_ONCE = 100
"""What MLflow takes in one call."""

TEXT_BYTES = 400_000
"""Of params or tags in one call: MLflow takes 1 MB."""

REFUSED = 400


class RunExport:
    """Writes one run.

    Args:
        rest: The server.
        client: Where the run is.
        tally: Is told what is done.
        run: Ours, whole.
        known: Our run ids to MLflow's, as far as these are there.
        files: Whether files are written.
    """

    def __init__(
        self,
        rest: Rest,
        client: TargetClient,
        tally: Tally,
        run: Run,
        known: Mapping[str, str],
        *,
        files: bool,
    ) -> None:
        self._rest = rest
        self._client = client
        self._tally = tally
        self._run = run
        self._known = known
        self._files = files
        self._name = f"run {run.info.run_id}"
        self._written = Counts()
        self._points = 0
        self._there: Any = {}

    def write(self, run_id: str, *, new: bool, deletes: bool) -> None:
        """Have MLflow's run as ours is; ``deletes``: its experiment is deleted in the end."""
        self._there = self._get(run_id)
        tags = marks.translated(marks.without_ours(self._run.data.tags), self._known)
        digest = self._digest(tags)
        state, self._points = self._state()
        fresh = state != digest
        self._written.runs = int(new)
        if fresh:
            if self._stage() == LifecycleStage.DELETED:
                self._rest.post("runs/restore", {"run_id": run_id})
            self._write(run_id, tags)
        found = self._send_files(run_id, fresh) if self._files else Counts()
        if fresh:
            info = self._run.info
            said = {"run_id": run_id, "status": info.status, "run_name": info.run_name}
            if info.end_time is not None:
                said["end_time"] = info.end_time  # type: ignore[assignment]
            self._rest.post("runs/update", said)
            self._tag(run_id, STATE, f"{digest} {self._points}")
            if info.lifecycle_stage == LifecycleStage.DELETED and not deletes:
                self._rest.post("runs/delete", {"run_id": run_id})
        self._look(run_id, tags, fresh, found)

    def _get(self, run_id: str) -> Any:
        return self._rest.get("runs/get", run_id=run_id)["run"]

    def _stage(self) -> str:
        return str(self._there["info"].get("lifecycle_stage", LifecycleStage.ACTIVE))

    def _texts_there(self, kind: str) -> dict[str, str]:
        found = self._there.get("data", {}).get(kind, ())
        return {each["key"]: each.get("value", "") for each in found}

    def _state(self) -> tuple[str, int]:
        digest, _, points = self._texts_there("tags").get(STATE, "").partition(" ")
        return (digest, int(points)) if marks.COUNT.fullmatch(points) else ("", 0)

    def _digest(self, tags: Mapping[str, str]) -> str:
        info = self._run.info
        metrics = self._run.data.metric_summaries
        said = [
            [info.run_name, info.status, info.start_time, info.end_time, info.lifecycle_stage],
            sorted(self._run.data.params.items()),
            sorted(tags.items()),
            sorted((key, each.count, str(each.value)) for key, each in metrics.items()),
            len(self._run.inputs.dataset_inputs),
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def _write(self, run_id: str, tags: Mapping[str, str]) -> None:
        for kind, texts in (("params", self._run.data.params), ("tags", tags)):
            has = self._texts_there(kind)
            new = {key: value for key, value in texts.items() if has.get(key) != value}
            for part in _parts(new):
                setattr(
                    self._written,
                    kind,
                    getattr(self._written, kind) + self._log(run_id, kind, part),
                )
        inputs = [_input(each) for each in self._run.inputs.dataset_inputs]
        for start in range(0, len(inputs), INPUTS_AT_ONCE):
            part = inputs[start : start + INPUTS_AT_ONCE]
            self._rest.post("runs/log-inputs", {"run_id": run_id, "datasets": part})
            self._written.inputs += len(part)
        self._points = 0
        for metrics in _batches(self._columns()):
            self._points += self._log(run_id, "metrics", metrics)
        self._written.points = self._points

    def _log(self, run_id: str, kind: str, entries: Sequence[Mapping[str, Any]]) -> int:
        """Write entries, each of which may stand there already; returns how many were taken."""
        try:
            self._rest.post("runs/log-batch", {"run_id": run_id, kind: entries})
            return len(entries)
        except RestError as error:
            if error.status != REFUSED:
                raise
            if len(entries) > 1:
                middle = len(entries) // 2
                return self._log(run_id, kind, entries[:middle]) + self._log(
                    run_id, kind, entries[middle:]
                )
            key = entries[0]["key"]
            self._tally.lose(f"{kind[:-1]} {key!r} of {self._name}: {error.message}")
            return 0

    def _columns(self) -> Iterator[Points]:
        for key in self._run.data.metric_summaries:
            found = self._client.get_metric_columns(self._run.info.run_id, key)
            points = Points(key, found.steps, found.timestamps, found.values)
            if found.ranks:
                self._tally.note(f"metric {key!r} of {self._name} loses its ranks")
                points = points.distinct()
            yield points

    def _tag(self, run_id: str, key: str, value: str) -> None:
        self._rest.post("runs/set-tag", {"run_id": run_id, "key": key, "value": value})

    def _send_files(self, run_id: str, fresh: bool) -> Counts:
        listed = self._client.list_artifacts(self._run.info.run_id, recursive=True)
        sizes = sum(each.file_size or 0 for each in listed)
        self._tally.count(source=Counts(files=len(listed), file_bytes=sizes))
        if not listed:
            return Counts()
        uri = self._there["info"].get("artifact_uri", "")
        place = proxy_path(uri)
        if place is None:
            self._tally.lose(
                "files of runs: the server does not take any (mlflow server --serve-artifacts)"
            )
            return Counts()
        tree = of_run(self._rest, run_id, uri)
        has = {each.path: each.size for each in tree.files()}
        missing = [each for each in listed if has.get(each.path) != each.file_size]
        if missing and not fresh and self._stage() == LifecycleStage.DELETED:
            self._tally.note(f"{self._name} is deleted there; its missing files are sent anyway")
        self._written.add(
            send_files(self._rest, self._client, missing, place, run_id=self._run.info.run_id)
        )
        has = {each.path: each.size for each in tree.files()} if missing else has
        found = Counts()
        for each in listed:
            if has.get(each.path) == each.file_size:
                found.add(Counts(files=1, file_bytes=each.file_size or 0))
            else:
                self._tally.differ(f"file {each.path} of {self._name} is not at the target")
        return found

    def _look(self, run_id: str, tags: Mapping[str, str], fresh: bool, files: Counts) -> None:
        """Compare, and count both sides."""
        ours = self._run
        if fresh:
            self._there = self._get(run_id)
        found = Counts(runs=1)
        found.add(files)
        for kind, wanted in (("params", ours.data.params), ("tags", tags)):
            has = self._texts_there(kind)
            setattr(found, kind, sum(key in has for key in wanted))
            for key, value in wanted.items():
                if has.get(key) != value:
                    self._tally.differ(f"{kind[:-1]} {key!r} of {self._name} differs")
        inputs = self._there.get("inputs", {}).get("dataset_inputs", ())
        found.inputs = min(len(inputs), len(ours.inputs.dataset_inputs))
        found.points = self._points
        if fresh and self._points:
            found.points = _points_of(self._rest, run_id, self._there)
        self._tally.count(
            source=Counts(
                runs=1,
                params=len(ours.data.params),
                tags=len(tags),
                inputs=len(ours.inputs.dataset_inputs),
                points=self._points,
            ),
            target=found,
            written=self._written,
        )


def send_files(
    rest: Rest,
    client: TargetClient,
    files: Sequence[FileInfo],
    place: str,
    *,
    run_id: str | None = None,
    model_version_id: str | None = None,
) -> Counts:
    """Send files of ours below a path of the server's store, one after another."""
    written = Counts()
    for each in files:
        with tempfile.TemporaryDirectory(prefix="runstone-export-") as folder:
            local = client.download_artifacts(
                run_id, each.path, folder, model_version_id=model_version_id
            )
            rest.put(f"{PROXY_PATH}/{quoted(f'{place}/{each.path}')}", Path(local))
        written.add(Counts(files=1, file_bytes=each.file_size or 0))
    return written


def parent_of(run: Run) -> str:
    """The run that this one is nested in; empty without one."""
    return run.data.tags.get(PARENT_RUN_ID, "")


def _points_of(rest: Rest, run_id: str, there: Any) -> int:
    """How many points a run there has, each once."""
    keys = [each["key"] for each in there.get("data", {}).get("metrics", ())]
    return sum(len(each) for each in RestSource.history(rest, run_id, keys))


def _batches(columns: Iterator[Points]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for each in columns:
        for step, timestamp, value in zip(each.steps, each.timestamps, each.values, strict=True):
            batch.append(
                {"key": each.key, "step": step, "timestamp": timestamp, "value": _number(value)}
            )
            if len(batch) == METRICS_AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


def _number(value: float) -> float | str:
    """A number of JSON, or the word that protobuf's JSON has for it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _parts(texts: Mapping[str, str]) -> Iterator[list[dict[str, str]]]:
    part: list[dict[str, str]] = []
    size = 0
    for key, value in texts.items():
        more = len(key.encode()) + len(value.encode())
        if part and (len(part) == TEXTS_AT_ONCE or size + more > TEXT_BYTES):
            yield part
            part, size = [], 0
        part.append({"key": key, "value": value})
        size += more
    if part:
        yield part


def _input(each: Any) -> dict[str, Any]:
    of = each.dataset
    dataset = {
        "name": of.name,
        "digest": of.digest,
        "source_type": of.source_type,
        "source": of.source,
    }
    if of.schema:
        dataset["schema"] = of.schema
    if of.profile:
        dataset["profile"] = of.profile
    return {
        "dataset": dataset,
        "tags": [{"key": tag.key, "value": tag.value} for tag in each.tags],
    }
