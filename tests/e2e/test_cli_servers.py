"""Commands about servers: one that is not there, databases, and the program itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runstone.cli import main
from support.suites import clean_environment


def test_nobody_there_is_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--tracking-uri", "runstone://127.0.0.1:1", "experiments", "list"])
    assert code == 1
    assert "no Runstone server answers at runstone://127.0.0.1:1" in capsys.readouterr().err


def runstone_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("runstone")), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(**environment),
    )


def test_db_current_and_upgrade(postgres_url: str) -> None:
    environment = {"RUNSTONE_DATABASE_URL": postgres_url}
    before = runstone_command("db", "upgrade", "--dry-run", "--json", **environment)
    assert [row["current"] for row in json.loads(before.stdout)] == [None] * 3
    one = runstone_command("db", "upgrade", "--service", "tracking", "--json", **environment)
    assert [row["service"] for row in json.loads(one.stdout)] == ["tracking"]
    after = runstone_command("db", "upgrade", "--json", **environment)
    assert after.returncode == 0, after.stderr
    rows = json.loads(after.stdout)
    assert [row["current"] for row in rows] == [row["head"] for row in rows]
    shown = runstone_command("db", "current", **environment)
    assert "postgresql://runstone:***@" in shown.stdout
    assert postgres_url not in shown.stdout + after.stdout


def test_db_of_a_database_that_is_away() -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    failed = runstone_command("db", "upgrade", RUNSTONE_DATABASE_URL=url)
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: the database of tracking: ")
    assert "127.0.0.1:1/none: " in failed.stderr
    assert "refused" in failed.stderr
    assert "secret" not in failed.stderr


@pytest.mark.parametrize("verb", ["current", "upgrade"])
def test_db_of_a_database_that_runstone_does_not_speak(verb: str) -> None:
    failed = runstone_command("db", verb, RUNSTONE_DATABASE_URL="mysql://nobody:secret@h/none")
    assert failed.returncode == 1
    assert failed.stderr == (
        "Error: the database URL of tracking: no such database: 'mysql';"
        " use postgresql://user:password@host:5432/database or sqlite:////absolute/file\n"
    )


def test_the_installed_command_says_its_version_quickly() -> None:
    said = runstone_command("--version")
    assert said.stdout.startswith("runstone ")
    imported = subprocess.run(
        [
            *(sys.executable, "-c"),
            (
                "import sys; from runstone.cli import main; main(['--help']);"
                "print([name for name in ('grpc', 'rich', 'google') if name in sys.modules])"
            ),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout.endswith("[]\n")
