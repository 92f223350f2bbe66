"""Settings from the environment: which name wins, what is refused, where secrets may lie."""

import os
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from runstone_kit.settings import BaseServiceSettings, SettingsError


class TrackingSettings(BaseServiceSettings):
    service: ClassVar[str] = "tracking"
    listen: str = Field("127.0.0.1:5051")
    token: SecretStr | None = None


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("RUNSTONE_"):
            monkeypatch.delenv(name)


def url(settings: BaseServiceSettings) -> str | None:
    return settings.database_url.get_secret_value() if settings.database_url else None


def test_defaults() -> None:
    settings = TrackingSettings.load()
    assert (url(settings), settings.workers, settings.connections) == (None, 1, 18)
    assert not settings.reflection


def test_the_services_own_name_wins_over_the_wide_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_DATABASE_URL", "sqlite:///wide")
    monkeypatch.setenv("RUNSTONE_WORKERS", "3")
    assert url(TrackingSettings.load()) == "sqlite:///wide"
    monkeypatch.setenv("RUNSTONE_TRACKING_DATABASE_URL", "sqlite:///own")
    settings = TrackingSettings.load()
    assert (url(settings), settings.workers) == ("sqlite:///own", 3)
    assert url(TrackingSettings.load(database_url="sqlite:///argument")) == "sqlite:///argument"


def test_secrets_may_lie_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sqlite:///from-file\n")
    monkeypatch.setenv("RUNSTONE_DATABASE_URL_FILE", str(secret))
    assert url(TrackingSettings.load()) == "sqlite:///from-file"
    monkeypatch.setenv("RUNSTONE_DATABASE_URL", "sqlite:///x")
    with pytest.raises(SettingsError, match="both set"):
        TrackingSettings.load()
    monkeypatch.delenv("RUNSTONE_DATABASE_URL")
    monkeypatch.setenv("RUNSTONE_DATABASE_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"RUNSTONE_DATABASE_URL_FILE.*No such file"):
        TrackingSettings.load()


def test_only_secrets_lie_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_LISTEN_FILE", "x")
    with pytest.raises(SettingsError, match="RUNSTONE_TRACKING_LISTEN_FILE; did you mean"):
        TrackingSettings.load()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("RUNSTONE_TRACKING_WORKRES", "RUNSTONE_TRACKING_WORKERS"),
        ("RUNSTONE_TRACKING_ZZZ", "RUNSTONE_TRACKING_"),
        ("RUNSTONE_DATABSE_URL", "RUNSTONE_DATABASE_URL"),
        ("RUNSTONE_DB_URL", "RUNSTONE_DATABASE_URL"),
        ("RUNSTONE_REFLECTON", "RUNSTONE_REFLECTION"),
    ],
)
def test_a_mistyped_name_is_told_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"{name}; did you mean {nearest}"):
        TrackingSettings.load()


@pytest.mark.parametrize(
    "name",
    [
        "RUNSTONE_TRACKING_URI",
        "RUNSTONE_EXPERIMENT_NAME",
        "RUNSTONE_EXPERIMENT_ID",
        "RUNSTONE_RUN_ID",
        "RUNSTONE_USER",
        "RUNSTONE_TIMEOUT",
        "RUNSTONE_MODE",
        "RUNSTONE_DATA_DIR",
        "RUNSTONE_ARTIFACT_WORKERS",
        "RUNSTONE_KIT_WORKER",
        "RUNSTONE_OBJECTS_URL",
        "RUNSTONE_OBJECTS_URL_FILE",
        "RUNSTONE_TEST_S3",
        "PATH_TO_RUNSTONE_TRACKING_X",
    ],
)
def test_other_peoples_names_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "anything")
    TrackingSettings.load()


def test_a_bad_value_names_its_variable_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_WORKERS", "many-sesame")
    monkeypatch.setenv("RUNSTONE_METRICS_PORT", "70000")
    with pytest.raises(SettingsError) as caught:
        TrackingSettings.load()
    text = str(caught.value)
    assert "RUNSTONE_TRACKING_WORKERS: " in text
    assert "RUNSTONE_METRICS_PORT: " in text
    assert "sesame" not in text


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_DATABASE_URL", "postgresql://u:sesame@h/d")
    assert "sesame" not in repr(TrackingSettings.load())
