"""The part of `runstone models` that moves versions: stages, requests, aliases, comments, audit."""

from __future__ import annotations

from typing import Any

import click

from runstone._connection import new_id
from runstone.cli import _complete
from runstone.cli._format import cell, short_time, word
from runstone.cli._names import model_argument, optional_model_argument
from runstone.cli._plain import enum_number, plain
from runstone.cli._session import Command, Group, Session, limit, pages
from runstone.cli._table import Column, Row
from runstone.registry.v1 import governance_pb2, model_pb2

STAGES = ("None", "Staging", "Production", "Archived")
STATES = ("open", "approved", "rejected")


def _details(row: Row) -> str:
    comment = f'"{row["comment"]}"' if row["comment"] else ""
    return ", ".join(filter(None, (cell(row["details"]), comment)))


REQUEST_COLUMNS = [
    Column("REQUEST", lambda row: row["transition_request_id"]),
    Column("NAME", lambda row: row["name"], text=True),
    Column("VERSION", lambda row: row["version"], right=True),
    Column("TO", lambda row: word(row["stage"])),
    Column("STATE", lambda row: word(row["state"])),
    Column("BY", lambda row: row["creator"], text=True),
    Column("ASKED", lambda row: row["create_time"], lambda row: short_time(row["create_time"])),
    Column("COMMENT", lambda row: row["comment"], fold=True),
]

AUDIT_COLUMNS = [
    Column("WHEN", lambda row: row["create_time"], lambda row: short_time(row["create_time"])),
    Column("WHO", lambda row: row["actor"], text=True),
    Column("WHAT", lambda row: row["action"]),
    Column("NAME", lambda row: row["name"], text=True),
    Column("VERSION", lambda row: row["version"] or "", right=True),
    Column("DETAILS", lambda row: row["details"], _details, fold=True),
    Column("COMMENT", lambda row: row["comment"], only_piped=True),
]

COMMENT_COLUMNS = [
    Column("COMMENT", lambda row: row["comment_id"]),
    Column("WHEN", lambda row: row["create_time"], lambda row: short_time(row["create_time"])),
    Column("WHO", lambda row: row["author"], text=True),
    Column("TEXT", lambda row: row["text"], fold=True),
]

version_argument = click.argument(
    "version", type=click.IntRange(min=1), shell_complete=_complete.version
)
stage_argument = click.argument("stage", type=click.Choice(STAGES, case_sensitive=False))
comment_option = click.option("--comment", default="", help="Why, for the audit.")
archive_option = click.option(
    "--archive-existing-versions",
    "archive",
    is_flag=True,
    help="Move the versions that are in the stage to Archived, in the same step.",
)


def add_to(group: click.Group) -> None:
    """Put the commands of this module on `runstone models`."""
    for name, command in COMMANDS.items():
        group.add_command(command, name)


def _stage(text: str) -> Any:
    return enum_number(model_pb2.Stage.DESCRIPTOR, text)


@click.command(cls=Command)
@model_argument
@version_argument
@stage_argument
@archive_option
@comment_option
@click.pass_obj
def transition(
    session: Session, name: str, version: int, stage: str, archive: bool, comment: str
) -> None:
    """Move a version to a stage."""
    request = governance_pb2.TransitionModelVersionStageRequest(
        name=name,
        version=version,
        stage=_stage(stage),
        archive_existing_versions=archive,
        comment=comment,
    )
    answer = session.service("registry").TransitionModelVersionStage(request)
    session.answer(
        plain(answer), f"Version {version} of {name!r} is in {stage}.{_archived(answer)}"
    )


def _archived(answer: Any) -> str:
    if not answer.archived_versions:
        return ""
    return f" Archived: {', '.join(map(str, answer.archived_versions))}."


@click.command(cls=Command)
@model_argument
@version_argument
@stage_argument
@archive_option
@comment_option
@click.pass_obj
def request_transition(
    session: Session, name: str, version: int, stage: str, archive: bool, comment: str
) -> None:
    """Ask that a version be moved to a stage; somebody then approves or rejects."""
    request = governance_pb2.CreateTransitionRequestRequest(
        name=name,
        version=version,
        stage=_stage(stage),
        archive_existing_versions=archive,
        comment=comment,
        request_id=new_id(),
    )
    made = session.service("registry").CreateTransitionRequest(request).transition_request
    session.answer(plain(made), f"Request {made.transition_request_id} is open.")


@click.command(cls=Command)
@optional_model_argument
@click.argument("version", required=False, type=click.IntRange(min=1))
@click.option(
    "--state",
    type=click.Choice([*STATES, "all"]),
    default="open",
    show_default=True,
    help="Where the requests stand.",
)
@limit
@click.pass_obj
def requests(
    session: Session, name: str | None, version: int | None, state: str, limit: int
) -> None:
    """List transition requests."""
    request = governance_pb2.ListTransitionRequestsRequest(name=name or "", version=version or 0)
    if state != "all":
        request.state = enum_number(governance_pb2.TransitionRequestState.DESCRIPTOR, state)  # type: ignore[assignment]
    call = session.service("registry").ListTransitionRequests
    session.table(map(plain, pages(call, request, "transition_requests", limit)), REQUEST_COLUMNS)


@click.command(cls=Command)
@click.argument("request_id")
@comment_option
@click.pass_obj
def approve(session: Session, request_id: str, comment: str) -> None:
    """Approve a transition request: the version moves."""
    request = governance_pb2.ApproveTransitionRequestRequest(
        transition_request_id=request_id, comment=comment
    )
    answer = session.service("registry").ApproveTransitionRequest(request)
    moved = answer.model_version
    session.answer(
        plain(answer), f"Approved: version {moved.version} of {moved.name!r}.{_archived(answer)}"
    )


@click.command(cls=Command)
@click.argument("request_id")
@comment_option
@click.pass_obj
def reject(session: Session, request_id: str, comment: str) -> None:
    """Reject a transition request: the version stays where it is."""
    request = governance_pb2.RejectTransitionRequestRequest(
        transition_request_id=request_id, comment=comment
    )
    answer = session.service("registry").RejectTransitionRequest(request)
    session.answer(plain(answer.transition_request), f"Rejected {request_id}.")


@click.group(cls=Group)
def alias() -> None:
    """Names that point to a version, such as @champion."""


@alias.command("set")
@model_argument
@click.argument("alias_name", metavar="ALIAS")
@version_argument
@click.pass_obj
def set_alias(session: Session, name: str, alias_name: str, version: int) -> None:
    """Point an alias at a version."""
    request = model_pb2.SetModelAliasRequest(
        name=name, alias=alias_name.removeprefix("@"), version=version
    )
    model = session.service("registry").SetModelAlias(request).registered_model
    session.answer(plain(model), f"{name}@{request.alias} is version {version}.")


@alias.command("delete")
@model_argument
@click.argument("alias_name", metavar="ALIAS")
@click.pass_obj
def delete_alias(session: Session, name: str, alias_name: str) -> None:
    """Delete an alias; the version stays."""
    request = model_pb2.DeleteModelAliasRequest(name=name, alias=alias_name.removeprefix("@"))
    model = session.service("registry").DeleteModelAlias(request).registered_model
    session.answer(plain(model), f"Deleted {name}@{request.alias}.")


@click.group(cls=Group)
def comments() -> None:
    """Remarks on a version."""


@comments.command("list")
@model_argument
@version_argument
@limit
@click.pass_obj
def list_comments(session: Session, name: str, version: int, limit: int) -> None:
    """List a version's comments."""
    request = governance_pb2.ListCommentsRequest(name=name, version=version)
    call = session.service("registry").ListComments
    session.table(map(plain, pages(call, request, "comments", limit)), COMMENT_COLUMNS)


@comments.command("add")
@model_argument
@version_argument
@click.argument("text")
@click.pass_obj
def add_comment(session: Session, name: str, version: int, text: str) -> None:
    """Put a comment on a version."""
    request = governance_pb2.CreateCommentRequest(
        name=name, version=version, text=text, request_id=new_id()
    )
    comment = session.service("registry").CreateComment(request).comment
    session.answer(plain(comment), f"Added comment {comment.comment_id}.")


@comments.command("edit")
@click.argument("comment_id")
@click.argument("text")
@click.pass_obj
def edit_comment(session: Session, comment_id: str, text: str) -> None:
    """Change one of your own comments."""
    request = governance_pb2.UpdateCommentRequest(comment_id=comment_id, text=text)
    comment = session.service("registry").UpdateComment(request).comment
    session.answer(plain(comment), f"Changed comment {comment_id}.")


@comments.command("delete")
@click.argument("comment_id")
@click.pass_obj
def delete_comment(session: Session, comment_id: str) -> None:
    """Delete one of your own comments."""
    request = governance_pb2.DeleteCommentRequest(comment_id=comment_id)
    session.service("registry").DeleteComment(request)
    session.answer({"comment_id": comment_id}, f"Deleted comment {comment_id}.")


@click.command(cls=Command)
@optional_model_argument
@click.argument("version", required=False, type=click.IntRange(min=1))
@limit
@click.pass_obj
def audit(session: Session, name: str | None, version: int | None, limit: int) -> None:
    """List who changed what, newest first: of a model, of a version, or of all."""
    request = governance_pb2.ListAuditEventsRequest(name=name or "", version=version or 0)
    call = session.service("registry").ListAuditEvents
    session.table(map(plain, pages(call, request, "events", limit)), AUDIT_COLUMNS)


COMMANDS: dict[str, click.Command] = {
    "alias": alias,
    "approve": approve,
    "audit": audit,
    "comments": comments,
    "reject": reject,
    "request-transition": request_transition,
    "requests": requests,
    "transition": transition,
}
