"""Webhooks as MLflow's JSON, where an event is an entity and an action."""

from __future__ import annotations

from typing import Any

from runstone.registry.v1 import webhook_pb2
from runstone_gateway.render_tracking import Json, milliseconds

ENTITIES = {
    "REGISTERED_MODEL": 1,
    "MODEL_VERSION": 2,
    "MODEL_VERSION_TAG": 3,
    "MODEL_VERSION_ALIAS": 4,
    "PROMPT": 5,
    "PROMPT_VERSION": 6,
    "PROMPT_TAG": 7,
    "PROMPT_VERSION_TAG": 8,
    "PROMPT_ALIAS": 9,
}
"""What MLflow's events are of, with its numbers. Its budgets are not kept here."""

ACTIONS = {"CREATED": 1, "UPDATED": 2, "DELETED": 3, "SET": 4}

STATUSES = {"ACTIVE": 1, "DISABLED": 2}

NAMES: dict[Any, tuple[str, str]] = {
    number: (entity, action)
    for name, number in webhook_pb2.WebhookEvent.items()
    for entity, _, action in [name.removeprefix("WEBHOOK_EVENT_").rpartition("_")]
    if entity in ENTITIES and action in ACTIONS
}
"""Entity and action of each event that MLflow knows, too."""


def webhook(found: webhook_pb2.Webhook) -> Json:
    """A webhook with those of its events that MLflow knows: its clients fail at others."""
    made: Json = {"webhook_id": found.webhook_id, "name": found.name}
    if found.description:
        made["description"] = found.description
    made["url"] = found.url
    known = [NAMES[each] for each in found.events if each in NAMES]
    if known:
        made["events"] = [{"entity": entity, "action": action} for entity, action in known]
    made["status"] = webhook_pb2.WebhookStatus.Name(found.status).removeprefix("WEBHOOK_STATUS_")
    made["creation_timestamp"] = milliseconds(found.create_time)
    made["last_updated_timestamp"] = milliseconds(found.update_time)
    return made


def result(found: webhook_pb2.WebhookTestResult) -> Json:
    """How a test went."""
    made: Json = {"success": found.success}
    if found.response_status:
        made["response_status"] = found.response_status
    if found.response_body:
        made["response_body"] = found.response_body
    if found.error_message:
        made["error_message"] = found.error_message
    return made
