"""Ctrl-C in a transfer of the command line, and readers that leave: the next call goes on."""

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from support.counting_proxy import CountingProxy
from support.suites import clean_environment, suite

COMMAND = str(Path(sys.executable).with_name("runstone"))
MIB = 2**20
BIG = 160 * MIB
"""Some tenths of a second on the way, and five ranges of a download."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with suite(tmp_path_factory.mktemp("interrupts") / "data", "--grpc-port", "0") as started:
        yield int(started.status["tcp"].rpartition(":")[2])


@pytest.fixture
def proxy(port: int) -> Iterator[CountingProxy]:
    with CountingProxy(port) as made:
        yield made


@pytest.fixture
def run_id(port: int) -> str:
    run = runstone.Client(f"runstone://127.0.0.1:{port}").create_run("0")
    return str(run.info.run_id)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    source = tmp_path / "sent" / "big.bin"
    source.parent.mkdir()
    source.write_bytes(os.urandom(MIB) * (BIG // MIB))
    return source


def command(proxy: CountingProxy, *arguments: str) -> list[str]:
    return [COMMAND, *arguments, "--tracking-uri", f"runstone://{proxy.address}"]


def interrupted(proxy: CountingProxy, size: int, *arguments: str) -> None:
    """Call a command and press Ctrl-C when so many bytes moved."""
    proxy.begin_again()
    with subprocess.Popen(
        command(proxy, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as process:
        proxy.wait_moved(size)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    # The line that a terminal's ^C stands on is ended first.
    assert (process.returncode, out, err) == (130, "", "\nInterrupted.\n")


def called(proxy: CountingProxy, *arguments: str) -> None:
    proxy.begin_again()
    done = subprocess.run(
        command(proxy, *arguments),
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_transfers_go_on_after_ctrl_c(
    proxy: CountingProxy, run_id: str, big: Path, tmp_path: Path
) -> None:
    sending = ("artifacts", "log", str(big.parent), run_id)
    interrupted(proxy, 96 * MIB, *sending)
    called(proxy, *sending)
    # What the service had noted when the stream broke is not sent again.
    assert proxy.up <= BIG - 32 * MIB
    called(proxy, *sending)
    assert proxy.up < MIB

    back = tmp_path / "back"
    fetching = ("artifacts", "download", run_id, "big.bin", "--to", str(back))
    interrupted(proxy, 96 * MIB, *fetching)
    called(proxy, *fetching)
    assert proxy.down <= BIG - 32 * MIB
    assert (back / "big.bin").read_bytes() == big.read_bytes()
    assert [each.name for each in back.iterdir()] == ["big.bin"]


def test_an_archive_that_was_interrupted_is_not_there(
    proxy: CountingProxy, run_id: str, big: Path, tmp_path: Path
) -> None:
    called(proxy, "artifacts", "log", str(big), run_id)
    target = tmp_path / "out" / "run.zip"
    target.parent.mkdir()
    interrupted(proxy, MIB, "artifacts", "archive", run_id, "-o", str(target))
    assert list(target.parent.iterdir()) == []


def test_a_restore_goes_on_after_ctrl_c(
    proxy: CountingProxy, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "run.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("a.bin", "b.bin"):
            member = tarfile.TarInfo(name)
            member.size = 64 * MIB
            tar.addfile(member, io.BytesIO(os.urandom(MIB) * 64))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    restoring = ("artifacts", "restore", str(archive), run_id)
    interrupted(proxy, 72 * MIB, *restoring)
    called(proxy, *restoring)
    # The file that was there is not sent again.
    assert proxy.up < 65 * MIB
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list"),
        ("experiments", "list", "--json"),
        ("experiments", "export", "Default"),
        ("artifacts", "archive", "RUN", "-o", "-"),
        ("completion", "bash"),
        ("--help",),
    ],
)
def test_a_reader_that_leaves_is_no_crash(
    port: int, run_id: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "notes").write_bytes(os.urandom(200_000))
    client = runstone.Client(f"runstone://127.0.0.1:{port}")
    client.log_artifact(run_id, tmp_path / "notes")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = subprocess.run(
            [COMMAND, *(run_id if each == "RUN" else each for each in arguments)],
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=clean_environment(RUNSTONE_TRACKING_URI=f"runstone://127.0.0.1:{port}"),
        )
    assert (done.returncode, done.stderr) == (1, "")
