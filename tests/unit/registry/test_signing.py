"""Signatures, against the Standard Webhooks specification's own example and MLflow's scheme."""

import base64
import hashlib
import hmac

import pytest

from runstone_registry.signing import check, headers

# The example that the specification and its reference libraries carry.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def by_hand(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def test_the_specifications_example() -> None:
    made = headers(SECRET, MESSAGE, TIMESTAMP, BODY)
    assert made["webhook-id"] == MESSAGE
    assert made["webhook-timestamp"] == str(TIMESTAMP)
    assert made["webhook-signature"] == SIGNATURE


def test_what_mlflows_receivers_verify() -> None:
    made = headers(SECRET, MESSAGE, TIMESTAMP, BODY)
    content = f"{MESSAGE}.{TIMESTAMP}.{BODY.decode()}".encode()
    assert made["X-MLflow-Signature"] == by_hand(SECRET.encode(), content)
    assert made["X-MLflow-Delivery-Id"] == MESSAGE
    assert made["X-MLflow-Timestamp"] == str(TIMESTAMP)


def test_any_other_secret_is_the_key_itself() -> None:
    made = headers("my secret", MESSAGE, TIMESTAMP, BODY)
    content = f"{MESSAGE}.{TIMESTAMP}.{BODY.decode()}".encode()
    assert made["webhook-signature"] == by_hand(b"my secret", content)
    assert made["X-MLflow-Signature"] == made["webhook-signature"]


def test_without_a_secret_nothing_is_signed() -> None:
    assert set(headers("", MESSAGE, TIMESTAMP, BODY)) == {
        "webhook-id",
        "webhook-timestamp",
        "X-MLflow-Delivery-Id",
        "X-MLflow-Timestamp",
    }


@pytest.mark.parametrize("secret", ["", "x", SECRET, "a b~", "whsec", "x" * 1000])
def test_secrets_that_sign(secret: str) -> None:
    assert check(secret) == ""
    assert headers(secret, MESSAGE, TIMESTAMP, BODY)


@pytest.mark.parametrize(
    "secret",
    ["x" * 1001, "a\nb", "é", "\x00", "whsec_", "whsec_!!", "whsec_AAAA", "whsec_" + "A" * 200],
)
def test_secrets_that_are_refused_and_not_shown(secret: str) -> None:
    said = check(secret)
    assert said
    assert secret.removeprefix("whsec_") not in said or secret == "whsec_"
