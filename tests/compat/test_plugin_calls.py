"""MLflow's client through the plug-in: it is told what MLflow's own server tells it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import processes
from support.environments import programs
from support.mlflow_environments import FULL
from support.mlflow_plugin import PluginClient
from support.suites import SuiteProcess, clean_environment

MLFLOW_START_SECONDS = 180.0
"""Its imports and migrations take 15 s of processor time."""

DIFFERENT = {
    # A taken name is BAD_REQUEST to MLflow when an experiment is renamed, and only then.
    "rename to taken": "RESOURCE_ALREADY_EXISTS",
}


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """The URL of MLflow's own server, the newest, in which nothing is yet."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(str(programs(FULL) / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder / "server.log"
    environment = clean_environment(**settings)
    with processes.running(command, log, env=environment, cwd=folder) as process:

        def answers() -> bool:
            processes.ended(process, log)
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                return False

        processes.wait_until(answers, MLFLOW_START_SECONDS, "MLflow's server answering")
        yield url


@pytest.fixture
def own_suite(tmp_path: Path) -> Iterator[str]:
    """The tracking URI of a suite in which nothing is yet."""
    started = SuiteProcess(
        tmp_path / "data", "--no-http", "--grpc-port", str(processes.free_port())
    )
    try:
        yield f"runstone://{started.wait_serving()['tcp']}"
    finally:
        started.kill()


def told(client: PluginClient, uri: str) -> dict[str, object]:
    """What came of each call of the script."""
    out, _ = client.run("plugin_calls.py", uri)
    # MLflow's client prints where a run can be looked at.
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    found = dict(lines)
    assert len(found) == len(lines) > 100
    return found


@pytest.mark.timeout(400)
def test_calls_are_answered_as_by_mlflow(
    plugin: PluginClient, own_suite: str, mlflow_server: str
) -> None:
    theirs = told(plugin, mlflow_server)
    ours = told(plugin, own_suite)
    for name, code in DIFFERENT.items():
        assert theirs.pop(name) != ours[name]
        assert ours.pop(name) == {"error": code}
    assert ours == theirs


def test_another_scheme_is_left_to_mlflow(plugin: PluginClient) -> None:
    out, _ = plugin.run("plugin_facts.py", "http://127.0.0.1:1", "stores")
    assert "runstone" not in out.lower()


def test_what_the_plugin_promises(plugin: PluginClient, tracking_uri: str) -> None:
    for name in ("requirements", "import_is_light", "errors", "every_method", "pickled", "uris"):
        plugin.run("plugin_facts.py", tracking_uri, name)
