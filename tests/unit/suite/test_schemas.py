"""The suite knows without Alembic whether there is something to migrate."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from runstone_kit import migrate
from runstone_suite import schemas


@pytest.mark.parametrize("service", schemas.SERVICES)
def test_head_is_what_alembic_says(service: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(schemas.scripts(service)))
    config.set_main_option("path_separator", "newline")
    assert schemas.head(service) == ScriptDirectory.from_config(config).get_current_head()


def test_the_version_table_is_the_kits() -> None:
    assert schemas.VERSION_TABLE == migrate.VERSION_TABLE


def test_current_and_upgrade_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNSTONE_DATABASE_URL", raising=False)
    before = schemas.current(tmp_path / "data")
    assert [schema.current for schema in before] == [None, None, None]
    assert not (tmp_path / "data").exists()
    after = schemas.upgrade(tmp_path / "data")
    assert [schema.current for schema in after] == [schema.head for schema in after]
    assert schemas.upgrade(tmp_path / "data") == after == schemas.current(tmp_path / "data")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/d?user=u&password=hush", "postgresql://h/d"),
        ("postgresql://u:hu%40sh@h:5433/d?sslmode=require", "postgresql://u:***@h:5433/d"),
        ("sqlite:////data/tracking.db", "sqlite:////data/tracking.db"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert schemas._shown(url) == shown
