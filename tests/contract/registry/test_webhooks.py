"""Webhooks and their outbox, on both databases: what is announced, delivered, kept and dropped."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runstone_kit.ids import SystemIds
from runstone_registry.errors import RequestIdReused, TooManyWebhooks, WebhookNotFound
from runstone_registry.model import Stage
from runstone_registry.model_commands import (
    CreateModel,
    CreateVersion,
    CreateWebhook,
    Listing,
    RunSource,
    Transition,
    UpdateWebhook,
)
from runstone_registry.model_webhooks import (
    Announcement,
    Answer,
    Backlog,
    Webhook,
    WebhookEvent,
    WebhookStatus,
)
from runstone_registry.service import DeliveryPolicy, Dispatcher
from runstone_registry.service_delivery import DISABLE_AFTER_S, KEEP_S, RETRY_AFTER_S
from runstone_registry.service_webhooks import MAX_WEBHOOKS
from support.registry import RUN, Died, Registry

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


def test_there_are_only_so_many(registry: Registry) -> None:
    for number in range(MAX_WEBHOOKS):
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


def test_what_is_undone_is_not_told(registry: Registry) -> None:
    hook(registry)

    def broken(tx: Any) -> None:
        (listener,) = tx.listeners(CREATED)[WebhookEvent.REGISTERED_MODEL_CREATED]
        tx.announce(
            Announcement(WebhookEvent.REGISTERED_MODEL_CREATED, "{}", 1, {listener: "d" * 32})
        )
        raise Died

    with pytest.raises(Died):
        registry.store.write(broken)
    assert rows(registry, "webhook_events") == waiting(registry) == 0


def test_a_failed_delivery_comes_again_under_the_same_id(registry: Registry) -> None:
    made = hook(registry)
    registry.model()
    registry.sender.answers = [Answer(500), AWAY]
    assert deliver(registry) == 1
    assert deliver(registry) == 0
    seen = registry.service.get_webhook(made.webhook_id)
    assert (seen.failures, seen.last_error) == (1, "the receiver answered 500")
    registry.clock.advance(RETRY_AFTER_S[0])
    assert deliver(registry) == 1
    assert registry.service.get_webhook(made.webhook_id).last_error == AWAY.error
    registry.clock.advance(RETRY_AFTER_S[1])
    assert deliver(registry) == 1
    assert len(set(registry.sender.ids)) == 1
    assert len({post.body for post in registry.sender.posts}) == 1
    assert len({post.headers["webhook-timestamp"] for post in registry.sender.posts}) == 3
    seen = registry.service.get_webhook(made.webhook_id)
    assert (seen.failures, seen.failing_since_ms, seen.last_error) == (0, 0, "")
    assert waiting(registry) == 0


def test_a_delivery_is_given_up_after_its_last_attempt(registry: Registry) -> None:
    hook(registry)
    registry.model()
    registry.sender.answers = [AWAY] * 100
    for pause in (*RETRY_AFTER_S, RETRY_AFTER_S[-1]):
        assert deliver(registry) == 1
        registry.clock.advance(pause)
    assert deliver(registry) == 0
    assert waiting(registry) == 0
    assert len(registry.sender.posts) == len(RETRY_AFTER_S) + 1


def test_a_receiver_that_rests_keeps_its_other_deliveries_waiting(registry: Registry) -> None:
    hook(registry, "bad", url="https://bad.example.org/")
    hook(registry, "good", url="https://good.example.org/")
    for number in range(3):
        registry.model(f"m{number}")
    bad = [AWAY] * 50

    def send(post: Any) -> Answer:
        registry.sender.posts.append(post)
        return bad.pop() if "bad" in post.url else Answer(200)

    registry.sender.send = send  # type: ignore[method-assign]
    assert deliver(registry) == 4
    assert waiting(registry) == 3
    registry.clock.advance(5)
    # The one that failed is due again, behind nothing that is older.
    assert deliver(registry) == 1


def test_order_is_that_of_the_changes(registry: Registry) -> None:
    hook(registry)
    for number in range(120):
        registry.model(f"m{number}")
    assert deliver(registry) == 120
    assert [data["name"] for _, data in told(registry)] == [f"m{n}" for n in range(120)]


def test_long_failure_disables_and_says_why(registry: Registry) -> None:
    made = hook(registry)
    registry.sender.answers = [AWAY] * 100
    registry.model("first")
    deliver(registry)
    registry.clock.advance(DISABLE_AFTER_S + 1)
    registry.model("second")
    deliver(registry)
    seen = registry.service.get_webhook(made.webhook_id)
    assert seen.status is WebhookStatus.DISABLED
    assert "every delivery failed for 5.0 days" in seen.status_message
    event = registry.service.list_audit_events(Listing()).items[0]
    assert (event.action, event.actor) == ("DisableWebhook", "runstone-registry")
    assert event.comment == seen.status_message
    registry.model("unheard")
    registry.clock.advance(3600)
    assert deliver(registry) == 0
    # Mended: what waited is told, what came while it was disabled was not noted.
    registry.sender.answers = []
    again = registry.service.update_webhook(
        UpdateWebhook(made.webhook_id, status=WebhookStatus.ACTIVE)
    )
    assert (again.status_message, again.last_error, again.failures) == ("", "", 0)
    registry.sender.posts.clear()
    assert deliver(registry) == 2
    assert {data["name"] for _, data in told(registry)} == {"first", "second"}


def test_gone_disables_at_once(registry: Registry) -> None:
    made = hook(registry)
    registry.sender.answers = [Answer(410)]
    registry.model()
    deliver(registry)
    assert registry.service.get_webhook(made.webhook_id).status is WebhookStatus.DISABLED


def test_a_new_url_is_tried_at_once(registry: Registry) -> None:
    made = hook(registry)
    registry.sender.answers = [AWAY]
    registry.model()
    deliver(registry)
    other = "https://new.example.org/"
    registry.service.update_webhook(UpdateWebhook(made.webhook_id, url=other))
    assert deliver(registry) == 1
    assert [post.url for post in registry.sender.posts] == [URL, other]


def test_a_deletion_drops_what_waits(registry: Registry) -> None:
    made, kept = hook(registry), hook(registry, "kept")
    registry.model()
    assert waiting(registry) == 2
    registry.service.delete_webhook(made.webhook_id)
    assert waiting(registry) == 1
    deliver(registry)
    dispatcher(registry).upkeep()
    assert rows(registry, "webhook_events") == 0
    assert registry.service.get_webhook(kept.webhook_id) == kept


@pytest.mark.parametrize("what", ["delete", "disable", "move"])
def test_a_webhook_that_changes_while_it_is_delivered_to(registry: Registry, what: str) -> None:
    made = hook(registry)
    registry.model("a")
    registry.model("b")
    service = registry.service

    def change(_post: Any) -> None:
        registry.sender.before = lambda _post: None
        if what == "delete":
            service.delete_webhook(made.webhook_id)
        elif what == "disable":
            service.update_webhook(UpdateWebhook(made.webhook_id, status=WebhookStatus.DISABLED))
        else:
            service.update_webhook(UpdateWebhook(made.webhook_id, url=URL + "b"))

    registry.sender.before = change
    registry.sender.answers = [AWAY]
    assert deliver(registry) == (3 if what == "move" else 1)
    if what == "disable":
        assert service.get_webhook(made.webhook_id).status_message == ""
        assert rows(registry, "webhook_deliveries") == 2
    if what == "move":
        assert service.get_webhook(made.webhook_id).last_error == ""
        assert waiting(registry) == 0


def test_a_death_between_delivery_and_its_note_repeats_it(registry: Registry) -> None:
    hook(registry)
    registry.model()
    dead = dispatcher(registry)

    def dies(post: Any) -> Answer:
        registry.sender.posts.append(post)
        raise Died

    sends, registry.sender.send = registry.sender.send, dies  # type: ignore[method-assign]
    with pytest.raises(Died):
        deliver(registry, dead)
    registry.sender.send = sends  # type: ignore[method-assign]
    # The lease of the dead holds others off until it ends.
    assert deliver(registry) == 0
    registry.clock.advance(TIMEOUT_S + 60)
    assert deliver(registry) == 1
    assert len(registry.sender.ids) == 2
    assert len(set(registry.sender.ids)) == 1
    assert waiting(registry) == 0


def test_a_holder_that_was_late_undoes_nothing(registry: Registry) -> None:
    hook(registry)
    registry.model()
    late, other = dispatcher(registry), dispatcher(registry)

    def overtaken(_post: Any) -> None:
        registry.sender.before = lambda _post: None
        registry.clock.advance(TIMEOUT_S + 60)
        registry.sender.answers = [Answer(200), AWAY]
        assert deliver(registry, other) == 1

    registry.sender.before = overtaken
    deliver(registry, late)
    assert len(set(registry.sender.ids)) == 1
    assert waiting(registry) == 0
    (seen,) = registry.service.list_webhooks(Listing()).items
    assert seen.last_error == ""


def test_a_webhook_is_leased_to_one(registry: Registry) -> None:
    for number in range(20):
        hook(registry, f"n{number}")
    registry.model()
    now = registry.clock.now
    barrier = threading.Barrier(4)
    claimed: list[str] = []

    def claim(holder: str) -> None:
        barrier.wait(20)
        for _ in range(10):
            claimed.extend(
                registry.store.write(lambda tx: tx.claim_webhooks(holder, now, now + 1000, 3))
            )

    threads = [threading.Thread(target=claim, args=(f"h{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(claimed) == len(set(claimed)) == 20


def test_changes_and_deletions_meet(registry: Registry) -> None:
    """A webhook goes while changes announce to it: each change succeeds, nothing is left."""
    hooks = [hook(registry, f"n{n}", CREATED).webhook_id for n in range(12)]
    errors: list[BaseException] = []

    def guarded(work: Any) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    def create(start: int) -> None:
        for number in range(start, start + 12):
            registry.model(f"m{number}")

    works = [lambda n=n: create(n) for n in (0, 100)]
    works.append(lambda: [registry.service.delete_webhook(each) for each in hooks])
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert rows(registry, "registered_models") == 24
    assert rows(registry, "webhook_deliveries") == 0


def test_old_rows_are_forgotten(registry: Registry) -> None:
    made = hook(registry)
    registry.model("a")
    registry.service.update_webhook(UpdateWebhook(made.webhook_id, status=WebhookStatus.DISABLED))
    keeper = dispatcher(registry)
    keeper.upkeep()
    assert rows(registry, "webhook_deliveries") == 1
    registry.clock.advance(KEEP_S + 1)
    keeper.upkeep()
    assert rows(registry, "webhook_deliveries") == rows(registry, "webhook_events") == 0


def test_the_backlog(registry: Registry) -> None:
    assert registry.store.read(lambda tx: tx.backlog()) == Backlog(0, 0)
    hook(registry)
    oldest = registry.clock.now
    registry.model("a")
    registry.clock.advance(10)
    registry.model("b")
    assert registry.store.read(lambda tx: tx.backlog()) == Backlog(2, oldest)


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


@pytest.fixture
def running(registry: Registry) -> Iterator[Dispatcher]:
    made = dispatcher(registry, threads=2)
    made.start()
    yield made
    made.close()


def test_a_slow_receiver_holds_up_nobody_else(registry: Registry, running: Dispatcher) -> None:
    gate, arrived = threading.Event(), threading.Event()

    def slow(post: Any) -> None:
        if "slow" in post.url:
            gate.wait(60)
        elif json.loads(post.body)["data"]["name"] == "m9":
            arrived.set()

    registry.sender.before = slow
    hook(registry, "slow", url="https://slow.example.org/")
    hook(registry, "quick", url="https://quick.example.org/")
    for number in range(10):
        registry.model(f"m{number}")
    try:
        assert arrived.wait(60)
        assert not any("slow" in post.url for post in registry.sender.posts)
    finally:
        gate.set()
