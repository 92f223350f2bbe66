"""Every command of `runstone`, by its own example: no server, no token, nothing there, nobody who
reads.

What is called is the first example of each command's help, so that a new command is tested when it
has one; it must have one.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runstone import _connection
from runstone._channel import Address
from runstone._migrate import rest
from runstone.cli import main, ui
from support import mlruns
from support.commands import leaves, own_example
from support.receivers import Receiver, answering
from support.suites import clean_environment, suite

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
    ("ui",): "http://127.0.0.1:1 ",
}
"""They need something else first, which is not there either: their error names that."""

OTHERWISE = {
    ("auth", "create-token"),
    ("auth", "login"),
    ("auth", "logout"),
    ("doctor",),
}
"""What they find wrong is their answer, or they ask people; they have tests of their own."""

ASKS_NO_TOKEN = {*ASKS_NO_SUITE, ("ui",)}
"""A server's page tells a browser itself that it wants one."""

CALLED = [path for path in leaves() if path not in SERVES | OTHERWISE]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rest, "REACH_SECONDS", 0.1)
    monkeypatch.setattr(ui, "HTTP_PORT", 1)
    for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
        monkeypatch.delenv(name)


TOKEN = "rst_of-ada"


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("empty")
    tokens = folder / "tokens"
    tokens.write_text(f"ada sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n", "utf-8")
    with suite(folder / "data", "--grpc-port", "0", "--tokens-file", str(tokens)) as started:
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
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", uri)
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", TOKEN)
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


@pytest.fixture(scope="module")
def made_before(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands of ASKS_ELSEWHERE want, so that they come as far as the server."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "rows.csv").write_text("x\n1\n", "utf-8")
    (folder / "main.sh").write_text("exit 1\n", "utf-8")
    (folder / "MLproject").write_text("entry_points: {main: {command: sh main.sh}}\n", "utf-8")
    mlruns.experiment(folder / "mlruns", "7", "churn")
    offline = clean_environment(RUNSTONE_MODE="offline")
    script = "import runstone; runstone.log_param('lr', 0.1)"
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=offline, check=True)
    archive = str(folder / "iris.tar.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNSTONE_TRACKING_TOKEN", TOKEN)
        for words in (["create", "iris"], ["export", "iris", "-o", archive], ["delete", "iris"]):
            yes = ["--yes"] if words[0] == "delete" else []
            assert main(["models", *words, *yes, "--tracking-uri", uri]) == 0
    return folder


@pytest.fixture
def mlflow() -> Iterator[str]:
    """A tracking server of MLflow without anything in it."""
    receiver = Receiver()
    receiver.behave = answering(200, b"{}")
    try:
        yield receiver.url.removesuffix("/hook")
    finally:
        receiver.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() else b""
        for each in folder.rglob("*")
    }


@pytest.fixture(params=["", "rst_nobody's"], ids=["none", "wrong"])
def told(
    request: pytest.FixtureRequest, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """What an error says of the token that there is: what is wrong, and what to do."""
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", uri)
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", request.param)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    if request.param:
        return "the token is not known to this server", "it is from RUNSTONE_TRACKING_TOKEN"
    return "this server asks for a token", "runstone auth login"


@pytest.mark.parametrize(
    "path", [each for each in CALLED if each not in ASKS_NO_TOKEN], ids=" ".join
)
def test_without_a_token_that_the_server_knows(
    path: tuple[str, ...],
    told: tuple[str, str],
    uri: str,
    made_before: Path,
    mlflow: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = own_example(path)
    if path in ASKS_ELSEWHERE:
        monkeypatch.chdir(made_before)
        instead = {"import": "mlruns", "export": mlflow}.get(path[0], "")
        words = [instead if each.startswith("http://mlflow.example") else each for each in words]
        words = [uri if each.startswith("runstone://") else each for each in words]
    there = contents(made_before)
    for more in ([], ["--json"], ["--traceback"]):
        code = main([*more, *words])
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert all(each in err for each in told)
        assert "nobody's" not in err
    assert contents(tmp_path) == {}
    now = contents(made_before)
    assert now.items() >= there.items()
    # A sync notes beside what it delivers for whom that is.
    assert path == ("sync",) or len(now) == len(there)


def test_a_model_of_a_server_that_wants_a_token_is_not_served(
    told: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(own_example(("models", "serve"))) == 1
    (said,) = caplog.messages
    assert all(each in said for each in told)
    assert "nobody's" not in said
    assert contents(tmp_path) == {}
