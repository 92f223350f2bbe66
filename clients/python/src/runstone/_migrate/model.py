"""What an MLflow holds, as plain values, and what every kind of source can be asked."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runstone._entities.tracking import DatasetInput
from runstone.exceptions import RunstoneException

PIECE_POINTS = 50_000
"""Points that a source gives at once: 24 bytes each, for each thread that copies."""


class SourceUnreadable(RunstoneException):
    """The source, or one thing of it, cannot be read; the text says what to do."""

    code = "FAILED_PRECONDITION"
    away = False
    """Whether nothing of the source can be read now, not only this."""


class FilesOutOfReach(SourceUnreadable):
    """Files are where this machine or this program cannot read them."""


@dataclass(frozen=True, slots=True)
class SourceExperiment:
    """An experiment. Times in Unix milliseconds, None where the source does not know them."""

    experiment_id: str
    name: str
    active: bool
    tags: Mapping[str, str]
    creation_time: int | None
    last_update_time: int | None


@dataclass(frozen=True, slots=True)
class SourceRun:
    """A run with all it has but points and files."""

    run_id: str
    experiment_id: str
    name: str
    user_id: str
    status: str
    start_time: int | None
    end_time: int | None
    active: bool
    artifact_uri: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, object]
    """The keys, each with something that changes when it gets points, such as the latest one."""
    inputs: list[DatasetInput] = field(default_factory=list)


@dataclass(slots=True)
class Points:
    """Points of one metric, as columns of equal length."""

    key: str
    steps: array[int]
    timestamps: array[int]
    values: array[float]

    @classmethod
    def empty(cls, key: str) -> Points:
        """Columns without a point."""
        return cls(key, array("q"), array("q"), array("d"))

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: int, timestamp: int, value: float) -> None:
        """Append a point."""
        self.steps.append(step)
        self.timestamps.append(timestamp)
        self.values.append(value)

    def extend(self, other: Points) -> None:
        """Append the points of another."""
        self.steps.extend(other.steps)
        self.timestamps.extend(other.timestamps)
        self.values.extend(other.values)

    def distinct(self) -> Points:
        """The same points in order of time, step and value, each once; NaN is like NaN."""
        rows = zip(self.timestamps, self.steps, self.values, strict=True)
        found = Points.empty(self.key)
        last: tuple[object, ...] | None = None
        for time, step, value in sorted(rows, key=_order):
            this = _order((time, step, value))
            if this != last:
                found.add(step, time, value)
            last = this
        return found


def newest(step: int, timestamp: int, value: float) -> str:
    """What ``SourceRun.metrics`` holds for a metric whose latest point this is."""
    return f"{step} {timestamp} {value!r}"


def _order(row: tuple[int, int, float]) -> tuple[int, int, bool, float]:
    time, step, value = row
    is_nan = math.isnan(value)
    return time, step, is_nan, 0.0 if is_nan else value


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file below a place; ``size`` in bytes."""

    path: str
    size: int


class Tree(Protocol):
    """The files below one place of a source."""

    def files(self) -> list[SourceFile]:
        """All of them, by path. Raises FilesOutOfReach."""
        ...

    def local(self, path: str) -> Path | None:
        """Where a file is on this machine, if it is."""
        ...

    def fetch(self, path: str, target: Path) -> None:
        """Write a file's bytes to a path. Raises FilesOutOfReach."""
        ...


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """A version of a registered model. ``stage`` and ``status`` in MLflow's words."""

    name: str
    version: int
    description: str
    tags: Mapping[str, str]
    run_id: str
    run_link: str
    user_id: str
    source: str
    stage: str
    status: str
    creation_time: int | None
    last_updated_time: int | None
    files_uri: str = ""
    """Where its files are, as far as it is known without asking; it may be another place than the
    one it was made from."""


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A registered model."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    creation_time: int | None
    last_updated_time: int | None


class Source(Protocol):
    """An MLflow that is read. Safe to share between threads; nothing is written to it.

    Every method may raise SourceUnreadable.
    """

    where: str
    """For people; without secrets."""

    def experiments(self) -> Iterator[SourceExperiment]:
        """All experiments, deleted ones too."""
        ...

    def runs(self, experiment_id: str) -> Iterator[SourceRun]:
        """All runs of an experiment, deleted ones too; each at least once."""
        ...

    def run(self, run_id: str) -> SourceRun | None:
        """One run; None when it is not there."""
        ...

    def points(self, run: SourceRun) -> Iterator[Points]:
        """Every point of a run, none twice; the pieces of one key follow one another."""
        ...

    def run_files(self, run: SourceRun) -> Tree:
        """The files of a run. Raises FilesOutOfReach."""
        ...

    def models(self) -> Iterator[SourceModel]:
        """All registered models."""
        ...

    def versions(self, model: SourceModel) -> list[SourceVersion]:
        """The versions of a model, by number."""
        ...

    def version_files(self, version: SourceVersion) -> Tree:
        """The files of a version. Raises FilesOutOfReach."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...
