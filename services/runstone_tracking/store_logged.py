"""What the use cases ask of a store about logged models. The docstrings are the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from runstone_kit.filterlang import OrderBy
from runstone_kit.paging import KeyValue
from runstone_tracking.model import ModelMetric, ModelOutput, Purged
from runstone_tracking.model_logged import (
    LoggedModel,
    LoggedModelInfo,
    LoggedModelStatus,
    MetricDataset,
)
from runstone_tracking.store_query import Query


@dataclass(frozen=True, slots=True)
class DatasetOrder(OrderBy):
    """A metric to sort by; None means its latest point on any data set."""

    dataset: MetricDataset | None = None


@dataclass(frozen=True, slots=True)
class FoundLoggedModel:
    """A logged model that a search found, with its values of the query's ``order``."""

    info: LoggedModelInfo
    keys: tuple[KeyValue, ...]


class LoggedModelStore(Protocol):
    """Logged models, their params, tags and metrics, and the runs that read or made them.

    Methods that take one ``model_id`` MUST raise LoggedModelNotFound. Those that add or delete what
    a model holds expect that ``lock_active`` was called in the session.
    """

    def create(self, new: LoggedModelInfo) -> None:
        """Add one. MUST raise ExperimentNotFound, ExperimentDeleted.

        No model may be left active in an experiment that is deleted at the same time.
        """
        ...

    def get(self, model_id: str) -> LoggedModel:
        """The model with all it holds, deleted or not."""
        ...

    def load(self, infos: Sequence[LoggedModelInfo]) -> list[LoggedModel]:
        """The models with all they hold, in the order given."""
        ...

    def lock_active(self, model_id: str) -> None:
        """Nothing for an active model, which no other may lock or change until the session ends.

        MUST raise LoggedModelDeleted.
        """
        ...

    def finalize(self, model_id: str, status: LoggedModelStatus, now: int) -> LoggedModelInfo:
        """Set the status of an active model. MUST raise LoggedModelDeleted."""
        ...

    def delete(self, model_id: str, now: int) -> None:
        """Delete it; MUST change nothing when it is deleted."""
        ...

    def add_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Add params; MUST raise ParamImmutable when one has another value."""
        ...

    def set_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        ...

    def delete_tags(self, model_id: str, keys: Sequence[str]) -> None:
        """Delete tags. MUST raise TagNotFound when one is not set."""
        ...

    def text_bytes(self, model_id: str) -> int:
        """What params and tags take in a message: UTF-8 bytes, and ENTRY_BYTES for each."""
        ...

    def add_metrics(self, run_id: str, metrics: Sequence[ModelMetric]) -> dict[str, int]:
        """Add points of a run's; one that is there already MUST change nothing.

        MUST raise LoggedModelNotFound and LoggedModelDeleted. Returns for each model how many
        metrics it has: by key, data set and run. Expects ``require_active`` of the run.
        """
        ...

    def add_inputs(self, run_id: str, model_ids: Sequence[str]) -> None:
        """Note models that a run read. MUST raise LoggedModelNotFound; deleted ones are fine."""
        ...

    def add_outputs(self, run_id: str, outputs: Sequence[ModelOutput]) -> None:
        """Note models that a run made; of one that is noted already the step is set.

        MUST raise LoggedModelNotFound; deleted ones are fine.
        """
        ...

    def search(self, query: Query, datasets: Sequence[MetricDataset]) -> list[FoundLoggedModel]:
        """The models of ``query``. Its filter looks at points on ``datasets``, if there are any."""
        ...

    def purge(
        self,
        model_ids: Sequence[str] | None,
        deleted_before: int | None,
        limit: int,
        *,
        dry_run: bool,
    ) -> Purged:
        """Remove deleted models and all they hold; None as ``model_ids`` means whichever there are.

        MUST raise LoggedModelNotFound and LoggedModelNotDeleted for named ones, and then remove
        none.
        """
        ...
