"""Experiments between messages and model."""

from __future__ import annotations

from typing import NamedTuple

from runstone.tracking.v1 import experiment_pb2 as pb
from runstone.tracking.v1 import run_pb2
from runstone_kit.errors import Violations
from runstone_kit.paging import Page
from runstone_kit.validation import (
    MAX_EXPERIMENT_NAME,
    MAX_EXPERIMENT_TAG_VALUE,
    check_experiment_id,
    check_name,
    check_request_id,
)
from runstone_tracking.convert import (
    MAX_TAGS,
    read_deadline,
    read_keys,
    read_map,
    read_mask,
    write_stage,
    write_time,
)
from runstone_tracking.model import Experiment, ExperimentRequest, ExperimentSelector


class Rename(NamedTuple):
    """What UpdateExperiment asks for."""

    experiment_id: str
    name: str


def read_create(request: pb.CreateExperimentRequest) -> ExperimentRequest:
    """Raises InvalidArgument."""
    violations = Violations()
    check_name(violations, "name", request.name, MAX_EXPERIMENT_NAME)
    tags = read_map(
        violations, "tags", request.tags, most=MAX_TAGS, value_length=MAX_EXPERIMENT_TAG_VALUE
    )
    check_request_id(violations, "request_id", request.request_id)
    violations.raise_if_any()
    return ExperimentRequest(request.name, tags, request.request_id)


def read_selector(request: pb.GetExperimentRequest) -> ExperimentSelector:
    """Raises InvalidArgument."""
    violations = Violations()
    chosen = request.WhichOneof("selector")
    if chosen == "name":
        check_name(violations, "name", request.name, MAX_EXPERIMENT_NAME)
    elif chosen == "experiment_id":
        check_experiment_id(violations, "experiment_id", request.experiment_id)
    else:
        violations.add("selector", "is required: experiment_id or name")
    violations.raise_if_any()
    if chosen == "name":
        return ExperimentSelector(name=request.name)
    return ExperimentSelector(experiment_id=request.experiment_id)


def read_update(request: pb.UpdateExperimentRequest) -> Rename:
    """Raises InvalidArgument."""
    violations = Violations()
    experiment = request.experiment
    check_experiment_id(violations, "experiment.experiment_id", experiment.experiment_id)
    if "name" in read_mask(violations, request.update_mask, ["name"]):
        check_name(violations, "experiment.name", experiment.name, MAX_EXPERIMENT_NAME)
    violations.raise_if_any()
    return Rename(experiment.experiment_id, experiment.name)


def read_id(request: pb.DeleteExperimentRequest | pb.RestoreExperimentRequest) -> str:
    """Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    violations.raise_if_any()
    return request.experiment_id


def read_set_tags(request: pb.SetExperimentTagsRequest) -> tuple[str, dict[str, str]]:
    """The experiment's id and the tags. Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    tags = read_map(
        violations,
        "tags",
        request.tags,
        most=MAX_TAGS,
        least=1,
        value_length=MAX_EXPERIMENT_TAG_VALUE,
    )
    violations.raise_if_any()
    return request.experiment_id, tags


def read_delete_tags(request: pb.DeleteExperimentTagsRequest) -> tuple[str, list[str]]:
    """The experiment's id and the keys. Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    keys = read_keys(violations, "keys", request.keys)
    violations.raise_if_any()
    return request.experiment_id, keys


def read_deleted_before(message: run_pb2.PurgeExperimentsRequest) -> int | None:
    """Raises InvalidArgument."""
    violations = Violations()
    found = read_deadline(violations, message, "deleted_before")
    violations.raise_if_any()
    return found


def write_experiment(experiment: Experiment) -> pb.Experiment:
    """The message."""
    message = pb.Experiment(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        lifecycle_stage=write_stage(experiment.stage),
        tags=experiment.tags,
    )
    write_time(message.create_time, experiment.create_time)
    write_time(message.update_time, experiment.update_time)
    if experiment.delete_time is not None:
        write_time(message.delete_time, experiment.delete_time)
    return message


def write_page(page: Page[Experiment]) -> pb.SearchExperimentsResponse:
    """The message."""
    return pb.SearchExperimentsResponse(
        experiments=map(write_experiment, page.items), next_page_token=page.next_page_token
    )
