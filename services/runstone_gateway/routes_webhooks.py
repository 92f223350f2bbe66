"""Webhooks: MLflow's calls as ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone.registry.v1 import webhook_pb2 as messages
from runstone_gateway import render_webhooks as render
from runstone_gateway.call import Call
from runstone_gateway.errors import not_found
from runstone_gateway.fields import Field, listed, nested, one_of, wrong

MAX_RESULTS = 1000
"""Webhooks of one answer, as MLflow has it."""

TEST_S = 60.0
"""For a test: the receiver may be slow. As the RPC's own limit."""

_NUMBERS = {names: number for number, names in render.NAMES.items()}
_PARTS = nested(
    entity=one_of(render.ENTITIES).required,
    action=one_of(render.ACTIONS).required,
)
_ID = re.compile("[0-9a-f]{32}")


def _event(value: Any, path: str) -> Any:
    parts = _PARTS.read(value, path)
    number = _NUMBERS.get((parts["entity"], parts["action"]))
    if number is None:
        known = ", ".join(action for entity, action in _NUMBERS if entity == parts["entity"])
        raise wrong(parts["action"], f"{path}.action", f"one of {known} for {parts['entity']}")
    return number


EVENT = Field(_event)
"""{"entity", "action"}; the handler gets our number of it."""

EVENTS = listed(EVENT)

STATUS = one_of(render.STATUSES)


def _known(webhook_id: str) -> str:
    # To MLflow an id is any text, and one of another form is of no webhook.
    if not _ID.fullmatch(webhook_id):
        raise not_found(f"Webhook with ID {webhook_id[:40]} not found.")
    return webhook_id


def _status(name: str) -> Any:
    return messages.WebhookStatus.Value(f"WEBHOOK_STATUS_{name}")


async def create(
    call: Call,
    name: str,
    url: str,
    events: Sequence[Any],
    description: str = "",
    secret: str = "",
    status: str = "ACTIVE",
) -> Any:
    """POST webhooks."""
    webhook = messages.Webhook(
        name=name, url=url, events=events, description=description, status=_status(status)
    )
    request = messages.CreateWebhookRequest(webhook=webhook, secret=secret)
    made = await call.ask(call.registry.CreateWebhook, request)
    return {"webhook": render.webhook(made.webhook)}


async def list_all(call: Call, max_results: int = 0, page_token: str = "") -> Any:
    """GET webhooks. Those told only of what MLflow has no events for are left out: its clients
    take no webhook without events."""
    if not 0 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of webhooks from 1 to {MAX_RESULTS}")
    request = messages.ListWebhooksRequest(page_size=max_results, page_token=page_token)
    page = await call.ask(call.registry.ListWebhooks, request)
    rendered = [render.webhook(each) for each in page.webhooks]
    answer: dict[str, Any] = {}
    if shown := [each for each in rendered if "events" in each]:
        answer["webhooks"] = shown
    if page.next_page_token:
        answer["next_page_token"] = page.next_page_token
    return answer


async def get(call: Call, webhook_id: str) -> Any:
    """GET webhooks/{webhook_id}."""
    request = messages.GetWebhookRequest(webhook_id=_known(webhook_id))
    found = await call.ask(call.registry.GetWebhook, request)
    return {"webhook": render.webhook(found.webhook)}


async def update(
    call: Call,
    webhook_id: str,
    name: str = "",
    url: str = "",
    events: Sequence[Any] = (),
    description: str | None = None,
    secret: str | None = None,
    status: str = "",
) -> Any:
    """PATCH webhooks/{webhook_id}. An empty description or secret takes it away; whatever else is
    empty stays as it is."""
    changes: dict[str, Any] = {
        field: value for field, value in (("name", name), ("url", url), ("events", events)) if value
    }
    if description is not None:
        changes["description"] = description
    if status:
        changes["status"] = _status(status)
    paths = [*changes, *([] if secret is None else ["secret"])]
    if not paths:
        return await get(call, webhook_id)
    request = messages.UpdateWebhookRequest(
        webhook=messages.Webhook(webhook_id=_known(webhook_id), **changes),
        update_mask=FieldMask(paths=paths),
        secret=secret or "",
    )
    changed = await call.ask(call.registry.UpdateWebhook, request)
    return {"webhook": render.webhook(changed.webhook)}


async def delete(call: Call, webhook_id: str) -> Any:
    """DELETE webhooks/{webhook_id}."""
    request = messages.DeleteWebhookRequest(webhook_id=_known(webhook_id))
    await call.ask(call.registry.DeleteWebhook, request)
    return {}


async def try_out(call: Call, webhook_id: str, event: Any = None) -> Any:
    """POST webhooks/{webhook_id}/test."""
    request = messages.TestWebhookRequest(webhook_id=_known(webhook_id), event=event)
    tested = await call.ask(call.registry.TestWebhook, request, seconds=TEST_S)
    return {"result": render.result(tested.result)}
