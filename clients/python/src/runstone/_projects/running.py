"""From a URI to a run: what is wrong is told before a run is made, what fails ends it FAILED."""

from __future__ import annotations

import atexit
import contextvars
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone import _settings, _uri
from runstone._fluent import _runs, _state
from runstone._projects import (
    backends,
    commands,
    environments,
    mlproject,
    parameters,
    recording,
    sources,
)
from runstone._projects.backends import Backend, SubmittedRun
from runstone._projects.chain import Chain
from runstone._projects.launch import Launch, Source
from runstone._projects.mlproject import EntryPoint, Project
from runstone._projects.submitted import ProjectRun
from runstone.exceptions import ExecutionException, InvalidArgument, ProjectInvalid

if TYPE_CHECKING:
    from runstone._client import Client

log = logging.getLogger("runstone")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller may say beside a project and its parameters: see ``runstone.projects.run``."""

    backend: str = "local"
    backend_config: Mapping[str, Any] = field(default_factory=dict)
    env_manager: str | None = None
    storage: Path | None = None
    docker_args: Mapping[str, Any] = field(default_factory=dict)
    build_image: bool = False
    docker_auth: Mapping[str, Any] | None = None
    output_to_stderr: bool = False
    waits: bool = True
    """Whether the caller follows the run to its end."""
    paths_from: Path | None = None
    """The folder that given paths are seen from; else the working folder."""


@dataclass(frozen=True, slots=True)
class Job:
    """A project that is here, with all that its runs share."""

    client: Client
    source: Source
    project: Project
    backend: Backend
    experiment_id: Callable[[], str]
    wishes: Wishes
    downloads: Path
    paths_from: Path


ANSWER_SECONDS = 10.0
"""Somebody who presses Ctrl-C waits so long for the id of the run that is being made."""


class Making:
    """The run of a project while it is being made: an interrupt may come before the server's answer
    does, and its run would stay RUNNING for ever.

    Only the main thread is interrupted, so the call is another's then.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._answer: Future[str] = Future()
        self._asked = False

    def run_id(self) -> str:
        """Make it; its id. Raises what making it raises."""
        if threading.current_thread() is not threading.main_thread():
            return self._make()
        # Whether it is online is the context's.
        work = partial(contextvars.copy_context().run, self._work)
        self._asked = True
        threading.Thread(target=work, name="runstone-project-run", daemon=True).start()
        return self._answer.result()

    def _work(self) -> None:
        try:
            self._answer.set_result(self._make())
        except BaseException as error:
            self._answer.set_exception(error)

    def after_all(self) -> str | None:
        """Its id for who was interrupted; None when it was not made, or nobody knows."""
        if not self._asked:
            return None
        try:
            return self._answer.result(ANSWER_SECONDS)
        except TimeoutError:
            log.warning(
                "the server does not say whether it made the run; if so, it is RUNNING and the"
                " newest of its experiment: `runstone runs end RUN --status killed` ends it"
            )
            return None
        except Exception:
            # There is none, and who waits for it is told why.
            return None


def start(
    uri: str,
    entry_point: str,
    version: str | None,
    given: Mapping[str, Any],
    experiment_id: Callable[[], str],
    wishes: Wishes,
    *,
    run_id: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    fetch: Callable[[], Source] | None = None,
) -> ProjectRun:
    """Begin a run of a project; ``wait`` follows it to its end.

    Args:
        experiment_id: Asked when all else is known to be right: it may make an experiment.
        tags: More tags of the run, which has them from its first moment on.
        fetch: Brings the source, instead of what the URI and the version say.

    Raises:
        ProjectInvalid: the project, its source or a parameter is wrong; no run was made.
        ExecutionException: it could not be started; its run has failed.
        What the calls raise.
    """
    backend = backends.load(wishes.backend)
    backend.check(wishes.backend_config)
    cleaning = ExitStack()
    try:
        source = fetch() if fetch is not None else sources.fetch(uri, version, wishes.storage)
        cleaning.callback(sources.discard, source)
        scratch = Path(tempfile.mkdtemp(prefix="runstone-downloads-", dir=wishes.storage))
        cleaning.callback(_remove if wishes.storage is None else _remove_empty, scratch)
        project = mlproject.load(source.folder)
        entry = project.entry_point(entry_point)
        if entry.steps and not wishes.waits:
            raise ProjectInvalid(
                f"entry point {entry.name!r} has steps, each of which this program begins when the"
                " one before has ended: wait for it"
            )
        # Before anything is made on the server.
        parameters.complete(entry, given)
        if environments.manager_of(project, wishes.env_manager) in {"virtualenv", "uv"}:
            environments.check_files(project)
        job = Job(
            _state.client(), source, project, backend, cache(experiment_id), wishes, scratch,
            wishes.paths_from or Path.cwd(),
        )  # fmt: skip
        begun = begin(job, entry, given, parent(), run_id=run_id, run_name=run_name, tags=tags)
    except BaseException:
        cleaning.close()
        raise
    begun.at_end(cleaning.close)
    return begun


def parent() -> str | None:
    """The run that a new one belongs to: the active one, or that of the project at work."""
    active = _runs.active_run()
    return active.info.run_id if active else os.environ.get(_settings.RUN_ID) or None


def begin(
    job: Job,
    entry: EntryPoint,
    given: Mapping[str, Any],
    parent_run_id: str | None,
    *,
    run_id: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> ProjectRun:
    """Make the run of an entry point, record it, and start it.

    Raises:
        What ``start`` raises.
    """
    values = parameters.complete(entry, given)
    for name, near in parameters.misspelled(entry, given).items():
        log.warning("parameter %s is not declared and becomes --%s; is %s meant?", name, name, near)
    launch = _launch(job, entry, values, given)
    # All that can be refused is read before there is a run.
    kept = recording.collected(
        job.client.user, launch, entry.command, given, parent_run_id, job.paths_from
    )
    kept = replace(kept, tags={**kept.tags, **(tags or {})})
    experiment_id, name = job.experiment_id(), run_name or ""
    making = Making(partial(recording.make, job.client, experiment_id, kept, run_id, name))
    made = None
    try:
        made = making.run_id()
        recording.fill(job.client, kept, made, name, again=run_id is not None)
        launch = replace(
            launch,
            run_id=made,
            experiment_id=experiment_id,
            environment=variables(made, experiment_id),
        )
        inner = _submitted(job, entry, launch)
    except BaseException as error:
        # What is no Exception is somebody who ends the program.
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        # One that is used again is as it was until it is filled.
        if made is None and run_id is None and status == "KILLED":
            made = making.after_all()
        if made is not None:
            _end_failed(job.client, made, status)
        if made is not None and isinstance(error, ExecutionException):
            error.metadata.setdefault("run_id", made)
        raise
    return ProjectRun(job.client, inner, entry.name)


def _launch(
    job: Job, entry: EntryPoint, values: Mapping[str, str], given: Mapping[str, Any]
) -> Launch:
    """What is to be started, without what only a run that is there has."""
    wishes = job.wishes
    manager = environments.manager_of(job.project, wishes.env_manager)
    return Launch(
        run_id="",
        experiment_id="",
        project=job.project,
        source=job.source,
        entry_point=entry.name,
        parameters=values,
        argv=() if entry.steps else _argv(job, entry, values, given, manager),
        environment={},
        unset=(_settings.EXPERIMENT_NAME, "MLFLOW_EXPERIMENT_NAME"),
        env_manager=manager,
        backend=wishes.backend,
        backend_config=wishes.backend_config,
        docker_args=wishes.docker_args,
        build_image=wishes.build_image,
        docker_auth=wishes.docker_auth,
        output_to_stderr=wishes.output_to_stderr,
    )


def _argv(
    job: Job,
    entry: EntryPoint,
    values: Mapping[str, str],
    given: Mapping[str, Any],
    manager: str,
) -> tuple[str, ...]:
    if manager == "docker" or not backends.sees_this_machine(job.backend):
        return commands.words(entry, parameters.elsewhere(entry, values))
    brought = parameters.on_this_machine(
        entry, values, given, job.project.folder, job.downloads, job.paths_from
    )
    return commands.words(entry, brought)


def _submitted(job: Job, entry: EntryPoint, launch: Launch) -> SubmittedRun:
    if not entry.steps:
        return job.backend.submit(launch)

    def begin_step(name: str, given: Mapping[str, str]) -> ProjectRun:
        return begin(job, job.project.entry_point(name), given, launch.run_id)

    return Chain(launch.run_id, entry.steps, launch.parameters, begin_step)


def _end_failed(client: Client, run_id: str, status: str) -> None:
    try:
        client.set_terminated(run_id, status)
    except Exception as failure:
        log.warning("run %s could not be ended: %s", run_id, failure)


def variables(run_id: str, experiment_id: str) -> dict[str, str]:
    """What a command finds its run by, in Runstone and in MLflow where that can reach it."""
    targets = _uri.resolve(_state.get_tracking_uri())
    embedded = isinstance(targets.tracking, _uri.Embedded)
    # The command has another working folder than this process.
    uri = str(targets.tracking) if embedded else _state.get_tracking_uri()
    found = {
        _settings.RUN_ID: run_id,
        _settings.EXPERIMENT_ID: experiment_id,
        _settings.TRACKING_URI: uri,
    }
    registry = _state.get_registry_uri()
    if registry != str(targets.tracking):
        found[_settings.REGISTRY_URI] = registry
    if _settings.offline():
        found[_settings.OFFLINE_DIR] = str(_uri.offline_dir())
    if not embedded:
        # An address that somebody set, such as the gateway's, stays; MLflow with
        # runstone[mlflow] understands ours.
        found["MLFLOW_TRACKING_URI"] = os.environ.get(_settings.MLFLOW_TRACKING_URI) or uri
        found |= {"MLFLOW_RUN_ID": run_id, "MLFLOW_EXPERIMENT_ID": experiment_id}
    return found


def experiment(name: str | None, experiment_id: str | None, run_id: str | None = None) -> str:
    """The experiment of a run by its name (made when missing) or id, else the active one.

    A run that is there already has its own.

    Raises:
        InvalidArgument: both are given, or another one than the run's.
        RunNotFound
    """
    if name and experiment_id:
        raise InvalidArgument("give experiment_name or experiment_id, not both")
    if run_id:
        client = _state.client()
        own = client.get_run(run_id).info.experiment_id
        named = client.get_experiment_by_name(name) if name else None
        given = (named.experiment_id if named else name) if name else experiment_id
        if given and str(given) != own:
            raise InvalidArgument(
                f"run {run_id} is in experiment {own}, not in {name or given}; leave that out"
            )
        return own
    if experiment_id:
        return str(experiment_id)
    return _state.find_or_create(name).experiment_id if name else _state.experiment_id()


def follow(begun: ProjectRun) -> None:
    """Follow a run to its end beside this program, which waits for it before it ends."""
    if not _followed:
        atexit.register(_wait_for_followed)
        _note_interrupts()
    _followed.append((os.getpid(), begun))
    # Not one that the interpreter waits for: Ctrl-C then would leave what runs behind.
    name = f"runstone-project-{begun.run_id}"
    threading.Thread(target=begun.settle, name=name, daemon=True).start()


_followed: list[tuple[int, ProjectRun]] = []

_interrupted = threading.Event()
"""Ctrl-C came between the program's last line and ``_wait_for_followed``."""


def _note_interrupts() -> None:
    before = sys.unraisablehook

    def noted(unraisable: Any) -> None:
        # By then Python has nobody to raise it to, and goes on.
        if unraisable.exc_type is KeyboardInterrupt:
            _interrupted.set()
        before(unraisable)

    sys.unraisablehook = noted


def _wait_for_followed() -> None:
    mine = [begun for pid, begun in _followed if pid == os.getpid()]
    # What ended the program; in a Python that is typed to, it ended some line of long ago.
    ended_by = None if hasattr(sys, "ps1") else getattr(sys, "last_type", None)
    try:
        if _interrupted.is_set() or ended_by is KeyboardInterrupt:
            raise KeyboardInterrupt
        for begun in mine:
            begun.wait()
    except KeyboardInterrupt:
        for begun in mine:
            begun.cancel()


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # something was downloaded into it, and stays
