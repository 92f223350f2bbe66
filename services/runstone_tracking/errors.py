"""Why a call of the tracking service fails; the reasons are those of error_reason.proto.

NotFound
├── ExperimentNotFound      EXPERIMENT_NOT_FOUND
├── RunNotFound             RUN_NOT_FOUND
├── TagNotFound             TAG_NOT_FOUND
├── TraceNotFound           TRACE_NOT_FOUND
├── MetricNotFound          METRIC_NOT_FOUND
└── LoggedModelNotFound     LOGGED_MODEL_NOT_FOUND
Aborted
└── EtagMismatch            ETAG_MISMATCH
AlreadyExists
├── ExperimentNameTaken     EXPERIMENT_NAME_TAKEN
├── RequestIdReused         REQUEST_ID_REUSED
└── SequenceReused          SEQUENCE_REUSED
FailedPrecondition
├── ExperimentDeleted       EXPERIMENT_DELETED
├── DefaultExperimentFixed  DEFAULT_EXPERIMENT_FIXED
├── RunDeleted              RUN_DELETED
├── RunNotDeleted           RUN_NOT_DELETED
├── SequenceGap             SEQUENCE_GAP
├── ParamImmutable          PARAM_IMMUTABLE
├── LoggedModelDeleted      LOGGED_MODEL_DELETED
└── LoggedModelNotDeleted   LOGGED_MODEL_NOT_DELETED
ResourceExhausted
├── RunTooLarge             RUN_TOO_LARGE
├── TooManyMetrics          TOO_MANY_METRICS
├── TraceTooLarge           TRACE_TOO_LARGE
└── LoggedModelTooLarge     LOGGED_MODEL_TOO_LARGE
Unavailable
└── ServerStopping          SERVER_STOPPING
"""

from __future__ import annotations

from runstone_kit.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    Unavailable,
)

DOMAIN = "tracking.runstone"

MAX_SHOWN_VALUE = 200
"""A param's value has up to 6,000 characters; an error travels in 8 KiB of trailing metadata."""


class ExperimentNotFound(NotFound):
    """No experiment has this id or name."""

    domain = DOMAIN
    reason = "EXPERIMENT_NOT_FOUND"

    def __init__(self, *, experiment_id: str = "", name: str = "") -> None:
        if experiment_id:
            text, metadata = f"id {experiment_id}", {"experiment_id": experiment_id}
        else:
            text, metadata = f"name {name!r}", {"name": name}
        super().__init__(f"there is no experiment with {text}", metadata=metadata)


class RunNotFound(NotFound):
    """No run has this id."""

    domain = DOMAIN
    reason = "RUN_NOT_FOUND"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run with id {run_id}", metadata={"run_id": run_id})


class TagNotFound(NotFound):
    """The tag is not set."""

    domain = DOMAIN
    reason = "TAG_NOT_FOUND"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no tag {key!r}", metadata={"key": key})


class EtagMismatch(Aborted):
    """A tag was changed after it was read."""

    domain = DOMAIN
    reason = "ETAG_MISMATCH"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the tag {key!r} was changed meanwhile; read it again", metadata={"key": key}
        )


class TraceNotFound(NotFound):
    """No trace has this id."""

    domain = DOMAIN
    reason = "TRACE_NOT_FOUND"

    def __init__(self, trace_id: str) -> None:
        super().__init__(f"there is no trace with id {trace_id}", metadata={"trace_id": trace_id})


class MetricNotFound(NotFound):
    """The run has no such metric."""

    domain = DOMAIN
    reason = "METRIC_NOT_FOUND"

    def __init__(self, run_id: str, key: str) -> None:
        super().__init__(
            f"run {run_id} has no metric {key!r}", metadata={"run_id": run_id, "key": key}
        )


class LoggedModelNotFound(NotFound):
    """No logged model has this id."""

    domain = DOMAIN
    reason = "LOGGED_MODEL_NOT_FOUND"

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"there is no logged model with id {model_id}", metadata={"model_id": model_id}
        )


class ExperimentNameTaken(AlreadyExists):
    """An active or deleted experiment has the name."""

    domain = DOMAIN
    reason = "EXPERIMENT_NAME_TAKEN"

    def __init__(self, name: str, experiment_id: str, *, deleted: bool = False) -> None:
        which = "the deleted experiment" if deleted else "experiment"
        super().__init__(
            f"the name {name!r} is taken by {which} {experiment_id}",
            metadata={"name": name, "experiment_id": experiment_id},
        )


class RequestIdReused(AlreadyExists):
    """The request_id was used for a create with other content."""

    domain = DOMAIN
    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"request_id {request_id!r} was used for a create with other content",
            metadata={"request_id": request_id},
        )


class SequenceReused(AlreadyExists):
    """(run, writer, sequence) was used for a batch with other content."""

    domain = DOMAIN
    reason = "SEQUENCE_REUSED"

    def __init__(self, run_id: str, writer_id: str, sequence: int) -> None:
        super().__init__(
            f"writer {writer_id!r} used sequence {sequence} for a batch with other points",
            metadata={"run_id": run_id, "writer_id": writer_id, "sequence": str(sequence)},
        )


class ExperimentDeleted(FailedPrecondition):
    """The experiment is deleted."""

    domain = DOMAIN
    reason = "EXPERIMENT_DELETED"

    def __init__(self, experiment_id: str) -> None:
        super().__init__(
            f"experiment {experiment_id} is deleted; it must be in the 'active' state",
            metadata={"experiment_id": experiment_id},
        )


class DefaultExperimentFixed(FailedPrecondition):
    """The default experiment can't be deleted or renamed."""

    domain = DOMAIN
    reason = "DEFAULT_EXPERIMENT_FIXED"

    def __init__(self) -> None:
        super().__init__('the default experiment "0" can be neither deleted nor renamed')


class RunDeleted(FailedPrecondition):
    """The run is deleted."""

    domain = DOMAIN
    reason = "RUN_DELETED"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} is deleted; it must be in the 'active' state",
            metadata={"run_id": run_id},
        )


class RunNotDeleted(FailedPrecondition):
    """The run is active; only deleted runs are purged."""

    domain = DOMAIN
    reason = "RUN_NOT_DELETED"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} is active; only deleted runs are purged", metadata={"run_id": run_id}
        )


class SequenceGap(FailedPrecondition):
    """The writer's batches before this one are missing."""

    domain = DOMAIN
    reason = "SEQUENCE_GAP"

    def __init__(self, run_id: str, writer_id: str, sequence: int, expected: int) -> None:
        super().__init__(
            f"writer {writer_id!r} sent batch {sequence} to run {run_id}, but the next one must be"
            f" {expected}; nothing was written",
            metadata={
                "run_id": run_id,
                "writer_id": writer_id,
                "sequence": str(sequence),
                "expected_sequence": str(expected),
            },
        )


class ParamImmutable(FailedPrecondition):
    """The parameter has another value already. Long values are shown cut."""

    domain = DOMAIN
    reason = "PARAM_IMMUTABLE"

    def __init__(
        self, owner_id: str, key: str, value: str, new_value: str, *, owner: str = "run"
    ) -> None:
        shown = _shown(value)
        super().__init__(
            f"changing param values is not allowed. Param {key!r} of {owner} {owner_id} has the"
            f" value {shown!r} and cannot become {_shown(new_value)!r}; log it under another key,"
            f" or as a tag, or begin another {owner}",
            metadata={f"{owner}_id": owner_id, "key": key, "value": shown},
        )


class LoggedModelDeleted(FailedPrecondition):
    """The logged model is deleted."""

    domain = DOMAIN
    reason = "LOGGED_MODEL_DELETED"

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"logged model {model_id} is deleted; it must be in the 'active' state",
            metadata={"model_id": model_id},
        )


class LoggedModelNotDeleted(FailedPrecondition):
    """The logged model is active; only deleted ones are purged."""

    domain = DOMAIN
    reason = "LOGGED_MODEL_NOT_DELETED"

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"logged model {model_id} is active; only deleted logged models are purged",
            metadata={"model_id": model_id},
        )


class RunTooLarge(ResourceExhausted):
    """The run would hold more params, tags and inputs than a message can bring."""

    domain = DOMAIN
    reason = "RUN_TOO_LARGE"

    def __init__(self, run_id: str, size: int, limit: int) -> None:
        super().__init__(
            f"params, tags and inputs of run {run_id} would have {size} bytes; "
            f"a run holds at most {limit}; nothing was written",
            metadata={"run_id": run_id, "size": str(size), "limit": str(limit)},
        )


class TooManyMetrics(ResourceExhausted):
    """The run would have more metric keys than it can be read with."""

    domain = DOMAIN
    reason = "TOO_MANY_METRICS"

    def __init__(self, run_id: str, key: str, limit: int) -> None:
        super().__init__(
            f"metric {key!r} would be one more than the {limit} keys that run {run_id} may have; "
            "nothing was written; let what changes be the step, or log a file",
            metadata={"run_id": run_id, "key": key, "limit": str(limit)},
        )


class TraceTooLarge(ResourceExhausted):
    """The trace would hold more than a message can bring."""

    domain = DOMAIN
    reason = "TRACE_TOO_LARGE"

    def __init__(self, trace_id: str, what: str, size: int, limit: int) -> None:
        super().__init__(
            f"trace {trace_id} would have {size} {what}; a trace has at most {limit}; "
            "nothing was written",
            metadata={"trace_id": trace_id, "size": str(size), "limit": str(limit)},
        )


class LoggedModelTooLarge(ResourceExhausted):
    """The logged model would hold more than a message can bring."""

    domain = DOMAIN
    reason = "LOGGED_MODEL_TOO_LARGE"

    def __init__(self, model_id: str, what: str, size: int, limit: int) -> None:
        super().__init__(
            f"logged model {model_id} would have {size} {what}; it holds at most {limit};"
            " nothing was written",
            metadata={"model_id": model_id, "size": str(size), "limit": str(limit)},
        )


class ServerStopping(Unavailable):
    """The server that sends the stream is stopping."""

    domain = DOMAIN
    reason = "SERVER_STOPPING"

    def __init__(self) -> None:
        super().__init__("the server is stopping; call again")


def _shown(value: str) -> str:
    return value if len(value) <= MAX_SHOWN_VALUE else value[:MAX_SHOWN_VALUE] + "…"
