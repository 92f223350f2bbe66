"""Webhooks on both databases: made, changed, and what a change tells them."""

import pytest

from runstone_registry import service_webhooks
from runstone_registry.errors import RequestIdReused, TooManyWebhooks, WebhookNotFound
from runstone_registry.model import Stage
from runstone_registry.model_commands import (
    CreateModel,
    CreateVersion,
    Listing,
    RunSource,
    Transition,
    UpdateWebhook,
)
from runstone_registry.model_webhooks import Answer, WebhookEvent, WebhookStatus
from support.registry import RUN, Registry
from support.webhooks import CREATED, EVERYTHING, URL, deliver, hook, rows, told


def test_a_webhook_is_made_changed_listed_and_deleted(registry: Registry) -> None:
    service = registry.service
    with registry.acting("ada"):
        made = hook(registry, secret="hush", description="d")
    assert made == service.get_webhook(made.webhook_id)
    assert (made.name, made.url, made.events, made.creator) == ("w", URL, EVERYTHING, "ada")
    assert (made.status, made.secret, made.created_ms) == (
        WebhookStatus.ACTIVE,
        "hush",
        registry.clock.now,
    )
    registry.clock.advance(1)
    changed = service.update_webhook(UpdateWebhook(made.webhook_id, name="v", events=CREATED))
    assert (changed.name, changed.events, changed.url, changed.secret) == (
        "v",
        CREATED,
        URL,
        "hush",
    )
    assert changed.updated_ms == registry.clock.now
    assert service.update_webhook(UpdateWebhook(made.webhook_id, secret="")).secret == ""
    others = [hook(registry, f"n{n}").webhook_id for n in range(4)]
    first = service.list_webhooks(Listing(page_size=3))
    rest = service.list_webhooks(Listing(page_size=3, page_token=first.next_page_token))
    listed = [each.webhook_id for each in (*first.items, *rest.items)]
    assert listed == [*reversed(others), made.webhook_id]
    assert rest.next_page_token == ""
    service.delete_webhook(made.webhook_id)
    for call in (service.get_webhook, service.delete_webhook):
        with pytest.raises(WebhookNotFound):
            call(made.webhook_id)
    with pytest.raises(WebhookNotFound):
        service.update_webhook(UpdateWebhook(made.webhook_id, name="x"))
    with pytest.raises(WebhookNotFound):
        service.test_webhook(made.webhook_id, None)


def test_the_audit_tells_of_webhooks_and_not_their_secrets(registry: Registry) -> None:
    made = hook(registry, url="https://hooks.example.org/t0ken?k=t0ken", secret="hush")
    registry.service.update_webhook(UpdateWebhook(made.webhook_id, secret="hush2"))
    registry.service.delete_webhook(made.webhook_id)
    events = registry.service.list_audit_events(Listing()).items
    assert [each.action for each in events] == ["DeleteWebhook", "UpdateWebhook", "CreateWebhook"]
    assert events[1].details["changed"] == "secret"
    assert events[0].details["host"] == "hooks.example.org"
    assert "hush" not in str(events)
    assert "t0ken" not in str(events)


def test_a_repeated_create_makes_one(registry: Registry) -> None:
    first = hook(registry, request_id="once", secret="a")
    assert hook(registry, request_id="once", secret="b") == first
    with pytest.raises(RequestIdReused):
        hook(registry, "other", request_id="once")
    registry.service.delete_webhook(first.webhook_id)
    with pytest.raises(WebhookNotFound):
        hook(registry, request_id="once")


def test_there_are_only_so_many(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_webhooks, "MAX_WEBHOOKS", 3)
    for number in range(3):
        hook(registry, f"n{number}", CREATED)
    with pytest.raises(TooManyWebhooks):
        hook(registry)


def test_what_a_model_tells(registry: Registry) -> None:
    hook(registry)
    service = registry.service
    registry.model(description="d", tags={"team": "x"})
    registry.version(tags={"a": "1"})
    service.set_model_version_tags("churn", 1, {"k": "v", "l": "w"})
    service.delete_model_version_tags("churn", 1, ["k"])
    service.set_model_alias("churn", "best", 1, "")
    service.set_model_alias("churn", "best", 1, "")
    service.delete_model_alias("churn", "best", "")
    service.set_registered_model_tags("churn", {"nobody": "is told"})
    deliver(registry)
    of = {"name": "churn", "version": "1"}
    assert told(registry) == [
        (
            "registered_model.created",
            {"name": "churn", "tags": {"team": "x"}, "description": "d"},
        ),
        (
            "model_version.created",
            {
                **of,
                "source": f"runs:/{RUN}/model",
                "run_id": RUN,
                "tags": {"a": "1"},
                "description": None,
            },
        ),
        ("model_version_tag.set", {**of, "key": "k", "value": "v"}),
        ("model_version_tag.set", {**of, "key": "l", "value": "w"}),
        ("model_version_tag.deleted", {**of, "key": "k"}),
        ("model_version_alias.created", {**of, "alias": "best"}),
        ("model_version_alias.deleted", {"name": "churn", "alias": "best"}),
    ]
    assert len(set(registry.sender.ids)) == 7


def test_what_a_prompt_tells(registry: Registry) -> None:
    hook(registry)
    service = registry.service
    prompt = {"mlflow.prompt.is_prompt": "True", "_mlflow_prompt_type": "text", "team": "x"}
    service.create_registered_model(CreateModel("hello", tags=prompt))
    text = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hi {{you}}", "a": "1"}
    service.create_model_version(CreateVersion("hello", RunSource(RUN, "model"), tags=text))
    service.set_registered_model_tags("hello", {"k": "v"})
    service.delete_registered_model_tags("hello", ["k"])
    service.set_model_version_tags("hello", 1, {"k": "v"})
    service.delete_model_version_tags("hello", 1, ["k"])
    service.set_model_alias("hello", "best", 1, "")
    service.delete_model_alias("hello", "best", "")
    deliver(registry)
    of = {"name": "hello", "version": "1"}
    assert told(registry) == [
        ("prompt.created", {"name": "hello", "tags": {"team": "x"}, "description": None}),
        (
            "prompt_version.created",
            {**of, "template": "Hi {{you}}", "tags": {"a": "1"}, "description": None},
        ),
        ("prompt_tag.set", {"name": "hello", "key": "k", "value": "v"}),
        ("prompt_tag.deleted", {"name": "hello", "key": "k"}),
        ("prompt_version_tag.set", {**of, "key": "k", "value": "v"}),
        ("prompt_version_tag.deleted", {**of, "key": "k"}),
        ("prompt_alias.created", {**of, "alias": "best"}),
        ("prompt_alias.deleted", {"name": "hello", "alias": "best"}),
    ]


def test_what_stages_and_uploads_tell(registry: Registry) -> None:
    own = {WebhookEvent.MODEL_VERSION_STAGE_TRANSITIONED, WebhookEvent.MODEL_VERSION_FINALIZED}
    hook(registry, events=frozenset(own))
    service = registry.service
    registry.model()
    registry.version()
    registry.version()
    move = service.transition_model_version_stage
    move(Transition("churn", 1, Stage.PRODUCTION, comment="go"))
    move(Transition("churn", 1, Stage.PRODUCTION))
    move(Transition("churn", 2, Stage.PRODUCTION, archive_existing_versions=True))
    registry.upload(files=1)
    service.finalize_model_version("churn", 3, "")
    service.finalize_model_version("churn", 3, "")
    deliver(registry)
    moved = [
        ("1", "None", "Production", "go"),
        ("1", "Production", "Archived", ""),
        ("2", "None", "Production", ""),
    ]
    assert told(registry) == [
        *(
            (
                "model_version_stage.transitioned",
                {
                    "name": "churn",
                    "version": version,
                    "from_stage": before,
                    "to_stage": now,
                    "comment": comment,
                },
            )
            for version, before, now, comment in moved
        ),
        (
            "model_version.finalized",
            {"name": "churn", "version": "3", "status": "READY", "status_message": ""},
        ),
    ]


def test_nothing_is_noted_when_nobody_listens(registry: Registry) -> None:
    hook(registry, "disabled", status=WebhookStatus.DISABLED)
    hook(registry, "other", frozenset({WebhookEvent.PROMPT_CREATED}))
    registry.model()
    registry.version()
    assert rows(registry, "webhook_events") == rows(registry, "webhook_deliveries") == 0


def test_a_test_is_sent_once_whatever_the_status(registry: Registry) -> None:
    disabled = WebhookStatus.DISABLED
    made = hook(registry, events=CREATED, secret="hush", status=disabled)
    registry.sender.answers = [Answer(500, body="no")]
    assert registry.service.test_webhook(made.webhook_id, None) == Answer(500, body="no")
    for event in WebhookEvent:
        assert registry.service.test_webhook(made.webhook_id, event).taken
    names = [name for name, _ in told(registry)]
    assert names == ["registered_model.created", *(event.value for event in WebhookEvent)]
    assert all("webhook-signature" in post.headers for post in registry.sender.posts)
    assert all(post.want_body for post in registry.sender.posts)
    assert registry.service.get_webhook(made.webhook_id) == made
