"""Requests to commands; what is wrong with a request is gathered into one InvalidArgument."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runstone.registry.v1 import governance_pb2, model_pb2, model_version_pb2
from runstone_kit.errors import Violations
from runstone_kit.validation import (
    INT64_MAX,
    check_alias,
    check_id,
    check_length,
    check_logged_model_id,
    check_model_name,
    check_page_size,
    check_range,
    check_request_id,
    check_run_id,
    check_text,
)
from runstone_registry.convert import STATES
from runstone_registry.convert_checks import (
    MAX_FILTER,
    MAX_LOGGED_MODEL_ID,
    MAX_ORIGIN,
    check_archive,
    check_comment,
    check_description,
    check_keys,
    check_mask,
    check_number,
    check_path,
    check_tags,
    read_stage,
)
from runstone_registry.model import RequestState
from runstone_registry.model_commands import (
    AskTransition,
    CreateModel,
    CreateRemark,
    CreateVersion,
    ExternalSource,
    Listing,
    LoggedModelSource,
    RunSource,
    Search,
    Source,
    Transition,
    UploadSource,
    VersionSelector,
    VersionSource,
)

_STATES = {number: state for state, number in STATES.items()}


@contextmanager
def _checking() -> Iterator[Violations]:
    violations = Violations()
    yield violations
    violations.raise_if_any()


def create_model(request: model_pb2.CreateRegisteredModelRequest) -> CreateModel:
    """CreateRegisteredModel."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_description(violations, "description", request.description)
        check_tags(violations, "tags", request.tags)
        check_request_id(violations, "request_id", request.request_id)
    return CreateModel(request.name, request.description, dict(request.tags), request.request_id)


def model_name(request: model_pb2.GetRegisteredModelRequest) -> str:
    """GetRegisteredModel: the name."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
    return request.name


def delete_model(request: model_pb2.DeleteRegisteredModelRequest) -> tuple[str, str, bool]:
    """DeleteRegisteredModel: name, etag, force."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
    return request.name, request.etag, request.force


def update_model(request: model_pb2.UpdateRegisteredModelRequest) -> tuple[str, str, str]:
    """UpdateRegisteredModel: name, description, etag."""
    model = request.registered_model
    with _checking() as violations:
        check_model_name(violations, "registered_model.name", model.name)
        check_mask(violations, request.update_mask)
        check_description(violations, "registered_model.description", model.description)
    return model.name, model.description, model.etag


def rename_model(request: model_pb2.RenameRegisteredModelRequest) -> tuple[str, str, str]:
    """RenameRegisteredModel: name, new name, etag."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_model_name(violations, "new_name", request.new_name)
    return request.name, request.new_name, request.etag


def set_model_tags(
    request: model_pb2.SetRegisteredModelTagsRequest,
) -> tuple[str, dict[str, str]]:
    """SetRegisteredModelTags: name, tags."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_tags(violations, "tags", request.tags, required=True)
    return request.name, dict(request.tags)


def delete_model_tags(
    request: model_pb2.DeleteRegisteredModelTagsRequest,
) -> tuple[str, list[str]]:
    """DeleteRegisteredModelTags: name, keys."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_keys(violations, "keys", request.keys)
    return request.name, list(request.keys)


def set_alias(request: model_pb2.SetModelAliasRequest) -> tuple[str, str, int, str]:
    """SetModelAlias: name, alias, version, etag."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_alias(violations, "alias", request.alias)
        check_number(violations, "version", request.version)
    return request.name, request.alias, request.version, request.etag


def delete_alias(request: model_pb2.DeleteModelAliasRequest) -> tuple[str, str, str]:
    """DeleteModelAlias: name, alias, etag."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_alias(violations, "alias", request.alias)
    return request.name, request.alias, request.etag


def create_version(request: model_version_pb2.CreateModelVersionRequest) -> CreateVersion:
    """CreateModelVersion."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        source = _source(violations, request)
        check_description(violations, "description", request.description)
        check_tags(violations, "tags", request.tags)
        check_request_id(violations, "request_id", request.request_id)
        check_text(violations, "origin", request.origin, MAX_ORIGIN)
        check_text(violations, "run_link", request.run_link, MAX_ORIGIN)
        check_text(violations, "logged_model_id", request.logged_model_id, MAX_LOGGED_MODEL_ID)
    return CreateVersion(
        request.name,
        source,
        request.description,
        dict(request.tags),
        request.request_id,
        request.origin,
        request.run_link,
        request.logged_model_id,
    )


def _source(violations: Violations, request: model_version_pb2.CreateModelVersionRequest) -> Source:
    match request.WhichOneof("source"):
        case "run":
            check_run_id(violations, "run.run_id", request.run.run_id)
            check_path(violations, "run.path", request.run.path)
            return RunSource(request.run.run_id, request.run.path)
        case "logged_model":
            model = request.logged_model
            check_logged_model_id(violations, "logged_model.model_id", model.model_id)
            check_path(violations, "logged_model.path", model.path)
            return LoggedModelSource(model.model_id, model.path)
        case "version":
            check_model_name(violations, "version.name", request.version.name)
            check_number(violations, "version.version", request.version.version)
            return VersionSource(request.version.name, request.version.version)
        case "external":
            uri, run_id = request.external.uri, request.external.run_id
            check_text(violations, "external.uri", uri, MAX_ORIGIN, required=True)
            if run_id:
                check_run_id(violations, "external.run_id", run_id)
            return ExternalSource(uri, run_id)
        case "upload":
            check_text(violations, "upload.origin", request.upload.origin, MAX_ORIGIN)
        case _:
            violations.add("source", "is required: run, logged_model, upload, version or external")
    return UploadSource(request.upload.origin)


def finalize_version(
    request: model_version_pb2.FinalizeModelVersionRequest,
) -> tuple[str, int, str]:
    """FinalizeModelVersion: name, version, failure."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        check_text(violations, "failure", request.failure, MAX_ORIGIN)
    return request.name, request.version, request.failure


def select_version(request: model_version_pb2.GetModelVersionRequest) -> VersionSelector:
    """GetModelVersion."""
    selector = VersionSelector(request.name)
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        match request.WhichOneof("selector"):
            case "version":
                check_number(violations, "version", request.version)
                selector = VersionSelector(request.name, version=request.version)
            case "alias":
                check_alias(violations, "alias", request.alias)
                selector = VersionSelector(request.name, alias=request.alias)
            case "stage":
                stage = read_stage(violations, "stage", request.stage)
                selector = VersionSelector(request.name, stage=stage)
            case "latest":
                if not request.latest:
                    violations.add("latest", "must be true")
            case _:
                violations.add("selector", "is required: version, alias, stage or latest")
    return selector


def update_version(
    request: model_version_pb2.UpdateModelVersionRequest,
) -> tuple[str, int, str, str]:
    """UpdateModelVersion: name, version, description, etag."""
    version = request.model_version
    with _checking() as violations:
        check_model_name(violations, "model_version.name", version.name)
        check_number(violations, "model_version.version", version.version)
        check_mask(violations, request.update_mask)
        check_description(violations, "model_version.description", version.description)
    return version.name, version.version, version.description, version.etag


def delete_version(
    request: model_version_pb2.DeleteModelVersionRequest,
) -> tuple[str, int, str, bool]:
    """DeleteModelVersion: name, version, etag, force."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
    return request.name, request.version, request.etag, request.force


def set_version_tags(
    request: model_version_pb2.SetModelVersionTagsRequest,
) -> tuple[str, int, dict[str, str]]:
    """SetModelVersionTags: name, version, tags."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        check_tags(violations, "tags", request.tags, required=True)
    return request.name, request.version, dict(request.tags)


def delete_version_tags(
    request: model_version_pb2.DeleteModelVersionTagsRequest,
) -> tuple[str, int, list[str]]:
    """DeleteModelVersionTags: name, version, keys."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        check_keys(violations, "keys", request.keys)
    return request.name, request.version, list(request.keys)


def transition(request: governance_pb2.TransitionModelVersionStageRequest) -> Transition:
    """TransitionModelVersionStage."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        stage = read_stage(violations, "stage", request.stage)
        archive = request.archive_existing_versions
        check_archive(violations, "archive_existing_versions", stage, archive)
        check_comment(violations, "comment", request.comment)
    return Transition(request.name, request.version, stage, archive, request.etag, request.comment)


def ask_transition(request: governance_pb2.CreateTransitionRequestRequest) -> AskTransition:
    """CreateTransitionRequest."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        stage = read_stage(violations, "stage", request.stage)
        archive = request.archive_existing_versions
        check_archive(violations, "archive_existing_versions", stage, archive)
        check_comment(violations, "comment", request.comment)
        check_request_id(violations, "request_id", request.request_id)
    return AskTransition(
        request.name, request.version, stage, archive, request.comment, request.request_id
    )


def decide(
    request: (
        governance_pb2.ApproveTransitionRequestRequest
        | governance_pb2.RejectTransitionRequestRequest
    ),
) -> tuple[str, str]:
    """ApproveTransitionRequest, RejectTransitionRequest: id, comment."""
    with _checking() as violations:
        check_id(violations, "transition_request_id", request.transition_request_id)
        check_comment(violations, "comment", request.comment)
    return request.transition_request_id, request.comment


def list_transition_requests(request: governance_pb2.ListTransitionRequestsRequest) -> Listing:
    """ListTransitionRequests."""
    state: RequestState | None = None
    with _checking() as violations:
        _check_parent(violations, request.name, request.version)
        if request.state:
            state = _STATES.get(request.state)
            if state is None:
                names = ", ".join(each.name for each in RequestState)
                violations.add("state", f"must be one of {names}, not {request.state}")
        check_page_size(violations, "page_size", request.page_size)
    return Listing(request.name, request.version, state, request.page_size, request.page_token)


def create_comment(request: governance_pb2.CreateCommentRequest) -> CreateRemark:
    """CreateComment."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        check_comment(violations, "text", request.text, required=True)
        check_request_id(violations, "request_id", request.request_id)
    return CreateRemark(request.name, request.version, request.text, request.request_id)


def update_comment(request: governance_pb2.UpdateCommentRequest) -> tuple[str, str]:
    """UpdateComment: id, text."""
    with _checking() as violations:
        check_id(violations, "comment_id", request.comment_id)
        check_comment(violations, "text", request.text, required=True)
    return request.comment_id, request.text


def comment_id(request: governance_pb2.DeleteCommentRequest) -> str:
    """DeleteComment: id."""
    with _checking() as violations:
        check_id(violations, "comment_id", request.comment_id)
    return request.comment_id


def list_comments(request: governance_pb2.ListCommentsRequest) -> Listing:
    """ListComments."""
    with _checking() as violations:
        check_model_name(violations, "name", request.name)
        check_number(violations, "version", request.version)
        check_page_size(violations, "page_size", request.page_size)
    return Listing(
        request.name,
        request.version,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def list_audit_events(request: governance_pb2.ListAuditEventsRequest) -> Listing:
    """ListAuditEvents."""
    with _checking() as violations:
        _check_parent(violations, request.name, request.version)
        check_page_size(violations, "page_size", request.page_size)
    return Listing(
        request.name,
        request.version,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def search(
    request: (
        model_pb2.SearchRegisteredModelsRequest | model_version_pb2.SearchModelVersionsRequest
    ),
) -> Search:
    """SearchRegisteredModels, SearchModelVersions."""
    with _checking() as violations:
        check_length(violations, "filter", request.filter, MAX_FILTER)
        check_page_size(violations, "page_size", request.page_size)
    return Search(request.filter, tuple(request.order_by), request.page_size, request.page_token)


def _check_parent(violations: Violations, name: str, version: int) -> None:
    if name:
        check_model_name(violations, "name", name)
    check_range(violations, "version", version, 0, INT64_MAX)
