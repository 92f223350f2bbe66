"""Projects as Jobs of Kubernetes, against a server that answers as its API server does."""

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from runstone._entities.tracking import Run, RunInfo
from runstone._projects import kube_api, kubernetes
from runstone._projects.docker import IMAGE_TAG
from runstone._projects.kubernetes import KubernetesBackend, KubernetesRun
from runstone._projects.launch import Launch, Source
from runstone._projects.mlproject import DockerEnv, Project
from runstone.exceptions import (
    ExecutionException,
    FailedPrecondition,
    LibraryMissing,
    PermissionDenied,
    ProjectInvalid,
)
from support.kube_api import FakeCluster
from support.processes import wait_until

RUN_ID = "0123456789abcdef0123456789abcdef"
JOB = "my-training-0123456789ab"
SUITE = "runstone://suite.lab:5051"


class Tags:
    """Takes the tags of the run."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        assert run_id == RUN_ID
        self.tags[key] = value

    def get_run(self, run_id: str) -> Run:
        return Run(RunInfo(run_id, "0", "x", "RUNNING"))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.tags["status"] = status


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> Tags:
    found = Tags()
    monkeypatch.setattr(kubernetes._state, "client", lambda: found)
    return found


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: Tags) -> Iterator[FakeCluster]:
    # Pauses are what is waited for, not what is tested.
    monkeypatch.setattr(kube_api, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(kube_api, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(kube_api, "POLL_S", 0.02)
    for name in kubernetes.TRACKING_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with FakeCluster() as found:
        path = found.kubeconfig(tmp_path)
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        yield found


def launch(
    config: Mapping[str, Any] | None = None,
    *,
    argv: tuple[str, ...] = ("python", "train.py", "--alpha", "0.5"),
    variables: Mapping[str, str] | None = None,
    image: str | None = "lab/train:1",
    **more: Any,
) -> Launch:
    folder = Path("/nowhere")
    environment = DockerEnv(image) if image else None
    return Launch(
        run_id=RUN_ID,
        experiment_id="0",
        project=Project(folder, "My Training", environment),
        source=Source("/nowhere", "folder", folder, folder),
        entry_point="main",
        parameters={"alpha": "0.5"},
        argv=argv,
        environment={
            "RUNSTONE_RUN_ID": RUN_ID, "RUNSTONE_TRACKING_URI": SUITE, **(variables or {}),
        },
        backend="kubernetes",
        backend_config=config or {},
        **more,
    )  # fmt: skip


def submit(config: Mapping[str, Any] | None = None, **more: Any) -> KubernetesRun:
    return KubernetesBackend().submit(launch(config, **more))


class Waiting:
    """A run that is waited for in another thread."""

    def __init__(self, run: KubernetesRun) -> None:
        self._pool = ThreadPoolExecutor(1)
        self.answer: Future[bool] = self._pool.submit(run.wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def result(self) -> bool:
        return self.answer.result(30)


def test_a_job_has_command_image_and_variables(cluster: FakeCluster, tags: Tags) -> None:
    with cluster_closed(submit()):
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


class cluster_closed:  # noqa: N801
    """Lets the connections of a run go that nobody waits for."""

    def __init__(self, run: KubernetesRun) -> None:
        self.run = run

    def __enter__(self) -> KubernetesRun:
        return self.run

    def __exit__(self, *_: object) -> None:
        self.run._cluster.close()


def test_a_run_succeeds_and_shows_what_its_pod_writes(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    run = submit()
    assert run.get_status() == "SCHEDULED"
    with Waiting(run) as waiting:
        pod = cluster.make_pod()
        cluster.set_running(pod)
        cluster.write(pod, "epoch 1")
        cluster.write(pod, "épôque 2")
        cluster.set_ended(pod, 0)
        cluster.end_job()
        assert waiting.result() is True
    assert (run.get_status(), run.failure) == ("FINISHED", "")
    assert capsys.readouterr().out == "epoch 1\népôque 2\n"
    assert run.wait() is True


def test_a_quick_job_that_ended_before_anybody_looked(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.on_job = lambda _: cluster.run_to_end(0, ("all of it",))
    assert submit().wait() is True
    assert capsys.readouterr().out == "all of it\n"


def test_output_goes_to_the_other_stream_beside_json(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.on_job = lambda _: cluster.run_to_end(0, ("line",))
    assert submit(output_to_stderr=True).wait() is True
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "line\n")


def test_a_failure_says_why(cluster: FakeCluster) -> None:
    cluster.on_job = lambda _: cluster.run_to_end(3, ("boom",))
    run = submit()
    assert run.wait() is False
    assert run.get_status() == "FAILED"
    assert run.failure == "exit code 3; BackoffLimitExceeded"


def test_memory_that_was_not_enough(cluster: FakeCluster) -> None:
    run = submit()
    pod = cluster.make_pod()
    cluster.set_running(pod)
    cluster.set_ended(pod, 137, "OOMKilled")
    cluster.end_job("Failed", "BackoffLimitExceeded")
    assert run.wait() is False
    assert "OOMKilled" in run.failure
    assert "more memory than its limit" in run.failure


def test_watches_and_logs_that_break_are_taken_up(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    run = submit()
    with Waiting(run) as waiting:
        pod = cluster.make_pod()
        cluster.set_running(pod)
        for number in range(5):
            # Two lines of one moment, which only their count tells apart.
            for part in "ab":
                cluster.write(pod, f"line {number}{part}", f"2026-01-01T00:00:0{number}.000000000Z")
            wait_until(lambda: following(cluster) >= 3, what="two watches and a log")
            cluster.cut_streams()
        cluster.set_ended(pod, 0)
        cluster.end_job()
        assert waiting.result() is True
    expected = [f"line {number}{part}" for number in range(5) for part in "ab"]
    assert capsys.readouterr().out.splitlines() == expected


def following(cluster: FakeCluster) -> int:
    """How many streams somebody reads."""
    return cluster.streams


@pytest.mark.parametrize("within", [True, False], ids=["within a stream", "before one"])
def test_a_version_that_is_forgotten_is_listed_anew(cluster: FakeCluster, within: bool) -> None:
    run = submit()
    with Waiting(run) as waiting:
        wait_until(lambda: cluster.streams >= 2, what="two watches")
        if not within:
            cluster.refuse("watch", "jobs", 503)
            cluster.cut_streams()
            wait_until(lambda: cluster.answered(503) > 0, what="the outage to be seen")
        cluster.forget()
        cluster.allow()
        wait_until(lambda: cluster.answered(410) > 0, what="the version to be too old")
        cluster.run_to_end()
        assert waiting.result() is True


def test_an_api_server_that_is_away_for_a_while(cluster: FakeCluster) -> None:
    run = submit()
    with Waiting(run) as waiting:
        wait_until(lambda: cluster.streams >= 2, what="two watches")
        for what in ("jobs", "pods", "logs"):
            for verb in ("get", "list", "watch"):
                cluster.refuse(verb, what, 503, "starting")
        cluster.cut_streams()
        wait_until(lambda: cluster.answered(503) > 3, what="some answers")
        cluster.run_to_end()
        cluster.allow()
        assert waiting.result() is True


def test_an_answer_that_gets_lost_makes_no_second_job(cluster: FakeCluster) -> None:
    cluster.lost_answers = 2
    cluster.on_job = lambda _: cluster.run_to_end()
    assert submit().wait() is True
    assert cluster.jobs() == [JOB]
    assert len(cluster.bodies) > 1


def test_a_name_that_another_has_taken_is_refused(cluster: FakeCluster) -> None:
    with cluster_closed(submit()):
        job = cluster.job()
        job["metadata"]["labels"] = {}
        cluster.put("jobs", job)
    with pytest.raises(ExecutionException, match="already exists"):
        submit()


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


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_who_may_not_see_pods_still_learns_the_end(
    cluster: FakeCluster, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    cluster.refuse(verb, "pods", 403, "no pods for you")
    cluster.refuse("get", "logs", 403, "no logs for you")
    run = submit()
    with Waiting(run) as waiting:
        cluster.run_to_end()
        assert waiting.result() is True
    said = caplog.text
    assert ("no pods for you" in said) if verb == "list" else ("no logs for you" in said)


def test_who_may_not_watch_jobs_lists_them(cluster: FakeCluster) -> None:
    cluster.refuse("watch", "jobs", 403)
    run = submit()
    with Waiting(run) as waiting:
        wait_until(lambda: cluster.answered(403) > 2, what="some refusals")
        cluster.run_to_end()
        assert waiting.result() is True


def test_who_may_not_see_the_job_waits_until_he_may(
    cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    run = submit()
    cluster.refuse("list", "jobs", 401, "your token has expired")
    with Waiting(run) as waiting:
        cluster.run_to_end()
        wait_until(lambda: cluster.answered(401) > 2, what="some refusals")
        cluster.allow()
        assert waiting.result() is True
    assert caplog.text.count("your token has expired") == 1


def test_what_keeps_a_pod_waiting_is_told_once(
    cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    run = submit()
    with Waiting(run) as waiting:
        pod = cluster.make_pod()
        cluster.set_unschedulable(pod, "0/3 nodes are available: 3 Insufficient memory.")
        wait_until(lambda: "Insufficient" in caplog.text, what="the reason")
        for _ in range(3):
            cluster.set_waiting(pod, "ErrImagePull", "lab/train:1: not found")
            cluster.set_waiting(pod, "ImagePullBackOff", "Back-off pulling image lab/train:1")
        wait_until(lambda: "Back-off" in caplog.text, what="the reason")
        cluster.set_running(pod)
        cluster.set_ended(pod, 0)
        cluster.end_job()
        assert waiting.result() is True
    warnings = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert warnings == [
        "the pod waits: Unschedulable: 0/3 nodes are available: 3 Insufficient memory.",
        "the pod waits: ErrImagePull: lab/train:1: not found",
        "the pod waits: ImagePullBackOff: Back-off pulling image lab/train:1",
    ]


def test_a_container_that_is_never_made_fails_the_run(cluster: FakeCluster) -> None:
    run = submit({"start-timeout": 0.05})
    pod = cluster.make_pod()
    cluster.set_waiting(pod, "InvalidImageName", "cannot parse lab/train::1")
    assert run.wait() is False
    assert run.get_status() == "FAILED"
    assert "InvalidImageName: cannot parse lab/train::1" in run.failure
    assert cluster.jobs() == []


def test_a_cancelled_run_is_killed_and_its_pod_gone(cluster: FakeCluster) -> None:
    run = submit()
    with Waiting(run) as waiting:
        cluster.set_running(cluster.make_pod())
        run.cancel()
        assert waiting.result() is False
    assert (run.get_status(), cluster.items) == ("KILLED", {})
    assert cluster.deletions == [f"{JOB} Background"]
    run.cancel()


def test_a_cancel_that_is_refused_says_so(cluster: FakeCluster) -> None:
    cluster.refuse("delete", "jobs", 403, "no deletions")
    with cluster_closed(submit()) as run:
        with pytest.raises(PermissionDenied, match=f"delete the Job {JOB}: no deletions"):
            run.cancel()
        assert run.get_status() == "SCHEDULED"


def test_a_job_that_somebody_deletes_is_killed(cluster: FakeCluster, tags: Tags) -> None:
    run = submit()
    with Waiting(run) as waiting:
        wait_until(lambda: cluster.streams >= 2, what="two watches")
        cluster.delete_job(JOB)
        assert waiting.result() is False
    assert (run.get_status(), run.failure) == ("KILLED", f"the Job {JOB} was deleted")
    assert tags.tags["status"] == "KILLED"


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
    with cluster_closed(submit({"kube-job-template-path": str(path), "service-account": "me"})):
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
    with cluster_closed(submit({"kube-context": "other"})):
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


def test_a_project_without_an_image_says_where_to_name_it(cluster: FakeCluster) -> None:
    with pytest.raises(ProjectInvalid, match="docker_env must say"):
        submit(image=None)


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    with pytest.raises(LibraryMissing, match=r"runstone\[kubernetes\]"):
        kube_api.connect("", "")


def test_no_value_becomes_another_word_or_key(cluster: FakeCluster) -> None:
    hostile = ['"; rm -rf / #', "$(RUNSTONE_RUN_ID)", "a\nimage: evil", "{image}", "$$", "--x=1"]
    with cluster_closed(submit(argv=("python", *hostile), variables={"X": "$(PATH) $$"})):
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


def test_threads_of_a_run_are_gone_with_it(cluster: FakeCluster) -> None:
    cluster.on_job = lambda _: cluster.run_to_end(0, ("x",))
    assert submit().wait() is True
    ours = ("watch of", "log of")
    wait_until(
        lambda: not [each for each in threading.enumerate() if each.name.startswith(ours)],
        what="no thread to be left",
    )
