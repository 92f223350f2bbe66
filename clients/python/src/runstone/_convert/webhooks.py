"""Webhooks: events and states by name, messages as values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runstone._convert.times import to_ms
from runstone._entities.registry import Webhook, WebhookTestResult
from runstone._values import invalid
from runstone.registry.v1 import webhook_pb2


def event_name(number: int) -> str:
    """ "model_version_tag.set" for MODEL_VERSION_TAG_SET."""
    name = webhook_pb2.WebhookEvent.Name(webhook_pb2.WebhookEvent.ValueType(number))
    entity, _, action = name.removeprefix("WEBHOOK_EVENT_").lower().rpartition("_")
    return f"{entity}.{action}"


EVENTS = {
    event_name(number): webhook_pb2.WebhookEvent.ValueType(number)
    for number in webhook_pb2.WebhookEvent.values()
    if number
}
"""By the names that people and MLflow use."""


def event(name: Any, field: str = "event") -> webhook_pb2.WebhookEvent.ValueType:
    """The event of a name, or of an object of MLflow's that prints as one. Raises InvalidField."""
    found = EVENTS.get(str(name))
    if found is None:
        raise invalid(field, f"must be one of {', '.join(EVENTS)}, not {str(name)!r:.60}")
    return found


def events(names: Iterable[Any]) -> list[webhook_pb2.WebhookEvent.ValueType]:
    """The events of names. Raises InvalidField."""
    if isinstance(names, str):
        raise invalid("events", f"must be a list, as [{names!r:.60}]")
    return [event(name, f"events[{index}]") for index, name in enumerate(names)]


def status(name: Any) -> webhook_pb2.WebhookStatus.ValueType:
    """The status of a name in any case. Raises InvalidField."""
    try:
        return webhook_pb2.WebhookStatus.Value(f"WEBHOOK_STATUS_{str(name).upper()}")
    except ValueError:
        raise invalid("status", f"must be ACTIVE or DISABLED, not {str(name)!r:.60}") from None


def webhook(message: webhook_pb2.Webhook) -> Webhook:
    """A webhook."""
    since = to_ms(message.failing_since) if message.HasField("failing_since") else None
    return Webhook(
        webhook_id=message.webhook_id,
        name=message.name,
        url=message.url,
        events=[_known(each) for each in message.events],
        creation_timestamp=to_ms(message.create_time),
        last_updated_timestamp=to_ms(message.update_time),
        description=message.description,
        status=webhook_pb2.WebhookStatus.Name(message.status).removeprefix("WEBHOOK_STATUS_"),
        status_message=message.status_message,
        has_secret=message.has_secret,
        creator=message.creator,
        failing_since=since,
        last_error=message.last_error,
    )


def _known(number: int) -> str:
    # A newer server may have events that this client does not know.
    known = number in webhook_pb2.WebhookEvent.values()
    return event_name(number) if known else str(number)


def test_result(message: webhook_pb2.WebhookTestResult) -> WebhookTestResult:
    """How a test went."""
    return WebhookTestResult(
        success=message.success,
        response_status=message.response_status or None,
        response_body=message.response_body or None,
        error_message=message.error_message or None,
    )
