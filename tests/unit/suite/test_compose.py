"""What the suite is told reaches the service that it is for."""

import os
from pathlib import Path

import pytest

from runstone_artifact.settings import ArtifactSettings
from runstone_kit.settings import SettingsError
from runstone_suite.compose import Composition
from runstone_suite.datadir import SuiteError
from runstone_suite.settings import SuiteSettings, leave_servers_out

PUBLIC = "OBJECTS_PUBLIC_URL"

DATABASE = "postgresql://u:hush@h/d"
OBJECTS = "s3+http://k:hush@h:9000/bucket"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
        monkeypatch.delenv(name)


def composed(folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Composition:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Composition.of(SuiteSettings.load(), folder)


def public_url(folder: Path) -> str | None:
    own = Composition.of(SuiteSettings.load(), folder).services["artifact"]
    assert isinstance(own, ArtifactSettings)
    return own.objects_public_url


def test_the_public_url_of_the_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert public_url(tmp_path) is None
    for name, url in (
        (f"RUNSTONE_{PUBLIC}", "https://all:9000"),
        (f"RUNSTONE_SUITE_{PUBLIC}", "https://suite:9000"),
        (f"RUNSTONE_ARTIFACT_{PUBLIC}", "https://own:9000"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, url)
            assert public_url(tmp_path) == url
    monkeypatch.setenv(f"RUNSTONE_SUITE_{PUBLIC}", "store:9000")
    with pytest.raises(SettingsError, match=r"objects_public_url: .*http://host:port"):
        public_url(tmp_path)


def test_everything_in_the_folder_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = composed(tmp_path, monkeypatch)
    assert inside.embedded
    elsewhere = composed(
        tmp_path, monkeypatch, RUNSTONE_DATABASE_URL=DATABASE, RUNSTONE_OBJECTS_URL=OBJECTS
    )
    assert not elsewhere.embedded
    assert not any(str(tmp_path) in str(own.model_dump()) for own in elsewhere.services.values())


def test_a_database_for_each_service_is_as_good_as_one_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {f"RUNSTONE_{name}_DATABASE_URL": DATABASE for name in ("TRACKING", "ARTIFACT")}
    composition = composed(
        tmp_path,
        monkeypatch,
        **own,
        RUNSTONE_REGISTRY_DATABASE_URL="postgresql://other/d",
        RUNSTONE_ARTIFACT_OBJECTS_URL="file:///srv/objects",
        RUNSTONE_WORKERS="2",
    )
    assert not composition.embedded
    told = composition.services["registry"].database_url
    assert told is not None
    assert told.get_secret_value() == "postgresql://other/d"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"RUNSTONE_DATABASE_URL": DATABASE},
            ["RUNSTONE_DATABASE_URL is set", "RUNSTONE_OBJECTS_URL is not"],
        ),
        (
            {"RUNSTONE_OBJECTS_URL": OBJECTS},
            ["RUNSTONE_OBJECTS_URL is set", "RUNSTONE_DATABASE_URL is not"],
        ),
        (
            {"RUNSTONE_ARTIFACT_OBJECTS_URL": OBJECTS},
            ["RUNSTONE_ARTIFACT_OBJECTS_URL is set", "RUNSTONE_DATABASE_URL is not"],
        ),
        (
            {"RUNSTONE_TRACKING_DATABASE_URL": DATABASE, "RUNSTONE_OBJECTS_URL": OBJECTS},
            ["RUNSTONE_TRACKING_DATABASE_URL is set", "RUNSTONE_ARTIFACT_DATABASE_URL"],
        ),
        (
            {"RUNSTONE_DATABASE_URL": "sqlite:////tmp/x.db", "RUNSTONE_OBJECTS_URL": OBJECTS},
            ["RUNSTONE_DATABASE_URL is for PostgreSQL", "--data-dir"],
        ),
        (
            {"RUNSTONE_REGISTRY_DATABASE_URL": "mysql://u:hush@h/d"},
            ["RUNSTONE_REGISTRY_DATABASE_URL: no such database: 'mysql'", "postgresql://"],
        ),
        ({"RUNSTONE_DATABASE_URL": "oracle+x://u:hush@h/d"}, ["no such database: 'oracle'"]),
    ],
)
def test_half_of_the_data_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: list[str]
) -> None:
    with pytest.raises(SuiteError) as refused:
        composed(tmp_path, monkeypatch, **environment)
    assert all(each in str(refused.value) for each in said), refused.value
    assert "hush" not in str(refused.value)


def test_a_background_suite_takes_nothing_that_is_meant_for_a_server() -> None:
    kept = {
        "PATH": "/bin",
        "RUNSTONE_LOG_LEVEL": "debug",
        "RUNSTONE_SUITE_ACCESS_LOG": "all",
        "RUNSTONE_SUITE_IDLE_TIMOUT": "a typing error is still told",
    }
    environment = kept | {
        "RUNSTONE_DATABASE_URL": DATABASE,
        "RUNSTONE_DATABASE_URL_FILE": "/run/secret",
        "RUNSTONE_SUITE_OBJECTS_URL_FILE": "/run/secret",
        "RUNSTONE_TRACKING_DATABASE_URL": DATABASE,
        "RUNSTONE_DATABSE_URL": "a typing error of a server's",
        "RUNSTONE_WORKERS": "4",
        "RUNSTONE_SUITE_LISTEN": "0.0.0.0:5051",
        "RUNSTONE_METRICS_PORT": "9090",
        "RUNSTONE_TRACKING_URI": "runstone://h",
    }
    leave_servers_out(environment)
    assert environment == kept
