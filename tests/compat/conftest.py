"""MLflow's server and ours, side by side, for all that compares them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support import mlflow_environments
from support.binaries import Unobtainable
from support.compat import Servers
from support.environments import programs
from support.java_client import class_path
from support.mlflow_server import mlflow_server
from support.processes import START_SECONDS, wait_until
from support.suites import suite

# Two servers, two clients that import half of PyPI, and a machine that does something else too.
COMPAT_SECONDS = 420


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each test here the time that foreign clients need."""
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(COMPAT_SECONDS))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Has the clients installed before the first test, whose time limit is not for installing."""
    if any("servers" in getattr(item, "fixturenames", ()) for item in session.items):
        try:
            for environment in mlflow_environments.ENVIRONMENTS:
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
