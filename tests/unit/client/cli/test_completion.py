"""Completion, by the script that a shell reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runstone.cli import main

BIN = Path(sys.executable).parent


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **changes}


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("runstone ru", ["run", "runs"]),
        ("runstone runs re", ["reproduce", "restore"]),
        ("runstone models alias s", ["set"]),
        ("runstone runs list --view d", ["deleted"]),
        ("runstone gc --dry", ["--dry-run"]),
    ],
)
def test_bash_completes(
    typed: str, completed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = typed.split()
    asked = (
        f"{script('bash', capsys)}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}\n"
        '_runstone_completion runstone; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    answered = subprocess.run(
        ["bash", "--norc", "-c", asked],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert (answered.stdout.split(), answered.stderr) == (completed, "")


@pytest.mark.parametrize(
    ("shell", "variables", "answer"),
    [
        ("zsh", {"COMP_WORDS": "runstone db up", "COMP_CWORD": "2"}, "plain\nupgrade\n"),
        ("fish", {"COMP_WORDS": "runstone db up", "COMP_CWORD": "up"}, "plain,upgrade\t"),
    ],
)
def test_what_zsh_and_fish_ask_is_answered(
    shell: str, variables: dict[str, str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = script(shell, capsys)
    assert f"_RUNSTONE_COMPLETE={shell}_complete" in written
    answered = subprocess.run(
        ["runstone"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(_RUNSTONE_COMPLETE=f"{shell}_complete", **variables),
    )
    assert answered.stderr == ""
    assert answered.stdout.startswith(answer)
