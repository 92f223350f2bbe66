"""Logged models: what training code made, with parameters, tags and metrics of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runstone_tracking.model import ModelMetric, Stage


class LoggedModelStatus(StrEnum):
    """Where a logged model stands."""

    PENDING = "PENDING"
    READY = "READY"
    UPLOAD_FAILED = "UPLOAD_FAILED"


@dataclass(frozen=True, slots=True)
class LoggedModelInfo:
    """A logged model without what it holds; a text that it lacks is empty."""

    model_id: str
    experiment_id: str
    name: str
    status: LoggedModelStatus
    stage: Stage
    model_type: str
    source_run_id: str
    creator: str
    create_time: int
    update_time: int
    delete_time: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model; ``metrics`` are the latest by (key, data set), in that order."""

    info: LoggedModelInfo
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[ModelMetric, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedModelRequest:
    """What CreateLoggedModel asks for; an empty name is made up by the service."""

    experiment_id: str
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class MetricDataset:
    """A data set that metrics were measured on; an empty digest means any."""

    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class OrderWish:
    """One key of a search's order, as it was asked for; None means on any data set."""

    field_name: str
    ascending: bool = True
    dataset: MetricDataset | None = None


@dataclass(frozen=True, slots=True)
class MetricWish:
    """What SearchLoggedModels asks for beyond a SearchRequest."""

    datasets: tuple[MetricDataset, ...] = ()
    order_by: tuple[OrderWish, ...] = ()
