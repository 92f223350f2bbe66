"""Many runs as columns: a row is a run, a column what several of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from runstone_tracking.model import DatasetInput, ModelOutput, RunInfo


class MetricColumn(NamedTuple):
    """The latest points of one metric; ``rows`` ascending, empty when every row has it.

    Steps and times are empty where values alone were asked for.
    """

    key: str
    rows: Sequence[int]
    values: Sequence[float]
    steps: Sequence[int] = ()
    timestamps_ms: Sequence[int] = ()


class TextColumn(NamedTuple):
    """One parameter or tag; ``rows`` ascending, empty when every row has it.

    Its values are UTF-8, as they come from PostgreSQL and go to the wire.
    """

    key: str
    rows: Sequence[int]
    values: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class RunColumns:
    """Runs in an order; metrics, params and tags are ordered by key; inputs, and the logged models
    that runs read and made, stand under rows.

    The tag that is a run's name is not among the tags.
    """

    infos: Sequence[RunInfo]
    metrics: Sequence[MetricColumn] = ()
    params: Sequence[TextColumn] = ()
    tags: Sequence[TextColumn] = ()
    inputs: Mapping[int, Sequence[DatasetInput]] = field(default_factory=dict)
    model_inputs: Mapping[int, Sequence[str]] = field(default_factory=dict)
    model_outputs: Mapping[int, Sequence[ModelOutput]] = field(default_factory=dict)
