"""What the tracking service knows: experiments, runs and what runs hold.

Times are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

DEFAULT_EXPERIMENT_ID = "0"
"""The experiment "Default": made by the migration, never deleted or renamed."""

RUN_NAME_TAG = "mlflow.runName"
"""The tag that is the run's name."""

DATASET_CONTEXT_TAG = "mlflow.data.context"
"""The input tag that filters know as ``datasets.context``."""


class Stage(StrEnum):
    """Whether an entity is in use or waits in the bin."""

    ACTIVE = "active"
    DELETED = "deleted"


class View(IntEnum):
    """Which stages a search looks at."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages looked at."""
        if self is View.ALL:
            return (Stage.ACTIVE, Stage.DELETED)
        return (Stage.ACTIVE,) if self is View.ACTIVE_ONLY else (Stage.DELETED,)


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def is_terminal(self) -> bool:
        """Whether the work is over."""
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs."""

    experiment_id: str
    name: str
    stage: Stage
    create_time: int
    update_time: int
    delete_time: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class MetricSummary(NamedTuple):
    """One metric of a run in short; the fields of the message of this name.

    A tuple, because a page of runs has thousands: made in a quarter of a dataclass's time.
    """

    key: str
    value: float
    step: int
    timestamp_ms: int
    min: float
    max: float
    count: int  # type: ignore[assignment]
    nan_count: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set; within an experiment it is known by name and digest."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A data set that a run read, and what for."""

    dataset: Dataset
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """A logged model that a run made, and at which step."""

    model_id: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """A point that says something about a logged model; what is empty is not known."""

    model_id: str
    key: str
    value: float
    step: int
    timestamp_ms: int
    dataset_name: str = ""
    dataset_digest: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run without what it logged; ``has_models`` says that it has model inputs or outputs."""

    run_id: str
    experiment_id: str
    name: str
    status: RunStatus
    stage: Stage
    user_id: str
    start_time: int
    end_time: int | None = None
    delete_time: int | None = None
    has_models: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run with what it logged; ``tags`` hold RUN_NAME_TAG too, ``metrics`` are ordered by key."""

    info: RunInfo
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[MetricSummary, ...] = ()
    inputs: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[str, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()


ENTRY_BYTES = 16
"""What an entry takes in a message beside its key and value, at most."""


def entries_bytes(entries: Mapping[str, str]) -> int:
    """What params or tags take in a message: UTF-8 bytes, and ENTRY_BYTES for each."""
    text = "".join([*entries.keys(), *entries.values()])
    return ENTRY_BYTES * len(entries) + (len(text) if text.isascii() else len(text.encode()))


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be created; ``tags`` are without RUN_NAME_TAG."""

    run_id: str
    experiment_id: str
    name: str
    user_id: str
    start_time: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentRequest:
    """What CreateExperiment asks for."""

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class ExperimentSelector:
    """Which experiment: by name where there is one, else by id."""

    experiment_id: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What CreateRun asks for; what is empty or None is chosen by the service.

    ``tags`` are without RUN_NAME_TAG.
    """

    experiment_id: str
    name: str = ""
    user_id: str = ""
    start_time: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """What UpdateRun asks for; None leaves a field as it is.

    ``sets_end_time`` says that the end time is asked for, ``end_time`` None then clears it.
    """

    run_id: str
    name: str | None = None
    status: RunStatus | None = None
    sets_end_time: bool = False
    end_time: int | None = None


@dataclass(frozen=True, slots=True)
class RunBatch:
    """What LogBatch asks for, but for its points; ``writer_id`` and ``sequence`` belong to them."""

    run_id: str
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    writer_id: str = ""
    sequence: int = 0
    model_metrics: tuple[ModelMetric, ...] = ()
    expected_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What searches ask for; ``experiment_ids`` is of SearchRuns and SearchLoggedModels alone."""

    filter: str = ""
    order_by: tuple[str, ...] = ()
    view: View = View.ACTIVE_ONLY
    page_size: int = 0
    page_token: str = ""
    experiment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What UpdateRun changes; None leaves a field as it is.

    ``clear_end_time`` unsets the end time. ``default_end_time`` is used when the run, as changed,
    has none.
    """

    name: str | None = None
    status: RunStatus | None = None
    end_time: int | None = None
    clear_end_time: bool = False
    default_end_time: int | None = None


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What makes a create repeatable: the caller's id for it and a digest of what was asked.

    An empty ``request_id`` asks for nothing. An entry older than ``forget_before`` is forgotten.
    """

    method: str
    request_id: str
    content: str
    now: int
    forget_before: int


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A data set in short, and what runs read it for."""

    experiment_id: str
    name: str
    digest: str
    context: str


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed, or would remove; ``more`` says to call again.

    ``datasets`` are the keys of the data sets that purged runs had read.
    """

    ids: tuple[str, ...]
    more: bool
    datasets: tuple[int, ...] = ()
