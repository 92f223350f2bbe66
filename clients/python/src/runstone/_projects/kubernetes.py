"""The kubernetes backend: each run of a project is a Job of its own.

The Job's name comes from the run's id, so that it is made once, whatever answer gets lost.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runstone import _settings, _uri
from runstone._containers import docker, manifests
from runstone._entities.tracking import RunStatus
from runstone._fluent import _state
from runstone._projects import docker_env, kube_api, kube_job, kube_settings
from runstone._projects.docker import IMAGE_ID_TAG, IMAGE_TAG
from runstone._projects.kube_api import Away, Cluster, Refused
from runstone._projects.kube_following import Ended, Following
from runstone._projects.kube_settings import Settings
from runstone._projects.launch import Launch
from runstone._projects.mlproject import DockerEnv
from runstone._projects.refusals import checked_image, wrong
from runstone.exceptions import (
    ExecutionException,
    FailedPrecondition,
    InvalidUri,
    RunstoneException,
)

log = logging.getLogger("runstone.projects")

TRACKING_VARIABLES = ("RUNSTONE_KUBE_TRACKING_URI", "KUBE_MLFLOW_TRACKING_URI")
"""Where the suite is, seen from inside the cluster; the second is MLflow's."""

CREATIONS = 5
"""Attempts at one Job, with pauses that double; longer outages are the user's to wait for."""

GONE_S = 60.0
"""A pod has half a minute to end when it is asked to; Kubernetes kills it then."""

JOB_TAG = "runstone.kubernetes.job"


class KubernetesBackend:
    """Runs projects as Jobs."""

    def check(self, config: Mapping[str, Any]) -> None:
        """Refuse a configuration that cannot work. Raises ProjectInvalid, LibraryMissing."""
        settings = kube_settings.read(config, Path.cwd())
        template = _template(settings)
        _suite(settings, template, _state.get_tracking_uri())
        _connect(settings, template).close()

    def submit(self, launch: Launch) -> KubernetesRun:
        """Make the Job of a launch, and the image of its project where one is to be built."""
        settings = kube_settings.read(launch.backend_config, Path.cwd())
        template = _template(settings)
        uri = launch.environment.get(_settings.TRACKING_URI) or _state.get_tracking_uri()
        variables = _reachable(dict(launch.environment) | _suite(settings, template, uri))
        image = _image(settings, launch)
        cluster = _connect(settings, template)
        work = kube_job.Work(
            launch.run_id,
            launch.project.name or "",
            image,
            launch.argv,
            variables,
            cluster.namespace,
            settings.service_account,
        )
        job = kube_job.filled(template, work)
        name = job["metadata"]["name"]
        try:
            _create(cluster, job, work.attempt)
            tags = {JOB_TAG: f"{cluster.namespace}/{name}", IMAGE_TAG: image}
            _tag(launch.run_id, tags)
        except BaseException:
            # Ctrl-C, or a suite that is away: no Job is to run that nobody follows.
            _forget(cluster, name, work.attempt)
            cluster.close()
            raise
        log.info("made the Job %s in namespace %s of %s", name, cluster.namespace, cluster.host)
        return KubernetesRun(
            cluster, name, launch.run_id, settings.start_timeout_s, launch.output_to_stderr
        )


def _template(settings: Settings) -> dict[str, Any]:
    if settings.template is None:
        return kube_job.default_template()
    return kube_job.read_template(settings.template)


def _connect(settings: Settings, template: Mapping[str, Any]) -> Cluster:
    namespace = settings.namespace or kube_job.template_namespace(template)
    return kube_api.connect(settings.context, namespace)


def _suite(settings: Settings, template: Mapping[str, Any], uri: str) -> dict[str, str]:
    """The variable that says where the suite is, unless the template does.

    Raises:
        ProjectInvalid: a pod cannot reach it there.
    """
    said = settings.tracking_uri or next(filter(None, map(os.environ.get, TRACKING_VARIABLES)), "")
    if not said and kube_job.says_tracking_uri(template):
        return {}
    place = "backend_config.tracking-uri"
    try:
        here = docker_env.only_here(said or uri)
    except InvalidUri as error:
        raise wrong(place, error.message) from error
    if here:
        raise wrong(
            place,
            "must say where a pod finds the suite, such as runstone://suite.lab:5051:"
            f" {said or uri} is of this machine alone",
        )
    return {_settings.TRACKING_URI: said or uri}


def _reachable(variables: dict[str, str]) -> dict[str, str]:
    """The variables without addresses that mean another machine inside of a pod."""
    mlflow = variables.get(_settings.MLFLOW_TRACKING_URI)
    if mlflow is not None and _of_this_machine(mlflow):
        variables[_settings.MLFLOW_TRACKING_URI] = variables[_settings.TRACKING_URI]
    registry = variables.get(_settings.REGISTRY_URI)
    if registry is not None and _of_this_machine(registry):
        del variables[_settings.REGISTRY_URI]
    return variables


def _of_this_machine(uri: str) -> bool:
    try:
        return docker_env.only_here(uri)
    except InvalidUri:
        # MLflow's: http, or a database or folder of its own.
        return _uri.is_loopback(urlsplit(uri).hostname or "localhost")


def _image(settings: Settings, launch: Launch) -> str:
    if settings.image:
        return settings.image
    environment = launch.project.environment
    if not isinstance(environment, DockerEnv):
        raise wrong(
            "docker_env",
            "must say in the MLproject file which image the project needs, or backend_config.image"
            " one that has all of it",
        )
    if not settings.repository_uri:
        if launch.build_image:
            raise wrong(
                "backend_config.repository-uri",
                "must say where the image that is built is pushed to, so that the cluster finds it",
            )
        return checked_image(environment.image, "docker_env.image")
    program = docker.program("name an image that has the project by backend_config.image")
    if launch.docker_auth is not None:
        docker_env.login(program, launch.docker_auth)
    tag = docker_env.image_tag(settings.repository_uri, "", launch.source.commit or launch.run_id)
    docker_env.build(program, launch.project.folder, environment.image, tag)
    pushed = docker.push(program, tag)
    _tag(launch.run_id, {IMAGE_ID_TAG: pushed.rpartition("@")[2]})
    return pushed


def _tag(run_id: str, tags: Mapping[str, str]) -> None:
    client = _state.client()
    for key, value in tags.items():
        client.set_tag(run_id, key, value)


def _create(cluster: Cluster, job: Mapping[str, Any], attempt: str) -> None:
    """Make a Job, once: an answer that was lost is asked for by the name that is taken.

    Raises:
        ExecutionException: it cannot be made.
    """
    pause = kube_api.FIRST_PAUSE_S
    name = str(job["metadata"]["name"])
    for number in range(1, CREATIONS + 1):
        try:
            cluster.create_job(job)
            return
        except Refused as error:
            if error.status == 409 and _was_made(cluster, name, attempt):
                return
            if error.status == 409:
                raise _taken(cluster, name, error) from error
            raise _failed(error.told(f"make the Job in namespace {cluster.namespace}")) from error
        except Away as error:
            if number == CREATIONS:
                raise _failed(error.told(f"make the Job in {cluster.host}")) from error
            time.sleep(pause)
            pause *= 2


def _taken(cluster: Cluster, name: str, error: Refused) -> ExecutionException:
    return ExecutionException(
        f"the cluster has a Job {name} of an earlier attempt at this run, or of somebody else:"
        f" {error.message}; delete it (kubectl -n {cluster.namespace} delete job {name}), or leave"
        " --run-id out for a run of its own",
        metadata={"cause": "AlreadyExists"},
    )


def _was_made(cluster: Cluster, name: str, attempt: str) -> bool:
    try:
        return _is_ours(cluster, name, attempt)
    except (Refused, Away):
        return False


def _is_ours(cluster: Cluster, name: str, attempt: str) -> bool:
    """Whether a Job is there and of this very submission. Raises Refused, Away."""
    found = ((cluster.read_job(name) or {}).get("metadata") or {}).get("annotations") or {}
    return bool(found.get(manifests.ATTEMPT) == attempt)


def _forget(cluster: Cluster, name: str, attempt: str) -> None:
    try:
        if _is_ours(cluster, name, attempt):
            cluster.delete_job(name)
    except (Refused, Away) as error:
        log.warning("whether the Job %s was made is not known: %s", name, error)


def _failed(error: RunstoneException) -> ExecutionException:
    return ExecutionException(error.message, metadata={"cause": type(error).__name__})


class KubernetesRun:
    """A Job at work."""

    def __init__(
        self,
        cluster: Cluster,
        job: str,
        run_id: str,
        start_timeout_s: float,
        output_to_stderr: bool = False,
    ) -> None:
        self._cluster = cluster
        self.job = job
        self._run_id = run_id
        self._start_timeout_s = start_timeout_s
        self._output_to_stderr = output_to_stderr
        self._waiting = threading.Lock()
        self._cancelled = False
        self._ended: Ended | None = None

    @property
    def run_id(self) -> str:
        """The run that records it."""
        return self._run_id

    @property
    def failure(self) -> str:
        """Why it failed, in words."""
        ended = self._ended
        return ended.why if ended is not None and ended.status != "FINISHED" else ""

    def get_status(self) -> str:
        """SCHEDULED, RUNNING, FINISHED, FAILED or KILLED, as the cluster has it now.

        Raises:
            FailedPrecondition, Unavailable and their like: the cluster does not say.
        """
        if self._ended is not None:
            return self._ended.status
        try:
            job = self._cluster.read_job(self.job)
        except (Refused, Away) as error:
            raise error.told(f"tell of the Job {self.job}") from error
        if job is None:
            return "KILLED"
        ended = self._following().judged(job)
        if ended is not None:
            return ended.status
        return "RUNNING" if (job.get("status") or {}).get("active") else "SCHEDULED"

    def wait(self) -> bool:
        """Wait for the end of the Job, and show what its pod writes.

        A cluster that does not tell of it any more is asked again, for the Job goes on.
        """
        with self._waiting:
            if self._ended is None:
                ended = self._following().end()
                if self._cancelled:
                    ended = Ended("KILLED", "it was cancelled")
                elif ended.status == "KILLED":
                    ended = self._as_its_run_says(ended)
                self._ended = ended
                self._cluster.close()
            return self._ended.status == "FINISHED"

    def _as_its_run_says(self, ended: Ended) -> Ended:
        """How a run ended whose Job is gone: a day after its end the cluster deletes it, too.

        Whoever waits knows only that it failed; that somebody ended it is known here.
        """
        client = _state.client()
        try:
            status = client.get_run(self._run_id).info.status
            if status == "FINISHED":
                return Ended("FINISHED")
            if not RunStatus.is_terminated(status):
                client.set_terminated(self._run_id, "KILLED")
        except RunstoneException as error:
            log.warning("run %s could not be marked as killed: %s", self._run_id, error)
        return ended

    def cancel(self) -> None:
        """Delete the Job with its pods, and wait until they are gone.

        Raises:
            FailedPrecondition, Unavailable and their like: the cluster does not do it.
        """
        if self._ended is not None:
            return
        self._cancelled = True
        try:
            self._cluster.delete_job(self.job)
        except (Refused, Away) as error:
            self._cancelled = False
            raise error.told(f"delete the Job {self.job}") from error
        deadline = time.monotonic() + GONE_S
        pause = kube_api.FIRST_PAUSE_S
        while self._has_pods():
            if time.monotonic() > deadline:
                raise FailedPrecondition(
                    f"the Job {self.job} is deleted, and its pod still there after {GONE_S:g} s:"
                    f" kubectl -n {self._cluster.namespace} get pods"
                    f" -l {manifests.RUN_ID}={self._run_id}"
                )
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
        self._ended = self._ended or Ended("KILLED", "it was cancelled")
        self._cluster.close()

    def _has_pods(self) -> bool:
        try:
            return bool(self._cluster.pods(self._run_id))
        except Refused:
            return False  # who may not list pods cannot wait for them
        except Away:
            return True

    def _following(self) -> Following:
        return Following(
            self._cluster,
            self.job,
            self._run_id,
            told=self._write,
            start_timeout_s=self._start_timeout_s,
        )

    def _write(self, line: str) -> None:
        output = sys.stderr if self._output_to_stderr else sys.stdout
        try:
            output.write(f"{line}\n")
            output.flush()
        except (OSError, ValueError):  # whoever read it has gone
            return
