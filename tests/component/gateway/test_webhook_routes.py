"""Webhooks over HTTP, as MLflow's clients ask for them, with a receiver on this machine."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from runstone.registry.v1 import webhook_pb2 as webhooks
from runstone.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from support.http_gateway import MLFLOW, Answer, Gateway, gateway
from support.processes import wait_until
from support.receivers import Receiver, answering, receiver
from support.suites import channel

HOOKS = f"{MLFLOW}/webhooks"
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
INVALID = (400, "INVALID_PARAMETER_VALUE")
MODEL_CREATED = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
TAG_SET = {"entity": "MODEL_VERSION_TAG", "action": "SET"}


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A suite whose webhooks may lead to this machine."""
    told = {"RUNSTONE_REGISTRY_WEBHOOKS_ALLOW_PRIVATE": "true"}
    with gateway(tmp_path_factory.mktemp("private"), **told) as started:
        yield started


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def send(server: Gateway, method: str, path: str = "", /, **body: Any) -> Answer:
    raw = json.dumps(body) if body else None
    return server.ask(method, HOOKS + path, raw, {"Content-Type": "application/json"})


def done(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def new(server: Gateway, url: str = "https://example.com/x", **values: Any) -> Any:
    wanted = {"name": "ci", "url": url, "events": [MODEL_CREATED], **values}
    return done(send(server, "POST", **wanted))["webhook"]


def get(server: Gateway, webhook_id: str) -> Any:
    return done(send(server, "GET", f"/{webhook_id}"))["webhook"]


def listed(server: Gateway, query: str = "") -> list[str]:
    return [each["webhook_id"] for each in done(send(server, "GET", query)).get("webhooks", [])]


def asked(server: Gateway) -> Any:
    return channel(server.address)


def test_a_webhook_is_created_read_and_deleted(server: Gateway) -> None:
    made = new(server, description="d", secret="hush", events=[TAG_SET, MODEL_CREATED])
    assert made == {
        "webhook_id": made["webhook_id"],
        "name": "ci",
        "description": "d",
        "url": "https://example.com/x",
        "events": [MODEL_CREATED, TAG_SET],
        "status": "ACTIVE",
        "creation_timestamp": made["creation_timestamp"],
        "last_updated_timestamp": made["creation_timestamp"],
    }
    assert type(made["creation_timestamp"]) is int
    path = f"/{made['webhook_id']}"
    assert get(server, made["webhook_id"]) == made
    assert made in done(send(server, "GET"))["webhooks"]
    assert done(send(server, "DELETE", path)) == {}
    assert send(server, "GET", path).error == ABSENT
    assert send(server, "DELETE", path).error == ABSENT


def test_what_an_update_names_is_changed(embedded: Gateway) -> None:
    made = new(embedded, description="d", secret="hush")
    webhook_id = made["webhook_id"]

    def update(**values: Any) -> Any:
        changed = done(send(embedded, "PATCH", f"/{webhook_id}", **values))["webhook"]
        assert changed == get(embedded, webhook_id)
        return changed

    kept = {**made, "status": "DISABLED"}
    changed = update(status="DISABLED")
    assert {**changed, "last_updated_timestamp": 0} == {**kept, "last_updated_timestamp": 0}
    # As in MLflow, what is empty stays as it is, but for the description and the secret.
    changed = update(name="", url="", events=[])
    assert {**changed, "last_updated_timestamp": 0} == {**kept, "last_updated_timestamp": 0}
    assert "description" not in update(description="")
    changed = update(name="cd", url="https://example.com/y", events=[TAG_SET], status="ACTIVE")
    told = [changed[name] for name in ("name", "url", "events", "status")]
    assert told == ["cd", "https://example.com/y", [TAG_SET], "ACTIVE"]
    assert update() == changed


def test_a_secret_is_kept_until_it_is_taken_away_and_never_told(embedded: Gateway) -> None:
    webhook_id = new(embedded, secret="hush")["webhook_id"]
    with asked(embedded) as opened:
        registry = RegistryServiceStub(opened)
        request = webhooks.GetWebhookRequest(webhook_id=webhook_id)
        for change, signed in (({"name": "x"}, True), ({"secret": ""}, False)):
            answer = send(embedded, "PATCH", f"/{webhook_id}", **change)
            assert b"hush" not in answer.body
            assert registry.GetWebhook(request).webhook.has_secret is signed


def test_lists_are_paged_newest_first(embedded: Gateway) -> None:
    made = [new(embedded)["webhook_id"] for _ in range(5)]
    first = done(send(embedded, "GET", "?max_results=3"))
    assert [each["webhook_id"] for each in first["webhooks"]] == made[:1:-1]
    rest = listed(embedded, f"?max_results=2&page_token={first['next_page_token']}")
    assert rest == made[1::-1]
    assert listed(embedded)[:5] == made[::-1]
    for wrong in ("-1", "1001"):
        assert send(embedded, "GET", f"?max_results={wrong}").error == INVALID
    assert send(embedded, "GET", "?page_token=x").error == INVALID


def test_events_that_mlflow_does_not_know_are_left_out(embedded: Gateway) -> None:
    finalized = webhooks.WEBHOOK_EVENT_MODEL_VERSION_FINALIZED
    created = webhooks.WEBHOOK_EVENT_REGISTERED_MODEL_CREATED
    with asked(embedded) as opened:
        registry = RegistryServiceStub(opened)

        def make(*events: Any) -> str:
            hook = webhooks.Webhook(name="x", url="https://example.com", events=events)
            made = registry.CreateWebhook(webhooks.CreateWebhookRequest(webhook=hook))
            return str(made.webhook.webhook_id)

        both, ours = make(created, finalized), make(finalized)
        assert get(embedded, both)["events"] == [MODEL_CREATED]
        assert "events" not in get(embedded, ours)
        shown = listed(embedded)
        assert both in shown
        assert ours not in shown
        # A change of something else leaves them.
        done(send(embedded, "PATCH", f"/{both}", name="y"))
        request = webhooks.GetWebhookRequest(webhook_id=both)
        assert list(registry.GetWebhook(request).webhook.events) == [created, finalized]


def test_a_webhook_is_tested(private: Gateway, there: Receiver) -> None:
    there.behave = answering(200, b"thanks")
    path = f"/{new(private, there.url)['webhook_id']}/test"
    assert done(send(private, "POST", path)) == {
        "result": {"success": True, "response_status": 200, "response_body": "thanks"}
    }
    done(send(private, "POST", path, event=TAG_SET))
    told = [(each.json["entity"], each.json["action"]) for each in there.requests]
    assert told == [("registered_model", "created"), ("model_version_tag", "set")]
    there.behave = answering(404)
    refused = done(send(private, "POST", path))["result"]
    assert (refused["success"], refused["response_status"]) == (False, 404)
    there.close()
    nobody = done(send(private, "POST", path))["result"]
    assert nobody["error_message"]
    assert {"response_status", "response_body"}.isdisjoint(nobody)


def test_what_happens_through_http_is_delivered(private: Gateway, there: Receiver) -> None:
    new(private, there.url, events=[MODEL_CREATED])
    name = uuid.uuid4().hex
    made = private.post(f"{MLFLOW}/registered-models/create", name=name)
    assert made.status == 200
    wait_until(lambda: there.requests, 30, "the delivery")
    assert there.requests[0].json["data"]["name"] == name


def test_numbers_of_enums_are_their_names(embedded: Gateway) -> None:
    made = new(embedded, events=[{"entity": 3, "action": 4}], status=2)
    assert (made["events"], made["status"]) == ([TAG_SET], "DISABLED")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"events": [{"entity": "PROMPT", "action": "SET"}]}, "'events[0].action'"),
        ({"events": [{"entity": "BUDGET_POLICY", "action": "EXCEEDED"}]}, "'events[0].entity'"),
        ({"events": [{"entity": "PROMPT"}]}, "'events[0].action'"),
        ({"events": []}, "events"),
        ({"events": [TAG_SET, TAG_SET]}, "twice"),
        ({"status": "PAUSED"}, "'status'"),
        ({"name": "a b"}, "name"),
        ({"url": "http://example.com"}, "https"),
        ({"url": "https://127.0.0.1/x"}, "url"),
        ({"description": "x" * 1001}, "description"),
        ({"secret": "é"}, "secret"),
    ],
)
def test_what_cannot_be_is_refused(embedded: Gateway, change: dict[str, Any], said: str) -> None:
    wanted = {"name": "ci", "url": "https://example.com", "events": [TAG_SET], **change}
    before = listed(embedded)
    answer = send(embedded, "POST", **wanted)
    assert answer.error == INVALID
    assert said in answer.json["message"]
    assert listed(embedded) == before


@pytest.mark.parametrize("webhook_id", ["f" * 32, "nope", "F" * 32, "%00", "m" * 500])
def test_a_webhook_that_is_not_there(embedded: Gateway, webhook_id: str) -> None:
    path = f"/{webhook_id}"
    assert send(embedded, "GET", path).error == ABSENT
    assert send(embedded, "PATCH", path).error == ABSENT
    assert send(embedded, "PATCH", path, name="x").error == ABSENT
    assert send(embedded, "DELETE", path).error == ABSENT
    assert send(embedded, "POST", f"{path}/test").error == ABSENT
