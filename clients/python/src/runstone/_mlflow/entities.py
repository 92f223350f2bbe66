"""Our entities as MLflow's, and the reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mlflow import entities as theirs
from mlflow.entities import model_registry as registered

from runstone import entities as ours
from runstone._mlflow import places

STATUSES = {"PENDING": "PENDING_REGISTRATION", "FAILED": "FAILED_REGISTRATION"}
"""Of a model version; READY is the same."""


def experiment(of: ours.Experiment) -> theirs.Experiment:
    """An experiment."""
    return theirs.Experiment(
        experiment_id=of.experiment_id,
        name=of.name,
        artifact_location=places.uri(places.EXPERIMENTS, of.experiment_id),
        lifecycle_stage=of.lifecycle_stage,
        tags=[theirs.ExperimentTag(key, value) for key, value in of.tags.items()],
        creation_time=of.creation_time,
        last_update_time=of.last_update_time,
    )


def run_info(of: ours.RunInfo) -> theirs.RunInfo:
    """What a run is."""
    return theirs.RunInfo(
        run_id=of.run_id,
        experiment_id=of.experiment_id,
        user_id=of.user_id,
        status=of.status,
        start_time=of.start_time,
        end_time=of.end_time,
        lifecycle_stage=of.lifecycle_stage,
        artifact_uri=places.uri(places.RUNS, of.run_id),
        run_name=of.run_name,
    )


def run(
    of: ours.Run, latest: Callable[[list[theirs.Metric]], list[theirs.Metric]] = list
) -> theirs.Run:
    """A run with all it holds; ``latest`` may change its latest points."""
    data = of.data
    metrics = [
        theirs.Metric(each.key, each.value, each.timestamp, each.step)
        for each in data.metric_summaries.values()
    ]
    return theirs.Run(
        run_info(of.info),
        theirs.RunData(
            metrics=latest(metrics),
            params=[theirs.Param(key, value) for key, value in data.params.items()],
            tags=[theirs.RunTag(key, value) for key, value in data.tags.items()],
        ),
        theirs.RunInputs(
            dataset_inputs=[dataset_input(each) for each in of.inputs.dataset_inputs],
            model_inputs=[
                theirs.LoggedModelInput(each.model_id) for each in of.inputs.model_inputs
            ],
        ),
        theirs.RunOutputs(
            model_outputs=[
                theirs.LoggedModelOutput(each.model_id, each.step)
                for each in of.outputs.model_outputs
            ]
        ),
    )


def dataset_input(of: ours.DatasetInput) -> theirs.DatasetInput:
    """A data set as a run used it."""
    data = of.dataset
    return theirs.DatasetInput(
        dataset=theirs.Dataset(
            name=data.name,
            digest=data.digest,
            source_type=data.source_type,
            source=data.source,
            schema=data.schema,
            profile=data.profile,
        ),
        tags=[theirs.InputTag(tag.key, tag.value) for tag in of.tags],
    )


def our_dataset_input(of: theirs.DatasetInput) -> ours.DatasetInput:
    """MLflow's as ours."""
    data = of.dataset
    return ours.DatasetInput(
        ours.Dataset(
            name=data.name,
            digest=data.digest,
            source_type=data.source_type,
            source=data.source,
            schema=data.schema,
            profile=data.profile,
        ),
        [ours.InputTag(tag.key, tag.value) for tag in of.tags],
    )


def our_metric(of: theirs.Metric) -> ours.Metric:
    """MLflow's as ours."""
    return ours.Metric(
        of.key,
        of.value,
        of.timestamp,
        of.step or 0,
        model_id=of.model_id,
        dataset_name=of.dataset_name,
        dataset_digest=of.dataset_digest,
    )


def our_model_input(of: theirs.LoggedModelInput) -> ours.LoggedModelInput:
    """MLflow's as ours."""
    return ours.LoggedModelInput(of.model_id)


def our_model_output(of: theirs.LoggedModelOutput) -> ours.LoggedModelOutput:
    """MLflow's as ours."""
    return ours.LoggedModelOutput(of.model_id, of.step)


def logged_model(of: ours.LoggedModel) -> theirs.LoggedModel:
    """A logged model with all it holds."""
    return theirs.LoggedModel(
        experiment_id=of.experiment_id,
        model_id=of.model_id,
        name=of.name,
        artifact_location=places.uri(places.LOGGED_MODELS, of.model_id),
        creation_timestamp=of.creation_timestamp,
        last_updated_timestamp=of.last_updated_timestamp,
        model_type=of.model_type,
        source_run_id=of.source_run_id,
        status=theirs.LoggedModelStatus(of.status),
        status_message="",
        tags=dict(of.tags),
        params=dict(of.params),
        metrics=[
            theirs.Metric(
                each.key,
                each.value,
                each.timestamp,
                each.step,
                model_id=each.model_id,
                dataset_name=each.dataset_name,
                dataset_digest=each.dataset_digest,
                run_id=each.run_id,
            )
            for each in of.metrics
        ],
    )


def metrics(key: str, of: Iterable[ours.Metric]) -> list[theirs.Metric]:
    """The points of one metric."""
    return [theirs.Metric(key, each.value, each.timestamp, each.step) for each in of]


def texts(of: Iterable[Any] | None) -> dict[str, str]:
    """Tags of any kind as a dict; of a key that stands twice the last one holds."""
    return {each.key: each.value for each in of or ()}


def file_info(of: ours.FileInfo, below: str) -> theirs.FileInfo:
    """A file or directory, its path relative to a directory."""
    path = of.path[len(below) :].lstrip("/") if below else of.path
    return theirs.FileInfo(path, of.is_dir, of.file_size)


def model_version(of: ours.ModelVersion) -> registered.ModelVersion:
    """A version of a registered model."""
    return registered.ModelVersion(
        name=of.name,
        version=str(of.version),
        creation_timestamp=of.creation_timestamp,
        last_updated_timestamp=of.last_updated_timestamp,
        description=of.description,
        user_id=of.user_id,
        current_stage=of.current_stage,
        source=of.source,
        run_id=of.run_id,
        status=STATUSES.get(of.status, of.status),
        status_message=of.status_message or None,
        tags=[registered.ModelVersionTag(key, value) for key, value in of.tags.items()],
        run_link="",
        aliases=list(of.aliases),
    )


def registered_model(of: ours.RegisteredModel) -> registered.RegisteredModel:
    """A registered model with the newest version of each stage."""
    return registered.RegisteredModel(
        name=of.name,
        creation_timestamp=of.creation_timestamp,
        last_updated_timestamp=of.last_updated_timestamp,
        description=of.description,
        latest_versions=[model_version(each) for each in of.latest_versions],
        tags=[registered.RegisteredModelTag(key, value) for key, value in of.tags.items()],
        aliases=[
            registered.RegisteredModelAlias(alias, str(version))
            for alias, version in of.aliases.items()
        ],
    )
