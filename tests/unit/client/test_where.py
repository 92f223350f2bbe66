"""Where the server is, as the fluent API is told, and tells."""

from __future__ import annotations

import os
from typing import Any

import pytest

import runstone
from runstone import exceptions


def test_where_the_server_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    assert not runstone.is_tracking_uri_set()
    assert runstone.get_tracking_uri() == (tmp_path / "runstone-data").as_uri()
    runstone.set_tracking_uri("./here")
    assert runstone.get_tracking_uri() == (tmp_path / "here").as_uri()
    assert os.environ["RUNSTONE_TRACKING_URI"] == (tmp_path / "here").as_uri()
    runstone.set_tracking_uri(tmp_path / "there")
    assert runstone.get_tracking_uri() == (tmp_path / "there").as_uri()
    with pytest.raises(exceptions.InvalidUri):
        runstone.set_tracking_uri("http://x")
    assert runstone.get_tracking_uri() == (tmp_path / "there").as_uri()
    runstone.set_tracking_uri(None)
    assert not runstone.is_tracking_uri_set()
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "file:over-there")
    assert runstone.get_tracking_uri() == (tmp_path / "over-there").as_uri()
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "runstone://host:1?registry=other:2")
    assert runstone.get_tracking_uri() == "runstone://host:1?registry=other:2"
    monkeypatch.delenv("RUNSTONE_TRACKING_URI")
    runstone.set_registry_uri("runstone://registry:1")
    assert runstone.get_registry_uri() == "runstone://registry:1"
    runstone.set_registry_uri(None)
