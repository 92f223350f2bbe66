"""What tests of webhooks share: a webhook, a dispatcher on fakes, and what became of it."""

import json
from typing import Any

from runstone_kit.ids import SystemIds
from runstone_registry.model_commands import CreateWebhook
from runstone_registry.model_webhooks import Answer, Webhook, WebhookEvent
from runstone_registry.service import DeliveryPolicy, Dispatcher
from support.registry import Registry

URL = "https://hooks.example.org/a"
EVERYTHING = frozenset(WebhookEvent)
CREATED = frozenset({WebhookEvent.REGISTERED_MODEL_CREATED})
AWAY = Answer(error="the connection failed: refused")
TIMEOUT_S = 5.0


def hook(
    registry: Registry, name: str = "w", events: frozenset[WebhookEvent] = EVERYTHING, **more: Any
) -> Webhook:
    return registry.service.create_webhook(
        CreateWebhook(name, more.pop("url", URL), events, **more)
    )


def dispatcher(registry: Registry, threads: int = 4) -> Dispatcher:
    return Dispatcher(
        registry.store,
        registry.sender,
        registry.clock,
        SystemIds(),
        timeout_s=TIMEOUT_S,
        threads=threads,
        policy=DeliveryPolicy(random=lambda: 0.0, upkeep_s=0.0),
    )


def deliver(registry: Registry, by: Dispatcher | None = None) -> int:
    """All that is due now; how many attempts that took."""
    by = by or dispatcher(registry)
    count = 0
    while claimed := by.look():
        count += sum(map(by.turn, claimed))
    return count


def told(registry: Registry) -> list[tuple[str, dict[str, Any]]]:
    """What was delivered: events and data."""
    bodies = [json.loads(post.body) for post in registry.sender.posts]
    return [(f"{each['entity']}.{each['action']}", each["data"]) for each in bodies]


def waiting(registry: Registry) -> int:
    return registry.store.read(lambda tx: tx.backlog()).count


def rows(registry: Registry, table: str) -> int:
    prefix = "runstone_registry." if registry.database.dialect == "postgresql" else ""
    with registry.database.read() as connection:
        found: int = connection.exec_driver_sql(
            f"SELECT count(*) FROM {prefix}{table}"
        ).scalar_one()
    return found
