"""MLflow's server and ours, side by side, and MLflow's clients with the plug-in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import mlflow_environments, mlflow_plugin
from support.binaries import Unobtainable
from support.compat import Servers
from support.environments import programs
from support.java_client import class_path
from support.mlflow_environments import NEWEST, OLD_PLUGIN, PLUGIN, YEAR_OLD
from support.mlflow_plugin import PluginClient
from support.mlflow_server import mlflow_server
from support.processes import START_SECONDS, wait_until
from support.suites import suite

# Two servers, two clients that import half of PyPI, and a machine that does something else too.
COMPAT_SECONDS = 420

collect_ignore = ["frameworks", "clusters"]
"""Run in environments of their own: `make test-frameworks`."""

NEEDY = {"servers", "plugin", "mlflow_python", "frameworks"}
"""Fixtures that run foreign clients."""

PLUGINS = {NEWEST: PLUGIN, YEAR_OLD: OLD_PLUGIN}

ALL = bool(os.environ.get("RUNSTONE_TEST_COMPAT"))
"""`make test-compat` runs all. CI has no test marked `whole`, and installs nothing for those."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what the short form has not; gives the rest the time that foreign clients need."""
    left_out = [] if ALL else [item for item in items if item.get_closest_marker("whole")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if NEEDY.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(COMPAT_SECONDS))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Has the clients installed before the first test, whose time limit is not for installing."""
    if any(NEEDY.intersection(getattr(item, "fixturenames", ())) for item in session.items):
        try:
            for environment in mlflow_environments.needed():
                programs(environment)
            class_path()
        except Unobtainable as error:
            pytest.exit(f"The tests cannot run: {error}", returncode=1)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Both servers, shared by the session: what a test makes has a name of its own."""
    folder = tmp_path_factory.mktemp("compat") / "data"
    with (
        suite(folder, "--grpc-port", "0", "--http-port", "0", "--json") as ours,
        mlflow_server() as reference,
    ):

        def address() -> str:
            line = next((each for each in ours.said.splitlines() if each.startswith("{")), "{}")
            return str(json.loads(line).get("http", ""))

        yield Servers(reference.url, wait_until(address, START_SECONDS, "the REST API's address"))


@pytest.fixture(scope="session")
def mlflow_python() -> Path:
    """The interpreter that has the newest MLflow, whole."""
    return mlflow_environments.FULL.python


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client distribution of this checkout, installed into a folder."""
    return mlflow_plugin.install_client(tmp_path_factory.mktemp("distribution"))


@pytest.fixture(
    params=[NEWEST, pytest.param(YEAR_OLD, marks=pytest.mark.whole)],
)
def plugin(request: pytest.FixtureRequest, distribution: Path, tmp_path: Path) -> PluginClient:
    """MLflow with the plug-in: the newest, and one a year older."""
    return PluginClient(PLUGINS[request.param], distribution, tmp_path)


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A suite of its own for the tests of a file, as MLflow is told where it is."""
    folder = tmp_path_factory.mktemp("suite") / "data"
    with suite(folder, "--no-http", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"
