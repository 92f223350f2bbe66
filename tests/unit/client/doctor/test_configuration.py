"""What is set, where from, and what nothing reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runstone._doctor import configuration, variables
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line
from runstone_artifact.settings import ArtifactSettings
from runstone_gateway.settings import GatewaySettings
from runstone_kit.settings import variable_names
from runstone_registry.settings import RegistrySettings
from runstone_suite.settings import SuiteSettings
from runstone_tracking.settings import TrackingSettings
from support.binaries import REPOSITORY

Look = Callable[[Asked, str], Iterator[Line]]

SERVERS = (TrackingSettings, ArtifactSettings, RegistrySettings, GatewaySettings, SuiteSettings)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Line]]:
    def of(look: Look, uri: str | None = None, **environment: str) -> dict[str, Line]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return {each.name: each for each in look(Asked(tracking_uri=uri), "x")}

    return of


Lines = Callable[..., dict[str, Line]]


def test_the_names_of_the_servers_are_those_that_they_read() -> None:
    read = {
        name
        for settings in SERVERS
        for field in settings.model_fields
        for name in variable_names(settings, field)
    }
    assert read == variables.of_servers()


def test_every_variable_that_the_code_names_is_known() -> None:
    sources = [
        path
        for root in ("clients/python/src/runstone", "services")
        for path in (REPOSITORY / root).rglob("*.py")
    ]
    named = {
        name
        for path in sources
        for name in re.findall(r'"(RUNSTONE_[A-Z_]*[A-Z])"', path.read_text("utf-8"))
    }
    assert "RUNSTONE_TRACKING_URI" in named
    assert named <= variables.known()


def test_a_uri_and_where_it_comes_from(lines: Lines) -> None:
    assert lines(configuration.uris)["x"].summary.endswith("runstone-data (default)")
    said = lines(configuration.uris, RUNSTONE_DATA_DIR="/d")["x"]
    assert said.summary == "tracking URI file:///d (environment, RUNSTONE_DATA_DIR)"
    said = lines(configuration.uris, RUNSTONE_TRACKING_URI="runstone://a")["x"]
    assert said.summary == "tracking URI runstone://a:5051 (environment, RUNSTONE_TRACKING_URI)"
    found = lines(
        configuration.uris, "runstone://b?registry=c:1", RUNSTONE_ARTIFACT_URI="runstone://d"
    )
    assert found["x"].summary == "tracking URI runstone://b:5051 (argument)"
    assert found["x.artifact"].summary.endswith(
        "runstone://d:5051 (environment, RUNSTONE_ARTIFACT_URI)"
    )
    assert found["x.registry"].summary.endswith("runstone://c:1 (of the tracking URI)")


def test_a_uri_that_cannot_be_read(lines: Lines) -> None:
    said = lines(configuration.uris, "http://host:5000")["x"]
    assert said.status == FAILURE
    assert "gRPC" in said.summary


def test_settings_that_cannot_be_read_are_named_each(lines: Lines) -> None:
    found = lines(
        configuration.settings,
        RUNSTONE_TIMEOUT="soon",
        RUNSTONE_MODE="away",
        RUNSTONE_JOURNAL_POLICY="drop",
        RUNSTONE_RUN_ID="abc",
    )
    assert {name: each.status for name, each in found.items()} == {
        "x.RUNSTONE_TIMEOUT": FAILURE,
        "x.RUNSTONE_MODE": FAILURE,
        "x": OK,
    }
    assert "'soon'" in found["x.RUNSTONE_TIMEOUT"].summary
    assert found["x"].details["RUNSTONE_JOURNAL_POLICY"] == {
        "value": "drop",
        "source": "environment",
    }
    assert found["x"].details["RUNSTONE_DATA_DIR"]["source"] == "default"
    assert "RUNSTONE_RUN_ID=abc" in found["x"].summary


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("RUNSTONE_TRACKING_URL", "RUNSTONE_TRACKING_URI"),
        ("RUNSTONE_DATADIR", "RUNSTONE_DATA_DIR"),
        ("RUNSTONE_URI", "RUNSTONE_TRACKING_URI"),
        ("RUNSTONE_TOKEN", "RUNSTONE_TRACKING_TOKEN"),
        ("RUNSTONE_DB_URL", "RUNSTONE_DATABASE_URL"),
        ("RUNSTONE_XYZZY", ""),
    ],
)
def test_a_variable_that_nothing_reads(lines: Lines, name: str, near: str) -> None:
    found = lines(configuration.unknown, **{name: "1"})
    assert list(found) == [f"x.{name}"]
    assert found[f"x.{name}"].status == WARNING
    assert found[f"x.{name}"].details["nearest"] == near


def test_known_variables_are_fine(lines: Lines) -> None:
    found = lines(
        configuration.unknown,
        RUNSTONE_TRACKING_URI="runstone://a",
        RUNSTONE_SUITE_HTTP_PORT="1",
        RUNSTONE_DATABASE_URL_FILE="/x",
        RUNSTONE_TRACKING_TOKEN="t",
    )
    assert found["x"].status == OK


def test_settings_of_mlflow_that_are_not_read(lines: Lines) -> None:
    found = lines(configuration.contradictions, MLFLOW_TRACKING_URI="http://mlflow:5000")
    assert found["x.MLFLOW_TRACKING_URI"].status == WARNING
    found = lines(configuration.contradictions, RUNSTONE_TRACKING_URI="runstone://a")
    assert found["x"].status == OK


def test_offline_with_a_server(lines: Lines) -> None:
    found = lines(
        configuration.contradictions, RUNSTONE_MODE="offline", RUNSTONE_TRACKING_URI="runstone://a"
    )
    assert "runstone sync" in found["x.RUNSTONE_MODE"].fix


def test_a_servers_place_without_a_server(lines: Lines, tmp_path: Path) -> None:
    found = lines(
        configuration.contradictions,
        RUNSTONE_DATABASE_URL="postgresql://x",
        RUNSTONE_OBJECTS_URL_FILE=str(tmp_path / "none"),
    )
    assert found["x.RUNSTONE_DATABASE_URL"].status == WARNING
    assert found["x.RUNSTONE_OBJECTS_URL_FILE"].status == FAILURE
