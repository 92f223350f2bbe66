"""What images and Kubernetes are given; docker itself is a script here."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from runstone._serving import NEEDED, images
from runstone._version import __version__
from runstone.exceptions import FailedPrecondition, InvalidArgument, LibraryMissing
from support.kube_schemas import checked_manifest

WHEEL = f"runstone-{__version__}-py3-none-any.whl"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "some-model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "requirements.txt").write_text("runstone==0.0.1\nscikit-learn==1.9.1\n")
    (folder / "python_env.yaml").write_text("python: 3.12.4\n")
    return folder


def test_a_context_has_all_that_its_dockerfile_copies(model: Path, tmp_path: Path) -> None:
    context = tmp_path / "context"
    text = images.write_context(str(model), context).read_text()
    assert text.startswith("FROM python:3.12-slim\n")
    (copied,) = [line for line in text.splitlines() if line.startswith("COPY requirements.txt")]
    for name in copied.split()[1:-1]:
        assert (context / name).is_file()
    assert (context / "model" / "MLmodel").is_file()
    assert "USER 1000" in text
    assert '"-m", "/opt/model", "-h", "0.0.0.0", "-p", "8080"]' in text
    wishes = (context / "requirements.txt").read_text().split()
    assert wishes == ["scikit-learn==1.9.1", *NEEDED, "prometheus-client"]
    assert "--allow-pickle" not in text


def test_code_of_the_author_runs_only_where_it_may(model: Path, tmp_path: Path) -> None:
    text = images.write_context(str(model), tmp_path / "context", allow_pickle=True).read_text()
    assert '"--allow-pickle"]' in text


def test_the_wheel_is_the_runstone_that_runs(model: Path, tmp_path: Path) -> None:
    images.write_context(str(model), tmp_path / "context")
    with zipfile.ZipFile(tmp_path / "context" / WHEEL) as wheel:
        names = set(wheel.namelist())
        facts = f"runstone-{__version__}.dist-info"
        assert {"runstone/__init__.py", "runstone/py.typed", f"{facts}/METADATA"} <= names
        assert not [name for name in names if "__pycache__" in name]
        recorded = {line.split(",")[0] for line in wheel.read(f"{facts}/RECORD").decode().split()}
        assert recorded == names


def test_a_folder_that_holds_something_is_left_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArgument, match="new or empty folder"):
        images.write_context(str(model), tmp_path)


@pytest.mark.parametrize("there", [False, True])
def test_what_cannot_be_filled_is_as_it_was(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    def interrupt(folder: Path) -> None:
        assert (folder / "model" / "MLmodel").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "own_wheel", interrupt)
    context = tmp_path / "context"
    if there:
        context.mkdir()
    with pytest.raises(KeyboardInterrupt):
        images.write_context(str(model), context)
    assert (context.exists(), list(tmp_path.rglob("context/*"))) == (there, [])


def test_without_docker_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LibraryMissing, match="docker is not installed"):
        images.build(tmp_path, "iris:1")


def test_docker_is_called_and_its_failure_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "docker"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\nexit $(cat {tmp_path}/code)\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "code").write_text("0")
    images.build(tmp_path, "iris:1")
    assert (tmp_path / "said").read_text().split() == ["build", "--tag=iris:1", str(tmp_path)]
    (tmp_path / "code").write_text("7")
    with pytest.raises(FailedPrecondition, match="ended with 7"):
        images.build(tmp_path, "iris:1")


def parts(**options: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    deployment, service = yaml.safe_load_all(images.manifest("iris:1", "iris", **options))
    for each in (deployment, service):
        checked_manifest(each)
    return deployment, service, deployment["spec"]["template"]["spec"]["containers"][0]


def test_a_manifest_is_of_one_piece() -> None:
    deployment, service, container = parts(replicas=3, workers=2, cpu="500m", memory="2Gi")
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= pods.items()
    assert deployment["spec"]["replicas"] == 3
    assert (container["image"], container["args"]) == ("iris:1", ["--workers", "2"])
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": images.PORT}
    assert service["spec"]["ports"][0]["targetPort"] in ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert container["resources"]["requests"] == {"cpu": "500m", "memory": "2Gi"}
    assert "env" not in container


def test_a_manifest_can_follow_an_alias() -> None:
    _, _, container = parts(model_uri="models:/iris@champion", tracking_uri="runstone://suite")
    assert container["args"][-2:] == ["-m", "models:/iris@champion"]
    assert container["env"] == [{"name": "RUNSTONE_TRACKING_URI", "value": "runstone://suite"}]


@pytest.mark.parametrize("name", ["", "Iris", "1iris", "iris_1", "-iris", "iris-", "i" * 64, "a.b"])
def test_names_that_kubernetes_refuses(name: str) -> None:
    with pytest.raises(InvalidArgument, match="Kubernetes"):
        images.manifest("iris:1", name)
