"""The manifest of a Job: a template, ours or the user's, filled as plain data.

Nothing is put into a text: a value can be no other key, whatever stands in it.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstone._containers import manifests
from runstone._projects.refusals import wrong

KEPT_S = 86400
"""A finished Job stays for a day, so that its pod and logs can be looked at."""

CPU, MEMORY, MEMORY_LIMIT = "1", "1Gi", "8Gi"
"""Where no template says it: enough to begin with, and a limit before the node has none left."""

_ID_DIGITS = 12
_PROJECT_LETTERS = 40
"""With the digits of the run's id below 63, the longest name of a Job whose pods get theirs."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a Job is to do.

    Attributes:
        project: Its name; for people.
        image: What runs.
        command: An argument list, of which no shell sees anything.
        variables: For its environment. Those in ``KEPT`` do not beat the template's.
        attempt: Tells its Job from that of an earlier submission of the same run.
    """

    run_id: str
    project: str
    image: str
    command: Sequence[str]
    variables: Mapping[str, str]
    namespace: str
    service_account: str = ""
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex)


KEPT = frozenset({"RUNSTONE_TRACKING_URI", "MLFLOW_TRACKING_URI"})
"""A template may know better where the suite is, seen from inside the cluster."""


def job_name(project: str, run_id: str) -> str:
    """The name of a run's Job: always the same one, so that it is made once.

    >>> job_name("My Training!", "0123456789abcdef0123456789abcdef")
    'my-training-0123456789ab'
    """
    start = manifests.name_of(project, _PROJECT_LETTERS) or "project"
    return f"{start}-{manifests.name_of(run_id, _ID_DIGITS)}"


def default_template() -> dict[str, Any]:
    """A Job that runs once, as nobody, with nothing of the cluster in its hands."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {},
        "spec": {
            # A second pod would log to the same run again; who wants it runs the project again.
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        **manifests.pod_security(),
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "project",
                            # The user has no name in most images, and so no home to write to.
                            "env": manifests.environment({"HOME": "/tmp"}),  # noqa: S108
                            "resources": manifests.resources(CPU, MEMORY, MEMORY_LIMIT),
                            "securityContext": manifests.container_security(),
                        }
                    ],
                },
            },
        },
    }


def read_template(path: Path) -> dict[str, Any]:
    """A user's template.

    Raises:
        ProjectInvalid: it is no manifest of one Job with a container.
    """
    import yaml

    place = "backend_config.kube-job-template-path"
    try:
        found = list(yaml.safe_load_all(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise wrong(place, f"{path} cannot be read: {error}") from error
    if len(found) != 1 or not isinstance(found[0], dict):
        raise wrong(place, f"{path} must hold one manifest, of a Job")
    template: dict[str, Any] = found[0]
    kind = (template.get("apiVersion"), template.get("kind"))
    if kind != ("batch/v1", "Job"):
        raise wrong(
            place, f"{path} must say apiVersion: batch/v1 and kind: Job, not {kind[0]}, {kind[1]}"
        )
    containers = _inside(template, path, "spec", "template", "spec").get("containers")
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        raise wrong(
            place, f"spec.template.spec.containers in {path} must be a list with a container"
        )
    if not isinstance(containers[0].get("env") or [], list):
        raise wrong(place, f"spec.template.spec.containers[0].env in {path} must be a list")
    return template


def _inside(template: Mapping[str, Any], path: Path, *keys: str) -> Mapping[str, Any]:
    here: Any = template
    for number, key in enumerate(keys):
        here = here.get(key)
        if not isinstance(here, dict):
            raise wrong(
                "backend_config.kube-job-template-path",
                f"{'.'.join(keys[: number + 1])} in {path} must be a mapping",
            )
    found: Mapping[str, Any] = here
    return found


def template_namespace(template: Mapping[str, Any]) -> str:
    """The namespace that a template says; empty when it says none."""
    metadata = template.get("metadata")
    said = metadata.get("namespace") if isinstance(metadata, dict) else None
    return said if isinstance(said, str) else ""


def says_tracking_uri(template: Mapping[str, Any]) -> bool:
    """Whether a template knows where the suite is."""
    env = template["spec"]["template"]["spec"]["containers"][0].get("env") or []
    return any(isinstance(each, dict) and each.get("name") in KEPT for each in env)


def filled(template: Mapping[str, Any], work: Work) -> dict[str, Any]:
    """The manifest of a Job that does the work: the template with name, image, command, env.

    MLflow fills the same places. Ours besides: labels, and what a Job cannot be without.
    """
    job: dict[str, Any] = copy.deepcopy(dict(template))
    name = job_name(work.project, work.run_id)
    pod = job["spec"]["template"]
    job["metadata"] = _labelled(job.get("metadata"), work)
    theirs = job["metadata"].get("annotations")
    job["metadata"] |= {
        "name": name,
        "namespace": work.namespace,
        "annotations": {
            **(theirs if isinstance(theirs, dict) else {}),
            manifests.ATTEMPT: work.attempt,
        },
    }
    pod["metadata"] = _labelled(pod.get("metadata"), work)
    spec = pod["spec"]
    spec.setdefault("restartPolicy", "Never")
    if work.service_account:
        spec["serviceAccountName"] = work.service_account
    container = spec["containers"][0]
    container.setdefault("name", "project")
    container["image"] = work.image
    container["command"] = [manifests.literal(word) for word in work.command]
    # What a template would hand to its image's own command is none of this one's.
    container.pop("args", None)
    container["env"] = _environment(container.get("env") or [], work.variables)
    return job


def _environment(theirs: Sequence[Any], ours: Mapping[str, str]) -> list[Any]:
    said = {each.get("name") for each in theirs if isinstance(each, dict)}
    where = KEPT if said & KEPT else frozenset()
    added = {name: value for name, value in ours.items() if name not in where}
    kept = [each for each in theirs if not isinstance(each, dict) or each.get("name") not in added]
    return [*kept, *manifests.environment(added)]


def _labelled(metadata: Any, work: Work) -> dict[str, Any]:
    found = dict(metadata) if isinstance(metadata, dict) else {}
    name = manifests.name_of(work.project, 63) or "project"
    ours = manifests.labels(name, **{manifests.RUN_ID: work.run_id})
    theirs = found.get("labels")
    return {**found, "labels": {**(theirs if isinstance(theirs, dict) else {}), **ours}}
