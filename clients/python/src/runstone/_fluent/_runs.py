"""Runs: begin, end, and which one is active."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runstone import _fork, _journal, _settings, _values
from runstone._arguments import checked
from runstone._entities.tracking import LifecycleStage, Run, RunStatus
from runstone._fluent import _context, _state, _system_metrics
from runstone.exceptions import InvalidArgument, RunActive, RunDeleted, RunstoneException

if TYPE_CHECKING:
    from runstone._client import Client

EXIT_SECONDS = 5.0
"""A program that ends waits no longer for a server that is away or that it must start anew."""

_JOURNAL = "runstone._journal.outlet"
"""Imported with the first point: a process that has not done so has nothing to deliver."""


_open: dict[str, tuple[int, Client]] = {}
"""Runs begun and not ended here: run id to the process and the client that began them."""

_last: str | None = None


class ActiveRun(Run):
    """A run that is active until the end of its ``with`` block."""

    _client: Client
    _pid: int

    def __init__(self, run: Run, client: Client) -> None:
        super().__init__(run.info, run.data, run.inputs)
        object.__setattr__(self, "_client", client)
        object.__setattr__(self, "_pid", os.getpid())

    @property
    def client(self) -> Client:
        """The client that the run was begun with."""
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pid != os.getpid():
            return  # a forked child leaves the block; the run goes on in its parent
        status = _status_of(error)
        try:
            # Who stops a program does not wait, and kills it soon where it does.
            _end_through(self.info.run_id, status, status != "KILLED")
        except RunstoneException as failure:
            if error is None:
                raise
            # The user's own error is the one to be seen.
            error.add_note(f"run {self.info.run_id} could not be ended: {failure}")


STOPPED_BY_SIGNAL = (130, 143)
"""128 + SIGINT and 128 + SIGTERM: how a handler that ends the program tells the shell of it."""


def _status_of(error: BaseException | None) -> str:
    code = error.code if isinstance(error, SystemExit) else None
    if error is None or (isinstance(error, SystemExit) and not code):
        return "FINISHED"
    stopped = isinstance(error, KeyboardInterrupt) or code in STOPPED_BY_SIGNAL
    return "KILLED" if stopped else "FAILED"


@checked
def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Begin a run and make it the active one, or resume one by its id.

    Used with ``with``, the run ends FINISHED, FAILED when the block raises, or KILLED by Ctrl-C and
    by ``sys.exit(143)``, as a handler of SIGTERM does it; otherwise by ``end_run`` or at the end of
    the program. No handler is installed: without one, SIGTERM leaves the run RUNNING.

    Args:
        run_id: Resume this run; else the one that RUNSTONE_RUN_ID names, once in a process.
        experiment_id: Where a new run belongs; else the active experiment.
        run_name: Its name; made up when absent.
        nested: Begin it inside the active run, as that one's child.
        parent_run_id: Make it a child of this run.
        tags: Tags of the run; longer values than 8000 characters are cut with a warning.
        description: A note on the run.
        log_system_metrics: Log the machine's metrics while the run is active; else as
            ``enable_system_metrics_logging`` says.

    Raises:
        RunActive: a run is active and ``nested`` is not set.
        RunNotFound, RunDeleted: of ``run_id`` or ``parent_run_id``.
        ExperimentNotFound, ExperimentDeleted

    Example:
        >>> import runstone
        >>> with runstone.start_run(run_name="first") as run:
        ...     _ = runstone.log_param("lr", 0.1)
        ...     with runstone.start_run(nested=True) as child:
        ...         runstone.log_metric("loss", 0.5)
        >>> runstone.get_run(run.info.run_id).info.status
        'FINISHED'
    """
    return begin_run(
        run_id,
        experiment_id,
        run_name,
        nested=nested,
        parent_run_id=parent_run_id,
        tags=tags,
        description=description,
        log_system_metrics=log_system_metrics,
    )


def begin_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    *,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
    environment: bool = True,
) -> ActiveRun:
    """``start_run``; without ``environment`` the run that RUNSTONE_RUN_ID names is left alone."""
    active = _state.stack.get()
    if active and not nested:
        raise RunActive(
            f"run {active[-1].info.run_id} is active already: end it first with"
            " runstone.end_run(), or begin a run inside it with start_run(nested=True)"
        )
    sampled = _system_metrics.asked(log_system_metrics)
    client = _state.client()
    # As with MLflow the variable counts once: what a script starts later is new.
    existing = run_id or (os.environ.pop(_settings.RUN_ID, None) if environment else None)
    if existing:
        run = _resume(client, existing, experiment_id, run_name, tags, description)
    else:
        run = _create(
            client,
            experiment_id,
            run_name,
            _parent(client, active, parent_run_id),
            tags,
            description,
        )
    started = ActiveRun(run, client)
    _open[run.info.run_id] = (os.getpid(), client)
    _state.stack.set((*_state.stack.get(), started))
    if sampled is not None:
        _system_metrics.begin(client, run.info.run_id, sampled, resumed=bool(existing))
    return started


def _create(
    client: Client,
    experiment_id: str | None,
    run_name: str | None,
    parent: str | None,
    tags: Mapping[str, Any] | None,
    description: str | None,
) -> Run:
    every: dict[str, Any] = _context.tags(client.user)
    if parent:
        every[_context.PARENT_RUN_ID] = parent
    every |= _noted(tags, description)
    return client.create_run(experiment_id or _state.experiment_id(), tags=every, run_name=run_name)


def _noted(tags: Mapping[str, Any] | None, description: str | None) -> dict[str, Any]:
    every = dict(tags or {})
    if description:
        if _context.NOTE in every:
            raise InvalidArgument(
                f"the note is given twice: as description and as the tag {_context.NOTE}"
            )
        every[_context.NOTE] = description
    return every


def _parent(client: Client, active: tuple[ActiveRun, ...], named: str | None) -> str | None:
    if named is None:
        return active[-1].info.run_id if active else None
    if active and active[-1].info.run_id != named:
        raise InvalidArgument(
            f"parent_run_id is {named}, but the active run is {active[-1].info.run_id}"
        )
    # Without a change it only looks; in offline mode that reads no points, as get_run does.
    if client.update_run(named).lifecycle_stage == LifecycleStage.DELETED:
        raise RunDeleted(f"the parent run {named} is deleted", metadata={"run_id": named})
    return named


def _resume(
    client: Client,
    run_id: str,
    experiment_id: str | None,
    run_name: str | None,
    tags: Mapping[str, Any] | None,
    description: str | None,
) -> Run:
    if any(each.info.run_id == run_id for each in _state.stack.get()):
        raise RunActive(f"run {run_id} is active already")
    if experiment_id is not None:
        actual = client.update_run(run_id).experiment_id
        if actual != experiment_id:
            raise InvalidArgument(
                f"run {run_id} belongs to experiment {actual}, not to {experiment_id}"
            )
    client.update_run(run_id, "RUNNING", run_name)
    every = _noted(tags, description)
    if every:
        client.log_batch(run_id, tags=every)
    return client.get_run(run_id)


def end_run(status: str | int = "FINISHED", wait: bool | float = True) -> None:
    """End the active run; nothing happens when there is none.

    Args:
        status: FINISHED, FAILED or KILLED.
        wait: Until the metrics that were logged are on the server, with a progress bar when that
            takes a while: True, as long as some are delivered once a minute; or so many seconds;
            or False. What is not delivered by then is delivered later, also when this process is
            gone.

    Example:
        >>> import runstone
        >>> run = runstone.start_run()
        >>> runstone.end_run("FAILED")
        >>> runstone.get_run(run.info.run_id).info.status
        'FAILED'
    """
    if not isinstance(wait, int | float):
        raise _values.invalid("wait", f"must be True, False or seconds, not {type(wait).__name__}")
    active = _state.stack.get()
    if active:
        name = RunStatus.to_string(status) if isinstance(status, int) else status
        _end_through(active[-1].info.run_id, name, wait)


@checked
def flush(timeout: float | None = None) -> bool:
    """Wait until the metrics that this process has logged are on the server.

    In offline mode: until all that it has logged is on this machine's disk.

    Args:
        timeout: Seconds; as long as it takes when absent.

    Returns:
        Whether they are. Points that the server refused, as those of a deleted run, are told by a
        warning and kept in the journal's folder ``rejected``.

    Example:
        >>> import runstone
        >>> with runstone.start_run():
        ...     runstone.log_metric("loss", 0.5)
        ...     runstone.flush(timeout=30)
        True
    """
    if _settings.offline():
        from runstone._offline import store

        store.flush()
        return True
    from runstone._journal import outlet

    return outlet.flush(timeout)


def flush_async_logging() -> None:
    """MLflow's name of ``flush()``: wait until all that was logged is on the server.

    Example:
        >>> import runstone
        >>> with runstone.start_run():
        ...     pending = runstone.log_metric("loss", 0.5, synchronous=False)
        ...     runstone.flush_async_logging()
    """
    flush()


def _end_through(run_id: str, status: str, wait: bool | float) -> None:
    """End a run and those begun inside it that are still active."""
    global _last
    active = _state.stack.get()
    place = next((i for i, each in enumerate(active) if each.info.run_id == run_id), None)
    if place is None:
        # The block was left in another context than it was entered in, as in a dependency of a
        # web framework or an asynchronous fixture; or the run was ended before the block was over.
        _end_here(run_id, status, wait)
        return
    # First, so that a failing call does not leave the next run nested in a dead one.
    _state.stack.set(active[:place])
    for each in reversed(active[place:]):
        _last = each.info.run_id
        end_time = _values.now_ms()
        _system_metrics.end(each.info.run_id)
        _deliver(each.client.tracking_uri, wait)
        # One that another process began goes on: a worker has left it, not the others.
        if each.info.run_id in _open:
            each.client.set_terminated(each.info.run_id, status, end_time)
            _open.pop(each.info.run_id, None)


def _end_here(run_id: str, status: str, wait: bool | float) -> None:
    """End a run that this process began and has not ended; nothing happens to another."""
    global _last
    pid, client = _open.get(run_id, (0, None))
    if client is not None and pid == os.getpid():
        _last = run_id
        end_time = _values.now_ms()
        _system_metrics.end(run_id)
        _deliver(client.tracking_uri, wait)
        client.set_terminated(run_id, status, end_time)
        _open.pop(run_id, None)


def _deliver(tracking_uri: str, wait: bool | float) -> None:
    if _JOURNAL in sys.modules:
        from runstone._journal import outlet

        outlet.flush_visibly(tracking_uri, wait)


def active_run() -> ActiveRun | None:
    """The run that is active in this thread or task, as it was when it began; None without one.

    Example:
        >>> import runstone
        >>> runstone.active_run() is None
        True
    """
    active = _state.stack.get()
    return active[-1] if active else None


def last_active_run() -> Run | None:
    """The active run, else the one that ended last in this process; None without any.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_metric("acc", 0.9)
        >>> runstone.last_active_run().data.metrics
        {'acc': 0.9}
    """
    active = active_run()
    if active is not None:
        return active
    return _state.client().get_run(_last) if _last else None


def is_open(run_id: str) -> bool:
    """Whether this process began or resumed the run and has not ended it."""
    return run_id in _open


def active_or_new_run() -> ActiveRun:
    """The active run; one is begun when there is none, as MLflow does."""
    return active_run() or start_run()


@atexit.register
def _end_left_over() -> None:
    """End what the program left running: FINISHED, FAILED after an error, KILLED after Ctrl-C."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    # A forked child is not the one to end its parent's runs.
    mine = [(key, client) for key, (pid, client) in _open.items() if pid == os.getpid()]
    _journal.ending = True
    used = sys.modules.get(_JOURNAL)
    if os.environ.get(_settings.MODE) == "offline":
        _end_offline(mine, _status_of(error))
    # What others left is looked for by those that log, not by every script that reads.
    elif mine or _last or _fork.has_forked or (used is not None and used.outlets()):
        from runstone._embedded import no_longer_than
        from runstone._journal import outlet

        with no_longer_than(EXIT_SECONDS):
            try:
                # Some of the time is for ending the runs, which a sender does not do.
                outlet.close(EXIT_SECONDS / 2)
            except OSError as failure:
                _warn("metrics are delivered later: %s", failure)
            finally:
                for run_id, client in reversed(mine):
                    _end_at_exit(run_id, client, _status_of(error))
    _open.clear()


def _end_offline(mine: list[tuple[str, Client]], status: str) -> None:
    """Without a look at what others left in journals: delivering that might start a server."""
    for run_id, client in reversed(mine):
        _end_at_exit(run_id, client, status)
    try:
        flush()
    except OSError as failure:
        _warn("not all that was logged is on the disk: %s", failure)


def _end_at_exit(run_id: str, client: Client, status: str) -> None:
    try:
        client.set_terminated(run_id, status)
    except Exception as failure:
        _warn("run %s could not be ended: %s", run_id, failure)


def _warn(message: str, *about: object) -> None:
    import logging

    logging.getLogger("runstone").warning(message, *about)
