"""Experiments, runs and metrics."""

from __future__ import annotations

from runstone._convert.times import to_ms
from runstone._entities.tracking import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LifecycleStage,
    LoggedModelInput,
    LoggedModelOutput,
    MetricSummary,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    SampledSeries,
)
from runstone._entities.watching import SeriesUpdate
from runstone.tracking.v1 import experiment_pb2, metric_pb2, run_pb2

ARTIFACT_ROOT = "runs:/"
"""Where a run's files are, for people and for our own functions: no storage location."""


def artifact_uri(run_id: str) -> str:
    """The URI of a run's files."""
    return ARTIFACT_ROOT + run_id


def stage_name(stage: experiment_pb2.LifecycleStage.ValueType) -> str:
    """``"active"`` or ``"deleted"``."""
    deleted = experiment_pb2.LIFECYCLE_STAGE_DELETED
    return LifecycleStage.DELETED if stage == deleted else LifecycleStage.ACTIVE


def experiment(message: experiment_pb2.Experiment) -> Experiment:
    """An experiment."""
    return Experiment(
        experiment_id=message.experiment_id,
        name=message.name,
        lifecycle_stage=stage_name(message.lifecycle_stage),
        tags=dict(sorted(message.tags.items())),
        creation_time=to_ms(message.create_time) if message.HasField("create_time") else None,
        last_update_time=to_ms(message.update_time) if message.HasField("update_time") else None,
    )


def status_name(status: run_pb2.RunStatus.ValueType) -> str:
    """``"RUNNING"`` …"""
    return run_pb2.RunStatus.Name(status).removeprefix("RUN_STATUS_")


def metric_summary(message: metric_pb2.MetricSummary) -> MetricSummary:
    """A metric in short."""
    return MetricSummary(
        key=message.key,
        value=message.value,
        step=message.step,
        timestamp=message.timestamp_ms,
        min=message.min,
        max=message.max,
        count=message.count,
        nan_count=message.nan_count,
        first_step=message.first_step,
        last_step=message.last_step,
    )


def sampled_series(message: metric_pb2.SampleMetricsResponse) -> SampledSeries:
    """A series as a chart shows it."""
    return SampledSeries(
        run_id=message.run_id,
        key=message.key,
        rank=message.rank if message.HasField("rank") else None,
        steps=list(message.first_steps),
        last_steps=list(message.last_steps),
        timestamps=list(message.min_timestamps_ms),
        last_timestamps=list(message.max_timestamps_ms),
        first=list(message.first_values),
        last=list(message.last_values),
        min=list(message.min_values),
        max=list(message.max_values),
        mean=list(message.mean_values),
        count=list(message.counts),
        nan_count=list(message.nan_counts),
    )


def series_update(message: metric_pb2.WatchMetricsResponse) -> SeriesUpdate:
    """What changed of one series."""
    return SeriesUpdate(sampled_series(message.series), list(message.bucket_numbers), message.whole)


def run_info(message: run_pb2.Run) -> RunInfo:
    """What a run is."""
    return RunInfo(
        run_id=message.run_id,
        experiment_id=message.experiment_id,
        run_name=message.name,
        status=status_name(message.status),
        user_id=message.user_id,
        start_time=to_ms(message.start_time) if message.HasField("start_time") else None,
        end_time=to_ms(message.end_time) if message.HasField("end_time") else None,
        lifecycle_stage=stage_name(message.lifecycle_stage),
        artifact_uri=artifact_uri(message.run_id),
    )


def run(message: run_pb2.Run) -> Run:
    """A run with all it holds."""
    summaries = [metric_summary(each) for each in message.metrics]
    return Run(
        info=run_info(message),
        data=RunData(
            metrics={each.key: each.value for each in summaries},
            params=dict(sorted(message.params.items())),
            tags=dict(sorted(message.tags.items())),
            metric_summaries={each.key: each for each in summaries},
        ),
        inputs=RunInputs(
            [dataset_input(each) for each in message.inputs],
            [LoggedModelInput(each.model_id) for each in message.model_inputs],
        ),
        outputs=RunOutputs(
            [LoggedModelOutput(each.model_id, each.step) for each in message.model_outputs]
        ),
    )


def dataset_input(message: run_pb2.DatasetInput) -> DatasetInput:
    """A data set as a run used it."""
    of = message.dataset
    return DatasetInput(
        Dataset(
            name=of.name,
            digest=of.digest,
            source_type=of.source_type,
            source=of.source,
            schema=of.schema or None,
            profile=of.profile or None,
        ),
        [InputTag(key, value) for key, value in sorted(message.tags.items())],
    )


def dataset_message(of: Dataset) -> run_pb2.Dataset:
    """The message of a data set."""
    return run_pb2.Dataset(
        name=of.name,
        digest=of.digest,
        source_type=of.source_type,
        source=of.source,
        schema=of.schema or "",
        profile=of.profile or "",
    )
