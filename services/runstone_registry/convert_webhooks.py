"""Messages of webhooks to commands, and values to messages; the secret goes one way only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runstone.registry.v1 import webhook_pb2
from runstone_kit.errors import Violations
from runstone_kit.validation import (
    check_count,
    check_id,
    check_page_size,
    check_request_id,
    check_text,
    shown,
)
from runstone_registry import addresses, signing
from runstone_registry.convert import time_message
from runstone_registry.model_commands import CreateWebhook, Listing, UpdateWebhook
from runstone_registry.model_webhooks import Answer, Webhook, WebhookEvent, WebhookStatus

MAX_DESCRIPTION = 1_000
"""Characters, as MLflow."""

FIELDS = ("name", "url", "description", "events", "status", "secret")
"""What an update may change."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")

EVENTS = {
    event: webhook_pb2.WebhookEvent.Value(f"WEBHOOK_EVENT_{event.name}") for event in WebhookEvent
}

STATUSES = {
    WebhookStatus.ACTIVE: webhook_pb2.WEBHOOK_STATUS_ACTIVE,
    WebhookStatus.DISABLED: webhook_pb2.WEBHOOK_STATUS_DISABLED,
}

_EVENTS: dict[int, WebhookEvent] = {number: event for event, number in EVENTS.items()}
_STATUSES: dict[int, WebhookStatus] = {number: status for status, number in STATUSES.items()}


def create_webhook(
    request: webhook_pb2.CreateWebhookRequest, *, allow_private: bool
) -> CreateWebhook:
    """CreateWebhook."""
    given = request.webhook
    violations = Violations()
    _check_name(violations, given.name)
    _check_url(violations, given.url, allow_private)
    check_text(violations, "webhook.description", given.description, MAX_DESCRIPTION)
    events = _read_events(violations, given.events)
    status = WebhookStatus.ACTIVE
    if given.status:
        status = _read_status(violations, given.status)
    _check_secret(violations, request.secret)
    check_request_id(violations, "request_id", request.request_id)
    violations.raise_if_any()
    return CreateWebhook(
        name=given.name,
        url=given.url,
        events=events,
        description=given.description,
        status=status,
        secret=request.secret,
        request_id=request.request_id,
    )


def webhook_id(request: webhook_pb2.GetWebhookRequest | webhook_pb2.DeleteWebhookRequest) -> str:
    """GetWebhook, DeleteWebhook: the id."""
    violations = Violations()
    check_id(violations, "webhook_id", request.webhook_id)
    violations.raise_if_any()
    return request.webhook_id


def list_webhooks(request: webhook_pb2.ListWebhooksRequest) -> Listing:
    """ListWebhooks."""
    violations = Violations()
    check_page_size(violations, "page_size", request.page_size)
    violations.raise_if_any()
    return Listing(page_size=request.page_size, page_token=request.page_token)


def update_webhook(
    request: webhook_pb2.UpdateWebhookRequest, *, allow_private: bool
) -> UpdateWebhook:
    """UpdateWebhook: of what the mask does not name, nothing is read."""
    given, paths = request.webhook, set(request.update_mask.paths)
    violations = Violations()
    check_id(violations, "webhook.webhook_id", given.webhook_id)
    allowed = ", ".join(f'"{field}"' for field in FIELDS)
    if not paths:
        violations.add("update_mask", f"is required and must not be empty; give any of {allowed}")
    for path in sorted(paths.difference(FIELDS))[:1]:
        violations.add("update_mask", f"may hold only {allowed}, not {shown(path)}")
    if "name" in paths:
        _check_name(violations, given.name)
    if "url" in paths:
        _check_url(violations, given.url, allow_private)
    if "description" in paths:
        check_text(violations, "webhook.description", given.description, MAX_DESCRIPTION)
    if "secret" in paths:
        _check_secret(violations, request.secret)
    events = _read_events(violations, given.events) if "events" in paths else None
    status = _read_status(violations, given.status) if "status" in paths else None
    violations.raise_if_any()
    return UpdateWebhook(
        webhook_id=given.webhook_id,
        name=given.name if "name" in paths else None,
        url=given.url if "url" in paths else None,
        events=events,
        description=given.description if "description" in paths else None,
        status=status,
        secret=request.secret if "secret" in paths else None,
    )


def test_webhook(
    request: webhook_pb2.TestWebhookRequest,
) -> tuple[str, WebhookEvent | None]:
    """TestWebhook: the id, the event if one was chosen."""
    violations = Violations()
    check_id(violations, "webhook_id", request.webhook_id)
    event = _read_event(violations, "event", request.event) if request.event else None
    violations.raise_if_any()
    return request.webhook_id, event


def webhook_message(webhook: Webhook) -> webhook_pb2.Webhook:
    """A webhook without its secret."""
    failing = time_message(webhook.failing_since_ms) if webhook.failing_since_ms else None
    return webhook_pb2.Webhook(
        webhook_id=webhook.webhook_id,
        name=webhook.name,
        url=webhook.url,
        description=webhook.description,
        events=sorted(EVENTS[event] for event in webhook.events),
        status=STATUSES[webhook.status],
        status_message=webhook.status_message,
        has_secret=bool(webhook.secret),
        creator=webhook.creator,
        create_time=time_message(webhook.created_ms),
        update_time=time_message(webhook.updated_ms),
        failing_since=failing,
        last_error=webhook.last_error,
    )


def result_message(answer: Answer) -> webhook_pb2.WebhookTestResult:
    """What came of a test."""
    return webhook_pb2.WebhookTestResult(
        success=answer.taken,
        response_status=answer.status,
        response_body=answer.body,
        error_message=answer.error,
    )


def _check_name(violations: Violations, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        violations.add(
            "webhook.name",
            "must be 1 to 63 letters, digits, '.', '_' and '-', the first and the last a letter or"
            f" digit, not {shown(name)}",
        )


def _check_url(violations: Violations, url: str, allow_private: bool) -> None:
    if not url:
        violations.add("webhook.url", "is required and must not be empty")
    elif wrong := addresses.check(url, allow_private=allow_private):
        violations.add("webhook.url", wrong)


def _check_secret(violations: Violations, secret: str) -> None:
    if wrong := signing.check(secret):
        violations.add("secret", wrong)


def _read_events(violations: Violations, given: Sequence[int]) -> frozenset[WebhookEvent]:
    if not check_count(violations, "webhook.events", len(given), len(EVENTS), minimum=1):
        return frozenset()
    found = [_read_event(violations, f"webhook.events[{i}]", n) for i, n in enumerate(given)]
    if len(set(given)) < len(given):
        violations.add("webhook.events", "must not hold an event twice")
    return frozenset(event for event in found if event is not None)


def _read_event(violations: Violations, field: str, number: int) -> WebhookEvent | None:
    event = _EVENTS.get(number)
    if event is None:
        violations.add(field, f"must be one of {', '.join(e.name for e in EVENTS)}, not {number}")
    return event


def _read_status(violations: Violations, number: int) -> WebhookStatus:
    status = _STATUSES.get(number)
    if status is None:
        violations.add("webhook.status", f"must be ACTIVE or DISABLED, not {number}")
        return WebhookStatus.ACTIVE
    return status
