"""What the suite is told reaches the service that it is for."""

from pathlib import Path

import pytest

from runstone_artifact.settings import ArtifactSettings
from runstone_kit.settings import SettingsError
from runstone_suite.compose import Composition
from runstone_suite.settings import SuiteSettings

PUBLIC = "OBJECTS_PUBLIC_URL"


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
