"""`runstone server` on PostgreSQL and S3: one process or several, settings by value or by file."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import runstone
from support.processes import kill, wait_until
from support.suites import clean_environment

PROGRAM = str(Path(sys.executable).with_name("runstone"))


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=60,
        env=clean_environment(**environment),
    )


@contextmanager
def serving(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [PROGRAM, "server", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=clean_environment(**environment),
    )
    with process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            kill(process)


def stores(folder: Path, database_url: str, objects_url: str) -> dict[str, str]:
    secret = folder / "objects-url"
    secret.write_text(objects_url + "\n", "utf-8")
    return {"RUNSTONE_DATABASE_URL": database_url, "RUNSTONE_OBJECTS_URL_FILE": str(secret)}


def do_the_main_job(address: str, folder: Path) -> None:
    client = runstone.Client(f"runstone://{address}")
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "acc", 0.5, step=1)
    client.log_text(run_id, "weights", "model/weights.txt")
    client.create_registered_model("net")
    version = client.create_model_version("net", f"runs:/{run_id}/model")
    client.transition_model_version_stage("net", version.version, "Production")
    got = client.download_artifacts(
        None, "", folder / "back", model_version_id=version.model_version_id
    )
    assert (Path(got) / "weights.txt").read_text("utf-8") == "weights"
    assert client.get_metric_history(run_id, "acc")[0].value == 0.5
    client.close()


def test_one_process(tmp_path: Path, postgres_url: str, s3_bucket: str) -> None:
    environment = stores(tmp_path, postgres_url, s3_bucket)
    refused = run("server", "--grpc-port", "0", folder=tmp_path, **environment)
    assert refused.returncode == 1
    assert "run `runstone db upgrade`" in refused.stderr
    assert run("db", "upgrade", folder=tmp_path, **environment).returncode == 0
    with serving(tmp_path, environment, "--grpc-port", "0") as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert (said["data_dir"], said["socket"]) == (None, None)
        do_the_main_job(said["address"], tmp_path)
    assert not (tmp_path / "runstone-data").exists()


def test_workers_with_a_database_for_each_service(
    tmp_path: Path, postgres_url: str, s3_bucket: str
) -> None:
    environment = {
        f"RUNSTONE_{name}_DATABASE_URL": postgres_url
        for name in ("TRACKING", "ARTIFACT", "REGISTRY")
    }
    environment["RUNSTONE_OBJECTS_URL"] = s3_bucket
    assert run("db", "upgrade", folder=tmp_path, **environment).returncode == 0
    with serving(tmp_path, environment, "--grpc-port", "0", "--workers", "2") as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        do_the_main_job(said["address"], tmp_path)
    assert not (tmp_path / "runstone-data").exists()


def test_two_workers_and_one_of_them_killed(
    tmp_path: Path, postgres_url: str, s3_bucket: str, free_port: int
) -> None:
    environment = stores(tmp_path, postgres_url, s3_bucket)
    assert run("db", "upgrade", folder=tmp_path, **environment).returncode == 0
    arguments = ("--grpc-port", str(free_port), "--workers", "2")
    with serving(tmp_path, environment, *arguments) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["address"] == f"127.0.0.1:{free_port}"
        do_the_main_job(f"127.0.0.1:{free_port}", tmp_path)
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        workers[0].kill()
        wait_until(
            lambda: len(set(psutil.Process(process.pid).children()) - set(workers)) == 1,
            20.0,
            "a new worker",
        )
        # The other worker may have been starting until now, and on a busy machine be at it still.
        client = runstone.Client(f"runstone://127.0.0.1:{free_port}", timeout=60)
        assert [model.name for model in client.search_registered_models()] == ["net"]


NOBODY = "postgresql://u:hush@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"RUNSTONE_DATABASE_URL": NOBODY, "RUNSTONE_OBJECTS_URL": "s3+http://k:hush@h/bkt"},
            "the database of tracking: the database cannot be reached right now (127.0.0.1:1/x: ",
        ),
        ({"RUNSTONE_DATABASE_URL": NOBODY}, "RUNSTONE_OBJECTS_URL is not"),
        ({"RUNSTONE_OBJECTS_URL": "s3+http://k:hush@h/bkt"}, "RUNSTONE_DATABASE_URL is not"),
        ({"RUNSTONE_DATABASE_URL": "mysql://u:hush@127.0.0.1/x"}, "no such database"),
        ({"RUNSTONE_DATABASE_URL": "sqlite:////tmp/x.db"}, "--data-dir"),
        (
            {"RUNSTONE_DATABASE_URL": NOBODY, "RUNSTONE_OBJECTS_URL": "s3+http://hush"},
            "RUNSTONE_OBJECTS_URL: an S3 URL names",
        ),
        ({"RUNSTONE_OBJECTS_URL_FILE": "/nowhere/secret"}, "cannot read /nowhere/secret"),
        ({"RUNSTONE_SUITE_LISTN": "x"}, "did you mean RUNSTONE_SUITE_LISTEN?"),
        ({"RUNSTONE_LISTEN": "everywhere"}, "RUNSTONE_LISTEN"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    refused = run("server", "--grpc-port", "0", folder=tmp_path, **environment)
    assert refused.returncode == 1, refused.stderr
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert "hush" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_http_port_yet(tmp_path: Path) -> None:
    refused = run("server", "--port", "5000", folder=tmp_path)
    assert refused.returncode == 2
    assert "No such option '--port'" in refused.stderr


def test_without_the_server_distribution_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['runstone_suite'] = None;"
        "from runstone.cli import main; sys.exit(main(['server']))"
    )
    refused = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert refused.returncode == 1
    assert refused.stderr == (
        "Error: this needs the server, which is not installed: pip install runstone-server\n"
    )
