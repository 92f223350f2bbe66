"""The RPCs: convert in, call the use case, convert out."""

# Methods are called as the RPCs are.
# ruff: noqa: N802

from __future__ import annotations

import grpc

from runstone.registry.v1 import governance_pb2 as governance
from runstone.registry.v1 import model_pb2 as models
from runstone.registry.v1 import model_version_pb2 as versions
from runstone.registry.v1 import registry_service_pb2_grpc
from runstone.registry.v1 import webhook_pb2 as webhooks
from runstone_registry import convert_requests as read
from runstone_registry import convert_webhooks as hooks
from runstone_registry.convert import (
    audit_message,
    comment_message,
    model_message,
    transition_request_message,
    version_message,
)
from runstone_registry.service import RegistryService

Context = grpc.ServicerContext


class RegistryServicer(registry_service_pb2_grpc.RegistryServiceServicer):
    """``runstone.registry.v1.RegistryService``."""

    def __init__(self, service: RegistryService, *, allow_private: bool) -> None:
        self._service = service
        self._allow_private = allow_private

    def CreateRegisteredModel(
        self, request: models.CreateRegisteredModelRequest, context: Context
    ) -> models.CreateRegisteredModelResponse:
        """See the proto."""
        model = self._service.create_registered_model(read.create_model(request))
        return models.CreateRegisteredModelResponse(registered_model=model_message(model))

    def GetRegisteredModel(
        self, request: models.GetRegisteredModelRequest, context: Context
    ) -> models.GetRegisteredModelResponse:
        """See the proto."""
        model = self._service.get_registered_model(read.model_name(request))
        return models.GetRegisteredModelResponse(registered_model=model_message(model))

    def UpdateRegisteredModel(
        self, request: models.UpdateRegisteredModelRequest, context: Context
    ) -> models.UpdateRegisteredModelResponse:
        """See the proto."""
        model = self._service.update_registered_model(*read.update_model(request))
        return models.UpdateRegisteredModelResponse(registered_model=model_message(model))

    def RenameRegisteredModel(
        self, request: models.RenameRegisteredModelRequest, context: Context
    ) -> models.RenameRegisteredModelResponse:
        """See the proto."""
        model = self._service.rename_registered_model(*read.rename_model(request))
        return models.RenameRegisteredModelResponse(registered_model=model_message(model))

    def DeleteRegisteredModel(
        self, request: models.DeleteRegisteredModelRequest, context: Context
    ) -> models.DeleteRegisteredModelResponse:
        """See the proto."""
        name, etag, force = read.delete_model(request)
        self._service.delete_registered_model(name, etag, force=force)
        return models.DeleteRegisteredModelResponse()

    def SearchRegisteredModels(
        self, request: models.SearchRegisteredModelsRequest, context: Context
    ) -> models.SearchRegisteredModelsResponse:
        """See the proto."""
        page = self._service.search_registered_models(read.search(request))
        return models.SearchRegisteredModelsResponse(
            registered_models=map(model_message, page.items), next_page_token=page.next_page_token
        )

    def SetRegisteredModelTags(
        self, request: models.SetRegisteredModelTagsRequest, context: Context
    ) -> models.SetRegisteredModelTagsResponse:
        """See the proto."""
        model = self._service.set_registered_model_tags(*read.set_model_tags(request))
        return models.SetRegisteredModelTagsResponse(registered_model=model_message(model))

    def DeleteRegisteredModelTags(
        self, request: models.DeleteRegisteredModelTagsRequest, context: Context
    ) -> models.DeleteRegisteredModelTagsResponse:
        """See the proto."""
        model = self._service.delete_registered_model_tags(*read.delete_model_tags(request))
        return models.DeleteRegisteredModelTagsResponse(registered_model=model_message(model))

    def SetModelAlias(
        self, request: models.SetModelAliasRequest, context: Context
    ) -> models.SetModelAliasResponse:
        """See the proto."""
        model = self._service.set_model_alias(*read.set_alias(request))
        return models.SetModelAliasResponse(registered_model=model_message(model))

    def DeleteModelAlias(
        self, request: models.DeleteModelAliasRequest, context: Context
    ) -> models.DeleteModelAliasResponse:
        """See the proto."""
        model = self._service.delete_model_alias(*read.delete_alias(request))
        return models.DeleteModelAliasResponse(registered_model=model_message(model))

    def CreateModelVersion(
        self, request: versions.CreateModelVersionRequest, context: Context
    ) -> versions.CreateModelVersionResponse:
        """See the proto."""
        version = self._service.create_model_version(read.create_version(request))
        return versions.CreateModelVersionResponse(model_version=version_message(version))

    def FinalizeModelVersion(
        self, request: versions.FinalizeModelVersionRequest, context: Context
    ) -> versions.FinalizeModelVersionResponse:
        """See the proto."""
        version = self._service.finalize_model_version(*read.finalize_version(request))
        return versions.FinalizeModelVersionResponse(model_version=version_message(version))

    def GetModelVersion(
        self, request: versions.GetModelVersionRequest, context: Context
    ) -> versions.GetModelVersionResponse:
        """See the proto."""
        version = self._service.get_model_version(read.select_version(request))
        return versions.GetModelVersionResponse(model_version=version_message(version))

    def UpdateModelVersion(
        self, request: versions.UpdateModelVersionRequest, context: Context
    ) -> versions.UpdateModelVersionResponse:
        """See the proto."""
        version = self._service.update_model_version(*read.update_version(request))
        return versions.UpdateModelVersionResponse(model_version=version_message(version))

    def DeleteModelVersion(
        self, request: versions.DeleteModelVersionRequest, context: Context
    ) -> versions.DeleteModelVersionResponse:
        """See the proto."""
        name, number, etag, force = read.delete_version(request)
        self._service.delete_model_version(name, number, etag, force=force)
        return versions.DeleteModelVersionResponse()

    def SearchModelVersions(
        self, request: versions.SearchModelVersionsRequest, context: Context
    ) -> versions.SearchModelVersionsResponse:
        """See the proto."""
        page = self._service.search_model_versions(read.search(request))
        return versions.SearchModelVersionsResponse(
            model_versions=map(version_message, page.items), next_page_token=page.next_page_token
        )

    def SetModelVersionTags(
        self, request: versions.SetModelVersionTagsRequest, context: Context
    ) -> versions.SetModelVersionTagsResponse:
        """See the proto."""
        version = self._service.set_model_version_tags(*read.set_version_tags(request))
        return versions.SetModelVersionTagsResponse(model_version=version_message(version))

    def DeleteModelVersionTags(
        self, request: versions.DeleteModelVersionTagsRequest, context: Context
    ) -> versions.DeleteModelVersionTagsResponse:
        """See the proto."""
        version = self._service.delete_model_version_tags(*read.delete_version_tags(request))
        return versions.DeleteModelVersionTagsResponse(model_version=version_message(version))

    def TransitionModelVersionStage(
        self, request: governance.TransitionModelVersionStageRequest, context: Context
    ) -> governance.TransitionModelVersionStageResponse:
        """See the proto."""
        moved = self._service.transition_model_version_stage(read.transition(request))
        return governance.TransitionModelVersionStageResponse(
            model_version=version_message(moved.version), archived_versions=moved.archived
        )

    def CreateTransitionRequest(
        self, request: governance.CreateTransitionRequestRequest, context: Context
    ) -> governance.CreateTransitionRequestResponse:
        """See the proto."""
        made = self._service.create_transition_request(read.ask_transition(request))
        return governance.CreateTransitionRequestResponse(
            transition_request=transition_request_message(made)
        )

    def ApproveTransitionRequest(
        self, request: governance.ApproveTransitionRequestRequest, context: Context
    ) -> governance.ApproveTransitionRequestResponse:
        """See the proto."""
        closed, moved = self._service.approve_transition_request(*read.decide(request))
        return governance.ApproveTransitionRequestResponse(
            transition_request=transition_request_message(closed),
            model_version=version_message(moved.version),
            archived_versions=moved.archived,
        )

    def RejectTransitionRequest(
        self, request: governance.RejectTransitionRequestRequest, context: Context
    ) -> governance.RejectTransitionRequestResponse:
        """See the proto."""
        closed = self._service.reject_transition_request(*read.decide(request))
        return governance.RejectTransitionRequestResponse(
            transition_request=transition_request_message(closed)
        )

    def ListTransitionRequests(
        self, request: governance.ListTransitionRequestsRequest, context: Context
    ) -> governance.ListTransitionRequestsResponse:
        """See the proto."""
        page = self._service.list_transition_requests(read.list_transition_requests(request))
        return governance.ListTransitionRequestsResponse(
            transition_requests=map(transition_request_message, page.items),
            next_page_token=page.next_page_token,
        )

    def CreateComment(
        self, request: governance.CreateCommentRequest, context: Context
    ) -> governance.CreateCommentResponse:
        """See the proto."""
        comment = self._service.create_comment(read.create_comment(request))
        return governance.CreateCommentResponse(comment=comment_message(comment))

    def UpdateComment(
        self, request: governance.UpdateCommentRequest, context: Context
    ) -> governance.UpdateCommentResponse:
        """See the proto."""
        comment = self._service.update_comment(*read.update_comment(request))
        return governance.UpdateCommentResponse(comment=comment_message(comment))

    def DeleteComment(
        self, request: governance.DeleteCommentRequest, context: Context
    ) -> governance.DeleteCommentResponse:
        """See the proto."""
        self._service.delete_comment(read.comment_id(request))
        return governance.DeleteCommentResponse()

    def ListComments(
        self, request: governance.ListCommentsRequest, context: Context
    ) -> governance.ListCommentsResponse:
        """See the proto."""
        page = self._service.list_comments(read.list_comments(request))
        return governance.ListCommentsResponse(
            comments=map(comment_message, page.items), next_page_token=page.next_page_token
        )

    def ListAuditEvents(
        self, request: governance.ListAuditEventsRequest, context: Context
    ) -> governance.ListAuditEventsResponse:
        """See the proto."""
        page = self._service.list_audit_events(read.list_audit_events(request))
        return governance.ListAuditEventsResponse(
            events=map(audit_message, page.items), next_page_token=page.next_page_token
        )

    def CreateWebhook(
        self, request: webhooks.CreateWebhookRequest, context: Context
    ) -> webhooks.CreateWebhookResponse:
        """See the proto."""
        wish = hooks.create_webhook(request, allow_private=self._allow_private)
        made = self._service.create_webhook(wish)
        return webhooks.CreateWebhookResponse(webhook=hooks.webhook_message(made))

    def GetWebhook(
        self, request: webhooks.GetWebhookRequest, context: Context
    ) -> webhooks.GetWebhookResponse:
        """See the proto."""
        found = self._service.get_webhook(hooks.webhook_id(request))
        return webhooks.GetWebhookResponse(webhook=hooks.webhook_message(found))

    def ListWebhooks(
        self, request: webhooks.ListWebhooksRequest, context: Context
    ) -> webhooks.ListWebhooksResponse:
        """See the proto."""
        page = self._service.list_webhooks(hooks.list_webhooks(request))
        return webhooks.ListWebhooksResponse(
            webhooks=map(hooks.webhook_message, page.items), next_page_token=page.next_page_token
        )

    def UpdateWebhook(
        self, request: webhooks.UpdateWebhookRequest, context: Context
    ) -> webhooks.UpdateWebhookResponse:
        """See the proto."""
        wish = hooks.update_webhook(request, allow_private=self._allow_private)
        changed = self._service.update_webhook(wish)
        return webhooks.UpdateWebhookResponse(webhook=hooks.webhook_message(changed))

    def DeleteWebhook(
        self, request: webhooks.DeleteWebhookRequest, context: Context
    ) -> webhooks.DeleteWebhookResponse:
        """See the proto."""
        self._service.delete_webhook(hooks.webhook_id(request))
        return webhooks.DeleteWebhookResponse()

    def TestWebhook(
        self, request: webhooks.TestWebhookRequest, context: Context
    ) -> webhooks.TestWebhookResponse:
        """See the proto."""
        answer = self._service.test_webhook(*hooks.test_webhook(request))
        return webhooks.TestWebhookResponse(result=hooks.result_message(answer))
