"""Transition requests, comments and the audit."""

from __future__ import annotations

from runstone._client._base import ClientBase
from runstone._connection import new_id
from runstone._convert import registry as convert
from runstone._entities.paging import PagedList
from runstone._entities.registry import AuditEvent, Comment, TransitionRequest
from runstone._values import invalid
from runstone.registry.v1 import governance_pb2


def state_value(name: str | None) -> governance_pb2.TransitionRequestState.ValueType:
    """The message's value of a state by name in any case; None: any. Raises InvalidField."""
    if not name:
        return governance_pb2.TRANSITION_REQUEST_STATE_UNSPECIFIED
    try:
        return governance_pb2.TransitionRequestState.Value(
            f"TRANSITION_REQUEST_STATE_{name.upper()}"
        )
    except ValueError:
        raise invalid("state", f"must be OPEN, APPROVED or REJECTED, not {name!r}") from None


class GovernanceCalls(ClientBase):
    """Calls about who wants, says and did what."""

    def create_transition_request(
        self,
        name: str,
        version: int | str,
        stage: str,
        archive_existing_versions: bool = False,
        *,
        comment: str = "",
        request_id: str | None = None,
    ) -> TransitionRequest:
        """Ask that a READY version be moved to a stage.

        Raises:
            TransitionRequestOpen: the same is asked already.
            VersionNotReady, ModelNotFound, VersionNotFound
        """
        response = self._registry.CreateTransitionRequest(
            governance_pb2.CreateTransitionRequestRequest(
                name=name,
                version=convert.version_number(version),
                stage=convert.stage(stage),
                archive_existing_versions=archive_existing_versions,
                comment=comment,
                request_id=request_id or new_id(),
            )
        )
        return convert.transition_request(response.transition_request)

    def approve_transition_request(
        self, transition_request_id: str, *, comment: str = ""
    ) -> TransitionRequest:
        """Move the version as asked and close the request, in one step.

        Raises:
            StageRulesBroken: the version does not show what the model's rules ask.
            TransitionRequestNotFound, TransitionRequestClosed
        """
        response = self._registry.ApproveTransitionRequest(
            governance_pb2.ApproveTransitionRequestRequest(
                transition_request_id=transition_request_id, comment=comment
            )
        )
        return convert.transition_request(response.transition_request)

    def reject_transition_request(
        self, transition_request_id: str, *, comment: str = ""
    ) -> TransitionRequest:
        """Close the request; the version stays where it is.

        Raises:
            TransitionRequestNotFound, TransitionRequestClosed
        """
        response = self._registry.RejectTransitionRequest(
            governance_pb2.RejectTransitionRequestRequest(
                transition_request_id=transition_request_id, comment=comment
            )
        )
        return convert.transition_request(response.transition_request)

    def list_transition_requests(
        self,
        name: str | None = None,
        version: int | str | None = None,
        state: str | None = None,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> PagedList[TransitionRequest]:
        """One page of the requests, newest first; of all models without a name.

        Raises:
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._registry.ListTransitionRequests(
            governance_pb2.ListTransitionRequestsRequest(
                name=name or "",
                version=0 if version is None else convert.version_number(version),
                state=state_value(state),
                page_size=max_results,
                page_token=page_token or "",
            )
        )
        return PagedList(
            map(convert.transition_request, response.transition_requests), response.next_page_token
        )

    def create_comment(
        self, name: str, version: int | str, text: str, *, request_id: str | None = None
    ) -> Comment:
        """Put a comment on a version. Raises ModelNotFound, VersionNotFound."""
        response = self._registry.CreateComment(
            governance_pb2.CreateCommentRequest(
                name=name,
                version=convert.version_number(version),
                text=text,
                request_id=request_id or new_id(),
            )
        )
        return convert.comment(response.comment)

    def update_comment(self, comment_id: str, text: str) -> Comment:
        """Change one of one's own comments. Raises CommentNotFound, CommentOfAnother."""
        request = governance_pb2.UpdateCommentRequest(comment_id=comment_id, text=text)
        return convert.comment(self._registry.UpdateComment(request).comment)

    def delete_comment(self, comment_id: str) -> None:
        """Delete one of one's own comments. Raises CommentNotFound, CommentOfAnother."""
        self._registry.DeleteComment(governance_pb2.DeleteCommentRequest(comment_id=comment_id))

    def list_comments(
        self,
        name: str,
        version: int | str,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> PagedList[Comment]:
        """One page of a version's comments, oldest first.

        Raises:
            ModelNotFound, VersionNotFound, PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._registry.ListComments(
            governance_pb2.ListCommentsRequest(
                name=name,
                version=convert.version_number(version),
                page_size=max_results,
                page_token=page_token or "",
            )
        )
        return PagedList(map(convert.comment, response.comments), response.next_page_token)

    def list_audit_events(
        self,
        name: str | None = None,
        version: int | str | None = None,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> PagedList[AuditEvent]:
        """One page of the changes, newest first; of all models without a name.

        Raises:
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._registry.ListAuditEvents(
            governance_pb2.ListAuditEventsRequest(
                name=name or "",
                version=0 if version is None else convert.version_number(version),
                page_size=max_results,
                page_token=page_token or "",
            )
        )
        return PagedList(map(convert.audit_event, response.events), response.next_page_token)
