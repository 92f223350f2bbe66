"""When a delivery is tried again, and when a webhook is given up."""

from dataclasses import replace

import pytest

from runstone_registry.model_webhooks import Answer, Webhook, WebhookEvent, WebhookStatus
from runstone_registry.service_delivery import (
    DAY_S,
    DISABLE_AFTER_S,
    JITTER,
    KEEP_S,
    MAX_REST_S,
    RETRY_AFTER_S,
    DeliveryPolicy,
)

NOW = 1_700_000_000_000
AWAY = Answer(error="the connection failed: refused")


def policy(jitter: float = 0.0) -> DeliveryPolicy:
    return DeliveryPolicy(random=lambda: jitter)


def hook(**values: object) -> Webhook:
    made = Webhook(
        webhook_id="w",
        name="w",
        url="https://example.org/",
        events=frozenset({WebhookEvent.MODEL_VERSION_CREATED}),
        created_ms=NOW,
        updated_ms=NOW,
        secret="hush",
    )
    return replace(made, **values)  # type: ignore[arg-type]


def test_a_delivery_is_tried_for_three_days() -> None:
    pauses = [policy().retry_ms(failed, AWAY) for failed in range(1, 12)]
    assert pauses[:9] == [int(each * 1000) for each in RETRY_AFTER_S]
    assert pauses[9:] == [None, None]
    assert 3 * DAY_S < sum(RETRY_AFTER_S) < (1 + JITTER) * sum(RETRY_AFTER_S) < DISABLE_AFTER_S
    assert DISABLE_AFTER_S < KEEP_S


def test_jitter_only_makes_a_pause_longer() -> None:
    assert policy(1.0).retry_ms(1, AWAY) == int(RETRY_AFTER_S[0] * 1000 * (1 + JITTER))
    drawn = {DeliveryPolicy().retry_ms(4, AWAY) for _ in range(50)}
    assert len(drawn) > 1


def test_a_receiver_may_ask_for_more_rest_and_not_for_less() -> None:
    assert policy().retry_ms(1, Answer(503, retry_after_s=60)) == 60_000
    assert policy().retry_ms(3, Answer(503, retry_after_s=60)) == 1_800_000
    assert policy().rest_ms(1, Answer(503, retry_after_s=60)) == 60_000


def test_a_receiver_that_fails_rests_longer_each_time() -> None:
    rests = [policy().rest_ms(failures, AWAY) for failures in (1, 2, 3, 7, 10**9)]
    assert rests == [5_000, 10_000, 20_000, MAX_REST_S * 1000, MAX_REST_S * 1000]


def test_a_failure_is_told_and_a_success_forgets_it() -> None:
    once = policy().failed(hook(), Answer(500), NOW)
    assert (once.failures, once.failing_since_ms, once.last_error, once.resume_ms) == (
        1,
        NOW,
        "the receiver answered 500",
        NOW + 5_000,
    )
    twice = policy().failed(once, AWAY, NOW + 60_000)
    assert (twice.failures, twice.failing_since_ms, twice.last_error) == (2, NOW, AWAY.error)
    assert policy().succeeded(twice) == hook()


def test_days_of_failure_disable() -> None:
    last = NOW + DISABLE_AFTER_S * 1000
    failing = hook(failures=9, failing_since_ms=NOW)
    assert policy().failed(failing, AWAY, last - 1).status is WebhookStatus.ACTIVE
    ended = policy().failed(failing, AWAY, last)
    assert ended.status is WebhookStatus.DISABLED
    assert "every delivery failed for 5.0 days" in ended.status_message
    assert AWAY.error in ended.status_message
    assert ended.updated_ms == last


def test_gone_disables_at_once() -> None:
    ended = policy().failed(hook(), Answer(410), NOW)
    assert (ended.status, ended.status_message) == (
        WebhookStatus.DISABLED,
        "the receiver answered 410 Gone",
    )


@pytest.mark.parametrize(
    ("status", "taken"),
    [(200, True), (204, True), (299, True), (302, False), (404, False), (500, False), (0, False)],
)
def test_what_counts_as_taken(status: int, taken: bool) -> None:
    assert Answer(status).taken is taken


def test_a_secret_is_in_no_text() -> None:
    assert "hush" not in repr(hook())
