"""`runstone webhooks`: who is told of changes in the registry over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any, TypeVar

import click
from google.protobuf.field_mask_pb2 import FieldMask

from runstone._connection import new_id
from runstone.cli._format import short_time, word
from runstone.cli._plain import plain
from runstone.cli._session import Group, Session, confirm, limit, pages, yes
from runstone.cli._table import Column
from runstone.registry.v1 import webhook_pb2

EXAMPLES = """\b
Examples:
  runstone webhooks create ci https://example.org/ci --event prompt.created
  runstone webhooks test 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40
  runstone webhooks update 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40 --status active
"""


@click.group("webhooks", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """Who is told of changes in the registry over HTTP.

    EVENT is such as model_version.created or model_version_stage.transitioned;
    a webhook may be told of several: --event EVENT --event EVENT. A secret comes
    from a file or standard input: command lines are seen by other users.
    """


def _events(row: Mapping[str, Any]) -> list[str]:
    return [".".join(each.lower().rsplit("_", 1)) for each in row["events"]]


COLUMNS = [
    Column("ID", lambda row: row["webhook_id"]),
    Column("NAME", lambda row: row["name"], text=True),
    Column("STATUS", lambda row: word(row["status"])),
    Column("LAST ERROR", lambda row: row["last_error"], text=True),
    Column("CREATED", lambda row: row["create_time"], lambda row: short_time(row["create_time"])),
    Column("EVENTS", _events, text=True),
    Column("URL", lambda row: row["url"], fold=True),
]


def _read_event(text: str) -> Any:
    from runstone._convert.webhooks import EVENTS

    found = EVENTS.get(text.lower())
    if found is None:
        raise click.BadParameter(f"{text!r} is none of {', '.join(EVENTS)}", param_hint="--event")
    return found


def _read_status(text: str) -> Any:
    return webhook_pb2.WebhookStatus.Value(f"WEBHOOK_STATUS_{text.upper()}")


def _text_of(secret: IO[str] | None) -> str | None:
    return None if secret is None else secret.read().strip()


secret_option = click.option(
    "--secret-file",
    "secret",
    type=click.File(encoding="utf-8"),
    help="Holds what deliveries are signed with; - is standard input.",
)
status_option = click.option(
    "--status",
    type=click.Choice(["active", "disabled"]),
    help="Whether it is told of anything.",
)


F = TypeVar("F", bound=Callable[..., Any])


def event_option(*names: str, **more: Any) -> Callable[[F], F]:
    """--event, alike wherever it stands."""
    return click.option("--event", *names, metavar="EVENT", help="What it is told of.", **more)


@command.command()
@click.argument("name")
@click.argument("url")
@event_option("events", multiple=True, required=True)
@click.option("--description", default="", help="For people.")
@secret_option
@status_option
@click.pass_obj
def create(
    session: Session,
    name: str,
    url: str,
    events: tuple[str, ...],
    description: str,
    secret: IO[str] | None,
    status: str | None,
) -> None:
    """Have events posted to a URL."""
    given = webhook_pb2.Webhook(
        name=name, url=url, description=description, events=map(_read_event, events)
    )
    if status is not None:
        given.status = _read_status(status)
    request = webhook_pb2.CreateWebhookRequest(
        webhook=given, secret=_text_of(secret) or "", request_id=new_id()
    )
    made = session.service("registry").CreateWebhook(request).webhook
    session.answer(plain(made), f"Created webhook {made.webhook_id}.")


@command.command("list")
@limit
@click.pass_obj
def list_all(session: Session, limit: int) -> None:
    """List webhooks, newest first."""
    call = session.service("registry").ListWebhooks
    rows = map(plain, pages(call, webhook_pb2.ListWebhooksRequest(), "webhooks", limit))
    session.table(rows, COLUMNS, none="No webhooks.")


@command.command()
@click.argument("webhook_id")
@click.pass_obj
def get(session: Session, webhook_id: str) -> None:
    """Show a webhook, and how its deliveries go."""
    request = webhook_pb2.GetWebhookRequest(webhook_id=webhook_id)
    session.details(plain(session.service("registry").GetWebhook(request).webhook))


@command.command()
@click.argument("webhook_id")
@click.option("--new-name", "name", help="Another name.")
@click.option("--url", help="Another URL; failures are forgotten.")
@event_option("events", multiple=True)
@click.option("--description", help="For people.")
@secret_option
@click.option("--no-secret", is_flag=True, help="Sign no more.")
@status_option
@click.pass_obj
def update(
    session: Session,
    webhook_id: str,
    name: str | None,
    url: str | None,
    events: tuple[str, ...],
    description: str | None,
    secret: IO[str] | None,
    no_secret: bool,
    status: str | None,
) -> None:
    """Change a webhook; active again, it is tried at once with what waits."""
    if secret is not None and no_secret:
        raise click.UsageError("give either --secret-file or --no-secret")
    changes: dict[str, Any] = {
        "name": name,
        "url": url,
        "events": list(map(_read_event, events)) or None,
        "description": description,
        "status": None if status is None else _read_status(status),
    }
    given = {field: value for field, value in changes.items() if value is not None}
    changed = [*given, *(["secret"] if no_secret or secret is not None else [])]
    if not changed:
        raise click.UsageError("say what to change")
    request = webhook_pb2.UpdateWebhookRequest(
        webhook=webhook_pb2.Webhook(webhook_id=webhook_id, **given),
        update_mask=FieldMask(paths=changed),
        secret=_text_of(secret) or "",
    )
    webhook = session.service("registry").UpdateWebhook(request).webhook
    session.answer(plain(webhook), f"Changed webhook {webhook_id}.")


@command.command()
@click.argument("webhook_id")
@yes
@click.pass_obj
def delete(session: Session, webhook_id: str, yes: bool) -> None:
    """Delete a webhook with what waits for delivery to it."""
    confirm(session, f"Delete webhook {webhook_id} for good?", yes)
    request = webhook_pb2.DeleteWebhookRequest(webhook_id=webhook_id)
    session.service("registry").DeleteWebhook(request)
    session.answer({"webhook_id": webhook_id}, f"Deleted webhook {webhook_id}.")


@command.command()
@click.argument("webhook_id")
@event_option()
@click.pass_obj
def test(session: Session, webhook_id: str, event: str | None) -> None:
    """Post a made-up event to a webhook, once; without --event its first."""
    request = webhook_pb2.TestWebhookRequest(webhook_id=webhook_id)
    if event is not None:
        request.event = _read_event(event)
    result = session.service("registry").TestWebhook(request).result
    said = result.error_message or f"answered {result.response_status}"
    session.answer(plain(result), f"{'Delivered' if result.success else 'Not delivered'}: {said}.")
    if not result.success:
        raise click.exceptions.Exit(1)
