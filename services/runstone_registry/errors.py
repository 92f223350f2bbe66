"""The registry's errors; each ``reason`` is one of ``ErrorReason``'s names."""

from __future__ import annotations

from collections.abc import Sequence

from runstone_kit.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
    invalid_field,
)

DOMAIN = "registry.runstone"

__all__ = [
    "AliasNotFound",
    "CommentNotFound",
    "CommentOfAnother",
    "EtagMismatch",
    "InvalidArgument",
    "ModelInUse",
    "ModelNameTaken",
    "ModelNotFound",
    "PeerUnavailable",
    "RequestIdReused",
    "SourceLoggedModelNotFound",
    "SourceNotFound",
    "SourceRunNotFound",
    "StageRulesBroken",
    "TagNotFound",
    "TooManyWebhooks",
    "TransitionRequestClosed",
    "TransitionRequestNotFound",
    "TransitionRequestOpen",
    "VersionFinalized",
    "VersionNotFound",
    "VersionNotReady",
    "WebhookNotFound",
    "invalid_field",
]


class ModelNotFound(NotFound):
    """No model has this name."""

    domain = DOMAIN
    reason = "MODEL_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no registered model {name!r}", metadata={"name": name})


class ModelNameTaken(AlreadyExists):
    """Another model has this name."""

    domain = DOMAIN
    reason = "MODEL_NAME_TAKEN"

    def __init__(self, name: str) -> None:
        super().__init__(f"a registered model {name!r} exists already", metadata={"name": name})


class VersionNotFound(NotFound):
    """The model has no such version, or none in the stage."""

    domain = DOMAIN
    reason = "VERSION_NOT_FOUND"

    def __init__(self, name: str, *, version: int = 0, stage: str = "") -> None:
        if version:
            super().__init__(
                f"registered model {name!r} has no version {version}",
                metadata={"name": name, "version": str(version)},
            )
        elif stage:
            super().__init__(
                f"registered model {name!r} has no version in stage {stage}",
                metadata={"name": name, "stage": stage},
            )
        else:
            super().__init__(f"registered model {name!r} has no version", metadata={"name": name})


class VersionNotReady(FailedPrecondition):
    """The version's files are not there, or not final."""

    domain = DOMAIN
    reason = "VERSION_NOT_READY"

    def __init__(self, name: str, version: int, why: str) -> None:
        super().__init__(
            f"version {version} of {name!r} {why}",
            metadata={"name": name, "version": str(version)},
        )


class VersionFinalized(FailedPrecondition):
    """The version was finalized before, with the other outcome."""

    domain = DOMAIN
    reason = "VERSION_FINALIZED"

    def __init__(self, name: str, version: int, status: str) -> None:
        super().__init__(
            f"version {version} of {name!r} is {status} already",
            metadata={"name": name, "version": str(version), "status": status},
        )


class ModelInUse(FailedPrecondition):
    """Versions in Staging or Production stand in the way of a deletion."""

    domain = DOMAIN
    reason = "MODEL_IN_USE"

    def __init__(self, name: str, version: int, stage: str) -> None:
        super().__init__(
            f"version {version} of {name!r} is in {stage}; archive it first",
            metadata={"name": name, "version": str(version), "stage": stage},
        )


class AliasNotFound(NotFound):
    """The model has no such alias."""

    domain = DOMAIN
    reason = "ALIAS_NOT_FOUND"

    def __init__(self, name: str, alias: str) -> None:
        super().__init__(
            f"registered model {name!r} has no alias {alias!r}",
            metadata={"name": name, "alias": alias},
        )


class TagNotFound(NotFound):
    """A tag to be deleted is not set."""

    domain = DOMAIN
    reason = "TAG_NOT_FOUND"

    def __init__(self, key: str) -> None:
        super().__init__(f"no tag {key!r} is set", metadata={"key": key})


class CommentNotFound(NotFound):
    """There is no such comment."""

    domain = DOMAIN
    reason = "COMMENT_NOT_FOUND"

    def __init__(self, comment_id: str) -> None:
        super().__init__(f"there is no comment {comment_id!r}", metadata={"comment_id": comment_id})


class CommentOfAnother(FailedPrecondition):
    """Only its author changes a comment."""

    domain = DOMAIN
    reason = "COMMENT_OF_ANOTHER"

    def __init__(self, comment_id: str, author: str) -> None:
        super().__init__(
            f"comment {comment_id!r} was written by {author!r}",
            metadata={"comment_id": comment_id, "author": author},
        )


class TransitionRequestNotFound(NotFound):
    """There is no such transition request."""

    domain = DOMAIN
    reason = "TRANSITION_REQUEST_NOT_FOUND"

    def __init__(self, transition_request_id: str) -> None:
        super().__init__(
            f"there is no transition request {transition_request_id!r}",
            metadata={"transition_request_id": transition_request_id},
        )


class TransitionRequestClosed(FailedPrecondition):
    """The request was approved or rejected before."""

    domain = DOMAIN
    reason = "TRANSITION_REQUEST_CLOSED"

    def __init__(self, transition_request_id: str, state: str) -> None:
        super().__init__(
            f"transition request {transition_request_id!r} is {state} already",
            metadata={"transition_request_id": transition_request_id, "state": state},
        )


class TransitionRequestOpen(AlreadyExists):
    """A request for the same version and stage waits."""

    domain = DOMAIN
    reason = "TRANSITION_REQUEST_OPEN"

    def __init__(self, transition_request_id: str) -> None:
        super().__init__(
            f"transition request {transition_request_id!r} asks for the same and is open",
            metadata={"transition_request_id": transition_request_id},
        )


class StageRulesBroken(FailedPrecondition):
    """The version does not show what the model's rules ask of the stage."""

    domain = DOMAIN
    reason = "STAGE_RULES_BROKEN"

    def __init__(self, name: str, version: int, stage: str, broken: Sequence[str]) -> None:
        super().__init__(
            f"version {version} of {name!r} may not move to {stage}: {'; '.join(broken)}",
            metadata={
                "name": name,
                "version": str(version),
                "stage": stage,
                "rules": "\n".join(broken),
            },
        )


class EtagMismatch(Aborted):
    """Somebody changed the thing after it was read. ``etag`` is the current one."""

    domain = DOMAIN
    reason = "ETAG_MISMATCH"

    def __init__(self, etag: str) -> None:
        super().__init__("it was changed meanwhile; read it again", metadata={"etag": etag})


class RequestIdReused(AlreadyExists):
    """The request_id belongs to a create of something else."""

    domain = DOMAIN
    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"request_id {request_id!r} was used with other content",
            metadata={"request_id": request_id},
        )


class SourceRunNotFound(NotFound):
    """The run that the files are to come from does not exist."""

    domain = DOMAIN
    reason = "SOURCE_RUN_NOT_FOUND"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}", metadata={"run_id": run_id})


class SourceLoggedModelNotFound(NotFound):
    """The logged model that the files are to come from does not exist."""

    domain = DOMAIN
    reason = "SOURCE_LOGGED_MODEL_NOT_FOUND"

    def __init__(self, model_id: str) -> None:
        super().__init__(f"there is no logged model {model_id!r}", metadata={"model_id": model_id})


class SourceNotFound(NotFound):
    """The run or logged model has nothing at the path."""

    domain = DOMAIN
    reason = "SOURCE_NOT_FOUND"

    def __init__(self, source_id: str, path: str, *, kind: str = "run") -> None:
        what = f"{'run' if kind == 'run' else 'logged model'} {source_id!r}"
        super().__init__(
            f"{what} has nothing at {path!r}" if path else f"{what} has no files",
            metadata={f"{kind}_id": source_id, "path": path},
        )


class PeerUnavailable(Unavailable):
    """Another service can't be reached. ``certain``: the call surely had no effect there."""

    domain = DOMAIN
    reason = "PEER_UNAVAILABLE"

    def __init__(self, peer: str, why: str = "can't be reached", *, certain: bool = False) -> None:
        super().__init__(
            f"the {peer} service {why}; try again", metadata={"peer": peer}, retry_after=1.0
        )
        self.certain = certain


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    domain = DOMAIN
    reason = "WEBHOOK_NOT_FOUND"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"there is no webhook {webhook_id!r}", metadata={"webhook_id": webhook_id})


class TooManyWebhooks(ResourceExhausted):
    """There are as many webhooks as the service takes."""

    domain = DOMAIN
    reason = "TOO_MANY_WEBHOOKS"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} webhooks already; delete one", metadata={"limit": str(limit)}
        )
