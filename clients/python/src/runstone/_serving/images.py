"""A model in a container, and in Kubernetes: what Docker builds from, and a manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runstone._containers import docker, manifests
from runstone._containers.manifests import USER_ID
from runstone._environments.wheel import own_wheel
from runstone._models import environment, loading
from runstone._serving import NEEDED, environments
from runstone._values import invalid

PORT = 8080
"""In the container: one below 1024 would need a privileged user."""

PLACE = "/opt/model"

GRACE_S = 40
"""Before Kubernetes kills: the grace of requests in progress, and what a load balancer needs to
notice."""


def write_context(model_uri: str, folder: Path, *, allow_pickle: bool = False) -> Path:
    """Fill a folder with all that an image of the model is built from; the path of its Dockerfile.

    Raises:
        InvalidArgument: the folder holds something already.
        ModelFormatError: the model's files do not say what it needs.
        What resolving the URI raises.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise invalid("output", f"must be a new or empty folder, and {folder} is not")
    found = loading.fetch(model_uri)
    try:
        with _whole(folder):
            return _filled(folder, found.folder, allow_pickle=allow_pickle)
    finally:
        found.discard()


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Filled by the block, or as it was: half of it builds nothing, and is in the way."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        if made:
            folder.rmdir()
        raise


def _filled(folder: Path, model: Path, *, allow_pickle: bool) -> Path:
    shutil.copytree(model, folder / "model")
    lines = environments.requirements(folder / "model")
    wheel = own_wheel(folder)
    wishes = [*lines, *NEEDED, "prometheus-client"]
    (folder / "requirements.txt").write_text("\n".join(wishes) + "\n", "utf-8")
    constraints = folder / "model" / environment.CONSTRAINTS
    if constraints.exists():
        shutil.copyfile(constraints, folder / environment.CONSTRAINTS)
    else:
        (folder / environment.CONSTRAINTS).touch()
    path = folder / "Dockerfile"
    version = environments.python_version(folder / "model")
    path.write_text(_dockerfile(version, wheel.name, allow_pickle=allow_pickle), "utf-8")
    return path


def _dockerfile(version: str, wheel: str, *, allow_pickle: bool) -> str:
    arguments = ["runstone", "models", "serve", "-m", PLACE, "-h", "0.0.0.0", "-p", str(PORT)]  # noqa: S104
    if allow_pickle:
        arguments.append("--allow-pickle")
    quoted = ", ".join(f'"{each}"' for each in arguments)
    check = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/ping', timeout=2)"
    return f"""\
FROM python:{version}-slim

# Packages first: they change less often than the model.
COPY requirements.txt {environment.CONSTRAINTS} {wheel} /tmp/build/
RUN pip install --no-cache-dir -c /tmp/build/{environment.CONSTRAINTS} \\
      -r /tmp/build/requirements.txt /tmp/build/{wheel} \\
 && rm -r /tmp/build

COPY --chown={USER_ID} model {PLACE}
USER {USER_ID}
EXPOSE {PORT}
HEALTHCHECK --start-period=60s CMD ["python", "-c", "{check}"]
# More workers and the like are arguments of `docker run`.
ENTRYPOINT [{quoted}]
"""


def build(context: Path, tag: str) -> None:
    """Have Docker build an image of a folder that ``write_context`` filled.

    Raises:
        InvalidField: the tag names no image.
        LibraryMissing: there is no docker command.
        FailedPrecondition: it failed; what it said is on standard error.
    """
    found = docker.program(
        "`runstone models generate-dockerfile` writes what any other builder of images takes"
    )
    docker.build(found, context, tag)


def manifest(
    image: str,
    name: str,
    *,
    replicas: int = 2,
    workers: int = 1,
    cpu: str = "1",
    memory: str = "1Gi",
    model_uri: str = "",
    tracking_uri: str = "",
) -> str:
    """A Deployment and a Service for Kubernetes, as YAML.

    Args:
        model_uri: Served instead of the model in the image; such as an alias, which is followed.

    Raises:
        InvalidField: the name is none that Kubernetes takes.
    """
    manifests.checked_name(name)
    labels = manifests.labels(name)
    arguments = ["--workers", str(workers)]
    # The last one said counts.
    arguments += ["-m", manifests.literal(model_uri)] if model_uri else []
    container: dict[str, Any] = {
        "name": "model",
        "image": image,
        "args": arguments,
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {**_probe("/v2/health/ready"), "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**_probe("/v2/health/ready"), "periodSeconds": 5},
        "livenessProbe": {**_probe("/v2/health/live"), "periodSeconds": 10, "failureThreshold": 3},
        "resources": manifests.resources(cpu, memory),
        "securityContext": manifests.container_security(),
        # Load balancers go on sending for a moment after they were told not to.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    }
    if tracking_uri:
        container["env"] = manifests.environment({"RUNSTONE_TRACKING_URI": tracking_uri})
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {manifests.NAME: name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(PORT),
                        "prometheus.io/path": "/metrics",
                    },
                },
                "spec": {
                    "terminationGracePeriodSeconds": GRACE_S,
                    "securityContext": manifests.pod_security(),
                    "containers": [container],
                },
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": {manifests.NAME: name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }
    return manifests.dumped([deployment, service])


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 2}
