"""`runstone auth` where the services have addresses of their own."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from runstone import _credentials
from runstone.cli import auth
from runstone.cli._main import main

URI = "runstones://h?artifact=h:5052&registry=other:5053"
ADDRESSES = ["h:5051", "h:5052", "other:5053"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TRACKING_TOKEN", "TRACKING_TOKEN_FILE", "TRACKING_URI", "ARTIFACT_URI"):
        monkeypatch.delenv(f"RUNSTONE_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(auth, "_known", lambda remote, token: True)
    return tmp_path


def login(monkeypatch: pytest.MonkeyPatch, uri: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    return main(["auth", "login", uri])


def test_a_token_is_kept_and_dropped_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    assert login(monkeypatch, URI) == 0
    assert sorted(_credentials.stored()) == ADDRESSES
    assert main(["auth", "status", URI]) == 0
    assert main(["auth", "logout", URI]) == 0
    assert _credentials.stored() == {}
    assert main(["auth", "logout", URI]) == 1


def test_one_that_has_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(monkeypatch, "runstones://h") == 0
    assert main(["auth", "status", URI]) == 1
    assert "none for runstones://h:5052, runstones://other:5053" in capsys.readouterr().err
    assert main(["auth", "status", "runstones://h", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["has_token"] is True


def test_none_is_kept_when_it_would_go_plain_to_one_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(monkeypatch, "runstone://localhost?registry=far.example:5053") == 1
    assert "runstones://far.example:5053" in capsys.readouterr().err
    assert _credentials.stored() == {}


def test_a_server_that_is_named_shares_no_token_with_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNSTONE_ARTIFACT_URI", "runstones://elsewhere")
    assert login(monkeypatch, "runstones://h") == 0
    assert sorted(_credentials.stored()) == ["h:5051"]
