"""Params, tags, inputs, files and ends of runs, in the order in which they were logged.

Each may be applied twice without a difference, so that a sync that was killed begins with the
record that it did not note as done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from runstone._offline import files, layout, records
from runstone._offline.catalogue import read_input
from runstone._offline.records import Record
from runstone._sender.server import is_refusal
from runstone._sync.part import Part
from runstone._sync.report import Report
from runstone._sync.runs import Runs
from runstone._sync.server import SyncClient
from runstone._sync.state import State
from runstone._transfer.local import LocalFile
from runstone._transfer.progress import Progress
from runstone.exceptions import LocalPathMissing, RunstoneException, TagNotFound

MOST_RECORDS = 500
MOST_BYTES = 2**20
"""Of params and tags in one call: well below the 4 MiB of a message."""

MOST_FILE_BYTES = 2**26
"""Of files between two notes that they are done: what a kill may send again."""

Step = tuple[Part, Record]


class Replay:
    """Applies the records of a folder."""

    def __init__(
        self, client: SyncClient, state: State, runs: Runs, report: Report, shown: Progress
    ) -> None:
        self._client = client
        self._state = state
        self._runs = runs
        self._report = report
        self._shown = shown
        self._latest: dict[tuple[str, str], int] = {}

    def apply(self, parts: list[Part]) -> None:
        """Apply what is new."""
        for part in parts:
            for each in part.records:
                if each.kind == records.FILE:
                    place = (each.run_id, each.about["path"])
                    self._latest[place] = max(self._latest.get(place, 0), each.at)
        for group in _groups(_merged(parts)):
            self._take([step for step in group if not self._waits(*step)])

    def _waits(self, part: Part, record: Record) -> bool:
        """Whether a record must wait, and with it what its process logged later."""
        if not part.stopped and record.run_id in self._runs.waiting:
            part.stopped = f"run {record.run_id} waits: {self._runs.waiting[record.run_id]}"
        return bool(part.stopped)

    def _take(self, group: list[Step]) -> None:
        try:
            if group:
                self._do(group)
        except RunstoneException as error:
            if not is_refusal(error) and not isinstance(error, LocalPathMissing):
                raise
            if len(group) > 1:
                # One of them is not taken; the others are.
                for step in group:
                    self._take([step])
                return
            part, record = group[0]
            if not self._replaced(part, record):
                part.refuse(record, error.code, error.reason, error.message)
        for part, end in {part: record.end for part, record in group}.items():
            self._state.advance(part.name, end)
            part.done = end

    def _replaced(self, part: Part, record: Record) -> bool:
        """Whether a copy is gone because the process has logged the file again meanwhile."""
        if record.kind != records.FILE:
            return False
        place = (record.run_id, record.about["path"])
        found = records.read(part.path / layout.RECORDS, record.end).records
        return any(
            each.kind == records.FILE and (each.run_id, each.about["path"]) == place
            for each in found
        )

    def _do(self, group: list[Step]) -> None:
        record = group[0][1]
        about = record.about
        if record.kind == records.EXPERIMENT:
            said = {"experiment": layout.NAMED + about["name"], "tags": about["tags"]}
            self._set_experiment_tags(said)
        elif record.kind == records.EXPERIMENT_TAGS:
            self._set_experiment_tags(about)
        elif record.kind == records.EXPERIMENT_UNTAG:
            self._delete(
                self._client.delete_experiment_tag,
                self._runs.experiment_id(about["experiment"]),
                about["keys"],
            )
        elif record.kind in _TOGETHER:
            self._log(self._runs.server_id(record.run_id), group)
        elif record.run_id:
            self._change(self._runs.server_id(record.run_id), record)

    def _log(self, server_id: str, group: list[Step]) -> None:
        params, tags = _joined(group, "params"), self._runs.translated(_joined(group, "tags"))
        if params or tags:
            self._client.log_batch(server_id, params=params, tags=tags)
            self._report.params += len(params)
            self._report.tags += len(tags)
        self._send(server_id, [each for each in group if self._counts(each[1])])

    def _change(self, server_id: str, record: Record) -> None:
        about = record.about
        if record.kind == records.UNTAG:
            self._delete(self._client.delete_tag, server_id, about["keys"])
        elif record.kind == records.INPUTS:
            self._client.log_inputs(server_id, map(read_input, about["inputs"]))
            self._report.inputs += len(about["inputs"])
        elif record.kind == records.UPDATE:
            self._client.update_run(
                server_id, about.get("status"), about.get("name"), end_time=about.get("end_ms")
            )

    def _set_experiment_tags(self, about: dict[str, Any]) -> None:
        experiment = self._runs.experiment_id(about["experiment"])
        if about["tags"]:
            self._client.set_experiment_tags(experiment, about["tags"])

    def _delete(self, call: Any, of: str, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                call(of, key)
            except TagNotFound:
                pass  # deleted by the sync before, which could not say so

    def _counts(self, record: Record) -> bool:
        """Whether it is a file, and no later one stands under its path."""
        if record.kind != records.FILE:
            return False
        return self._latest[record.run_id, record.about["path"]] <= record.at

    def _send(self, server_id: str, group: list[Step]) -> None:
        found = []
        for part, record in group:
            about = record.about
            source = part.path / layout.FILES / about["file"]
            try:
                digest = files.digest_of(source)
            except FileNotFoundError:
                raise LocalPathMissing(f"the copy of {about['path']} is gone") from None
            if digest != about["blake3"]:
                raise LocalPathMissing(f"the copy of {about['path']} is not what it was: {source}")
            found.append(LocalFile(source, about["path"], about["size"]))
        if found:
            self._client.send_files(server_id, found, self._shown)
        self._report.files += len(found)
        self._report.file_bytes += sum(each.size for each in found)


_TOGETHER = {records.PARAMS, records.TAGS, records.FILE}


def _joined(group: list[Step], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, each in group:
        found.update(each.about.get(name, {}))
    return found


def _merged(parts: list[Part]) -> list[Step]:
    """By time; those of one process as it wrote them, whatever its clock did meanwhile."""
    found: list[tuple[int, Step]] = []
    for part in parts:
        at = 0
        for each in part.new:
            at = max(at, each.at)
            found.append((at, (part, each)))
    return [step for _, step in sorted(found, key=lambda each: each[0])]


def _groups(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Neighbours that go into one call."""
    group: list[Step] = []
    for step in steps:
        if group and not _fits(group, step[1]):
            yield group
            group = []
        group.append(step)
    if group:
        yield group


def _fits(group: list[Step], record: Record) -> bool:
    """Whether a record goes with those before: the same run's, and none that undoes one.

    Of a tag and of a file the last one counts, so two of a name make no difference.
    """
    if record.run_id != group[0][1].run_id or record.kind not in _TOGETHER:
        return False
    if group[0][1].kind not in _TOGETHER or len(group) == MOST_RECORDS:
        return False
    every = [*(each for _, each in group), record]
    if record.kind == records.FILE:
        size = sum(each.about["size"] for each in every if each.kind == records.FILE)
        return bool(size <= MOST_FILE_BYTES)
    if sum(each.end - each.start for each in every) > MOST_BYTES:
        return False
    params = _joined(group, "params")
    said = record.about.get("params", {})
    return all(params.get(key, value) == value for key, value in said.items())
