"""Logged models between messages and model."""

from __future__ import annotations

import re
from typing import NamedTuple

from runstone.tracking.v1 import logged_model_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.filterlang import MAX_ORDER_BY
from runstone_kit.paging import Page
from runstone_kit.validation import (
    MAX_DATASET_DIGEST,
    MAX_DATASET_NAME,
    MAX_PARAM_VALUE,
    MAX_TAG_VALUE,
    check_count,
    check_experiment_id,
    check_logged_model_id,
    check_name,
    check_request_id,
    check_run_id,
    check_text,
)
from runstone_tracking.convert import (
    MAX_FILTER,
    read_deadline,
    read_keys,
    read_map,
    write_stage,
    write_time,
)
from runstone_tracking.model import ModelMetric
from runstone_tracking.model_logged import (
    LoggedModel,
    LoggedModelRequest,
    LoggedModelStatus,
    MetricDataset,
    MetricWish,
    OrderWish,
)

MAX_NAME, MAX_MODEL_TYPE = 500, 500
"""As MLflow's columns."""

MAX_ENTRIES = 10_000
"""Params, and tags, of one call: as of LogBatch."""

MAX_DATASETS = 100
"""Data sets that a search looks at: each is a term of a condition."""

MAX_PURGED = 1000
"""Models named by one purge."""

_NAME = re.compile(r"[^/:.%\"']*")
"""As MLflow: a name stands in paths and URIs."""

_STATUSES = {
    status: pb.LoggedModelStatus.Value(f"LOGGED_MODEL_STATUS_{status.value}")
    for status in LoggedModelStatus
}
_FINAL = {
    number: status
    for status, number in _STATUSES.items()
    if status is not LoggedModelStatus.PENDING
}


class PurgeRequest(NamedTuple):
    """What PurgeLoggedModels asks for."""

    model_ids: list[str]
    deleted_before: int | None
    dry_run: bool


def read_create(request: pb.CreateLoggedModelRequest) -> LoggedModelRequest:
    """Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    name = request.name
    if name and check_name(violations, "name", name, MAX_NAME) and not _NAME.fullmatch(name):
        violations.add("name", "must not contain any of / : . % \" '")
    check_text(violations, "model_type", request.model_type, MAX_MODEL_TYPE)
    if request.source_run_id:
        check_run_id(violations, "source_run_id", request.source_run_id)
    params = _read_params(violations, request)
    tags = _read_tags(violations, request)
    check_request_id(violations, "request_id", request.request_id)
    violations.raise_if_any()
    return LoggedModelRequest(
        experiment_id=request.experiment_id,
        name=name,
        model_type=request.model_type,
        source_run_id=request.source_run_id,
        params=params,
        tags=tags,
        request_id=request.request_id,
    )


def read_id(request: pb.GetLoggedModelRequest | pb.DeleteLoggedModelRequest) -> str:
    """Raises InvalidArgument."""
    violations = Violations()
    check_logged_model_id(violations, "model_id", request.model_id)
    violations.raise_if_any()
    return request.model_id


def read_finalize(request: pb.FinalizeLoggedModelRequest) -> tuple[str, LoggedModelStatus]:
    """The model's id and the outcome. Raises InvalidArgument."""
    violations = Violations()
    check_logged_model_id(violations, "model_id", request.model_id)
    status = _FINAL.get(request.status)
    if status is None:
        violations.add("status", f"must be READY or UPLOAD_FAILED, not {request.status}")
    violations.raise_if_any()
    return request.model_id, status or LoggedModelStatus.READY


def read_set_tags(request: pb.SetLoggedModelTagsRequest) -> tuple[str, dict[str, str]]:
    """The model's id and the tags. Raises InvalidArgument."""
    violations = Violations()
    check_logged_model_id(violations, "model_id", request.model_id)
    tags = _read_tags(violations, request, least=1)
    violations.raise_if_any()
    return request.model_id, tags


def read_delete_tags(request: pb.DeleteLoggedModelTagsRequest) -> tuple[str, list[str]]:
    """The model's id and the keys. Raises InvalidArgument."""
    violations = Violations()
    check_logged_model_id(violations, "model_id", request.model_id)
    keys = read_keys(violations, "keys", request.keys)
    violations.raise_if_any()
    return request.model_id, keys


def read_params(request: pb.LogLoggedModelParamsRequest) -> tuple[str, dict[str, str]]:
    """The model's id and the params. Raises InvalidArgument."""
    violations = Violations()
    check_logged_model_id(violations, "model_id", request.model_id)
    params = _read_params(violations, request, least=1)
    violations.raise_if_any()
    return request.model_id, params


def read_wish(request: pb.SearchLoggedModelsRequest) -> MetricWish:
    """The data sets and the order of a search. Raises InvalidArgument."""
    violations = Violations()
    datasets: list[MetricDataset] = []
    if check_count(violations, "datasets", len(request.datasets), MAX_DATASETS):
        datasets = [
            _read_dataset(violations, f"datasets[{place}]", each)
            for place, each in enumerate(request.datasets)
        ]
    order: list[OrderWish] = []
    if check_count(violations, "order_by", len(request.order_by), MAX_ORDER_BY):
        for place, each in enumerate(request.order_by):
            field = f"order_by[{place}]"
            check_text(
                violations, f"{field}.field_name", each.field_name, MAX_FILTER, required=True
            )
            dataset = None
            if each.HasField("dataset"):
                dataset = _read_dataset(violations, f"{field}.dataset", each.dataset)
            ascending = each.ascending if each.HasField("ascending") else True
            order.append(OrderWish(each.field_name, ascending, dataset))
    violations.raise_if_any()
    return MetricWish(tuple(datasets), tuple(order))


def read_purge(request: pb.PurgeLoggedModelsRequest) -> PurgeRequest:
    """Raises InvalidArgument."""
    violations = Violations()
    if check_count(violations, "model_ids", len(request.model_ids), MAX_PURGED):
        for place, model_id in enumerate(request.model_ids):
            check_logged_model_id(violations, f"model_ids[{place}]", model_id)
    deleted_before = read_deadline(violations, request, "deleted_before")
    violations.raise_if_any()
    return PurgeRequest(list(request.model_ids), deleted_before, request.dry_run)


def write_model(model: LoggedModel) -> pb.LoggedModel:
    """The message."""
    info = model.info
    message = pb.LoggedModel(
        model_id=info.model_id,
        experiment_id=info.experiment_id,
        name=info.name,
        status=_STATUSES[info.status],
        lifecycle_stage=write_stage(info.stage),
        model_type=info.model_type,
        source_run_id=info.source_run_id,
        creator=info.creator,
        params=model.params,
        tags=model.tags,
        metrics=map(_write_metric, model.metrics),
    )
    write_time(message.create_time, info.create_time)
    write_time(message.update_time, info.update_time)
    if info.delete_time is not None:
        write_time(message.delete_time, info.delete_time)
    return message


def write_page(page: Page[LoggedModel]) -> pb.SearchLoggedModelsResponse:
    """The message."""
    return pb.SearchLoggedModelsResponse(
        models=map(write_model, page.items), next_page_token=page.next_page_token
    )


def _write_metric(metric: ModelMetric) -> pb.ModelMetric:
    return pb.ModelMetric(
        key=metric.key,
        value=metric.value,
        step=metric.step,
        timestamp_ms=metric.timestamp_ms,
        model_id=metric.model_id,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
        run_id=metric.run_id,
    )


def _read_dataset(violations: Violations, field: str, message: pb.MetricDataset) -> MetricDataset:
    check_text(violations, f"{field}.name", message.name, MAX_DATASET_NAME, required=True)
    check_text(violations, f"{field}.digest", message.digest, MAX_DATASET_DIGEST)
    return MetricDataset(message.name, message.digest)


def _read_tags(
    violations: Violations,
    request: pb.CreateLoggedModelRequest | pb.SetLoggedModelTagsRequest,
    *,
    least: int = 0,
) -> dict[str, str]:
    return read_map(
        violations,
        "tags",
        request.tags,
        most=MAX_ENTRIES,
        least=least,
        value_length=MAX_TAG_VALUE,
    )


def _read_params(
    violations: Violations,
    request: pb.CreateLoggedModelRequest | pb.LogLoggedModelParamsRequest,
    *,
    least: int = 0,
) -> dict[str, str]:
    return read_map(
        violations,
        "params",
        request.params,
        most=MAX_ENTRIES,
        least=least,
        value_length=MAX_PARAM_VALUE,
    )
