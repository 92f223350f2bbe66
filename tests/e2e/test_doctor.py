"""`runstone doctor`: each thing is broken in turn, and finds its line and what to do."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest

from runstone import _uri
from runstone._doctor import health
from runstone._doctor.certificates import not_after
from runstone.cli import main
from support.certificates import Certificate, self_signed
from support.full_disk import FullDisk
from support.journals import Journal
from support.postgres import PostgresServer
from support.processes import START_SECONDS, free_port, wait_until
from support.s3 import S3Server
from support.suites import SuiteProcess, channel, clean_environment, suite
from support.terminal import shown_on_terminal

OBJECTS = "runstone.artifact.v1.ArtifactService/objects"
DATABASE = "runstone.registry.v1.RegistryService/database"

Lines = dict[str, dict[str, Any]]
Doctor = Callable[..., Lines]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteProcess]:
    with suite(tmp_path_factory.mktemp("doctor") / "data", "--grpc-port", "0") as started:
        yield started


@pytest.fixture
def uri(served: SuiteProcess) -> str:
    return f"runstone://{served.status['tcp']}"


@pytest.fixture
def doctor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Doctor:
    """doctor(uri, *arguments, code=…, VARIABLE=…): its lines by name."""
    for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    # Relative paths are resolved once in a process.
    _uri.forget()

    def call(uri: str, *arguments: str, code: int | None = None, **environment: str) -> Lines:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        given = ["--tracking-uri", uri] if uri else []
        said = main([*given, "doctor", "--json", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        report = json.loads(out)
        assert said == (report["status"] == "failure") or "--strict" in arguments
        assert code in (None, said)
        for each in report["checks"]:
            assert each["status"] == "ok" or each["fix"], each
        return {each["name"]: each for each in report["checks"]}

    return call


def test_all_is_well(doctor: Doctor, served: SuiteProcess, uri: str) -> None:
    lines = doctor(uri, code=0)
    for name in ("tracking", "artifact", "registry"):
        assert lines[f"service.{name}"]["status"] == "ok"
        assert lines[f"service.{name}"]["details"]["median_ms"] > 0
        assert f"the {name} service at " in lines[f"service.{name}"]["summary"]
        assert lines[f"service.{name}.database"]["summary"].endswith("answers it")
    assert lines["service.artifact.objects"]["status"] == "ok"
    assert lines["access.artifact"]["summary"].endswith("without a token")
    assert lines["version.tracking"]["status"] == "ok"
    clock = lines["clock.tracking"]
    assert clock["status"] == "ok"
    assert clock["details"]["least_ms"] <= clock["details"]["most_ms"]
    assert not any("could not be looked at" in each["summary"] for each in lines.values())
    # By its folder the same suite is found, and its gateway with it.
    lines = doctor("", RUNSTONE_DATA_DIR=str(served.data_dir))
    assert f"pid {served.process.pid}" in lines["suite"]["summary"]
    assert lines["service.registry"]["status"] == "ok"
    assert lines["gateway"]["status"] == "ok"
    assert lines["gateway"]["details"]["source"] == "suite.json"
    assert lines["gateway.services"]["status"] == "ok"


def test_nothing_is_started_and_nothing_is_left_behind(doctor: Doctor, tmp_path: Path) -> None:
    lines = doctor("", code=0, XDG_STATE_HOME=str(tmp_path / "state"))
    assert "not made yet" in lines["suite"]["summary"]
    assert "service.tracking" not in lines
    assert list(tmp_path.iterdir()) == []


def test_people_and_pipes(uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runstone.cli", "--tracking-uri", uri, "doctor"]
    environment = clean_environment(
        RUNSTONE_TRACKING_URL="x", RUNSTONE_TRACKING_TOKEN="sesame-open"
    )
    code, shown = shown_on_terminal(command, 80, environment)
    assert code == 0
    assert "Installation" in shown
    at = shown.index("  warning nothing reads RUNSTONE_TRACKING_URL")
    assert shown[at + 1] == "          -> did you mean RUNSTONE_TRACKING_URI? Else unset it"
    assert shown[-1].startswith("0 failures, ")
    assert max(map(len, shown)) <= 80
    piped = subprocess.run(
        [*command, "--strict"], env=environment, capture_output=True, text=True, check=False
    )
    assert (piped.returncode, piped.stderr) == (1, "")
    rows = [line.split("\t") for line in piped.stdout.splitlines()]
    assert rows[0] == ["GROUP", "NAME", "STATUS", "SUMMARY", "FIX"]
    assert {len(row) for row in rows} == {5}
    assert "sesame" not in piped.stdout + "".join(shown)


def test_a_server_that_asks_for_tokens(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ada sha256:{sha256(b'rst_good-token').hexdigest()}\n", "utf-8")
    arguments = ("--grpc-port", "0", "--tokens-file", str(tokens))
    with suite(tmp_path / "guarded", *arguments) as guarded:
        uri, web = f"runstone://{guarded.status['tcp']}", ("--gateway", guarded.status["http"])
        lines = doctor(uri, *web, code=1)
        for name in ("tracking", "artifact", "registry"):
            assert lines[f"service.{name}"]["status"] == "ok"
            assert "asks for a token" in lines[f"access.{name}"]["summary"]
            assert lines[f"access.{name}"]["fix"].startswith(f"runstone auth login {uri}")
        assert lines["gateway"]["status"] == "warning"
        lines = doctor(uri, code=1, RUNSTONE_TRACKING_TOKEN="rst_other-token")
        assert "does not know your token" in lines["access.artifact"]["summary"]
        good = {
            "RUNSTONE_TRACKING_TOKEN": "rst_good-token",
            "MLFLOW_TRACKING_TOKEN": "rst_good-token",
        }
        lines = doctor(uri, *web, code=0, **good)
        assert lines["access.registry"]["summary"].endswith("with your token")
        assert lines["gateway"]["status"] == lines["gateway.services"]["status"] == "ok"
        assert "good-token" not in json.dumps(lines)
    kept = tmp_path / "config" / "runstone" / "credentials.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}", "utf-8")
    kept.chmod(0o644)
    assert doctor("")["token_files.credentials.json"]["fix"] == f"chmod 600 {kept}"
    lines = doctor("runstone://far.invalid", code=1)
    assert "would go to runstone://far.invalid:5051" in lines["access.tracking"]["summary"]


def test_a_server_that_is_down(doctor: Doctor) -> None:
    lines = doctor(f"runstone://127.0.0.1:{free_port()}", code=1)
    for name in ("tracking", "artifact", "registry"):
        line = lines[f"service.{name}"]
        assert line["summary"].endswith("the connection was refused")
        assert line["fix"].startswith("start the server there")
        assert "RUNSTONE_TRACKING_URI" in line["fix"]


def test_one_service_that_is_down(doctor: Doctor, uri: str) -> None:
    lines = doctor(f"{uri}?artifact=127.0.0.1:{free_port()}", code=1)
    assert lines["service.tracking"]["status"] == lines["service.registry"]["status"] == "ok"
    assert lines["service.artifact"]["status"] == "failure"
    assert "RUNSTONE_ARTIFACT_URI" in lines["service.artifact"]["fix"]


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_port_of_something_else(doctor: Doctor, served: SuiteProcess, uri: str) -> None:
    with web_server() as port:
        lines = doctor(
            f"runstone://127.0.0.1:{port}", "--gateway", f"http://127.0.0.1:{port}", code=1
        )
    assert "does not speak gRPC" in lines["service.tracking"]["summary"]
    assert lines["service.tracking"]["fix"].startswith("something else listens there")
    assert "no gateway of Runstone" in lines["gateway"]["summary"]
    # The suite's gateway is no gRPC, and its gRPC no gateway.
    http = served.status["http"]
    lines = doctor(http.replace("http", "runstone"), "--gateway", uri.replace("runstone", "http"))
    assert lines["service.tracking"]["status"] == lines["gateway"]["status"] == "failure"


def test_a_server_that_says_nothing(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        lines = doctor(
            f"runstones://127.0.0.1:{port}",
            *("--timeout", "3", "--gateway", f"http://127.0.0.1:{port}"),
            code=1,
        )
    assert "no answer" in lines["service.tracking"]["summary"]
    assert "timed out" in lines["gateway"]["summary"]
    assert "timed out" in lines[f"tls.127.0.0.1:{port}"]["summary"]
    assert lines["folder.temporary"]["status"] != "failure"


@pytest.mark.faults
def test_what_breaks_behind_a_server(
    doctor: Doctor, postgres: PostgresServer, own_s3: S3Server, tmp_path: Path
) -> None:
    minio = own_s3
    database, bucket = postgres.create_database(), minio.create_bucket()
    stores = {
        "RUNSTONE_DATABASE_URL": postgres.url(database),
        "RUNSTONE_OBJECTS_URL": minio.url(bucket),
    }
    subprocess.run(
        [sys.executable, "-m", "runstone.cli", "db", "upgrade"],
        env=clean_environment(**stores),
        check=True,
        capture_output=True,
    )
    port = free_port()
    server = SuiteProcess(
        tmp_path / "none", "--grpc-port", str(port), "--no-http", environment=stores
    )
    uri = f"runstone://127.0.0.1:{port}"
    try:
        wait_until(lambda: serving(port, OBJECTS), START_SECONDS, "the suite serving")
        lines = doctor(uri, **stores)
        assert lines["stores.RUNSTONE_DATABASE_URL"]["status"] == "ok"
        assert lines["stores.RUNSTONE_OBJECTS_URL"]["status"] == "ok"
        assert lines["clock.database"]["status"] == "ok"
        gone = doctor(uri, **{**stores, "RUNSTONE_OBJECTS_URL": minio.url("nowhere")})
        assert "no bucket nowhere" in gone["stores.RUNSTONE_OBJECTS_URL"]["summary"]
        minio.kill()
        wait_until(lambda: not serving(port, OBJECTS), 30.0, "the object store missed")
        lines = doctor(uri)
        assert lines["service.artifact.objects"]["status"] == "failure"
        assert lines["service.artifact.database"]["status"] == "ok"
        assert "RUNSTONE_OBJECTS_URL" in lines["service.artifact.objects"]["fix"]
        assert lines["stores.RUNSTONE_OBJECTS_URL"]["status"] == "failure"
        postgres.drop_database(database)
        wait_until(lambda: not serving(port, DATABASE), 30.0, "the database missed")
        lines = doctor(uri)
        assert lines["service.registry.database"]["status"] == "failure"
        assert "RUNSTONE_DATABASE_URL" in lines["service.tracking.database"]["fix"]
        line = lines["stores.RUNSTONE_DATABASE_URL"]
        assert line["status"] == "failure"
        text = json.dumps(lines)
        assert postgres.password not in text
        assert minio.secret_key not in text
    finally:
        server.kill()


def serving(port: int, name: str) -> bool:
    """What health says of a name; False while nobody answers."""
    with channel(f"127.0.0.1:{port}") as opened:
        try:
            return health.ask(opened, name, 5.0).status == health.SERVING
        except grpc.RpcError:
            return False


@contextlib.contextmanager
def health_server(
    *, version: str = "0.1.0", ahead: float = 0.0, tls: Certificate | None = None
) -> Iterator[int]:
    """Says that it serves, with that version and a clock that is so many seconds ahead."""

    def check(_request: bytes, context: grpc.ServicerContext) -> bytes:
        told = str(int((time.time() + ahead) * 1e6))
        context.set_trailing_metadata(
            (("x-runstone-version", version), ("x-runstone-time-us", told))
        )
        return b"\x08\x01"

    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),)
    )
    if tls is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def test_a_wrong_clock_and_an_old_server(doctor: Doctor) -> None:
    with health_server(version="0.0.9", ahead=-3600.0) as port:
        lines = doctor(f"runstone://127.0.0.1:{port}", code=1)
    assert "3600.0 s behind ours" in lines["clock.tracking"]["summary"]
    assert "NTP" in lines["clock.tracking"]["fix"]
    assert abs(lines["clock.tracking"]["details"]["skew_ms"] + 3_600_000) < 60_000
    assert lines["version.tracking"]["status"] == "warning"
    assert lines["version.tracking"]["fix"].startswith("update the server")


def test_certificates(doctor: Doctor, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ends = now + timedelta(days=10)
    good = self_signed(tmp_path / "good", "localhost", "20260101000000Z", zulu(ends))
    old = self_signed(tmp_path / "old", "localhost", "20200101000000Z", "20200201000000Z")
    assert not_after(good.der) == int(ends.timestamp())
    assert not_after(old.der) == datetime(2020, 2, 1, tzinfo=UTC).timestamp()
    assert not_after(old.der[:-400]) is not_after(b"") is None
    with health_server(tls=good) as port:
        uri = f"runstones://localhost:{port}"
        line = doctor(uri, code=1)[f"tls.localhost:{port}"]
        assert "self-signed" in line["summary"]
        assert line["details"]["days_left"] == pytest.approx(10, abs=0.2)
        # gRPC reads the file of authorities once in a process.
        trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(good.certificate)}
        said = subprocess.run(
            [sys.executable, "-m", "runstone.cli", "doctor", "--json", "--tracking-uri", uri],
            env=clean_environment(**trusting),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = {each["name"]: each for each in json.loads(said.stdout)["checks"]}
        assert lines["service.tracking"]["status"] == "ok"
        line = lines[f"tls.localhost:{port}"]
        assert (line["status"], line["details"]["alpn"]) == ("warning", "h2")
        assert "expires in 10 days" in line["summary"]
        address = f"runstones://127.0.0.1:{port}"
        line = doctor(address, **trusting)[f"tls.127.0.0.1:{port}"]
        assert "another" in line["summary"]
    with health_server(tls=old) as port:
        trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(old.certificate)}
        line = doctor(f"runstones://localhost:{port}", **trusting)[f"tls.localhost:{port}"]
        assert "it has expired" in line["summary"]
        assert line["fix"].startswith("have it renewed")


def zulu(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%SZ")


def test_tls_where_none_is_spoken(doctor: Doctor, uri: str) -> None:
    address = uri.removeprefix("runstone://")
    lines = doctor(f"runstones://{address}", code=1)
    assert "runstone:// is meant" in lines[f"tls.{address}"]["fix"]
    assert lines["service.tracking"]["status"] == "failure"


def test_a_full_disk_and_a_folder_that_cannot_be_written(
    doctor: Doctor, uri: str, tmp_path: Path
) -> None:
    disk = FullDisk(tmp_path / "small", 4096)
    try:
        lines = doctor(uri, code=1, RUNSTONE_JOURNAL_DIR=str(disk.folder))
        assert list(disk.folder.iterdir()) == []
    finally:
        disk.close()
    assert "full" in lines["folder.journal"]["summary"]
    assert "RUNSTONE_JOURNAL_DIR" in lines["folder.journal"]["fix"]
    lines = doctor(uri, code=1, RUNSTONE_JOURNAL_DIR="/proc")
    assert "cannot be written" in lines["folder.journal"]["summary"]


def test_a_stale_journal_and_the_fix_that_delivers_it(
    doctor: Doctor, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runstone

    root = tmp_path / "journals"
    run_id = runstone.Client(uri).create_run("0").info.run_id
    with Journal(root, uri) as journal:
        journal.log(run_id, {"loss": 0.5}, 1, int((time.time() - 7200) * 1000))
    name = f"journals.{journal.folder.name}"
    line = doctor(uri, RUNSTONE_JOURNAL_DIR=str(root))[name]
    assert line["status"] == "warning"
    assert line["details"]["waiting_points"] == 1
    command = line["fix"].partition("deliver it: ")[2].partition(" (so")[0]
    subprocess.run(command, shell=True, check=True, env=clean_environment())
    lines = doctor(uri)
    assert name not in lines
    assert lines["journals"]["summary"].startswith("nothing waits")


def test_an_offline_folder_that_waits(doctor: Doctor, uri: str, tmp_path: Path) -> None:
    code = "import runstone\nwith runstone.start_run(): runstone.log_metric('m', 1)"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean_environment(RUNSTONE_MODE="offline"),
        check=True,
    )
    line = doctor(uri)["offline"]
    assert " holds what 1 process logged offline, " in line["summary"]
    assert line["fix"] == f"runstone sync {tmp_path / 'runstone-offline'}"
    assert main(["--tracking-uri", uri, "sync"]) == 0
    assert doctor(uri)["offline"]["status"] == "ok"


def test_a_broken_installation(uri: str, tmp_path: Path) -> None:
    for name in ("grpc", "rich", "yaml"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('torn', name='grpc')")
    (tmp_path / "protobuf-3.20.1.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: protobuf\nVersion: 3.20.1\n"
    (tmp_path / "protobuf-3.20.1.dist-info" / "METADATA").write_text(metadata)
    environment = clean_environment()
    environment["PYTHONPATH"] = f"{tmp_path}:{environment.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "runstone.cli", "doctor", "--tracking-uri", uri]
    code, shown = shown_on_terminal(command, 100, environment)
    text = " ".join(" ".join(shown).split())
    assert code == 1
    assert "protobuf 3.20.1 is too old" in text
    assert "ImportError: torn -> a library cannot be loaded" in text
    assert "Disks and folders" in text
