"""Projects in containers and in a cluster, by the command line; both stand in for real ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone import Client
from runstone._projects import docker_env, kube_api
from runstone.cli import main
from support import fluent
from support.fake_docker import FakeDocker
from support.kube_api import FakeCluster
from support.kube_node import Node
from support.projects import TRAIN, project
from support.suites import suite

IN_DOCKER = """\
name: In Docker
docker_env:
  image: lab/train:1
  volumes: ["/data:/data"]
  environment: [["NOISE", "0.25"], "COPIED"]
entry_points:
  main:
    parameters: {alpha: {type: float, default: 0.1}}
    command: python train.py {alpha}
  fails:
    command: python -c 'raise SystemExit(3)'
"""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("containers") / "data", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


@pytest.fixture
def on_this_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node that pods run on is this machine: its loopback addresses are theirs."""
    monkeypatch.setattr(docker_env, "only_here", lambda tracking_uri: False)


@pytest.fixture
def client(uri: str, tmp_path: Path) -> Iterator[Client]:
    project(tmp_path / "p", {"MLproject": IN_DOCKER, "train.py": TRAIN})
    with fluent.fresh(tmp_path / "p", RUNSTONE_TRACKING_URI=uri, COPIED="secret"):
        found = Client(uri)
        yield found
        found.close()


def called(capture: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    """Exit code, the answer in JSON or the error, and what else was written."""
    capture.readouterr()
    code = main([*arguments, "--json"])
    out, err = capture.readouterr()
    if out:
        return code, json.loads(out), err
    *rest, last = err.splitlines()
    return code, json.loads(last)["error"], "\n".join(rest)


@pytest.fixture
def docker(tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    found = FakeDocker(tmp_path / "docker")
    monkeypatch.setenv("PATH", found.path)
    return found


def test_a_project_runs_in_its_image(
    client: Client, docker: FakeDocker, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("run", ".", "-P", "alpha=0.5", "-A", "network=host", "-A", "t", "--build-image")
    code, answer, err = called(capfd, *arguments)
    assert code == 0, (answer, err)
    run = client.get_run(answer["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"loss": 0.5, "noise": 0.25}
    commit = run.data.tags["mlflow.source.git.commit"]
    assert run.data.tags["mlflow.docker.image.uri"] == f"in-docker:{commit[:7]}"
    assert run.data.tags["mlflow.docker.image.id"].startswith("sha256:")
    assert run.data.tags["mlflow.project.env"] == "docker"
    built, _, ran = docker.calls()
    assert built.words[0] == "build"
    assert ran.words[-4:] == [f"in-docker:{commit[:7]}", "python", "train.py", "0.5"]
    assert {"--network=host", "-t", "--volume=/data:/data", "--env=COPIED"} <= set(ran.words)
    assert "secret" not in " ".join(ran.words)


def test_a_failure_in_a_container_fails_the_run(
    client: Client, docker: FakeDocker, capfd: pytest.CaptureFixture[str]
) -> None:
    code, error, _ = called(capfd, "run", ".", "-e", "fails", "-A", "network=host")
    assert (code, error["metadata"]["failure"]) == (1, "exit code 3")
    assert client.get_run(error["metadata"]["run_id"]).info.status == "FAILED"


def test_a_suite_that_a_container_cannot_reach_is_told(
    client: Client, docker: FakeDocker, capfd: pytest.CaptureFixture[str]
) -> None:
    code, error, _ = called(capfd, "run", ".")
    assert (code, "-A network=host" in error["message"]) == (1, True)
    assert docker.calls() == []


@pytest.fixture
def cluster(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeCluster]:
    monkeypatch.setattr(kube_api, "FIRST_PAUSE_S", 0.01)
    with FakeCluster() as found, Node(found, tmp_path / "p"):
        path = found.kubeconfig(tmp_path)
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        yield found


@pytest.mark.usefixtures("on_this_node")
def test_a_project_runs_as_a_job_and_again(
    client: Client, cluster: FakeCluster, uri: str, capfd: pytest.CaptureFixture[str]
) -> None:
    config = json.dumps({"tracking-uri": uri})
    run = ("run", ".", "-P", "alpha=0.5", "-b", "kubernetes", "-c", config)
    code, answer, err = called(capfd, *run)
    assert code == 0, (answer, err)
    first = client.get_run(answer["run_id"])
    assert (first.info.status, first.data.metrics) == ("FINISHED", {"loss": 0.5})
    assert first.data.tags["mlflow.project.backend"] == "kubernetes"
    assert first.data.tags["mlflow.docker.image.uri"] == "lab/train:1"
    code, found, _ = called(capfd, "runs", "reproduce", first.info.run_id)
    assert (code, found["same"]) == (0, True)
    assert len(cluster.jobs()) == 2


@pytest.mark.usefixtures("on_this_node")
def test_a_job_that_fails_fails_the_run(
    client: Client, cluster: FakeCluster, uri: str, capfd: pytest.CaptureFixture[str]
) -> None:
    config = json.dumps({"tracking-uri": uri})
    code, error, _ = called(capfd, "run", ".", "-e", "fails", "-b", "kubernetes", "-c", config)
    assert (code, "exit code 3" in error["message"]) == (1, True)
    assert client.get_run(error["metadata"]["run_id"]).info.status == "FAILED"


def test_a_wrong_configuration_makes_no_run(
    client: Client, cluster: FakeCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    before = len(client.search_runs("0"))
    code, error, _ = called(capfd, "run", ".", "-b", "kubernetes", "-c", '{"imag": "x"}')
    assert (code, "did you mean image" in error["message"]) == (1, True)
    code, error, _ = called(capfd, "run", ".", "-b", "kubernetes")
    assert (code, "backend_config.tracking-uri" in error["message"]) == (1, True)
    assert len(client.search_runs("0")) == before
