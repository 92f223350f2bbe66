"""How deliveries are signed: by the Standard Webhooks scheme, and as MLflow's receivers expect.

Both sign ``id.timestamp.body`` with HMAC-SHA256. They differ in the names of their headers and, for
a secret that begins with ``whsec_``, in the key: Standard Webhooks takes the bytes that its base64
stands for, MLflow the text itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"

MAX_SECRET = 1_000
"""Characters, as the contract says."""

MIN_KEY = 24
MAX_KEY = 64
"""Bytes of a key that is written as base64: what the Standard Webhooks specification asks for."""


def check(secret: str) -> str:
    """What is wrong with a secret, as it reads on from the field's name; "" if nothing is."""
    if len(secret) > MAX_SECRET:
        return f"must have at most {MAX_SECRET} characters, not {len(secret)}"
    if not all(" " <= each <= "~" for each in secret):
        return "must be printable ASCII"
    if secret.startswith(PREFIX):
        try:
            size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
        except binascii.Error:
            size = 0
        if not MIN_KEY <= size <= MAX_KEY:
            return f"must be {PREFIX} and the base64 of {MIN_KEY} to {MAX_KEY} bytes, or other text"
    return ""


def headers(secret: str, delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery; ``timestamp`` in Unix seconds. An empty secret signs nothing."""
    made = {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": str(timestamp),
    }
    if secret:
        content = b"%s.%d.%s" % (delivery_id.encode(), timestamp, body)
        made["webhook-signature"] = _signature(_standard_key(secret), content)
        made["X-MLflow-Signature"] = _signature(secret.encode(), content)
    return made


def _standard_key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX))
    return secret.encode()


def _signature(key: bytes, content: bytes) -> str:
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
