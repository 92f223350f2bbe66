"""Manifests of Jobs: always of the published schema, whatever is in them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runstone._projects import kube_job, kube_logs
from runstone._projects.kube_following import pod_failure, waiting
from runstone._projects.kube_job import Work
from runstone.exceptions import ProjectInvalid
from support.kube_schemas import checked_manifest

RUN_ID = "0123456789abcdef0123456789abcdef"


def work(**more: Any) -> Work:
    given: dict[str, Any] = {
        "run_id": RUN_ID,
        "project": "My Training",
        "image": "lab/train:1",
        "command": ["python", "train.py"],
        "variables": {"RUNSTONE_RUN_ID": RUN_ID},
        "namespace": "training",
    }
    return Work(**{**given, **more})


def test_our_job_is_nobody_with_nothing_and_once() -> None:
    job = kube_job.filled(kube_job.default_template(), work())
    checked_manifest(job)
    spec = job["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"
    container = spec["containers"][0]
    assert container["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["resources"]["limits"]["memory"]
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"]["runstone/run-id"] == RUN_ID


HOSTILE = ["'; rm -rf /", '"\nimage: evil\n', "{{ evil }}", "$(X)", "\u2028", "é" * 300, "- a: b"]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_value_is_the_manifest_is_one(text: str) -> None:
    job = kube_job.filled(
        kube_job.default_template(),
        work(project=text, command=["sh", text], variables={"X": text}),
    )
    checked_manifest(yaml.safe_load(yaml.safe_dump(job)))
    assert len(job["metadata"]["name"]) <= 63
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "lab/train:1"
    assert [word.replace("$$", "$") for word in container["command"]] == ["sh", text]


def test_a_check_that_can_fail() -> None:
    job = kube_job.filled(kube_job.default_template(), work())
    job["spec"]["backofLimit"] = 0
    with pytest.raises(Exception, match="backofLimit"):
        checked_manifest(job)


def test_a_template_is_left_as_it_is(tmp_path: Path) -> None:
    template = kube_job.default_template()
    before = yaml.safe_dump(template)
    kube_job.filled(template, work())
    assert yaml.safe_dump(template) == before


def test_a_template_may_know_where_the_suite_is() -> None:
    template = kube_job.default_template()
    container = template["spec"]["template"]["spec"]["containers"][0]
    secret = {"secretKeyRef": {"name": "suite", "key": "uri"}}
    container["env"] = [{"name": "RUNSTONE_TRACKING_URI", "valueFrom": secret}]
    container["args"] = ["of the image"]
    assert kube_job.says_tracking_uri(template)
    job = kube_job.filled(template, work(variables={"RUNSTONE_TRACKING_URI": "x", "A": "1"}))
    checked_manifest(job)
    filled = job["spec"]["template"]["spec"]["containers"][0]
    assert filled["env"] == [*container["env"], {"name": "A", "value": "1"}]
    assert "args" not in filled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("a: 1\n---\nb: 2\n", "one manifest"),
        ("apiVersion: v1\nkind: Pod\n", "kind: Job, not v1, Pod"),
        ("apiVersion: batch/v1\nkind: Job\nspec: 1\n", "spec in .* must be a mapping"),
        (
            "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: []}}}\n",
            "must be a list with a container",
        ),
        ("!!python/object/apply:os.system ['echo']\n", "cannot be read"),
    ],
)
def test_a_template_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(ProjectInvalid, match=said):
        kube_job.read_template(path)


def test_lines_that_come_again_are_known_by_time_and_count() -> None:
    lines = kube_logs.Lines()
    assert [lines.new(each) for each in (b"1 a", b"2 b", b"2 c")] == ["a", "b", "c"]
    lines.again()
    assert [lines.new(each) for each in (b"1 a", b"2 b", b"2 c", b"2 d", b"3 e")] == [
        *(None, None, None, "d", "e")
    ]
    lines.again()
    # The clock of a node may be set back, which no line is lost for.
    assert [lines.new(each) for each in (b"3 e", b"3 f", b"0 g")] == [None, "f", "g"]


def pod(state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    containers = [{"name": "project", "state": state or {}}]
    return {
        "spec": {"containers": [{"name": "project"}]},
        "status": {"phase": "Pending", "containerStatuses": containers, **status},
    }


def test_why_a_pod_waits() -> None:
    assert waiting(pod({"waiting": {"reason": "ContainerCreating"}})) == ("", "")
    assert waiting(pod({"waiting": {"reason": "ErrImagePull", "message": "m"}})) == (
        "ErrImagePull",
        "m",
    )
    assert waiting(pod({"running": {}}, phase="Running")) == ("", "")


def test_why_a_pod_failed() -> None:
    ended = {"terminated": {"exitCode": 2, "reason": "Error"}}
    assert pod_failure(pod(ended, phase="Failed")) == "exit code 2"
    started = {"terminated": {"exitCode": 127, "reason": "StartError", "message": "no python"}}
    assert pod_failure(pod(started, phase="Failed")) == "exit code 127: StartError: no python"
    evicted = {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}
    assert pod_failure(pod(None, **evicted)) == "Evicted: low on disk"
    assert pod_failure(pod({"terminated": {"exitCode": 0}}, phase="Succeeded")) == ""
    assert pod_failure({}) == ""
