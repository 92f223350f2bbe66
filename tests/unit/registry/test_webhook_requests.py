"""What may stand in requests about webhooks, and what the answers hold."""

from collections.abc import Callable
from typing import Any

import pytest

from runstone.registry.v1 import webhook_pb2
from runstone_kit.errors import InvalidArgument
from runstone_registry import convert_webhooks as read
from runstone_registry.model_webhooks import Answer, Webhook, WebhookEvent, WebhookStatus

ID = "f" * 32
CREATED = webhook_pb2.WEBHOOK_EVENT_MODEL_VERSION_CREATED


def good(**changes: Any) -> webhook_pb2.Webhook:
    values = {"name": "w", "url": "https://example.org/", "events": [CREATED]} | changes
    return webhook_pb2.Webhook(**values)


def wrong(call: Callable[[], Any]) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        call()
    return [each.field for each in caught.value.violations]


def create(webhook: webhook_pb2.Webhook, **more: Any) -> Any:
    request = webhook_pb2.CreateWebhookRequest(webhook=webhook, **more)
    return read.create_webhook(request, allow_private=False)


def test_a_webhook_as_it_is_read() -> None:
    wish = create(good(description="d"), secret="s", request_id="r")
    assert (wish.name, wish.url, wish.description) == ("w", "https://example.org/", "d")
    assert wish.events == {WebhookEvent.MODEL_VERSION_CREATED}
    assert (wish.status, wish.secret, wish.request_id) == (WebhookStatus.ACTIVE, "s", "r")
    disabled = good(status=webhook_pb2.WEBHOOK_STATUS_DISABLED)
    assert create(disabled).status is WebhookStatus.DISABLED


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "webhook.name"),
        ({"name": "a b"}, "webhook.name"),
        ({"name": "-a"}, "webhook.name"),
        ({"name": "a."}, "webhook.name"),
        ({"name": "a\n"}, "webhook.name"),
        ({"name": "é"}, "webhook.name"),
        ({"name": "x" * 64}, "webhook.name"),
        ({"url": ""}, "webhook.url"),
        ({"url": "https://127.0.0.1/"}, "webhook.url"),
        ({"events": []}, "webhook.events"),
        ({"events": [CREATED, CREATED]}, "webhook.events"),
        ({"events": [CREATED, 99]}, "webhook.events[1]"),
        ({"events": [0]}, "webhook.events[0]"),
        ({"events": [CREATED] * 17}, "webhook.events"),
        ({"status": 3}, "webhook.status"),
        ({"status": -1}, "webhook.status"),
        ({"description": "x" * 1001}, "webhook.description"),
        ({"description": "a\0b"}, "webhook.description"),
    ],
)
def test_fields_that_are_wrong(changes: dict[str, Any], field: str) -> None:
    assert wrong(lambda: create(good(**changes))) == [field]


@pytest.mark.parametrize("name", ["w", "W1", "a-b_c.d", "x" * 63])
def test_names_that_are_right(name: str) -> None:
    assert create(good(name=name)).name == name


def test_all_that_is_wrong_is_said_at_once() -> None:
    empty = webhook_pb2.Webhook()
    fields = wrong(lambda: create(empty, secret="é", request_id="a b"))
    assert fields == ["webhook.name", "webhook.url", "webhook.events", "secret", "request_id"]


def update(paths: list[str], webhook: webhook_pb2.Webhook, **more: Any) -> Any:
    request = webhook_pb2.UpdateWebhookRequest(webhook=webhook, **more)
    request.update_mask.paths.extend(paths)
    return read.update_webhook(request, allow_private=False)


def test_an_update_reads_what_the_mask_names() -> None:
    bad = webhook_pb2.Webhook(webhook_id=ID, name="a b", url="x", status=9, events=[99])
    wish = update(["description", "secret"], bad, secret="")
    assert (wish.description, wish.secret) == ("", "")
    assert (wish.name, wish.url, wish.events, wish.status) == (None, None, None, None)
    fields = wrong(lambda: update(["name", "url", "status", "events", "secret"], bad, secret="é"))
    assert sorted(fields) == [
        "secret",
        "webhook.events[0]",
        "webhook.name",
        "webhook.status",
        "webhook.url",
    ]


@pytest.mark.parametrize("paths", [[], ["creator"], ["*"], ["name", "webhook_id"], [""]])
def test_masks_that_are_wrong(paths: list[str]) -> None:
    assert wrong(lambda: update(paths, good(webhook_id=ID))) == ["update_mask"]


def test_an_update_to_no_status() -> None:
    assert wrong(lambda: update(["status"], good(webhook_id=ID))) == ["webhook.status"]


@pytest.mark.parametrize("text", ["", "x", "F" * 32, "f" * 33])
def test_ids_that_are_none(text: str) -> None:
    for request in (
        webhook_pb2.GetWebhookRequest(webhook_id=text),
        webhook_pb2.DeleteWebhookRequest(webhook_id=text),
    ):
        assert wrong(lambda request=request: read.webhook_id(request)) == ["webhook_id"]
    test = webhook_pb2.TestWebhookRequest(webhook_id=text, event=99)  # type: ignore[arg-type]
    assert wrong(lambda: read.test_webhook(test)) == ["webhook_id", "event"]
    assert wrong(lambda: update(["name"], good(webhook_id=text))) == ["webhook.webhook_id"]


def test_every_event_has_a_number_and_every_number_an_event() -> None:
    numbers = {number for number in webhook_pb2.WebhookEvent.values() if number}
    assert set(read.EVENTS.values()) == numbers
    for event in WebhookEvent:
        assert event.name.lower() == f"{event.entity}_{event.action}"


def test_an_answer_holds_no_secret() -> None:
    webhook = Webhook(
        webhook_id=ID,
        name="w",
        url="https://example.org/",
        events=frozenset(WebhookEvent),
        created_ms=1,
        updated_ms=2,
        secret="hush",
        failing_since_ms=3,
        last_error="e",
    )
    message = read.webhook_message(webhook)
    assert b"hush" not in message.SerializeToString()
    assert message.has_secret
    assert (message.failing_since.nanos, message.last_error) == (3_000_000, "e")
    assert len(message.events) == len(WebhookEvent)


def test_the_outcome_of_a_test() -> None:
    taken = read.result_message(Answer(204, body="b"))
    assert (taken.success, taken.response_status, taken.response_body) == (True, 204, "b")
    silent = read.result_message(Answer(error="e"))
    assert (silent.success, silent.response_status, silent.error_message) == (False, 0, "e")
