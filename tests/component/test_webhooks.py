"""Webhooks of a real registry: signed, at least once, by several replicas and through kills."""

import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from runstone.registry.v1 import governance_pb2 as governance
from runstone.registry.v1 import model_pb2 as models
from runstone.registry.v1 import webhook_pb2 as webhooks
from runstone.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from runstone_kit.peers import PeerFailure, failure
from runstone_kit.server import ServerSpec, start
from runstone_registry.main import build, upgrade
from runstone_registry.service import DeliveryPolicy
from runstone_registry.settings import RegistrySettings
from support.processes import free_port, wait_until
from support.receivers import Receiver, Request, answering, in_turn, receiver
from support.services import ServiceProcess
from support.suites import channel, clean_environment

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CREATED = webhooks.WEBHOOK_EVENT_REGISTERED_MODEL_CREATED
QUICK = DeliveryPolicy(retry_after_s=(0.05,) * 20, rest_s=0.01, look_s=0.05, upkeep_s=0.1)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def settings_for(url: str, **changes: Any) -> RegistrySettings:
    return RegistrySettings(
        database_url=url,
        listen="127.0.0.1:0",
        access_log="off",
        **({"webhooks_allow_private": True} | changes),
    )


@pytest.fixture
def stubs(postgres_url: str) -> Iterator[list[RegistryServiceStub]]:
    """Two replicas on one database."""
    settings = settings_for(postgres_url)
    upgrade(settings)
    with ExitStack() as stack:
        opened = []
        for _ in range(2):
            spec = ServerSpec.from_settings(
                "registry", settings, lambda: [build(settings, policy=QUICK)]
            )
            running = start(spec)
            stack.callback(running.stop, grace_s=5.0)
            opened.append(
                RegistryServiceStub(stack.enter_context(channel(f"127.0.0.1:{running.port}")))
            )
        yield opened


def hook(stub: RegistryServiceStub, url: str, **values: Any) -> webhooks.Webhook:
    secret = values.pop("secret", SECRET)
    given = webhooks.Webhook(**({"name": "w", "url": url, "events": [CREATED]} | values))
    request = webhooks.CreateWebhookRequest(webhook=given, secret=secret)
    return stub.CreateWebhook(request, timeout=20).webhook


def model(stub: RegistryServiceStub, name: str) -> None:
    stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name=name), timeout=20)


def get(stub: RegistryServiceStub, webhook_id: str) -> webhooks.Webhook:
    return stub.GetWebhook(webhooks.GetWebhookRequest(webhook_id=webhook_id), timeout=20).webhook


def refused(call: Any, request: Any) -> PeerFailure:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20)
    return failure(caught.value)


def names(there: Receiver) -> list[str]:
    return [request.json["data"]["name"] for request in there.requests]


def test_replicas_deliver_each_event_once(
    stubs: list[RegistryServiceStub], there: Receiver
) -> None:
    hook(stubs[0], there.url)
    wanted = [f"m{number}" for number in range(40)]
    for index, name in enumerate(wanted):
        model(stubs[index % 2], name)
    wait_until(lambda: len(there.requests) >= len(wanted), 60, "all being delivered")
    assert names(there) == wanted
    assert len(set(there.ids)) == len(wanted)


def test_a_receiver_can_verify_what_it_gets(
    stubs: list[RegistryServiceStub], there: Receiver
) -> None:
    made = hook(stubs[0], there.url)
    model(stubs[0], "churn")
    wait_until(lambda: there.requests, 30)
    (request,) = there.requests
    assert set(request.json) == {"entity", "action", "timestamp", "data"}
    content = f"{request.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    for header, key in (
        ("webhook-signature", base64.b64decode(SECRET.removeprefix("whsec_"))),
        ("x-mlflow-signature", SECRET.encode()),
    ):
        signed = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        assert request.headers[header] == f"v1,{signed}"
    assert made.has_secret
    assert SECRET not in str(made)
    listed = stubs[1].ListWebhooks(webhooks.ListWebhooksRequest()).webhooks
    assert list(listed) == [made]
    events = stubs[0].ListAuditEvents(governance.ListAuditEventsRequest()).events
    assert SECRET not in str(events)


def test_a_receiver_that_fails_gets_it_again(
    stubs: list[RegistryServiceStub], there: Receiver
) -> None:
    def closes(_connection: socket.socket, _request: Request) -> None:
        """No answer at all."""

    there.behave = in_turn(
        answering(500), closes, answering(302, location="/x"), answering(429), answering(204)
    )
    made = hook(stubs[0], there.url)
    model(stubs[0], "churn")
    wait_until(lambda: len(there.requests) == 5, 60, "the fifth attempt")
    assert len(set(there.ids)) == 1
    healed = wait_until(
        lambda: (seen := get(stubs[0], made.webhook_id)).last_error == "" and seen, 30
    )
    assert not healed.HasField("failing_since")


def test_gone_is_seen_on_the_webhook(stubs: list[RegistryServiceStub], there: Receiver) -> None:
    there.behave = answering(410)
    made = hook(stubs[0], there.url)
    model(stubs[0], "churn")
    disabled = wait_until(
        lambda: (seen := get(stubs[0], made.webhook_id)).status != made.status and seen, 30
    )
    assert disabled.status == webhooks.WEBHOOK_STATUS_DISABLED
    assert disabled.status_message == "the receiver answered 410 Gone"
    there.behave = answering(200)
    stubs[1].UpdateWebhook(
        webhooks.UpdateWebhookRequest(
            webhook=webhooks.Webhook(
                webhook_id=made.webhook_id, status=webhooks.WEBHOOK_STATUS_ACTIVE
            ),
            update_mask=FieldMask(paths=["status"]),
        )
    )
    wait_until(lambda: len(there.requests) == 2, 30)
    assert len(set(there.ids)) == 1


def test_a_test_tells_what_came_back(stubs: list[RegistryServiceStub], there: Receiver) -> None:
    made = hook(stubs[0], there.url, status=webhooks.WEBHOOK_STATUS_DISABLED)
    there.behave = answering(418, b"short and stout")
    result = stubs[0].TestWebhook(webhooks.TestWebhookRequest(webhook_id=made.webhook_id)).result
    assert (result.success, result.response_status, result.response_body) == (
        False,
        418,
        "short and stout",
    )
    there.close()
    result = stubs[0].TestWebhook(webhooks.TestWebhookRequest(webhook_id=made.webhook_id)).result
    assert (result.success, result.response_status) == (False, 0)
    assert result.error_message == "the connection failed: Connection refused"


def test_only_so_many_are_tested_at_once(stubs: list[RegistryServiceStub], there: Receiver) -> None:
    gate = threading.Event()
    there.behave = lambda connection, request: gate.wait(60) and answering(200)(connection, request)
    made = hook(stubs[0], there.url)
    request = webhooks.TestWebhookRequest(webhook_id=made.webhook_id)
    calls = [stubs[0].TestWebhook.future(request, timeout=60) for _ in range(6)]
    try:
        ended = wait_until(lambda: [call for call in calls if call.done()], 30)
        assert failure(ended[0].exception()).reason == "OVERLOADED"
    finally:
        gate.set()
    for call in calls:
        call.exception(60)


def test_what_is_wrong_with_a_webhook_is_said_at_once(stubs: list[RegistryServiceStub]) -> None:
    request = webhooks.CreateWebhookRequest(
        webhook=webhooks.Webhook(
            name="a b", url="ftp://x", events=[CREATED, CREATED, 99], status=7
        ),
        secret="whsec_x",
    )
    with pytest.raises(grpc.RpcError) as caught:
        stubs[0].CreateWebhook(request, timeout=20)
    said = str(caught.value)
    assert failure(caught.value).reason == "INVALID_FIELD"
    assert "(and 5 more)" in said
    update = webhooks.UpdateWebhookRequest(
        webhook=webhooks.Webhook(webhook_id="f" * 32), update_mask=FieldMask(paths=["creator"])
    )
    assert refused(stubs[0].UpdateWebhook, update).reason == "INVALID_FIELD"
    update.update_mask.paths[:] = ["name"]
    update.webhook.name = "x"
    assert refused(stubs[0].UpdateWebhook, update).reason == "WEBHOOK_NOT_FOUND"


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "https://127.0.0.1/", "https://169.254.169.254/", "https://0x7f.1/"],
)
def test_without_the_setting_nothing_leads_inside(tmp_path: Path, url: str) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/r.db", webhooks_allow_private=False)
    upgrade(settings)
    running = start(ServerSpec.from_settings("registry", settings, lambda: [build(settings)]))
    try:
        with channel(f"127.0.0.1:{running.port}") as opened:
            stub = RegistryServiceStub(opened)
            with pytest.raises(grpc.RpcError) as caught:
                hook(stub, url)
            assert failure(caught.value).reason == "INVALID_FIELD"
            assert list(stub.ListWebhooks(webhooks.ListWebhooksRequest()).webhooks) == []
    finally:
        running.stop(grace_s=5.0)


@pytest.mark.faults
def test_a_kill_between_delivery_and_its_note(
    there: Receiver, postgres_url: str, tmp_path: Path
) -> None:
    upgrade(settings_for(postgres_url))
    environment = clean_environment(
        RUNSTONE_DATABASE_URL=postgres_url,
        RUNSTONE_REGISTRY_WEBHOOKS_ALLOW_PRIVATE="true",
        RUNSTONE_REGISTRY_WEBHOOKS_TIMEOUT_S="5",
    )
    service = ServiceProcess("registry", tmp_path, environment, free_port())
    arrived = threading.Event()

    def kills(_connection: socket.socket, _request: Request) -> None:
        # The receiver has it; who sent it never learns.
        service.kill()
        arrived.set()

    there.behave = in_turn(kills, answering(200))
    try:
        service.wait_serving(ready=False)
        with channel(service.address) as opened:
            stub = RegistryServiceStub(opened)
            made = hook(stub, there.url)
            model(stub, "churn")
        assert arrived.wait(30)
        service.restart()
        service.wait_serving(ready=False)
        # The lease of the one that was killed ends first.
        wait_until(lambda: len(there.requests) > 1, 60, "the delivery being repeated")
        assert len(set(there.ids)) == 1
        with channel(service.address) as opened:
            seen = get(RegistryServiceStub(opened), made.webhook_id)
            assert seen.status == webhooks.WEBHOOK_STATUS_ACTIVE
    finally:
        service.kill()
