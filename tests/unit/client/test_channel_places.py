"""What is this machine, by the target of a channel."""

from __future__ import annotations

import pytest

from runstone import _channel
from runstone._doctor import gateway


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("unix:/tmp/s", True),
        ("localhost:5051", True),
        ("127.0.0.1:5051", True),
        ("[::1]:5051", True),
        ("127.attacker.example:5051", False),
        ("localhost.example:5051", False),
        ("[2001:db8::1]:5051", False),
    ],
)
def test_only_this_machine_is_called_past_the_proxy(target: str, near: bool) -> None:
    options = dict(_channel.options(_channel.service("tracking"), _channel.Address(target)))
    assert options["grpc.enable_http_proxy"] == int(not near)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://[::1]:5000", True),
        ("https://runs.example", True),
        ("http://127.attacker.example", False),
        ("http://localhost.example", False),
    ],
)
def test_the_doctor_sends_no_token_plain_to_strangers(url: str, sent: bool) -> None:
    found = gateway._Gateway.of(url, 1.0, "secret")
    assert found is not None
    assert ("Authorization" in found._headers) == sent
