"""Jobs followed to their end, on a server that answers as Kubernetes' API server does."""

import logging
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runstone._projects import kube_api
from runstone.exceptions import (
    PermissionDenied,
)
from support.kube_api import FakeCluster
from support.kube_runs import JOB, Closing, Tags, Waiting, submit
from support.processes import wait_until


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


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_who_may_not_see_pods_still_learns_the_end(
    cluster: FakeCluster, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    cluster.refuse(verb, "pods", 403, "no pods for you")
    cluster.refuse("get", "logs", 403, "no logs for you")
    run = submit()
    with Waiting(run) as waiting:
        if verb == "list":
            wait_until(lambda: "no pods for you" in caplog.text, what="the refusal to be told")
        cluster.run_to_end()
        assert waiting.result() is True
    assert verb == "list" or "no logs for you" in caplog.text


ODD = [
    {"type": "MODIFIED", "object": None},
    {"type": "MODIFIED", "object": {"status": {}}},
    {"type": "ERROR", "object": None},
    {"type": "MODIFIED", "object": {"metadata": {"name": "x"}, "status": "up", "spec": 5}},
    7,
]


@pytest.mark.parametrize("event", ODD, ids=["null", "no metadata", "error", "status", "number"])
def test_an_odd_answer_neither_ends_a_run_nor_its_watch(cluster: FakeCluster, event: Any) -> None:
    run = submit()
    cluster.odd_events = [event] * 4
    with Waiting(run) as waiting:
        wait_until(lambda: cluster.streams >= 2, what="two watches")
        cluster.cut_streams()
        wait_until(lambda: not cluster.odd_events, what="the odd answers to be given")
        cluster.run_to_end()
        assert waiting.result() is True
    assert cluster.deletions == []


def test_a_pod_without_containers_ends_no_run(cluster: FakeCluster) -> None:
    run = submit()
    with Waiting(run) as waiting:
        pod = cluster.pod(cluster.make_pod())
        pod["spec"] = None
        pod["status"] = {"containerStatuses": [{"state": {"running": {}}}]}
        cluster.put("pods", pod)
        cluster.end_job()
        assert waiting.result() is True


def test_a_token_that_cannot_be_renewed_now_ends_no_run(cluster: FakeCluster) -> None:
    from kubernetes.config import ConfigException

    run = submit()
    refused = [0]

    def renew(_: object) -> None:
        if refused[0] < 5:
            refused[0] += 1
            raise ConfigException("the plugin answers nothing")

    run._cluster._client.configuration.refresh_api_key_hook = renew
    with Waiting(run) as waiting:
        wait_until(lambda: refused[0] == 5, what="the refusals")
        cluster.run_to_end()
        assert waiting.result() is True


def test_a_watch_that_is_ended_at_once_is_not_asked_for_at_once() -> None:
    watch = HastyWatch()
    assert [kind for kind, _ in watch.events()] == ["LIST"]
    assert watch.pauses == [0.2, 0.4, 0.8, 1.6, 3.2]


class HastyWatch(kube_api.Watch):
    """A watch of a server that ends each at once."""

    def __init__(self) -> None:
        super().__init__(cast("Any", SimpleNamespace(namespace="x")), print, {})
        self.pauses: list[float] = []
        self.asked = 0

    def _listed(self) -> tuple[str, list[dict[str, Any]]]:
        return "1", []

    def _changes(self, _: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self.asked += 1
        if self.asked == 50:
            self.close()
        return iter(())

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        if len(self.pauses) == 5:
            self.close()
        return not self.closed


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
    with Closing(submit()) as run:
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


def test_a_job_that_is_gone_since_its_run_finished(cluster: FakeCluster, tags: Tags) -> None:
    run = submit()
    cluster.delete_job(JOB)
    tags.status = "FINISHED"
    assert run.wait() is True
    assert (run.get_status(), run.failure) == ("FINISHED", "")


def test_threads_of_a_run_are_gone_with_it(cluster: FakeCluster) -> None:
    cluster.on_job = lambda _: cluster.run_to_end(0, ("x",))
    assert submit().wait() is True
    ours = ("watch of", "log of")
    wait_until(
        lambda: not [each for each in threading.enumerate() if each.name.startswith(ours)],
        what="no thread to be left",
    )
