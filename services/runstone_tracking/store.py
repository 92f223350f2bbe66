"""What the use cases ask of a store. The docstrings are the contract; its tests run on every store.

    transactions.write(lambda session: session.runs.create(new))

``Transactions`` opens one transaction and gives a ``Session``: the stores, bound to it. Everything
that a session wrote is committed together when the work returns, or not at all when it raises.
Writing stores keep the order run, then its rows by key, so that two writers never deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from runstone_kit.paging import KeyValue
from runstone_tracking.model import (
    CreateRequest,
    DatasetInput,
    DatasetSummary,
    Experiment,
    NewRun,
    Purged,
    Run,
    RunChanges,
    RunInfo,
)
from runstone_tracking.model_columns import RunColumns
from runstone_tracking.model_metrics import NewSegment
from runstone_tracking.store_chunks import ChunkStore
from runstone_tracking.store_logged import LoggedModelStore
from runstone_tracking.store_metrics import Appended, MetricStore
from runstone_tracking.store_query import Query
from runstone_tracking.store_traces import TraceStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run that a search found, with its values of the query's ``order``."""

    info: RunInfo
    keys: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class FoundExperiment:
    """An experiment that a search found, with its values of the query's ``order``."""

    experiment: Experiment
    keys: tuple[KeyValue, ...]


class ExperimentStore(Protocol):
    """Experiments and their tags.

    Every method that takes an ``experiment_id`` MUST raise ExperimentNotFound when there is none,
    a text that is no decimal number included.
    """

    def create(self, name: str, tags: Mapping[str, str], now: int) -> Experiment:
        """Add one and return it. MUST raise ExperimentNameTaken, also for a deleted one's name."""
        ...

    def get(self, experiment_id: str) -> Experiment:
        """The experiment with its tags, deleted or not."""
        ...

    def get_by_name(self, name: str) -> Experiment:
        """The same by name. MUST raise ExperimentNotFound."""
        ...

    def rename(self, experiment_id: str, name: str, now: int) -> Experiment:
        """Rename an active one. MUST raise ExperimentDeleted, ExperimentNameTaken."""
        ...

    def delete(self, experiment_id: str, now: int) -> None:
        """Delete it with its active runs and logged models.

        MUST change nothing when it is deleted.
        """
        ...

    def restore(self, experiment_id: str, now: int) -> None:
        """Restore it with the runs and logged models that were deleted with it, and no others.

        MUST change nothing when it is active.
        """
        ...

    def set_tags(self, experiment_id: str, tags: Mapping[str, str], now: int) -> None:
        """Set tags of an active one. MUST raise ExperimentDeleted."""
        ...

    def delete_tags(self, experiment_id: str, keys: Sequence[str], now: int) -> None:
        """Delete tags of an active one. MUST raise ExperimentDeleted, TagNotFound."""
        ...

    def search(self, query: Query) -> list[FoundExperiment]:
        """The experiments of ``query``, with their tags; ``experiment_ids`` is not looked at."""
        ...

    def purge(self, deleted_before: int | None, limit: int, *, dry_run: bool) -> Purged:
        """Remove deleted experiments without runs and logged models, and what belongs to them."""
        ...


class RunStore(Protocol):
    """Runs, their params, tags and inputs.

    Methods that take one ``run_id`` MUST raise RunNotFound, and ``update`` RunDeleted. Those that
    add or delete what a run holds expect that ``require_active`` was called in the session.
    """

    def create(self, new: NewRun) -> RunInfo:
        """Add a running run with its tags.

        MUST raise ExperimentNotFound, ExperimentDeleted; no run may be left active in an
        experiment that is deleted at the same time.
        """
        ...

    def get(self, run_id: str) -> Run:
        """The run with all it holds, deleted or not. MUST raise RunNotFound.

        The schemas and profiles of its data sets, in the order in which these were first seen, up
        to 32 MiB in all; those that would be more MUST be left empty.
        """
        ...

    def load(self, infos: Sequence[RunInfo], *, large: bool = True) -> list[Run]:
        """The runs with all they hold, in the order given.

        Without ``large`` the schemas and profiles of data sets are left empty.
        """
        ...

    def load_columns(self, infos: Sequence[RunInfo], *, values_only: bool) -> RunColumns:
        """What the runs hold, without the large texts of data sets, in the order given.

        ``values_only`` leaves out the steps and times of metrics.
        Of many large runs only the first, one at least: as many as MUST fit into memory.
        """
        ...

    def start_time(self, run_id: str) -> int:
        """When a run began, in Unix milliseconds. MUST raise RunNotFound."""
        ...

    def require_active(self, run_id: str) -> None:
        """Nothing for an active run, which MUST then stay until the session ends.

        MUST raise RunNotFound, RunDeleted.
        """
        ...

    def grow(self, run_id: str, size: int) -> int | None:
        """``require_active``, and count ``size`` bytes more; no other may count until the end.

        Returns what the run holds at most; None when ``recount`` was never called since 0003.
        """
        ...

    def recount(self, run_id: str) -> int:
        """What the run's params, tags and inputs take in a message; expects ``grow`` before.

        UTF-8 bytes and ENTRY_BYTES for each, without schemas and profiles. MUST be kept.
        """
        ...

    def update(self, run_id: str, changes: RunChanges) -> RunInfo:
        """Change an active run and return it as it is now."""
        ...

    def delete(self, run_id: str, now: int) -> None:
        """Delete it; MUST change nothing when it is deleted."""
        ...

    def restore(self, run_id: str) -> None:
        """Restore it; MUST raise ExperimentDeleted, and change nothing when it is active."""
        ...

    def add_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Add params; MUST raise ParamImmutable when one has another value, whoever set it."""
        ...

    def expect_tags(self, run_id: str, expected: Mapping[str, str]) -> None:
        """Hold these tags until the end; an empty value is that of one that is not set, too.

        Expects ``grow`` before. MUST raise EtagMismatch when one has another value.
        """
        ...

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; RUN_NAME_TAG renames the run."""
        ...

    def delete_tags(self, run_id: str, keys: Sequence[str]) -> None:
        """Delete tags. MUST raise TagNotFound when one is not set."""
        ...

    def add_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Note data sets, each once; the tags of a repeated one are set again."""
        ...

    def search(self, query: Query) -> list[FoundRun]:
        """The runs of ``query``."""
        ...

    def search_datasets(self, experiment_ids: Sequence[str], limit: int) -> list[DatasetSummary]:
        """What runs of these experiments read, each (data set, context) once, in that order."""
        ...

    def purge(
        self,
        run_ids: Sequence[str] | None,
        deleted_before: int | None,
        limit: int,
        *,
        dry_run: bool,
    ) -> Purged:
        """Remove deleted runs and all they hold; None as ``run_ids`` means whichever there are.

        MUST raise RunNotFound and RunNotDeleted for named runs, and then remove none. Data sets
        stay, for ``drop_unused_datasets``.
        """
        ...

    def drop_unused_datasets(self, datasets: Sequence[int]) -> None:
        """Remove those of these data sets that no run reads, in a transaction of its own.

        A data set that is noted at the same time MUST stay.
        """
        ...


class RequestStore(Protocol):
    """Remembers creates, so that they may be repeated."""

    def claim(self, request: CreateRequest, resource_id: str) -> str | None:
        """None when ``request`` is new, now remembered as having made ``resource_id``.

        Else what it made the first time. MUST raise RequestIdReused when the content differs.
        Concurrent claims of the same id wait for each other.
        """
        ...

    def assign(self, request: CreateRequest, resource_id: str) -> None:
        """Change what a claimed request has made."""
        ...

    def forget(self, before: int, limit: int) -> int:
        """Forget at most ``limit`` requests from before; returns how many."""
        ...


class Session(Protocol):
    """The stores within one transaction."""

    @property
    def experiments(self) -> ExperimentStore:
        """Experiments and their tags."""
        ...

    @property
    def runs(self) -> RunStore:
        """Runs, their params, tags and inputs."""
        ...

    @property
    def requests(self) -> RequestStore:
        """Remembered creates."""
        ...

    @property
    def metrics(self) -> MetricStore:
        """Points of metrics."""
        ...

    @property
    def chunks(self) -> ChunkStore:
        """Points of metrics at rest."""
        ...

    @property
    def traces(self) -> TraceStore:
        """Traces and their spans."""
        ...

    @property
    def logged(self) -> LoggedModelStore:
        """Logged models, and the runs that read or made them."""
        ...


class Transactions(Protocol):
    """Opens transactions. ``work`` MUST have no effect but on the session: it may be repeated."""

    def read(self, work: Callable[[Session], T], *, bounded: bool = False) -> T:
        """``work`` on one consistent state, which it MUST NOT change.

        ``bounded`` is for work that a caller can make slow: it MUST raise DeadlineExceeded soon
        after the call's deadline.
        """
        ...

    def write(self, work: Callable[[Session], T]) -> T:
        """``work`` in one transaction, committed when this returns."""
        ...

    def append(self, segments: Sequence[NewSegment]) -> list[Appended]:
        """``MetricStore.append`` in a transaction of its own, the fastest way there is.

        Others wait for it, so it MUST NOT wait for a lock longer than about a second: Unavailable,
        with the reason OVERLOADED.
        """
        ...
