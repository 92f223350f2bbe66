"""Logged models, and what runs say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from runstone._entities.tracking import LifecycleStage, Metric


class LoggedModelStatus:
    """Where a logged model stands. ``model.status`` holds one of these names, MLflow's."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that training code made. Times in Unix milliseconds.

    ``metrics`` are the latest for each key and data set.
    """

    experiment_id: str
    model_id: str
    name: str
    artifact_location: str
    creation_timestamp: int
    last_updated_timestamp: int
    model_type: str | None = None
    source_run_id: str | None = None
    status: str = LoggedModelStatus.READY
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    creator: str = ""
    lifecycle_stage: str = LifecycleStage.ACTIVE

    @property
    def model_uri(self) -> str:
        """Names the model and its files: ``models:/m-…``."""
        return f"models:/{self.model_id}"

    def to_dictionary(self) -> dict[str, Any]:
        """The model as plain dicts and lists."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A data set in short, and what runs read it for (None when none said)."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


@dataclass(frozen=True, slots=True)
class PurgedLoggedModels:
    """The logged models that were, or would be, removed for good; call again while ``more``."""

    model_ids: list[str]
    more: bool
