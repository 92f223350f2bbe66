"""Projects in containers: what docker is called with."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runstone._containers import docker
from runstone._projects import docker_env
from runstone._projects.docker_env import Container
from runstone._projects.local import LocalRun
from runstone.exceptions import FailedPrecondition, LibraryMissing, ProjectInvalid
from support.fake_docker import FakeDocker

RUN_ID = "0123456789abcdef0123456789abcdef"
SUITE = "runstone://suite.lab:5051"


def command(**more: Any) -> tuple[list[str], dict[str, str]]:
    given = {"image": "lab/train:1", "run_id": RUN_ID, "tracking_uri": SUITE, **more}
    return docker_env.run_command("docker", Container(**given))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    found = FakeDocker(tmp_path / "docker")
    monkeypatch.setenv("PATH", found.path)
    return found


def test_volumes_variables_and_options_as_mlflow_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPIED", "secret")
    words, passed = command(
        volumes=["/data:/data", "cache:/cache:ro"],
        environment=[["NEW", "a b"], "COPIED"],
        options={"gpus": "all", "t": True, "shm-size": "1g"},
        variables={"RUNSTONE_RUN_ID": RUN_ID},
    )
    assert words == [
        *("docker", "run", "--rm", "--init", f"--name=runstone-{RUN_ID}"),
        *("--gpus=all", "-t", "--shm-size=1g"),
        *("--volume=/data:/data", "--volume=cache:/cache:ro"),
        *("--env=NEW=a b", "--env=COPIED"),
        *("--env=RUNSTONE_RUN_ID", "--env=RUNSTONE_TRACKING_URI"),
        "lab/train:1",
    ]
    # What is copied or of the run stays out of what everybody on the machine can read.
    assert passed == {"RUNSTONE_RUN_ID": RUN_ID, "RUNSTONE_TRACKING_URI": SUITE}


def test_a_variable_of_the_run_beats_those_of_the_project() -> None:
    words, passed = command(
        environment=[["RUNSTONE_RUN_ID", "other"]], variables={"RUNSTONE_RUN_ID": RUN_ID}
    )
    assert "--env=RUNSTONE_RUN_ID=other" not in words
    assert passed["RUNSTONE_RUN_ID"] == RUN_ID


def test_the_folder_of_an_embedded_suite_goes_along(tmp_path: Path) -> None:
    words, passed = command(tracking_uri=f"file:{tmp_path}")
    assert f"--volume={tmp_path}:/runstone-data" in words
    assert passed["RUNSTONE_TRACKING_URI"] == "file:/runstone-data"


def test_a_suite_on_the_loopback_needs_the_host_network() -> None:
    with pytest.raises(ProjectInvalid, match="-A network=host"):
        command(tracking_uri="runstone://localhost:5051")
    words, _ = command(tracking_uri="runstone://localhost:5051", options={"network": "host"})
    assert "--network=host" in words


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image": "-v=/:/host"}, "must name an image"),
        ({"image": "a b"}, "must name an image"),
        ({"image": "a\nRUN evil"}, "must name an image"),
        ({"volumes": ["/data"]}, "/here:/there"),
        ({"volumes": [{"a": "b"}]}, "must be a text"),
        ({"volumes": ["/a\0:/b"]}, "NUL"),
        ({"environment": ["NOT_SET_ANYWHERE_AT_ALL"]}, "not set here"),
        ({"environment": ["A=B"]}, "must name a variable"),
        ({"environment": [["--privileged", "x"]]}, "must name a variable"),
        ({"environment": [["A", "b", "c"]]}, r"\[name, value\]"),
        ({"options": {"-v": "/:/host"}}, "without dashes"),
        ({"options": {"v=/:/host": True}}, "without dashes"),
        ({"options": {"volume --privileged": "x"}}, "without dashes"),
        ({"options": {"name": "other"}}, "is set by Runstone"),
        ({"options": {"gpus": None}}, "must be a text"),
    ],
)
def test_what_is_none_of_an_option_is_refused(more: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ProjectInvalid, match=said):
        command(**more)


@pytest.mark.parametrize(
    "value", ["--privileged", "-v /:/host", "a\n--privileged", "$(id)", '"; x']
)
def test_a_value_stays_in_its_word(value: str) -> None:
    words, _ = command(
        volumes=[f"{value}:/there"], environment=[["A", value]], options={"label": value}
    )
    inside = [word for word in words if value in word]
    assert inside == [f"--label={value}", f"--volume={value}:/there", f"--env=A={value}"]


def test_an_image_is_built_of_the_project_and_nothing_else(
    fake: FakeDocker, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").touch()
    (project / ".dockerignore").write_text("secrets\n")
    docker_env.build(fake.program, project, "python:3.12-slim", "reg.lab/train:0123456")
    (call,) = fake.calls()
    assert call.words[:2] == ["build", "--tag=reg.lab/train:0123456"]
    assert call.dockerfile.splitlines() == [
        "FROM python:3.12-slim",
        "COPY --chown=1000:1000 . /mlflow/projects/code/",
        "WORKDIR /mlflow/projects/code",
    ]
    assert {"secrets", ".git", "runstone-data", "mlruns"} <= set(call.ignored)
    assert call.context == [".dockerignore", "train.py"]
    # Nothing is left in the project.
    assert sorted(each.name for each in project.iterdir()) == [".dockerignore", "train.py"]


def test_a_pushed_image_is_named_by_its_digest(fake: FakeDocker) -> None:
    name = docker.push(fake.program, "reg.lab:5000/train:0123456")
    assert name == "reg.lab:5000/train@sha256:" + 64 * "a"
    assert fake.calls()[0].words == ["push", "reg.lab:5000/train:0123456"]


def test_a_password_is_in_no_word(fake: FakeDocker) -> None:
    docker_env.login(
        fake.program, {"username": "me", "password": "hush", "registry": "reg.lab:5000"}
    )
    (call,) = fake.calls()
    assert call.words == ["login", "--username=me", "--password-stdin", "reg.lab:5000"]
    assert call.stdin == "hush"
    with pytest.raises(ProjectInvalid, match=r"docker_auth\.password is missing"):
        docker_env.login(fake.program, {"username": "me"})
    with pytest.raises(ProjectInvalid, match=r"docker_auth\.token is unknown"):
        docker_env.login(fake.program, {"token": "x"})


def test_a_failure_of_docker_is_told(fake: FakeDocker) -> None:
    fake.fail("push")
    with pytest.raises(FailedPrecondition, match="docker push ended with 1"):
        docker.push(fake.program, "train:1")


def test_without_docker_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        LibraryMissing, match=r"docker is not installed here; .*--env-manager local"
    ):
        docker.program(docker_env.INSTEAD)


def test_what_runs_in_the_container_finds_its_run(fake: FakeDocker) -> None:
    words, passed = command(variables={"RUNSTONE_RUN_ID": RUN_ID})
    words[0] = fake.program
    done = subprocess.run(
        [*words, "sh", "-c", "echo $RUNSTONE_RUN_ID $RUNSTONE_TRACKING_URI"],
        env={"PATH": fake.path, **passed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [RUN_ID, SUITE]


def test_a_run_that_is_cancelled_takes_its_container_along(fake: FakeDocker) -> None:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    run = LocalRun(RUN_ID, process, tuple(docker_env.stop_command(fake.program, RUN_ID)))
    run.cancel()
    assert run.get_status() == "KILLED"
    assert [call.words for call in fake.calls()] == [["rm", "--force", f"runstone-{RUN_ID}"]]


@pytest.mark.parametrize(
    ("repository", "project", "commit", "tag"),
    [
        ("", "My Project!", "", "my-project"),
        ("", "", "0123456789", "project:0123456"),
        ("reg.lab:5000/team/x", "ignored", "0123456789", "reg.lab:5000/team/x:0123456"),
    ],
)
def test_tags_of_images(repository: str, project: str, commit: str, tag: str) -> None:
    assert docker_env.image_tag(repository, project, commit) == tag
