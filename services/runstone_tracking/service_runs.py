"""Use cases of runs."""

from __future__ import annotations

from collections.abc import Sequence

from runstone_kit import context
from runstone_kit.clock import Clock
from runstone_kit.ids import IdMaker
from runstone_tracking import segment_encode
from runstone_tracking.errors import RunNotFound, RunTooLarge
from runstone_tracking.model import (
    RUN_NAME_TAG,
    DatasetInput,
    DatasetSummary,
    ModelOutput,
    NewRun,
    Purged,
    Run,
    RunBatch,
    RunChanges,
    RunInfo,
    RunRequest,
    RunUpdate,
    entries_bytes,
)
from runstone_tracking.model_metrics import MetricBatch
from runstone_tracking.service_experiments import PURGED_AT_ONCE
from runstone_tracking.service_logged import check_metrics
from runstone_tracking.service_names import NameMaker
from runstone_tracking.service_repeats import Repeats, earlier
from runstone_tracking.store import Session, Transactions

MAX_RUN_BYTES = 16 * 1024 * 1024
"""Params, tags and inputs of one run: with 32 MiB of data sets' large texts and its metrics it
must fit into one message, which has at most 64 MiB."""

MAX_DATASETS = 1000
"""What SearchDatasets lists, as MLflow."""

RUNS_OF_A_PURGE = 50
"""Runs removed by one transaction: each may have a million points, and whoever writes waits."""


class RunService:
    """Runs: each method is one RPC and one transaction."""

    def __init__(
        self,
        transactions: Transactions,
        clock: Clock,
        ids: IdMaker,
        names: NameMaker,
        repeats: Repeats,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._ids = ids
        self._names = names
        self._repeats = repeats

    def create(self, request: RunRequest) -> Run:
        """Create a running run, or return what the same request created before, as it is now.

        Raises ExperimentNotFound, ExperimentDeleted, RequestIdReused.
        """
        content = (
            *(request.experiment_id, request.name, request.user_id, request.start_time),
            sorted(request.tags.items()),
        )
        repeatable = self._repeats.request("CreateRun", request.request_id, content)
        started = request.start_time
        new = NewRun(
            run_id=self._ids.run_id(),
            experiment_id=request.experiment_id,
            name=request.name or self._names.run_name(),
            user_id=request.user_id or context.current().actor,
            start_time=self._clock.now_ms() if started is None else started,
            tags=request.tags,
        )

        def work(session: Session) -> Run:
            before = earlier(session, repeatable, new.run_id)
            if before is not None and repeatable is not None:
                try:
                    return session.runs.get(before)
                except RunNotFound:
                    # Purged since then, so it is made again.
                    session.requests.assign(repeatable, new.run_id)
            info = session.runs.create(new)
            return Run(info, tags={**new.tags, RUN_NAME_TAG: new.name})

        return self._transactions.write(work)

    def get(self, run_id: str) -> Run:
        """Raises RunNotFound."""
        return self._transactions.read(lambda session: session.runs.get(run_id))

    def update(self, request: RunUpdate) -> RunInfo:
        """Change name, status or end time.

        A status that ends the run sets the end time when it has none; one that does not clears
        it, unless it is given. Raises RunNotFound, RunDeleted.
        """
        status = request.status
        ends = status is not None and status.is_terminal
        goes_on = status is not None and not status.is_terminal
        changes = RunChanges(
            name=request.name,
            status=status,
            end_time=request.end_time if request.sets_end_time else None,
            clear_end_time=request.end_time is None and (request.sets_end_time or goes_on),
            default_end_time=self._clock.now_ms() if ends else None,
        )
        return self._transactions.write(
            lambda session: session.runs.update(request.run_id, changes)
        )

    def delete(self, run_id: str) -> None:
        """Raises RunNotFound."""
        now = self._clock.now_ms()
        self._transactions.write(lambda session: session.runs.delete(run_id, now))

    def restore(self, run_id: str) -> None:
        """Raises RunNotFound, ExperimentDeleted."""
        self._transactions.write(lambda session: session.runs.restore(run_id))

    def log_batch(self, batch: RunBatch, metrics: MetricBatch | None) -> None:
        """Set params and tags and append points, all or nothing.

        Raises RunNotFound, RunDeleted, ParamImmutable, SequenceReused, SequenceGap, RunTooLarge,
        TooManyMetrics, LoggedModelNotFound, LoggedModelDeleted, LoggedModelTooLarge, EtagMismatch.
        """
        size = entries_bytes(batch.params) + entries_bytes(batch.tags)
        segment = None
        if metrics is not None:
            segment = segment_encode.encode(batch.run_id, batch.writer_id, batch.sequence, metrics)

        def work(session: Session) -> None:
            if size or batch.expected_tags:
                total = session.runs.grow(batch.run_id, size)
                if batch.expected_tags:
                    session.runs.expect_tags(batch.run_id, batch.expected_tags)
                session.runs.set_tags(batch.run_id, batch.tags)
                session.runs.add_params(batch.run_id, batch.params)
                # What replaces or repeats was counted twice, so it is counted anew at the limit.
                if total is None or total > MAX_RUN_BYTES:
                    _check_size(session, batch.run_id)
            else:
                session.runs.require_active(batch.run_id)
            if segment is not None:
                (outcome,) = session.metrics.append([segment])
                if isinstance(outcome, Exception):
                    raise outcome
            if batch.model_metrics:
                check_metrics(session.logged.add_metrics(batch.run_id, batch.model_metrics))

        self._transactions.write(work)

    def delete_tags(self, run_id: str, keys: Sequence[str]) -> None:
        """Raises RunNotFound, RunDeleted, TagNotFound."""

        def work(session: Session) -> None:
            session.runs.require_active(run_id)
            session.runs.delete_tags(run_id, keys)

        self._transactions.write(work)

    def log_inputs(
        self, run_id: str, inputs: Sequence[DatasetInput], models: Sequence[str] = ()
    ) -> None:
        """Note data sets and logged models.

        Raises RunNotFound, RunDeleted, LoggedModelNotFound, RunTooLarge.
        """

        def work(session: Session) -> None:
            session.runs.require_active(run_id)
            if inputs:
                session.runs.add_inputs(run_id, inputs)
            # Not before: the experiment is locked in add_inputs, and comes before its runs.
            session.runs.grow(run_id, 0)
            if models:
                session.logged.add_inputs(run_id, models)
            _check_size(session, run_id)

        self._transactions.write(work)

    def log_outputs(self, run_id: str, outputs: Sequence[ModelOutput]) -> None:
        """Raises RunNotFound, RunDeleted, LoggedModelNotFound, RunTooLarge."""

        def work(session: Session) -> None:
            session.runs.grow(run_id, 0)
            session.logged.add_outputs(run_id, outputs)
            _check_size(session, run_id)

        self._transactions.write(work)

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """What runs of these experiments read: the first MAX_DATASETS."""
        return self._transactions.read(
            lambda session: session.runs.search_datasets(experiment_ids, MAX_DATASETS),
            bounded=True,
        )

    def purge(self, run_ids: Sequence[str], deleted_before: int | None, *, dry_run: bool) -> Purged:
        """Remove deleted runs, those named or any; ``dry_run`` only names them.

        Raises RunNotFound, RunNotDeleted: nothing was removed then, unless one of the runs named
        was restored or purged by another meanwhile.
        """
        named = sorted(set(run_ids)) or None
        if dry_run or named:
            would = self._transactions.read(
                lambda session: session.runs.purge(
                    named, deleted_before, PURGED_AT_ONCE, dry_run=True
                )
            )
            if dry_run:
                return would
            for start in range(0, len(would.ids), RUNS_OF_A_PURGE):
                part = would.ids[start : start + RUNS_OF_A_PURGE]
                self._purge_some(part, deleted_before, len(part))
            return would
        purged: list[str] = []
        more = True
        while more and len(purged) < PURGED_AT_ONCE:
            limit = min(RUNS_OF_A_PURGE, PURGED_AT_ONCE - len(purged))
            done = self._purge_some(None, deleted_before, limit)
            purged += done.ids
            more = done.more
        return Purged(tuple(purged), more)

    def _purge_some(
        self, run_ids: Sequence[str] | None, deleted_before: int | None, limit: int
    ) -> Purged:
        done = self._transactions.write(
            lambda session: session.runs.purge(run_ids, deleted_before, limit, dry_run=False)
        )
        # Apart, for it locks experiments. One left over by a crash here does no harm.
        if done.datasets:
            self._transactions.write(
                lambda session: session.runs.drop_unused_datasets(done.datasets)
            )
        return done


def _check_size(session: Session, run_id: str) -> None:
    size = session.runs.recount(run_id)
    if size > MAX_RUN_BYTES:
        raise RunTooLarge(run_id, size, MAX_RUN_BYTES)
