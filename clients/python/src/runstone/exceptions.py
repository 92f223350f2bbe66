"""Every exception that Runstone raises on purpose.

    RunstoneException                      has code, reason, message, metadata …
    ├── InvalidArgument                    the request is wrong whatever the state of the server
    │   ├── InvalidField                   field_violations name each wrong field
    │   ├── InvalidUri                     a tracking, artifact or model URI cannot be read
    │   ├── SchemaMismatch                 data is not what a model's signature says
    │   ├── FilterInvalid
    │   ├── PageTokenInvalid
    │   ├── PageTokenOfOtherQuery
    │   ├── ModelFormatError               a model folder is not what its MLmodel says
    │   └── LocalPathError                 a local file to be sent is unreadable; an OSError too
    │       └── LocalPathMissing           it is not there; a FileNotFoundError too
    ├── NotFound
    │   ├── ExperimentNotFound   RunNotFound   TagNotFound   MetricNotFound   TraceNotFound
    │   │   LoggedModelNotFound
    │   ├── OwnerNotFound   ArtifactNotFound   UploadNotFound
    │   └── ModelNotFound   VersionNotFound   AliasNotFound   CommentNotFound
    │       TransitionRequestNotFound   SourceRunNotFound   SourceLoggedModelNotFound
    │       SourceNotFound   WebhookNotFound   FlavorNotFound
    ├── AlreadyExists
    │   └── ExperimentNameTaken   SequenceReused   RequestIdReused   ModelNameTaken
    │       TransitionRequestOpen
    ├── FailedPrecondition                 something must change first; repeating does not help
    │   ├── ExperimentDeleted   DefaultExperimentFixed   RunDeleted   RunNotDeleted   ParamImmutable
    │   │   SequenceGap   LoggedModelDeleted   LoggedModelNotDeleted
    │   ├── OwnerDeleted   OwnerSealed   PathConflict   OffsetMismatch   SizeMismatch
    │   │   DigestMismatch   PresignUnsupported   StoreOfAnother
    │   ├── VersionNotReady   VersionFinalized   ModelInUse   CommentOfAnother
    │   │   TransitionRequestClosed   StageRulesBroken
    │   ├── ModelValidationFailed          an evaluation misses its thresholds
    │   ├── RunActive   NoActiveRun        the fluent API's own state
    │   ├── LibraryMissing                 the call needs a library that is not installed here
    │   ├── ExecutionException             a project cannot be run, or its run failed
    │   │   └── ProjectInvalid             its files or parameters are wrong
    │   └── OfflineMode                    the call needs a server
    ├── Aborted                            another change came between; read again and retry
    │   └── EtagMismatch   ChunkDamaged   UploadBusy
    ├── ResourceExhausted                  retry_after holds seconds when the server said so
    │   └── StorageFull   Overloaded   RunTooLarge   TooManyMetrics   TraceTooLarge
    │       LoggedModelTooLarge   TooManyWebhooks
    ├── Unavailable                        the same call may be repeated as it is
    │   ├── DatabaseUnavailable   ObjectStoreUnavailable   TrackingUnavailable   PeerUnavailable
    │   │   ServerStopping
    │   └── SuiteUnavailable               the embedded suite does not start or answer
    │       └── SuiteNotInstalled
    ├── PermissionDenied
    │   ├── PermissionRuleMissing
    │   └── UntrustedModel                 loading it would run code that nobody vouched for
    ├── Unauthenticated
    ├── DeadlineExceeded
    ├── Unimplemented                      the server is older than this client
    ├── Cancelled
    ├── DataLoss
    │   └── ObjectDamaged
    └── InternalError                      a defect of the server; its log holds the request_id
        └── Unforeseen

A reason that a server sends is the class's ``reason``; a reason that this client does not know
becomes the class of the status code.
"""

from __future__ import annotations

from runstone._exceptions.evaluation import ModelValidationFailed
from runstone._exceptions.kinds import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidArgument,
    MlflowException,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    RunstoneException,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from runstone._exceptions.models import (
    FlavorNotFound,
    LibraryMissing,
    ModelFormatError,
    SchemaMismatch,
    UntrustedModel,
)
from runstone._exceptions.projects import ExecutionException, ProjectInvalid
from runstone._exceptions.reasons import (
    AliasNotFound,
    ArtifactNotFound,
    ChunkDamaged,
    CommentNotFound,
    CommentOfAnother,
    DatabaseUnavailable,
    DefaultExperimentFixed,
    DigestMismatch,
    EtagMismatch,
    ExperimentDeleted,
    ExperimentNameTaken,
    ExperimentNotFound,
    FilterInvalid,
    InvalidField,
    InvalidUri,
    LocalPathError,
    LocalPathMissing,
    LoggedModelDeleted,
    LoggedModelNotDeleted,
    LoggedModelNotFound,
    LoggedModelTooLarge,
    MetricNotFound,
    ModelInUse,
    ModelNameTaken,
    ModelNotFound,
    NoActiveRun,
    ObjectDamaged,
    ObjectStoreUnavailable,
    OfflineMode,
    OffsetMismatch,
    Overloaded,
    OwnerDeleted,
    OwnerNotFound,
    OwnerSealed,
    PageTokenInvalid,
    PageTokenOfOtherQuery,
    ParamImmutable,
    PathConflict,
    PeerUnavailable,
    PermissionRuleMissing,
    PresignUnsupported,
    RequestIdReused,
    RunActive,
    RunDeleted,
    RunNotDeleted,
    RunNotFound,
    RunTooLarge,
    SequenceGap,
    SequenceReused,
    ServerStopping,
    SizeMismatch,
    SourceLoggedModelNotFound,
    SourceNotFound,
    SourceRunNotFound,
    StageRulesBroken,
    StorageFull,
    StoreOfAnother,
    SuiteNotInstalled,
    SuiteUnavailable,
    TagNotFound,
    TooManyMetrics,
    TooManyWebhooks,
    TraceNotFound,
    TraceTooLarge,
    TrackingUnavailable,
    TransitionRequestClosed,
    TransitionRequestNotFound,
    TransitionRequestOpen,
    Unforeseen,
    UploadBusy,
    UploadNotFound,
    VersionFinalized,
    VersionNotFound,
    VersionNotReady,
    WebhookNotFound,
)

__all__ = [
    "RunstoneException",
    "MlflowException",
    "FieldViolation",
    "InvalidArgument",
    "NotFound",
    "AlreadyExists",
    "FailedPrecondition",
    "Aborted",
    "ResourceExhausted",
    "Unavailable",
    "PermissionDenied",
    "Unauthenticated",
    "DeadlineExceeded",
    "Unimplemented",
    "Cancelled",
    "DataLoss",
    "InternalError",
    "InvalidField",
    "InvalidUri",
    "FilterInvalid",
    "PageTokenInvalid",
    "PageTokenOfOtherQuery",
    "LocalPathError",
    "LocalPathMissing",
    "ModelFormatError",
    "SchemaMismatch",
    "FlavorNotFound",
    "LibraryMissing",
    "UntrustedModel",
    "ExperimentNotFound",
    "RunNotFound",
    "RunTooLarge",
    "TooManyMetrics",
    "LoggedModelTooLarge",
    "TooManyWebhooks",
    "TraceTooLarge",
    "TagNotFound",
    "MetricNotFound",
    "LoggedModelNotFound",
    "TraceNotFound",
    "OwnerNotFound",
    "ArtifactNotFound",
    "UploadNotFound",
    "ModelNotFound",
    "VersionNotFound",
    "AliasNotFound",
    "CommentNotFound",
    "TransitionRequestNotFound",
    "WebhookNotFound",
    "SourceRunNotFound",
    "SourceLoggedModelNotFound",
    "SourceNotFound",
    "ExperimentNameTaken",
    "SequenceGap",
    "SequenceReused",
    "RequestIdReused",
    "ModelNameTaken",
    "TransitionRequestOpen",
    "ExperimentDeleted",
    "DefaultExperimentFixed",
    "RunDeleted",
    "RunNotDeleted",
    "LoggedModelDeleted",
    "LoggedModelNotDeleted",
    "ParamImmutable",
    "OwnerDeleted",
    "OwnerSealed",
    "PathConflict",
    "OffsetMismatch",
    "SizeMismatch",
    "DigestMismatch",
    "PresignUnsupported",
    "StoreOfAnother",
    "VersionNotReady",
    "VersionFinalized",
    "StageRulesBroken",
    "ModelInUse",
    "CommentOfAnother",
    "TransitionRequestClosed",
    "ModelValidationFailed",
    "RunActive",
    "NoActiveRun",
    "ExecutionException",
    "ProjectInvalid",
    "OfflineMode",
    "EtagMismatch",
    "ChunkDamaged",
    "UploadBusy",
    "StorageFull",
    "Overloaded",
    "DatabaseUnavailable",
    "ObjectStoreUnavailable",
    "TrackingUnavailable",
    "PeerUnavailable",
    "ServerStopping",
    "SuiteUnavailable",
    "SuiteNotInstalled",
    "PermissionRuleMissing",
    "ObjectDamaged",
    "Unforeseen",
]


def _tree(kind: type[RunstoneException]) -> list[type[RunstoneException]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


BY_REASON: dict[str, type[RunstoneException]] = {
    kind.__dict__["reason"]: kind
    for kind in _tree(RunstoneException)
    if kind.__dict__.get("reason")
}
"""Reason of a server to the class it becomes."""

BY_CODE: dict[str, type[RunstoneException]] = {
    kind.__dict__["code"]: kind for kind in _tree(RunstoneException) if "code" in kind.__dict__
}
"""Status code to the class for reasons that this client does not know."""

for _kind in _tree(RunstoneException):
    # Tracebacks and pickles name the public module.
    _kind.__module__ = __name__
