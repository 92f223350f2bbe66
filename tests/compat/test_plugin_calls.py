"""MLflow's client through the plug-in: it is told what MLflow's own server tells it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mlflow_plugin import PluginClient
from support.mlflow_server import mlflow_server
from support.suites import suite

DIFFERENT = {
    # A taken name is BAD_REQUEST to MLflow when an experiment is renamed, and only then.
    "rename to taken": "RESOURCE_ALREADY_EXISTS",
}


@pytest.fixture
def reference() -> Iterator[str]:
    """The URL of MLflow's own server, the newest, in which nothing is yet."""
    with mlflow_server() as server:
        yield server.url


@pytest.fixture
def own_suite(tmp_path: Path) -> Iterator[str]:
    """The tracking URI of a suite in which nothing is yet."""
    with suite(tmp_path / "data", "--no-http", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


def told(client: PluginClient, uri: str) -> dict[str, object]:
    """What came of each call of the script."""
    out, _ = client.run("plugin_calls.py", uri)
    # MLflow's client prints where a run can be looked at.
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    found = dict(lines)
    assert len(found) == len(lines) > 100
    return found


def test_calls_are_answered_as_by_mlflow(
    plugin: PluginClient, own_suite: str, reference: str
) -> None:
    theirs = told(plugin, reference)
    ours = told(plugin, own_suite)
    for name, code in DIFFERENT.items():
        assert theirs.pop(name) != ours[name]
        assert ours.pop(name) == {"error": code}
    assert ours == theirs


def test_another_scheme_is_left_to_mlflow(plugin: PluginClient) -> None:
    out, _ = plugin.run("plugin_facts.py", "http://127.0.0.1:1", "stores")
    assert "runstone" not in out.lower()


def test_what_the_plugin_promises(plugin: PluginClient, tracking_uri: str) -> None:
    names = ["requirements", "import_is_light", "errors", "every_method", "pickled", "uris"]
    for name in [*names, "odd_traces", "files_elsewhere", "models_of_another_tag"]:
        plugin.run("plugin_facts.py", tracking_uri, name)
