"""Offline mode in this process, and a suite made of dicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstone._sender import delivery as deliveries
from support.offline import FakeSuite


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where offline mode keeps what this test logs."""
    monkeypatch.setenv("RUNSTONE_MODE", "offline")
    # Calling it would fail: nobody listens there.
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "runstone://127.0.0.1:1")
    return tmp_path / "runstone-offline"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> FakeSuite:
    """What the folder is delivered to."""
    fake = FakeSuite()
    monkeypatch.setattr(deliveries, "Server", lambda uri, user, ambient: fake)
    return fake
