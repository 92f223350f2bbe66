"""Every command of `runstone`, by its own example: no server, nothing there, nobody who reads.

What is called is the first example of each command's help, so that a new command is tested when it
has one; it must have one.
"""

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runstone import _connection
from runstone._channel import Address
from runstone._migrate import rest
from runstone.cli import main
from support.commands import leaves, own_example
from support.suites import suite

AWAY = "127.0.0.1:1"
"""Nobody listens there: refused at once."""

SERVES = {("server",), ("models", "serve")}
"""They run until they are ended, and are called in tests of their own."""

ASKS_NO_SUITE = {
    ("completion",),
    ("db", "current"),
    ("db", "upgrade"),
    ("models", "generate-manifest"),
}
"""They do their work without one."""

ASKS_ELSEWHERE = {
    ("export", "mlflow"): "mlflow.example",
    ("import", "mlflow"): "mlflow.example",
    ("models", "import"): "iris.tar.gz",
    ("models", "predict"): "rows.csv",
    ("run",): "entry point",
    ("sync",): "runstone-offline",
    ("ui",): ":5000",
}
"""They need something else first, which is not there either: their error names that."""

OTHERWISE = {
    ("auth", "create-token"),
    ("auth", "login"),
    ("auth", "logout"),
    ("doctor",),
}
"""What they find wrong is their answer, or they ask people; they have tests of their own."""

CALLED = [path for path in leaves() if path not in SERVES | OTHERWISE]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("empty") / "data", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


def one_line(err: str, code: int, out: str) -> None:
    """A failure that was foreseen."""
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "unexpected" not in err


@pytest.mark.parametrize("path", CALLED, ids=" ".join)
def test_no_server(
    path: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # As soon as it is refused, not some seconds and attempts later; the wait has its own test.
    monkeypatch.setattr(_connection, "Address", partial(Address, retries=False))
    monkeypatch.setattr(rest, "REACH_SECONDS", 0.1)
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", f"runstone://{AWAY}")
    code = main(own_example(path))
    out, err = capsys.readouterr()
    if path in ASKS_NO_SUITE:
        assert (code, err) == (0, "")
        return
    one_line(err, code, out)
    if path in ASKS_ELSEWHERE:
        assert ASKS_ELSEWHERE[path] in err
        return
    assert f"no Runstone server answers at runstone://{AWAY}: the connection was refused" in err
    assert "runstone server" in err
    assert "--tracking-uri" in err
    assert main([*own_example(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().err)["error"]
    assert (told["kind"], told["code"]) == ("Unavailable", "UNAVAILABLE")


@pytest.mark.parametrize("path", CALLED, ids=" ".join)
def test_nothing_is_there_and_nobody_reads(
    path: tuple[str, ...],
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(rest, "REACH_SECONDS", 0.1)
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", uri)
    code = main(own_example(path))
    out, err = capsys.readouterr()
    if code != 0:
        one_line(err, code, out)
        return
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", nobody)
        code = main(own_example(path))
    assert code == (1 if out else 0)
    err = capsys.readouterr().err
    # What is deleted, or made, is so after the first call.
    assert err == "" or err.startswith(("Warning: ", "Error: ", "Wrote "))
    assert err.count("\n") <= 1
