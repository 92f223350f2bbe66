"""A server that asks for tokens: users with one get in by every way, others by none."""

import base64
import contextlib
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import runstone
from runstone.cli import main
from runstone.exceptions import Unauthenticated
from support.postgres import PostgresServer
from support.processes import free_port, wait_until
from support.services import cluster
from support.suites import SuiteProcess, clean_environment, suite

PROGRAM = str(Path(sys.executable).with_name("runstone"))


def made(folder: Path, *users: str) -> dict[str, str]:
    """Tokens by user; the file that knows them is `tokens` in the folder."""
    found = {}
    with (folder / "tokens").open("a", encoding="utf-8") as file:
        for user in users:
            ran = subprocess.run(
                [PROGRAM, "auth", "create-token", user],
                capture_output=True,
                text=True,
                check=True,
                env=clean_environment(),
            )
            file.write(ran.stdout)
            found[user] = ran.stderr.strip().rpartition(" ")[2]
    return found


@contextlib.contextmanager
def client_of(uri: str) -> Iterator[runstone.Client]:
    client = runstone.Client(uri)
    try:
        yield client
    finally:
        client.close()


class Guarded:
    """A suite that asks for tokens."""

    def __init__(
        self, process: SuiteProcess, http_port: int, tokens: dict[str, str], folder: Path
    ) -> None:
        self.uri = f"runstone://{process.status['tcp']}"
        self.http = f"http://127.0.0.1:{http_port}"
        self.tokens = tokens
        self.file = folder / "tokens"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("auth")
    tokens = made(folder, "ada", "eve")
    port = free_port()
    options = ("--grpc-port", "0", "--http-port", str(port), "--tokens-file", f"{folder}/tokens")
    with suite(folder / "data", *options) as process:
        yield Guarded(process, port, tokens, folder)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("RUNSTONE_TRACKING_TOKEN", raising=False)


def asked(guarded: Guarded, path: str, authorization: str = "") -> tuple[int, str]:
    headers = {"authorization": authorization} if authorization else {}
    request = urllib.request.Request(guarded.http + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            challenge = error.headers["www-authenticate"] or ""
            return error.status, error.read().decode() if challenge else ""


def test_a_client_needs_a_token_and_is_who_it_says(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(guarded.uri) as client, pytest.raises(Unauthenticated, match="token"):
        client.search_experiments()
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", "guessed")
    with client_of(guarded.uri) as client, pytest.raises(Unauthenticated, match="not known"):
        client.create_experiment("never")
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", guarded.tokens["ada"])
    # What somebody claims to be counts for nothing beside a token.
    monkeypatch.setenv("RUNSTONE_USER", "eve")
    with client_of(guarded.uri) as client:
        assert [each.name for each in client.search_experiments()] == ["Default"]
        client.create_registered_model("theirs")
        [entry] = client.list_audit_events("theirs")
    assert entry.actor == "ada"


def test_training_and_files_carry_it(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import pathlib, runstone\n"
        "with runstone.start_run() as run:\n"
        "    runstone.log_metric('loss', 0.5)\n"
        "    pathlib.Path('file.txt').write_text('kept')\n"
        "    runstone.log_artifact('file.txt')\n"
        "print(run.info.run_id)\n",
        "utf-8",
    )
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=clean_environment(
            RUNSTONE_TRACKING_URI=guarded.uri, RUNSTONE_TRACKING_TOKEN=guarded.tokens["ada"]
        ),
    )
    monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", guarded.tokens["eve"])
    with client_of(guarded.uri) as client:
        run = client.get_run(ran.stdout.strip())
        assert run.data.metrics == {"loss": 0.5}
        assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["file.txt"]


def test_mlflows_ways_to_send_one(guarded: Guarded) -> None:
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    token = guarded.tokens["ada"]
    status, said = asked(guarded, path)
    assert (status, json.loads(said)["error_code"]) == (401, "UNAUTHENTICATED")
    assert asked(guarded, path, f"Bearer {token}")[0] == 200
    for pair in (f"ada:{token}", f"{token}:"):
        assert asked(guarded, path, f"Basic {base64.b64encode(pair.encode()).decode()}")[0] == 200
    for wrong in ("Bearer no", "Bearer", "Basic !", "Digest x", f"Bearer {token} x", "Basic YTpi"):
        assert asked(guarded, path, wrong)[0] == 401
    assert asked(guarded, "/health") == (200, "OK")
    assert asked(guarded, "/version")[0] == 200


def test_a_token_that_is_taken_back_is_refused(guarded: Guarded) -> None:
    token = made(guarded.file.parent, "mallory")["mallory"]
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"

    def status() -> int:
        return asked(guarded, path, f"Bearer {token}")[0]

    wait_until(lambda: status() == 200, 10, "the new token known")
    kept = [each for each in guarded.file.read_text("utf-8").splitlines() if "mallory" not in each]
    guarded.file.write_text("\n".join(kept) + "\n", "utf-8")
    wait_until(lambda: status() == 401, 10, "the token refused")
    assert asked(guarded, path, f"Bearer {guarded.tokens['eve']}")[0] == 200


def typed(
    guarded: Guarded, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, given: str = ""
) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    return main(["--tracking-uri", guarded.uri, *arguments])


def test_log_in_status_log_out(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def does(*arguments: str, given: str = "") -> tuple[int, str]:
        capsys.readouterr()
        code = typed(guarded, arguments, monkeypatch, given)
        out, err = capsys.readouterr()
        return code, out + err

    code, said = does("auth", "status")
    assert code == 1
    assert "this server asks for a token" in said
    code, said = does("experiments", "list")
    assert code == 1
    assert "asks for a token" in said
    assert "runstone auth login" in said
    code, said = does("auth", "login", given="guessed\n")
    assert code == 1
    assert "not known" in said
    assert does("auth", "status")[0] == 1
    code, said = does("auth", "login", given=guarded.tokens["ada"] + "\n")
    assert (code, guarded.tokens["ada"] in said) == (0, False)
    assert does("auth", "status", "--json") == (
        0,
        json.dumps({"server": guarded.uri, "asks_for_token": True, "has_token": True}) + "\n",
    )
    assert does("experiments", "list")[0] == 0
    assert does("auth", "logout")[0] == 0
    assert does("auth", "logout")[0] == 1
    assert does("experiments", "list")[0] == 1
    code, said = does("auth", "login", given="\n")
    assert (code, "no token" in said) == (1, True)


def test_a_server_starts_with_no_file_that_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("ada secret\n", "utf-8")
    ran = subprocess.run(
        [PROGRAM, "server", "--grpc-port", "0", "--tokens-file", str(tmp_path / "tokens")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert ran.returncode == 1
    assert "line 1: must be a name and sha256:" in ran.stderr + ran.stdout


def test_services_ask_each_other_in_their_callers_name(
    postgres: PostgresServer, postgres_url: str, s3_bucket: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tokens = made(tmp_path, "ada", "service")
    changes = {
        "RUNSTONE_TOKENS_FILE": str(tmp_path / "tokens"),
        "RUNSTONE_SERVICE_TOKEN": tokens["service"],
    }
    with cluster(tmp_path, postgres_url, s3_bucket, **changes) as services:
        monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", tokens["ada"])
        (tmp_path / "model.txt").write_text("weights", "utf-8")
        with client_of(services.uri) as client:
            run = client.create_run("0")
            client.log_artifact(run.info.run_id, str(tmp_path / "model.txt"), "model")
            client.create_registered_model("asked")
            version = client.create_model_version(
                "asked", f"runs:/{run.info.run_id}/model", run.info.run_id
            )
            assert version.version == 1
            entries = list(client.list_audit_events("asked"))
        assert {entry.actor for entry in entries} == {"ada"}
        monkeypatch.setenv("RUNSTONE_TRACKING_TOKEN", "guessed")
        with client_of(services.uri) as client, pytest.raises(Unauthenticated):
            client.list_artifacts(run.info.run_id)
