"""How the service's process refuses to start."""

import pytest

from runstone_registry.main import main


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["runstone-registry"])
    for name in ("RUNSTONE_DATABASE_URL", "RUNSTONE_REGISTRY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "RUNSTONE_DATABASE_URL"),
        ({"RUNSTONE_REGISTRY_DATABASE_URL": "mysql://secret@x/y"}, "no such database"),
        ({"RUNSTONE_REGISTRY_SWEEP_INTERVAL_S": "0"}, "RUNSTONE_REGISTRY_SWEEP_INTERVAL_S"),
        ({"RUNSTONE_REGISTRY_LEASES": "9"}, "RUNSTONE_REGISTRY_LEASE_S"),
    ],
)
def test_settings_that_cannot_be_used(
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error
