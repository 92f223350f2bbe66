"""Experiments, runs, and what runs log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


class ViewType:
    """Which lifecycle stages a search looks at."""

    ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3

    @classmethod
    def from_string(cls, name: str) -> int:
        """The number of a name in any case. Raises ValueError for an unknown one."""
        return _number(cls, name)

    @classmethod
    def to_string(cls, number: int) -> str:
        """The name of a number. Raises ValueError for an unknown one."""
        return _name(cls, number)


class RunStatus:
    """Where a run stands. ``run.info.status`` holds the name."""

    RUNNING, SCHEDULED, FINISHED, FAILED, KILLED = 1, 2, 3, 4, 5

    @classmethod
    def from_string(cls, name: str) -> int:
        """The number of a name in any case. Raises ValueError for an unknown one."""
        return _number(cls, name)

    @classmethod
    def to_string(cls, number: int) -> str:
        """The name of a number. Raises ValueError for an unknown one."""
        return _name(cls, number)

    @classmethod
    def is_terminated(cls, status: int | str) -> bool:
        """Whether the run has ended."""
        number = cls.from_string(status) if isinstance(status, str) else status
        return number in {cls.FINISHED, cls.FAILED, cls.KILLED}


def _number(kind: type, name: str) -> int:
    number = vars(kind).get(name.upper())
    if not isinstance(number, int):
        raise ValueError(f"{name!r} is no {kind.__name__}")
    return number


def _name(kind: type, number: int) -> str:
    for name, each in vars(kind).items():
        if each == number and name.isupper():
            return name
    raise ValueError(f"{number!r} is no {kind.__name__}")


class LifecycleStage:
    """Whether an entity is in use or waits in the bin."""

    ACTIVE = "active"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class ExperimentTag:
    """A tag of an experiment."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs. Times in Unix milliseconds."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: str = LifecycleStage.ACTIVE
    tags: Mapping[str, str] = field(default_factory=dict)
    creation_time: int | None = None
    last_update_time: int | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of a metric. ``timestamp`` in Unix milliseconds; ``rank`` of a distributed job.

    One with a ``model_id`` says something about that logged model too, measured on the data set.
    ``run_id`` is filled in where a logged model's metrics are read.
    """

    key: str
    value: float
    timestamp: int = 0
    step: int = 0
    rank: int | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class SampledSeries:
    """What a chart shows of one series: columns of equal length, an entry for each bucket.

    ``steps`` and ``last_steps`` are the first and the last step of a bucket's points,
    ``timestamps`` and ``last_timestamps`` their least and greatest time in Unix milliseconds.
    ``min``, ``max`` and ``mean`` are of numbers only, and NaN where there is none.
    """

    run_id: str
    key: str
    rank: int | None
    steps: list[int]
    last_steps: list[int]
    timestamps: list[int]
    last_timestamps: list[int]
    first: list[float]
    last: list[float]
    min: list[float]
    max: list[float]
    mean: list[float]
    count: list[int]
    nan_count: list[int]

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric in short: its latest point (value, step, timestamp in ms) and its extremes."""

    key: str
    value: float
    step: int
    timestamp: int
    min: float
    max: float
    count: int
    nan_count: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter; immutable once set."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class RunTag:
    """A tag of a run."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class InputTag:
    """A mark of how a run used a data set."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set by name and content. ``source``, ``schema`` and ``profile`` are often JSON."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A data set that a run read, and what for."""

    dataset: Dataset
    tags: list[InputTag] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is. Times in Unix milliseconds; ``end_time`` is None while it goes on."""

    run_id: str
    experiment_id: str
    run_name: str
    status: str
    user_id: str = ""
    start_time: int | None = None
    end_time: int | None = None
    lifecycle_stage: str = LifecycleStage.ACTIVE
    artifact_uri: str = ""

    @property
    def run_uuid(self) -> str:
        """The run_id under MLflow's older name."""
        return self.run_id


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run logged. ``metrics`` are latest values; ``metric_summaries`` hold the extremes."""

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metric_summaries: dict[str, MetricSummary] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoggedModelInput:
    """A logged model that a run read."""

    model_id: str


@dataclass(frozen=True, slots=True)
class LoggedModelOutput:
    """A logged model that a run made, and at which step."""

    model_id: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run read."""

    dataset_inputs: list[DatasetInput] = field(default_factory=list)
    model_inputs: list[LoggedModelInput] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunOutputs:
    """What a run made."""

    model_outputs: list[LoggedModelOutput] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One execution of training code."""

    info: RunInfo
    data: RunData = field(default_factory=RunData)
    inputs: RunInputs = field(default_factory=RunInputs)
    outputs: RunOutputs = field(default_factory=RunOutputs)

    def to_dictionary(self) -> dict[str, Any]:
        """The run as plain dicts and lists."""
        return {
            "info": asdict(self.info),
            "data": asdict(self.data),
            "inputs": asdict(self.inputs),
            "outputs": asdict(self.outputs),
        }


@dataclass(frozen=True, slots=True)
class PurgedRuns:
    """The runs that were, or would be, removed for good; call again while ``more``."""

    run_ids: list[str]
    more: bool


@dataclass(frozen=True, slots=True)
class PurgedExperiments:
    """The experiments that were, or would be, removed for good; call again while ``more``."""

    experiment_ids: list[str]
    more: bool
