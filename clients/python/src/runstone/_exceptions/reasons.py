"""One class for each reason that a server sends, and for what goes wrong in the client itself."""

from __future__ import annotations

from runstone._exceptions.kinds import (
    Aborted,
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InternalError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)


class InvalidField(InvalidArgument):
    """Fields of the request break a rule; ``field_violations`` names each."""

    reason = "INVALID_FIELD"


class InvalidUri(InvalidArgument):
    """A tracking, artifact or model URI cannot be read."""


class FilterInvalid(InvalidArgument):
    """The filter or order_by cannot be read."""

    reason = "FILTER_INVALID"


class PageTokenInvalid(InvalidArgument):
    """The page token is not one that the service made."""

    reason = "PAGE_TOKEN_INVALID"


class PageTokenOfOtherQuery(InvalidArgument):
    """The page token belongs to a list call with other arguments."""

    reason = "PAGE_TOKEN_OTHER_QUERY"


class LocalPathError(InvalidArgument, OSError):
    """A local file or folder is missing, unreadable, or neither file nor folder."""


class LocalPathMissing(LocalPathError, FileNotFoundError):
    """There is no such local file or folder."""


class ExperimentNotFound(NotFound):
    """No experiment has this id or name."""

    reason = "EXPERIMENT_NOT_FOUND"


class RunNotFound(NotFound):
    """No run has this id."""

    reason = "RUN_NOT_FOUND"


class TagNotFound(NotFound):
    """The tag is not set."""

    reason = "TAG_NOT_FOUND"


class MetricNotFound(NotFound):
    """The run has no such metric."""

    reason = "METRIC_NOT_FOUND"


class TraceNotFound(NotFound):
    """No trace has this id."""

    reason = "TRACE_NOT_FOUND"


class OwnerNotFound(NotFound):
    """The run or model version that is to own the artifact is unknown."""

    reason = "OWNER_NOT_FOUND"


class ArtifactNotFound(NotFound):
    """Nothing stands at the path."""

    reason = "ARTIFACT_NOT_FOUND"


class UploadNotFound(NotFound):
    """The upload is unknown, aborted or expired."""

    reason = "UPLOAD_NOT_FOUND"


class ModelNotFound(NotFound):
    """No registered model has this name."""

    reason = "MODEL_NOT_FOUND"


class VersionNotFound(NotFound):
    """The model has no such version, or none in this stage."""

    reason = "VERSION_NOT_FOUND"


class AliasNotFound(NotFound):
    """The model has no such alias; MLflow's code for it is that of a wrong value."""

    reason = "ALIAS_NOT_FOUND"
    _mlflow_code = "INVALID_PARAMETER_VALUE"


class CommentNotFound(NotFound):
    """No comment has this id."""

    reason = "COMMENT_NOT_FOUND"


class WebhookNotFound(NotFound):
    """No webhook has this id."""

    reason = "WEBHOOK_NOT_FOUND"


class TransitionRequestNotFound(NotFound):
    """No transition request has this id."""

    reason = "TRANSITION_REQUEST_NOT_FOUND"


class LoggedModelNotFound(NotFound):
    """No logged model has this id."""

    reason = "LOGGED_MODEL_NOT_FOUND"


class SourceLoggedModelNotFound(NotFound):
    """The logged model that a model version is to come from does not exist."""

    reason = "SOURCE_LOGGED_MODEL_NOT_FOUND"


class SourceRunNotFound(NotFound):
    """The run that a model version is to come from does not exist."""

    reason = "SOURCE_RUN_NOT_FOUND"


class SourceNotFound(NotFound):
    """Nothing stands at the path that a model version is to come from."""

    reason = "SOURCE_NOT_FOUND"


class ExperimentNameTaken(AlreadyExists):
    """An active or a deleted experiment has this name."""

    reason = "EXPERIMENT_NAME_TAKEN"


class SequenceReused(AlreadyExists):
    """The writer's sequence number was used for a batch with other content."""

    reason = "SEQUENCE_REUSED"


class RequestIdReused(AlreadyExists):
    """The request_id was used for a create with other content."""

    reason = "REQUEST_ID_REUSED"


class ModelNameTaken(AlreadyExists):
    """Another registered model has this name."""

    reason = "MODEL_NAME_TAKEN"


class TransitionRequestOpen(AlreadyExists):
    """A request for the same version and stage is open."""

    reason = "TRANSITION_REQUEST_OPEN"


class ExperimentDeleted(FailedPrecondition):
    """The experiment is deleted."""

    reason = "EXPERIMENT_DELETED"
    _mlflow_code = "INVALID_PARAMETER_VALUE"


class DefaultExperimentFixed(FailedPrecondition):
    """The default experiment cannot be deleted or renamed."""

    reason = "DEFAULT_EXPERIMENT_FIXED"


class RunDeleted(FailedPrecondition):
    """The run is deleted."""

    reason = "RUN_DELETED"
    _mlflow_code = "INVALID_PARAMETER_VALUE"


class RunNotDeleted(FailedPrecondition):
    """Only deleted runs are purged, and this one is active."""

    reason = "RUN_NOT_DELETED"


class LoggedModelDeleted(FailedPrecondition):
    """The logged model is deleted."""

    reason = "LOGGED_MODEL_DELETED"


class LoggedModelNotDeleted(FailedPrecondition):
    """Only deleted logged models are purged, and this one is active."""

    reason = "LOGGED_MODEL_NOT_DELETED"


class SequenceGap(FailedPrecondition):
    """The writer's batches before this one are missing; the metadata has the expected number."""

    reason = "SEQUENCE_GAP"


class ParamImmutable(FailedPrecondition):
    """The parameter has another value already."""

    reason = "PARAM_IMMUTABLE"
    # MLflow's clients test for this one.
    _mlflow_code = "INVALID_PARAMETER_VALUE"


class OwnerDeleted(FailedPrecondition):
    """The run that owns the artifacts is deleted."""

    reason = "OWNER_DELETED"


class OwnerSealed(FailedPrecondition):
    """The model version's files are final."""

    reason = "OWNER_SEALED"


class PathConflict(FailedPrecondition):
    """A directory stands where a file is asked, or a file where a directory is needed."""

    reason = "PATH_CONFLICT"


class OffsetMismatch(FailedPrecondition):
    """The chunk does not start where the upload stands."""

    reason = "OFFSET_MISMATCH"


class SizeMismatch(FailedPrecondition):
    """Bytes are missing or too many."""

    reason = "SIZE_MISMATCH"


class DigestMismatch(FailedPrecondition):
    """The bytes do not match their digest, or the file was replaced since."""

    reason = "DIGEST_MISMATCH"


class PresignUnsupported(FailedPrecondition):
    """The object store gives no presigned URLs."""

    reason = "PRESIGN_UNSUPPORTED"


class StoreOfAnother(FailedPrecondition):
    """The object store belongs to another installation; nothing was removed."""

    reason = "STORE_OF_ANOTHER"


class VersionNotReady(FailedPrecondition):
    """The model version waits for its files."""

    reason = "VERSION_NOT_READY"


class StageRulesBroken(FailedPrecondition):
    """The model's rules keep the version from the stage; ``metadata["rules"]`` says why."""

    reason = "STAGE_RULES_BROKEN"


class VersionFinalized(FailedPrecondition):
    """The model version was finalized before, with the other outcome."""

    reason = "VERSION_FINALIZED"


class ModelInUse(FailedPrecondition):
    """The model or version is in Staging or Production; archive it first."""

    reason = "MODEL_IN_USE"


class CommentOfAnother(FailedPrecondition):
    """Only its author changes a comment."""

    reason = "COMMENT_OF_ANOTHER"


class TransitionRequestClosed(FailedPrecondition):
    """The request was approved or rejected before."""

    reason = "TRANSITION_REQUEST_CLOSED"


class RunActive(FailedPrecondition):
    """A run is active in this context; end it, or start a nested one."""


class NoActiveRun(FailedPrecondition):
    """The call needs an active run, and there is none in this context."""


class OfflineMode(FailedPrecondition):
    """The call needs a server, and RUNSTONE_MODE=offline says that there is none."""


class EtagMismatch(Aborted):
    """The etag is not the current one."""

    reason = "ETAG_MISMATCH"


class ChunkDamaged(Aborted):
    """A chunk was damaged on the way."""

    reason = "CHUNK_DAMAGED"


class UploadBusy(Aborted):
    """Another call writes to the upload."""

    reason = "UPLOAD_BUSY"


class StorageFull(ResourceExhausted):
    """The disk of the database or of the object store is full."""

    reason = "STORAGE_FULL"


class RunTooLarge(ResourceExhausted):
    """The run would hold more than 16 MiB of params, tags and inputs; nothing was written."""

    reason = "RUN_TOO_LARGE"


class LoggedModelTooLarge(ResourceExhausted):
    """The logged model would hold more than 16 MiB of params and tags, or 10,000 metrics."""

    reason = "LOGGED_MODEL_TOO_LARGE"


class TooManyWebhooks(ResourceExhausted):
    """There are as many webhooks as the registry takes; delete one."""

    reason = "TOO_MANY_WEBHOOKS"


class TooManyMetrics(ResourceExhausted):
    """The run would have more than 100,000 metric keys; nothing was written."""

    reason = "TOO_MANY_METRICS"


class TraceTooLarge(ResourceExhausted):
    """The trace would have more spans, tags or metadata than it can be read with."""

    reason = "TRACE_TOO_LARGE"


class Overloaded(ResourceExhausted):
    """The service is at its limit; wait ``retry_after`` seconds."""

    reason = "OVERLOADED"


class DatabaseUnavailable(Unavailable):
    """The service cannot reach its database."""

    reason = "DATABASE_UNAVAILABLE"


class ObjectStoreUnavailable(Unavailable):
    """The artifact service cannot reach its object store."""

    reason = "OBJECT_STORE_UNAVAILABLE"


class TrackingUnavailable(Unavailable):
    """The artifact service cannot reach the tracking service."""

    reason = "TRACKING_UNAVAILABLE"


class PeerUnavailable(Unavailable):
    """The registry cannot reach the artifact or the tracking service."""

    reason = "PEER_UNAVAILABLE"


class ServerStopping(Unavailable):
    """The server that sent the stream is stopping; a call finds another, or the same when back."""

    reason = "SERVER_STOPPING"


class SuiteUnavailable(Unavailable):
    """The embedded suite of a data folder does not start or does not answer."""


class SuiteNotInstalled(SuiteUnavailable):
    """No tracking URI is set and the distribution runstone-server is not installed."""


class PermissionRuleMissing(PermissionDenied):
    """No rule says who may call this."""

    reason = "PERMISSION_RULE_MISSING"


class ObjectDamaged(DataLoss):
    """The stored object is missing or does not match its digest."""

    reason = "OBJECT_DAMAGED"


class Unforeseen(InternalError):
    """A defect of the server that it has noted under the request id."""

    reason = "UNFORESEEN"
