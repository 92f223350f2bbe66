"""Runs between messages and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runstone.tracking.v1 import logged_model_pb2
from runstone.tracking.v1 import run_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.paging import Page
from runstone_kit.validation import (
    MAX_DATASET_DIGEST,
    MAX_DATASET_NAME,
    MAX_DATASET_PROFILE,
    MAX_DATASET_SCHEMA,
    MAX_DATASET_SOURCE,
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
    MAX_TAGS,
    keyed,
    read_deadline,
    read_experiments,
    read_keys,
    read_map,
    read_mask,
    read_time,
    write_stage,
    write_time,
)
from runstone_tracking.model import (
    RUN_NAME_TAG,
    Dataset,
    DatasetInput,
    DatasetSummary,
    ModelOutput,
    Run,
    RunInfo,
    RunRequest,
    RunStatus,
    RunUpdate,
)

MAX_RUN_NAME = 250
"""As the contract says, the tag mlflow.runName included."""

MAX_USER_ID = 256
"""As the contract says."""

MAX_BATCH_ENTRIES = 10_000
"""Params, and tags, of one LogBatch: a flattened configuration has a few thousand keys."""

MAX_INPUTS = 100
"""Data sets, and logged models, noted by one call."""

MAX_SOURCE_TYPE = 36
"""As MLflow."""

MAX_INPUT_TAG_KEY, MAX_INPUT_TAG_VALUE = 255, 500
"""As MLflow."""

MAX_PURGED = 1000
"""Runs named by one purge."""

STATUSES = {status: pb.RunStatus.Value(f"RUN_STATUS_{status.value}") for status in RunStatus}
_STATUSES_READ = {number: status for status, number in STATUSES.items()}


class PurgeRequest(NamedTuple):
    """What PurgeRuns asks for."""

    run_ids: list[str]
    deleted_before: int | None
    dry_run: bool


def read_create(request: pb.CreateRunRequest) -> RunRequest:
    """The tag mlflow.runName becomes the name. Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    tags = read_tags(violations, request.tags, most=MAX_TAGS)
    name = request.name
    if name:
        check_name(violations, "name", name, MAX_RUN_NAME)
    tagged = tags.pop(RUN_NAME_TAG, "")
    if name and tagged and name != tagged:
        violations.add(keyed("tags", RUN_NAME_TAG), "must be the same as name, or be left out")
    check_text(violations, "user_id", request.user_id, MAX_USER_ID)
    start_time = read_time(violations, "start_time", request, "start_time")
    check_request_id(violations, "request_id", request.request_id)
    violations.raise_if_any()
    return RunRequest(
        experiment_id=request.experiment_id,
        name=name or tagged,
        user_id=request.user_id,
        start_time=start_time,
        tags=tags,
        request_id=request.request_id,
    )


def read_tags(violations: Violations, tags: object, *, most: int, least: int = 0) -> dict[str, str]:
    """Tags of a run, among them perhaps its name."""
    found = read_map(
        violations,
        "tags",
        tags,  # type: ignore[arg-type]
        most=most,
        least=least,
        value_length=MAX_TAG_VALUE,
    )
    if RUN_NAME_TAG in found:
        check_name(violations, keyed("tags", RUN_NAME_TAG), found[RUN_NAME_TAG], MAX_RUN_NAME)
    return found


def read_expected_tags(violations: Violations, tags: Mapping[str, str]) -> dict[str, str]:
    """Values that tags must have."""
    found = read_map(violations, "expected_tags", tags, most=MAX_TAGS, value_length=MAX_TAG_VALUE)
    if RUN_NAME_TAG in found:
        violations.add(keyed("expected_tags", RUN_NAME_TAG), "is the run's name, not a tag")
    return found


def read_id(request: pb.GetRunRequest | pb.DeleteRunRequest | pb.RestoreRunRequest) -> str:
    """Raises InvalidArgument."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    violations.raise_if_any()
    return request.run_id


def read_update(request: pb.UpdateRunRequest) -> RunUpdate:
    """Raises InvalidArgument."""
    violations = Violations()
    run = request.run
    check_run_id(violations, "run.run_id", run.run_id)
    mask = read_mask(violations, request.update_mask, ["name", "status", "end_time"])
    if "name" in mask:
        check_name(violations, "run.name", run.name, MAX_RUN_NAME)
    status = None
    if "status" in mask:
        status = _STATUSES_READ.get(run.status)
        if status is None:
            names = ", ".join(each.value for each in RunStatus)
            violations.add("run.status", f"must be one of {names}, not {run.status}")
    end_time = None
    if "end_time" in mask:
        end_time = read_time(violations, "run.end_time", run, "end_time")
    violations.raise_if_any()
    return RunUpdate(
        run_id=run.run_id,
        name=run.name if "name" in mask else None,
        status=status,
        sets_end_time="end_time" in mask,
        end_time=end_time,
    )


def read_params_and_tags(
    violations: Violations, request: pb.LogBatchRequest
) -> tuple[dict[str, str], dict[str, str]]:
    """The params and tags of a LogBatch."""
    params = read_map(
        violations,
        "params",
        request.params,
        most=MAX_BATCH_ENTRIES,
        value_length=MAX_PARAM_VALUE,
    )
    return params, read_tags(violations, request.tags, most=MAX_BATCH_ENTRIES)


def read_delete_tags(request: pb.DeleteRunTagsRequest) -> tuple[str, list[str]]:
    """The run's id and the keys. Raises InvalidArgument."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    keys = read_keys(violations, "keys", request.keys)
    if RUN_NAME_TAG in keys:
        place = list(request.keys).index(RUN_NAME_TAG)
        violations.add(f"keys[{place}]", "is the run's name, which can be changed but not deleted")
    violations.raise_if_any()
    return request.run_id, keys


def read_inputs(request: pb.LogInputsRequest) -> tuple[str, list[DatasetInput], list[str]]:
    """The run's id, the data sets and the models. Raises InvalidArgument."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    inputs: list[DatasetInput] = []
    # Where there are models, there may be no data sets.
    least = 0 if request.models else 1
    if check_count(violations, "inputs", len(request.inputs), MAX_INPUTS, minimum=least):
        inputs = [
            _read_input(violations, f"inputs[{place}]", each)
            for place, each in enumerate(request.inputs)
        ]
    models = _read_models(violations, request.models)
    violations.raise_if_any()
    return request.run_id, inputs, models


def read_outputs(request: pb.LogOutputsRequest) -> tuple[str, list[ModelOutput]]:
    """The run's id and the models. Raises InvalidArgument."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    models = _read_models(violations, request.models, least=1)
    violations.raise_if_any()
    steps = [each.step for each in request.models]
    return request.run_id, [ModelOutput(*pair) for pair in zip(models, steps, strict=True)]


def _read_models(
    violations: Violations,
    messages: Iterable[logged_model_pb2.ModelInput] | Iterable[logged_model_pb2.ModelOutput],
    *,
    least: int = 0,
) -> list[str]:
    ids = [each.model_id for each in messages]
    if check_count(violations, "models", len(ids), MAX_INPUTS, minimum=least):
        for place, model_id in enumerate(ids):
            check_logged_model_id(violations, f"models[{place}].model_id", model_id)
    return ids


def read_dataset_search(request: pb.SearchDatasetsRequest) -> tuple[str, ...]:
    """The experiments. Raises InvalidArgument."""
    violations = Violations()
    found = read_experiments(violations, request.experiment_ids)
    violations.raise_if_any()
    return found


def write_summaries(found: Iterable[DatasetSummary]) -> pb.SearchDatasetsResponse:
    """The message."""
    return pb.SearchDatasetsResponse(
        summaries=(
            pb.DatasetSummary(
                experiment_id=each.experiment_id,
                name=each.name,
                digest=each.digest,
                context=each.context,
            )
            for each in found
        )
    )


def read_purge(request: pb.PurgeRunsRequest) -> PurgeRequest:
    """Raises InvalidArgument."""
    violations = Violations()
    if check_count(violations, "run_ids", len(request.run_ids), MAX_PURGED):
        for place, run_id in enumerate(request.run_ids):
            check_run_id(violations, f"run_ids[{place}]", run_id)
    deleted_before = read_deadline(violations, request, "deleted_before")
    violations.raise_if_any()
    return PurgeRequest(list(request.run_ids), deleted_before, request.dry_run)


def write_info(info: RunInfo) -> pb.Run:
    """The message of a run without what it logged."""
    message = pb.Run()
    _fill_info(message, info)
    return message


def write_run(run: Run) -> pb.Run:
    """The message."""
    message = pb.Run()
    _fill(message, run)
    return message


def write_page(page: Page[Run]) -> pb.SearchRunsResponse:
    """The message; its parts are made in place, because copying them takes as long again."""
    message = pb.SearchRunsResponse(next_page_token=page.next_page_token)
    for run in page.items:
        _fill(message.runs.add(), run)
    return message


def _fill_info(message: pb.Run, info: RunInfo) -> None:
    message.run_id = info.run_id
    message.experiment_id = info.experiment_id
    message.name = info.name
    message.status = STATUSES[info.status]
    message.lifecycle_stage = write_stage(info.stage)
    message.user_id = info.user_id
    write_time(message.start_time, info.start_time)
    if info.end_time is not None:
        write_time(message.end_time, info.end_time)
    if info.delete_time is not None:
        write_time(message.delete_time, info.delete_time)


def _fill(message: pb.Run, run: Run) -> None:
    _fill_info(message, run.info)
    message.params.update(run.params)
    message.tags.update(run.tags)
    add = message.metrics.add
    for key, value, step, timestamp, low, high, count, nan_count, first, last in run.metrics:
        add(
            key=key,
            value=value,
            step=step,
            timestamp_ms=timestamp,
            min=low,
            max=high,
            count=count,
            nan_count=nan_count,
            first_step=first,
            last_step=last,
        )
    message.inputs.extend(map(write_input, run.inputs))
    for model_id in run.model_inputs:
        message.model_inputs.add(model_id=model_id)
    for output in run.model_outputs:
        message.model_outputs.add(model_id=output.model_id, step=output.step)


def _read_input(violations: Violations, field: str, message: pb.DatasetInput) -> DatasetInput:
    dataset = message.dataset
    path = f"{field}.dataset"
    check_text(violations, f"{path}.name", dataset.name, MAX_DATASET_NAME, required=True)
    check_text(violations, f"{path}.digest", dataset.digest, MAX_DATASET_DIGEST, required=True)
    check_text(
        violations, f"{path}.source_type", dataset.source_type, MAX_SOURCE_TYPE, required=True
    )
    check_text(violations, f"{path}.source", dataset.source, MAX_DATASET_SOURCE, required=True)
    check_text(violations, f"{path}.schema", dataset.schema, MAX_DATASET_SCHEMA)
    check_text(violations, f"{path}.profile", dataset.profile, MAX_DATASET_PROFILE)
    tags = read_map(
        violations,
        f"{field}.tags",
        message.tags,
        most=MAX_TAGS,
        value_length=MAX_INPUT_TAG_VALUE,
        check_key=_check_input_tag_key,
    )
    return DatasetInput(
        Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
        tags,
    )


def _check_input_tag_key(violations: Violations, field: str, key: str) -> bool:
    return check_text(violations, field, key, MAX_INPUT_TAG_KEY, required=True)


def write_input(each: DatasetInput) -> pb.DatasetInput:
    """A data set that a run read."""
    dataset = each.dataset
    return pb.DatasetInput(
        dataset=pb.Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
        tags=each.tags,
    )
