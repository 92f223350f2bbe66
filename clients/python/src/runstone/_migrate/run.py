"""One run, with all it has: made once, brought up to what the source has, and looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runstone._client._runs import PARENT_RUN_ID
from runstone._entities.tracking import LifecycleStage, Run, RunStatus
from runstone._migrate import marks
from runstone._migrate.files import FileCopy
from runstone._migrate.model import FilesOutOfReach, Points, SourceFile, SourceRun
from runstone._migrate.place import MAX_NAME, Migration, Place
from runstone._migrate.points import Missing, batches, writer_of
from runstone._migrate.tally import Counts
from runstone._sender.server import is_refusal
from runstone._values import MAX_PARAM_VALUE, MAX_TAG_VALUE
from runstone.exceptions import MetricNotFound, RunstoneException

MAX_KEY = 250
"""Characters."""

INPUTS_AT_ONCE = 100

TEXTS_AT_ONCE = 5_000
TEXT_BYTES = 2**20
"""Of params or tags in one call: well below 10,000 of them and the 4 MiB of a message."""


class RunCopy:
    """Brings one run over.

    Args:
        migration: What all copies share.
        place: The experiment that it goes to.
        run: As the source has it.
    """

    def __init__(self, migration: Migration, place: Place, run: SourceRun) -> None:
        self._all = migration
        self._client = migration.client
        self._place = place
        self._run = run
        self._name = f"run {run.run_id}"
        self._written = Counts()
        self._points = 0
        self._whole = True
        """All of it could be read."""
        self._opened = False
        self._lost_params: set[str] = set()
        self._lost_tags: set[str] = set()

    def copy(self) -> None:
        """Have the run at the target as it is at the source.

        Raises:
            RunstoneException: the target or the source does not answer; the next copy goes on.
        """
        run_id, made = self._all.runs.ensure(self._run, self._place)
        there = made or self._client.get_run(run_id)
        params = self._fitted("param", self._run.params, MAX_PARAM_VALUE, self._lost_params)
        tags = self._fitted("tag", self._tags(run_id), MAX_TAG_VALUE, self._lost_tags)
        digest = marks.digest(self._run, tags)
        known, self._points = marks.state_of(there.data.tags)
        fresh = known != digest
        if made is not None:
            self._written.tags = sum(there.data.tags.get(key) == tags[key] for key in tags)
        if fresh:
            self._open(there)
            self._write(there, params, tags)
        found = self._files(there, resend=fresh and known != "" and _goes_on(there))
        if fresh:
            self._finish(there, digest)
        self._settle_stage(there, fresh)
        self._look(there if not fresh else self._client.get_run(run_id), params, tags, fresh)
        self._count(found)

    def _tags(self, run_id: str) -> dict[str, str]:
        known = {self._run.run_id: run_id}
        parent = self._run.tags.get(PARENT_RUN_ID, "")
        if parent and (found := self._all.runs.parent(parent)):
            known[parent] = found
        return marks.translated(self._run.tags, known)

    def _fitted(
        self, kind: str, texts: Mapping[str, str], limit: int, lost: set[str]
    ) -> dict[str, str]:
        """What of them the target takes; the rest is told."""
        found = {}
        for key, value in texts.items():
            if len(key) > MAX_KEY:
                self._lose(f"{kind} {key[:40]!r}...", f"a key has at most {MAX_KEY} characters")
                lost.add(key)
                continue
            if len(value) > limit:
                said = f"its value of {len(value)} characters is cut to {limit}"
                self._lose(f"{kind} {key!r}", said)
            found[key] = value[:limit]
        return found

    def _lose(self, what: str, why: str) -> None:
        self._all.tally.lose(f"{what} of {self._name}: {why}")

    def _open(self, there: Run) -> None:
        """Have the run take what is written to it."""
        self._place.open()
        if there.info.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_run(there.info.run_id)
        self._opened = True

    def _write(self, there: Run, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        run_id = there.info.run_id
        params = {k: v for k, v in params.items() if there.data.params.get(k) != v}
        tags = {k: v for k, v in tags.items() if there.data.tags.get(k) != v}
        if not self._texts_together(run_id, params, tags):
            self._written.params += self._texts(run_id, "params", params, self._lost_params)
            self._written.tags += self._texts(run_id, "tags", tags, self._lost_tags)
        self._write_inputs(there)
        self._write_points(there)

    def _texts_together(
        self, run_id: str, params: Mapping[str, str], tags: Mapping[str, str]
    ) -> bool:
        """Set all of them by one call, as nearly all runs allow; tells whether it was done."""
        parts = [
            *_parts(
                {
                    f"{kind}{k}": v
                    for kind, of in (("p", params), ("t", tags))
                    for k, v in of.items()
                }
            )
        ]
        if len(parts) > 1:
            return False
        try:
            if parts:
                self._client.log_batch(run_id, params=params, tags=tags)
        except RunstoneException as error:
            if not is_refusal(error):
                raise
            return False
        self._written.params += len(params)
        self._written.tags += len(tags)
        return True

    def _texts(self, run_id: str, kind: str, texts: Mapping[str, str], lost: set[str]) -> int:
        """Set params or tags; returns how many of them were taken."""
        done = 0
        for part in _parts(texts):
            try:
                if kind == "params":
                    self._client.log_batch(run_id, params=part)
                else:
                    self._client.log_batch(run_id, tags=part)
                done += len(part)
            except RunstoneException as error:
                if not is_refusal(error):
                    raise
                if len(part) > 1:
                    # One of them is not taken; the others are.
                    each = [self._texts(run_id, kind, {k: v}, lost) for k, v in part.items()]
                    done += sum(each)
                    continue
                key = next(iter(part))
                lost.add(key)
                self._lose(f"{kind[:-1]} {key!r}", error.message)
        return done

    def _write_inputs(self, there: Run) -> None:
        known = {(e.dataset.name, e.dataset.digest) for e in there.inputs.dataset_inputs}
        new = [e for e in self._run.inputs if (e.dataset.name, e.dataset.digest) not in known]
        for start in range(0, len(new), INPUTS_AT_ONCE):
            part = new[start : start + INPUTS_AT_ONCE]
            try:
                self._client.log_inputs(there.info.run_id, part)
                self._written.inputs += len(part)
            except RunstoneException as error:
                if not is_refusal(error):
                    raise
                names = ", ".join(each.dataset.name for each in part)
                self._lose(f"data sets {names}", error.message)

    def _write_points(self, there: Run) -> None:
        run_id = there.info.run_id
        counts = {key: each.count for key, each in there.data.metric_summaries.items()}
        missing = Missing(counts, lambda key: self._client.get_metric_columns(run_id, key))
        self._points = 0
        try:
            for batch in batches(missing.of(self._counted())):
                self._append(run_id, batch)
        except FilesOutOfReach as error:
            self._whole = False
            self._lose("metrics", error.message)

    def _counted(self) -> Iterator[Points]:
        for piece in self._all.source.points(self._run):
            self._points += len(piece)
            yield piece

    def _append(self, run_id: str, batch: Sequence[Points]) -> None:
        try:
            self._client.append_columns(run_id, batch, writer_of(batch))
            self._written.points += sum(map(len, batch))
        except RunstoneException as error:
            if not is_refusal(error):
                raise
            if len(batch) > 1:
                for each in batch:
                    self._append(run_id, [each])
                return
            left = _of_our_time(batch[0])
            if len(left) < len(batch[0]):
                count = len(batch[0]) - len(left)
                self._lose(f"{count} points of metric {left.key!r}", "their time is before 1970")
                if len(left):
                    self._append(run_id, [left])
                return
            self._lose(f"{len(left)} points of metric {left.key!r}", error.message)

    def _files(self, there: Run, resend: bool) -> Counts:
        """Copy what is missing; returns what of the source's files is at the target."""
        at_target = Counts()
        if not self._all.files:
            return at_target
        try:
            tree = self._all.source.run_files(self._run)
            wanted = tree.files()
        except FilesOutOfReach as error:
            if error.away:
                raise
            # The same words for all runs of a place: it is told once.
            self._all.tally.lose(f"files of runs: {error.message}")
            self._whole = False
            return at_target
        if not wanted:
            return at_target
        run_id = there.info.run_id
        has = self._listed(run_id)
        missing = [each for each in wanted if resend or has.get(each.path) != each.size]
        if missing:
            if not self._opened:
                self._open(there)
            copy = FileCopy(
                tree,
                lambda files: self._client.send_files(files, run_id=run_id),
                self._all.tally.lose,
                self._name,
            )
            copy.copy(missing)
            self._written.add(copy.written)
            self._whole &= not copy.out_of_reach
            has = self._listed(run_id)
        self._compare_files(wanted, has, at_target)
        return at_target

    def _listed(self, run_id: str) -> dict[str, int]:
        found = self._client.list_artifacts(run_id, recursive=True)
        return {each.path: each.file_size or 0 for each in found}

    def _compare_files(
        self, wanted: Sequence[SourceFile], has: Mapping[str, int], at_target: Counts
    ) -> None:
        source = Counts(files=len(wanted), file_bytes=sum(each.size for each in wanted))
        self._all.tally.count(source=source)
        for each in wanted:
            if each.path in has:
                at_target.files += 1
                at_target.file_bytes += has[each.path]
            if has.get(each.path) != each.size:
                self._all.tally.differ(
                    f"file {each.path} of {self._name} has {each.size} bytes at the source, and"
                    f" {has.get(each.path, 'is not')} at the target"
                )

    def _finish(self, there: Run, digest: str) -> None:
        """Say how it ended, and that all of it is there."""
        run_id = there.info.run_id
        info, run = there.info, self._run
        name = run.name[:MAX_NAME]
        if (info.status, info.end_time) != (run.status, run.end_time) or info.run_name != name:
            self._client.update_run(run_id, run.status, name or None, end_time=run.end_time)
        if self._whole:
            state = {marks.RUN_STATE: f"{digest} {self._points}"}
            self._client.log_batch(run_id, tags=state)

    def _settle_stage(self, there: Run, fresh: bool) -> None:
        """Deleted at the source: here too. What an experiment deletes with it is left to it."""
        if self._place.deletes:
            return
        deleted = not self._run.active
        was_deleted = there.info.lifecycle_stage == LifecycleStage.DELETED
        if self._opened or not was_deleted:
            if deleted or (was_deleted and not fresh):
                self._client.delete_run(there.info.run_id)
        elif not deleted:
            self._all.tally.note(f"{self._name} was deleted at the target since it was imported")

    def _look(
        self, there: Run, params: Mapping[str, str], tags: Mapping[str, str], fresh: bool
    ) -> None:
        """Compare, and count what is at the target."""
        tell = self._all.tally.differ if fresh else self._all.tally.note
        found = Counts(runs=1)
        for kind, wanted, has, lost in (
            ("param", params, there.data.params, self._lost_params),
            ("tag", tags, there.data.tags, self._lost_tags),
        ):
            here = [key for key in wanted if key in has]
            setattr(found, f"{kind}s", len(here))
            for key in wanted:
                if key not in has and key not in lost:
                    self._all.tally.differ(f"{kind} {key!r} of {self._name} is not at the target")
                elif key in has and has[key] != wanted[key]:
                    tell(f"{kind} {key!r} of {self._name} has another value at the target")
        known = {(e.dataset.name, e.dataset.digest) for e in there.inputs.dataset_inputs}
        wants = {(e.dataset.name, e.dataset.digest) for e in self._run.inputs}
        found.inputs = len(known & wants)
        found.points = self._points_of(there)
        if found.points < self._points:
            self._all.tally.differ(
                f"{self._name} has {self._points} points at the source and {found.points} at the"
                " target"
            )
        self._all.tally.count(target=found)

    def _points_of(self, there: Run) -> int:
        """The target's points of the metrics that the source has, an exact duplicate once."""
        summaries = there.data.metric_summaries
        counts = {key: summaries[key].count for key in self._run.metrics if key in summaries}
        if sum(counts.values()) == self._points:
            return self._points
        total = 0
        for key in counts:
            try:
                total += len(self._client.get_metric_columns(there.info.run_id, key))
            except MetricNotFound:
                continue
        return total

    def _count(self, files: Counts) -> None:
        run = self._run
        source = Counts(
            runs=1,
            params=len(run.params),
            tags=len(run.tags),
            inputs=len(run.inputs),
            points=self._points,
        )
        self._all.tally.count(source=source, target=files, written=self._written)


def _goes_on(run: Run) -> bool:
    return not RunStatus.is_terminated(run.info.status)


def _of_our_time(points: Points) -> Points:
    """Without those of a negative time, which the target takes of nobody."""
    found = Points.empty(points.key)
    for row in zip(points.steps, points.timestamps, points.values, strict=True):
        if row[1] >= 0:
            found.add(*row)
    return found


def _parts(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """In parts that one call takes."""
    part: dict[str, str] = {}
    size = 0
    for key, value in texts.items():
        more = len(key.encode()) + len(value.encode())
        if part and (size + more > TEXT_BYTES or len(part) == TEXTS_AT_ONCE):
            yield part
            part, size = {}, 0
        part[key] = value
        size += more
    if part:
        yield part
