"""What README.md tells a newcomer to type works as written, in its order."""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.binaries import REPOSITORY
from support.suites import clean_environment, end_suite, without_patience

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def blocks(language: str) -> list[str]:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    return [body for name, body in BLOCK.findall(text) if name == language]


def environment(**changes: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return clean_environment(PATH=path, **changes)


def test_script_and_commands_work(tmp_path: Path) -> None:
    [script] = blocks("python")
    assert len(script.splitlines()) <= 15
    commands = next(block for block in blocks("sh") if "experiments list" in block)
    try:
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, without_patience(ran.stderr)) == (0, "")
        assert ran.stdout.startswith("halving {")
        assert "'factor': '0.5'" in ran.stdout
        assert "{'value': 9.5" in ran.stdout
        typed = subprocess.run(
            ["sh", "-eu", "-c", commands],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (typed.returncode, typed.stderr) == (0, "")
        assert "first steps" in typed.stdout
        assert "halving" in typed.stdout
    finally:
        end_suite(tmp_path / "runstone-data")


def test_every_make_target_and_link_exists() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    helped = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for target in re.findall(r"make (\w+)", "".join(blocks("sh"))):
        assert f"make {target} " in helped
    missing = [link for link in LINK.findall(text) if not (REPOSITORY / link).exists()]
    assert missing == []
