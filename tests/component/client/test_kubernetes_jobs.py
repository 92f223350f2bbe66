"""Jobs made of projects, on a server that answers as Kubernetes' API server does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from runstone._projects import kube_api, kubernetes
from runstone._projects.docker import IMAGE_TAG
from runstone._projects.kubernetes import KubernetesBackend
from runstone.exceptions import (
    ExecutionException,
    FailedPrecondition,
    LibraryMissing,
    ProjectInvalid,
)
from support.kube_api import FakeCluster
from support.kube_runs import JOB, RUN_ID, SUITE, Closing, Tags, submit


def test_a_job_has_command_image_and_variables(cluster: FakeCluster, tags: Tags) -> None:
    with Closing(submit()):
        job = cluster.job()
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == (JOB, "training")
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "lab/train:1"
    assert container["command"] == ["python", "train.py", "--alpha", "0.5"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["RUNSTONE_RUN_ID"] == RUN_ID
    assert env["RUNSTONE_TRACKING_URI"] == SUITE
    assert job["spec"]["backoffLimit"] == 0
    assert tags.tags[kubernetes.JOB_TAG] == f"training/{JOB}"
    assert tags.tags[IMAGE_TAG] == "lab/train:1"


def test_an_answer_that_gets_lost_makes_no_second_job(cluster: FakeCluster) -> None:
    cluster.lost_answers = 2
    cluster.on_job = lambda _: cluster.run_to_end()
    assert submit().wait() is True
    assert cluster.jobs() == [JOB]
    assert len(cluster.bodies) > 1


def test_a_name_that_another_has_taken_is_refused(cluster: FakeCluster) -> None:
    with Closing(submit()):
        job = cluster.job()
        job["metadata"]["labels"] = job["metadata"]["annotations"] = {}
        cluster.put("jobs", job)
    with pytest.raises(ExecutionException, match="already exists"):
        submit()
    assert cluster.jobs() == [JOB]


def test_a_run_that_is_submitted_again_does_not_take_its_old_job_for_the_new_one(
    cluster: FakeCluster,
) -> None:
    cluster.on_job = lambda _: cluster.run_to_end()
    assert submit().wait() is True
    with pytest.raises(ExecutionException, match=f"delete job {JOB}.*leave --run-id out"):
        submit()
    assert cluster.jobs() == [JOB]


def test_who_may_not_make_jobs_is_told_so(cluster: FakeCluster) -> None:
    cluster.refuse("create", "jobs", 403, 'User "me" cannot create resource "jobs"')
    with pytest.raises(ExecutionException, match=r'namespace training.*User "me" cannot create'):
        submit()


def test_an_api_server_that_stays_away_leaves_nothing(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.lost_answers = 100
    cluster.refuse("create", "jobs", 503, "starting")
    with pytest.raises(ExecutionException, match="cannot be reached: starting"):
        submit()
    assert cluster.jobs() == []


def test_a_template_of_the_user_is_filled_as_mlflow_does(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "{replaced}", "namespace": "gpu", "labels": {"team": "x"}},
                "spec": {
                    "ttlSecondsAfterFinished": 100,
                    "backoffLimit": 2,
                    "template": {
                        "spec": {
                            "containers": [
                                {
                                    "name": "{replaced}",
                                    "image": "{replaced}",
                                    "command": ["{replaced}"],
                                    "env": [
                                        {"name": "A", "value": "1"},
                                        {"name": "RUNSTONE_RUN_ID", "value": "theirs"},
                                    ],
                                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                                }
                            ],
                            "restartPolicy": "Never",
                        }
                    },
                },
            }
        )
    )
    with Closing(submit({"kube-job-template-path": str(path), "service-account": "me"})):
        job = cluster.job()
    assert job["metadata"]["namespace"] == "gpu"
    assert job["metadata"]["labels"]["team"] == "x"
    assert job["spec"]["backoffLimit"] == 2
    spec = job["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "me"
    container = spec["containers"][0]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    env = [(each["name"], each["value"]) for each in container["env"]]
    assert env == [("A", "1"), ("RUNSTONE_RUN_ID", RUN_ID), ("RUNSTONE_TRACKING_URI", SUITE)]


def test_another_context_has_its_own_namespace(cluster: FakeCluster) -> None:
    with Closing(submit({"kube-context": "other"})):
        assert cluster.job()["metadata"]["namespace"] == "elsewhere"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"kube-contxt": "x"}, "did you mean kube-context"),
        ({"kube-context": "nowhere"}, "no context 'nowhere'; it has other, test"),
        ({"kube-job-template-path": "gone.yaml"}, "must be a file"),
        ({"image": "-v /:/host"}, "must name an image"),
        ({"image": "a", "repository-uri": "b"}, "keep one"),
        ({"start-timeout": -1}, "number of seconds"),
    ],
)
def test_a_wrong_configuration_is_refused_before_a_run(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(kubernetes._state, "get_tracking_uri", lambda: SUITE)
    with pytest.raises((ProjectInvalid, FailedPrecondition), match=said):
        KubernetesBackend().check(config)
    assert not [each for each in cluster.requests if each[0] == "POST"]


def test_a_suite_of_this_machine_is_out_of_reach(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for uri in ("runstone://127.0.0.1:5051", "file:///data", "runstone://localhost"):
        monkeypatch.setattr(kubernetes._state, "get_tracking_uri", lambda uri=uri: uri)
        with pytest.raises(ProjectInvalid, match=r"backend_config\.tracking-uri must say where"):
            KubernetesBackend().check({})
    KubernetesBackend().check({"tracking-uri": "runstone://suite.lab"})
    monkeypatch.setenv("KUBE_MLFLOW_TRACKING_URI", "runstone://suite.lab")
    KubernetesBackend().check({})


@pytest.mark.parametrize("uri", ["runstone://localhost:5051", "http://suite.lab", "file:///data"])
def test_a_suite_that_no_pod_reaches_is_refused_when_it_is_said_too(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setattr(kubernetes._state, "get_tracking_uri", lambda: SUITE)
    with pytest.raises(ProjectInvalid, match=r"backend_config\.tracking-uri"):
        KubernetesBackend().check({"tracking-uri": uri})


def test_no_address_of_this_machine_goes_to_a_pod(cluster: FakeCluster) -> None:
    variables = {
        "RUNSTONE_TRACKING_URI": "runstone://127.0.0.1:5051",
        "RUNSTONE_REGISTRY_URI": "runstone://localhost:5052",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    }
    with Closing(submit({"tracking-uri": SUITE}, variables=variables)):
        container = cluster.job()["spec"]["template"]["spec"]["containers"][0]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert (env["RUNSTONE_TRACKING_URI"], env["MLFLOW_TRACKING_URI"]) == (SUITE, SUITE)
    assert "RUNSTONE_REGISTRY_URI" not in env


def test_a_project_without_an_image_says_where_to_name_it(cluster: FakeCluster) -> None:
    with pytest.raises(ProjectInvalid, match="docker_env must say"):
        submit(image=None)


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    with pytest.raises(LibraryMissing, match=r"runstone\[kubernetes\]"):
        kube_api.connect("", "")


def test_no_value_becomes_another_word_or_key(cluster: FakeCluster) -> None:
    hostile = ['"; rm -rf / #', "$(RUNSTONE_RUN_ID)", "a\nimage: evil", "{image}", "$$", "--x=1"]
    with Closing(submit(argv=("python", *hostile), variables={"X": "$(PATH) $$"})):
        container = cluster.job()["spec"]["template"]["spec"]["containers"][0]
    seen = [expanded(word, {"RUNSTONE_RUN_ID": "expanded!"}) for word in container["command"]]
    assert seen == ["python", *hostile]
    env = {each["name"]: expanded(each["value"], {"PATH": "!"}) for each in container["env"]}
    assert env["X"] == "$(PATH) $$"


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """What Kubernetes makes of $(NAME) in commands and variables, by its documentation."""
    found, at = "", 0
    while at < len(text):
        if text.startswith("$$", at):
            found, at = found + "$", at + 2
        elif text.startswith("$(", at) and ")" in text[at:]:
            end = text.index(")", at)
            name = text[at + 2 : end]
            found, at = found + variables.get(name, text[at : end + 1]), end + 1
        else:
            found, at = found + text[at], at + 1
    return found


def test_a_job_that_nobody_would_follow_is_deleted(
    cluster: FakeCluster, tags: Tags, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tags, "set_tag", interrupted)
    with pytest.raises(KeyboardInterrupt):
        submit()
    assert (cluster.jobs(), len(cluster.bodies)) == ([], 1)
