"""Use cases of stages, transition requests and comments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runstone_kit.context import current
from runstone_registry.errors import (
    CommentNotFound,
    CommentOfAnother,
    StageRulesBroken,
    TransitionRequestClosed,
    TransitionRequestNotFound,
    TransitionRequestOpen,
    VersionNotReady,
)
from runstone_registry.model import (
    Comment,
    ModelHead,
    ModelVersion,
    Remembered,
    RequestState,
    Stage,
    TransitionRequest,
    VersionStatus,
)
from runstone_registry.model_commands import AskTransition, CreateRemark, Transition
from runstone_registry.service_base import (
    Made,
    UseCases,
    check_etag,
    digest_of,
    find_model,
    find_version,
)
from runstone_registry.service_events import Change, stage_changed
from runstone_registry.service_rules import RULES, broken
from runstone_registry.store import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class Moved:
    """A version after a transition, and the versions that it archived."""

    version: ModelVersion
    archived: tuple[int, ...] = ()


class GovernanceUseCases(UseCases):
    """Stages, requests, comments."""

    def transition_model_version_stage(self, wish: Transition) -> Moved:
        """Move a READY version; the stage that it is in already does not change it.

        Others in the stage are archived in any case when that is asked for.

        Raises ModelNotFound, VersionNotFound, VersionNotReady, StageRulesBroken, EtagMismatch.
        """

        def work(tx: WriteSession) -> Moved:
            head = self._lock(tx, wish.name)
            version = _ready(find_version(tx, head, wish.version))
            check_etag(wish.etag, version.etag)
            return self._move(
                tx,
                head,
                version,
                wish.stage,
                archive=wish.archive_existing_versions,
                action="TransitionModelVersionStage",
                comment=wish.comment,
            )

        return self._store.write(work)

    def _move(
        self,
        tx: WriteSession,
        head: ModelHead,
        version: ModelVersion,
        stage: Stage,
        *,
        archive: bool,
        action: str,
        comment: str,
        details: Mapping[str, str] | None = None,
    ) -> Moved:
        """Every version that changes its stage gets exactly one audit event, of this action.

        Raises StageRulesBroken, before anything is changed.
        """
        if version.stage is not stage:
            _check_rules(tx, head, version, stage)
        archived: list[int] = []
        if archive:
            etag, now = self._ids.hex_id(), self._clock.now_ms()
            archived = tx.archive_others(version, stage, etag, now)
        if version.stage is stage and not archived:
            return Moved(version)
        self._touch_model(tx, head.model_id)
        changed = _stages(stage, Stage.ARCHIVED) | {"replaced_by": str(version.version)}
        events = [
            self._event(head, action, version=number, details=changed, comment=comment)
            for number in archived
        ]
        if version.stage is not stage:
            tx.set_stage(version.model_version_id, stage)
            self._touch_version(tx, version.model_version_id)
            changed = _stages(version.stage, stage) | dict(details or {})
            if archived:
                changed["archived_versions"] = ", ".join(map(str, archived))
            events.append(
                self._event(head, action, version=version.version, details=changed, comment=comment)
            )
        tx.append_audit(*events)
        told = [stage_changed(head.name, each, stage, Stage.ARCHIVED, comment) for each in archived]
        if version.stage is not stage:
            told.append(stage_changed(head.name, version.version, version.stage, stage, comment))
        self._announce(tx, head, Change.STAGE, told)
        return Moved(find_version(tx, head, version.version), tuple(archived))

    def create_transition_request(self, wish: AskTransition) -> TransitionRequest:
        """Ask for a transition.

        Raises ModelNotFound, VersionNotFound, VersionNotReady, TransitionRequestOpen,
        RequestIdReused.
        """
        digest = digest_of(
            "CreateTransitionRequest",
            wish.name,
            wish.version,
            wish.stage.value,
            wish.archive_existing_versions,
            wish.comment,
        )

        def find(tx: ReadSession, done: Remembered) -> TransitionRequest:
            return _request(tx, done.subject)

        def make(tx: WriteSession) -> Made[TransitionRequest]:
            head = self._lock(tx, wish.name)
            version = _ready(find_version(tx, head, wish.version))
            other = tx.open_request(version.model_version_id, wish.stage)
            if other is not None:
                raise TransitionRequestOpen(other.transition_request_id)
            request = TransitionRequest(
                transition_request_id=self._ids.hex_id(),
                model_id=head.model_id,
                model_version_id=version.model_version_id,
                name=head.name,
                version=version.version,
                stage=wish.stage,
                created_ms=self._clock.now_ms(),
                archive_existing_versions=wish.archive_existing_versions,
                comment=wish.comment,
                creator=current().actor,
            )
            tx.insert_transition_request(request)
            self._audit(
                tx,
                head,
                "CreateTransitionRequest",
                version=version.version,
                details=_named(request),
                comment=wish.comment,
            )
            made = _request(tx, request.transition_request_id)
            return Made(made, head.model_id, request.transition_request_id)

        return self._create_once(wish.request_id, digest, find, make)

    def approve_transition_request(
        self, transition_request_id: str, comment: str
    ) -> tuple[TransitionRequest, Moved]:
        """Do what was asked and close the request.

        Raises TransitionRequestNotFound, TransitionRequestClosed, StageRulesBroken.
        """

        def work(tx: WriteSession) -> tuple[TransitionRequest, Moved]:
            head, request = self._open(tx, transition_request_id)
            version = find_version(tx, head, request.version)
            action = "ApproveTransitionRequest"
            moved = self._move(
                tx,
                head,
                version,
                request.stage,
                archive=request.archive_existing_versions,
                action=action,
                comment=comment,
                details={"transition_request_id": transition_request_id},
            )
            if version.stage is request.stage:
                # It is there already; that the request was closed is a change all the same.
                details = _named(request) | {"unchanged": "true"}
                self._audit(
                    tx, head, action, version=version.version, details=details, comment=comment
                )
            return self._close(tx, request, RequestState.APPROVED, comment), moved

        return self._store.write(work)

    def reject_transition_request(
        self, transition_request_id: str, comment: str
    ) -> TransitionRequest:
        """Close the request. Raises TransitionRequestNotFound, TransitionRequestClosed."""

        def work(tx: WriteSession) -> TransitionRequest:
            head, request = self._open(tx, transition_request_id)
            self._audit(
                tx,
                head,
                "RejectTransitionRequest",
                version=request.version,
                details=_named(request),
                comment=comment,
            )
            return self._close(tx, request, RequestState.REJECTED, comment)

        return self._store.write(work)

    def _open(
        self, tx: WriteSession, transition_request_id: str
    ) -> tuple[ModelHead, TransitionRequest]:
        """The open request, its model being locked."""
        head = tx.lock_id(_request(tx, transition_request_id).model_id)
        # Read again: it may have been closed, or deleted, before the lock was ours.
        request = _request(tx, transition_request_id)
        if head is None:
            raise TransitionRequestNotFound(transition_request_id)
        if request.state is not RequestState.OPEN:
            raise TransitionRequestClosed(transition_request_id, request.state.value)
        return head, request

    def _close(
        self, tx: WriteSession, request: TransitionRequest, state: RequestState, comment: str
    ) -> TransitionRequest:
        closed = replace(
            request,
            state=state,
            decider=current().actor,
            decision_comment=comment,
            decided_ms=self._clock.now_ms(),
        )
        tx.close_transition_request(closed)
        return closed

    def create_comment(self, wish: CreateRemark) -> Comment:
        """Put a comment on a version. Raises ModelNotFound, VersionNotFound, RequestIdReused."""
        digest = digest_of("CreateComment", wish.name, wish.version, wish.text, current().actor)

        def find(tx: ReadSession, done: Remembered) -> Comment:
            return _comment(tx, done.subject)

        def make(tx: WriteSession) -> Made[Comment]:
            head = self._lock(tx, wish.name)
            version = find_version(tx, head, wish.version)
            now = self._clock.now_ms()
            comment = Comment(
                comment_id=self._ids.hex_id(),
                model_id=head.model_id,
                model_version_id=version.model_version_id,
                name=head.name,
                version=version.version,
                text=wish.text,
                author=current().actor,
                created_ms=now,
                updated_ms=now,
            )
            tx.insert_comment(comment)
            self._audit_comment(tx, head, comment, "CreateComment", wish.text)
            return Made(_comment(tx, comment.comment_id), head.model_id, comment.comment_id)

        return self._create_once(wish.request_id, digest, find, make)

    def update_comment(self, comment_id: str, text: str) -> Comment:
        """Change one of the caller's comments. Raises CommentNotFound, CommentOfAnother."""

        def work(tx: WriteSession) -> Comment:
            head, comment = self._own(tx, comment_id)
            tx.change_comment(comment_id, text, self._clock.now_ms())
            self._audit_comment(tx, head, comment, "UpdateComment", text)
            return _comment(tx, comment_id)

        return self._store.write(work)

    def delete_comment(self, comment_id: str) -> None:
        """Delete one of the caller's comments. Raises CommentNotFound, CommentOfAnother."""

        def work(tx: WriteSession) -> None:
            head, comment = self._own(tx, comment_id)
            tx.delete_comment(comment_id)
            self._audit_comment(tx, head, comment, "DeleteComment", "")

        self._store.write(work)

    def _own(self, tx: WriteSession, comment_id: str) -> tuple[ModelHead, Comment]:
        head = tx.lock_id(_comment(tx, comment_id).model_id)
        comment = _comment(tx, comment_id)
        if head is None:
            raise CommentNotFound(comment_id)
        if comment.author != current().actor:
            raise CommentOfAnother(comment_id, comment.author)
        return head, comment

    def _audit_comment(
        self, tx: WriteSession, head: ModelHead, comment: Comment, action: str, text: str
    ) -> None:
        details = {"comment_id": comment.comment_id}
        self._audit(tx, head, action, version=comment.version, details=details, comment=text)


def _ready(version: ModelVersion) -> ModelVersion:
    if version.status is not VersionStatus.READY:
        why = f"is {version.status.value}, not READY"
        raise VersionNotReady(version.name, version.version, why)
    return version


def _check_rules(tx: ReadSession, head: ModelHead, version: ModelVersion, stage: Stage) -> None:
    """Hold a version to the model's rules, under the model's lock. Raises StageRulesBroken."""
    rules = find_model(tx, head).tags.get(f"{RULES}{stage.value}")
    if rules:
        found = broken(rules, version, lambda alias: tx.version_by_alias(head.model_id, alias))
        if found:
            raise StageRulesBroken(head.name, version.version, stage.value, found)


def _request(tx: ReadSession, transition_request_id: str) -> TransitionRequest:
    request = tx.transition_request(transition_request_id)
    if request is None:
        raise TransitionRequestNotFound(transition_request_id)
    return request


def _comment(tx: ReadSession, comment_id: str) -> Comment:
    comment = tx.comment(comment_id)
    if comment is None:
        raise CommentNotFound(comment_id)
    return comment


def _stages(before: Stage, now: Stage) -> dict[str, str]:
    return {"from_stage": before.value, "to_stage": now.value}


def _named(request: TransitionRequest) -> dict[str, str]:
    return {
        "transition_request_id": request.transition_request_id,
        "stage": request.stage.value,
    }
