"""The programs of the services take no arguments, and say what they read instead."""

from collections.abc import Callable

import pytest

import runstone_artifact.main
import runstone_gateway.main
import runstone_registry.main
import runstone_tracking.main
from runstone_gateway.settings import GatewaySettings
from runstone_kit.commandline import answered, described
from runstone_kit.settings import BaseServiceSettings
from runstone_tracking.settings import TrackingSettings

MAINS = {
    "artifact": runstone_artifact.main.main,
    "gateway": runstone_gateway.main.main,
    "registry": runstone_registry.main.main,
    "tracking": runstone_tracking.main.main,
}


@pytest.mark.parametrize("service", MAINS)
def test_help_is_printed_and_nothing_is_served(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main: Callable[[], int] = MAINS[service]
    for arguments, status in ((["--help"], 0), (["-h"], 0), (["serve"], 2)):
        monkeypatch.setattr("sys.argv", [f"runstone-{service}", *arguments])
        assert main() == status
    said = capsys.readouterr()
    assert said.out.count("RUNSTONE_TOKENS_FILE") == 2
    assert f"runstone-{service}: takes no arguments, and was given 'serve'" in said.err


def test_every_setting_is_told_with_its_default() -> None:
    said = described("runstone-tracking", TrackingSettings)
    lines = said.splitlines()
    for name in TrackingSettings.model_fields:
        prefix = "" if name in BaseServiceSettings.model_fields else "TRACKING_"
        assert any(line.startswith(f"RUNSTONE_{prefix}{name.upper()}") for line in lines), name
    assert "RUNSTONE_DATABASE_URL, RUNSTONE_DATABASE_URL_FILE" in lines
    assert "    one of json, console; default: json" in lines
    assert max(map(len, lines)) <= 79


def test_what_means_nothing_to_a_program_is_left_out() -> None:
    assert GatewaySettings.unused < GatewaySettings.model_fields.keys()
    said = described("runstone-gateway", GatewaySettings)
    assert "RUNSTONE_GATEWAY_TRACKING_ADDRESS" in said
    assert "RUNSTONE_DATABASE_URL" not in said


def test_without_arguments_it_serves() -> None:
    assert answered("runstone-tracking", TrackingSettings, []) is None
