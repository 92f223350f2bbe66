"""Use cases of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstone_kit.clock import Clock
from runstone_tracking.errors import DefaultExperimentFixed, ExperimentNotFound
from runstone_tracking.model import (
    DEFAULT_EXPERIMENT_ID,
    Experiment,
    ExperimentRequest,
    ExperimentSelector,
    Purged,
)
from runstone_tracking.service_repeats import Repeats, earlier
from runstone_tracking.store import Session, Transactions

PURGED_AT_ONCE = 1000
"""Entities removed by one call, as the contract says."""

TRACES_OF_A_PURGE = 200
"""Traces removed by one transaction: each may have thousands of spans, and whoever writes waits."""


class ExperimentService:
    """Experiments: each method is one RPC and one transaction."""

    def __init__(self, transactions: Transactions, clock: Clock, repeats: Repeats) -> None:
        self._transactions = transactions
        self._clock = clock
        self._repeats = repeats

    def create(self, request: ExperimentRequest) -> Experiment:
        """Create it, or return what the same request created before.

        Raises ExperimentNameTaken, RequestIdReused.
        """
        content = (request.name, sorted(request.tags.items()))
        repeatable = self._repeats.request("CreateExperiment", request.request_id, content)
        now = self._clock.now_ms()

        def work(session: Session) -> Experiment:
            before = earlier(session, repeatable, "")
            if before is not None:
                try:
                    return session.experiments.get(before)
                except ExperimentNotFound:
                    pass  # Purged since then, so it is made again.
            made = session.experiments.create(request.name, request.tags, now)
            if repeatable is not None:
                session.requests.assign(repeatable, made.experiment_id)
            return made

        return self._transactions.write(work)

    def get(self, selector: ExperimentSelector) -> Experiment:
        """Raises ExperimentNotFound."""

        def work(session: Session) -> Experiment:
            if selector.name is not None:
                return session.experiments.get_by_name(selector.name)
            return session.experiments.get(selector.experiment_id)

        return self._transactions.read(work)

    def rename(self, experiment_id: str, name: str) -> Experiment:
        """Raises ExperimentNotFound, ExperimentDeleted, ExperimentNameTaken and, for the default
        experiment, DefaultExperimentFixed.
        """
        _refuse_default(experiment_id)
        now = self._clock.now_ms()
        return self._transactions.write(
            lambda session: session.experiments.rename(experiment_id, name, now)
        )

    def delete(self, experiment_id: str) -> None:
        """Raises ExperimentNotFound, DefaultExperimentFixed."""
        _refuse_default(experiment_id)
        now = self._clock.now_ms()
        self._transactions.write(lambda session: session.experiments.delete(experiment_id, now))

    def restore(self, experiment_id: str) -> None:
        """Raises ExperimentNotFound."""
        now = self._clock.now_ms()
        self._transactions.write(lambda session: session.experiments.restore(experiment_id, now))

    def set_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Raises ExperimentNotFound, ExperimentDeleted."""
        now = self._clock.now_ms()
        self._transactions.write(
            lambda session: session.experiments.set_tags(experiment_id, tags, now)
        )

    def delete_tags(self, experiment_id: str, keys: Sequence[str]) -> None:
        """Raises ExperimentNotFound, ExperimentDeleted, TagNotFound."""
        now = self._clock.now_ms()
        self._transactions.write(
            lambda session: session.experiments.delete_tags(experiment_id, keys, now)
        )

    def purge(self, deleted_before: int | None, *, dry_run: bool) -> Purged:
        """Remove deleted experiments that have no runs, and their traces; ``dry_run`` only names
        them.
        """

        def work(session: Session, *, dry_run: bool = dry_run) -> Purged:
            return session.experiments.purge(deleted_before, PURGED_AT_ONCE, dry_run=dry_run)

        would = self._transactions.read(lambda session: work(session, dry_run=True))
        if dry_run or not would.ids:
            return would
        # Before, and in parts: an experiment may have a million traces.
        while self._transactions.write(
            lambda session: session.traces.drop_of_deleted(would.ids, TRACES_OF_A_PURGE)
        ):
            pass
        return self._transactions.write(work)


def _refuse_default(experiment_id: str) -> None:
    if experiment_id == DEFAULT_EXPERIMENT_ID:
        raise DefaultExperimentFixed
