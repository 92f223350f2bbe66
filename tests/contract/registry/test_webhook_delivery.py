"""The webhooks' outbox on both databases: what is delivered when, repeated, kept and dropped."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runstone_registry.model_commands import Listing, UpdateWebhook
from runstone_registry.model_webhooks import (
    Announcement,
    Answer,
    Backlog,
    WebhookEvent,
    WebhookStatus,
)
from runstone_registry.service import Dispatcher
from runstone_registry.service_delivery import DISABLE_AFTER_S, KEEP_S, RETRY_AFTER_S, TURN
from support.registry import Died, Registry
from support.webhooks import (
    AWAY,
    CREATED,
    TIMEOUT_S,
    URL,
    deliver,
    dispatcher,
    hook,
    rows,
    told,
    waiting,
)


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
    for number in range(TURN + 5):
        registry.model(f"m{number}")
    assert deliver(registry) == TURN + 5
    assert [data["name"] for _, data in told(registry)] == [f"m{n}" for n in range(TURN + 5)]


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
