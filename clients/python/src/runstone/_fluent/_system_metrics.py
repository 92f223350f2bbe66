"""Which runs have system metrics, and how often: sampled by the sender, asked for here."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runstone import _fork, _settings, _values
from runstone._arguments import checked
from runstone._journal import rules
from runstone.exceptions import InvalidArgument, RunstoneException

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._sender.sampling import Request

PREFIX = "system/"
DEFAULT_INTERVAL_SECONDS = 10.0

LEAST_INTERVAL_SECONDS = 0.1
"""A sample reads four files of /proc; more often it would tell of itself."""

LONGEST_NAME = "gpu_0_power_usage_percentage"
"""About as long as the names of our metrics are."""

_log = logging.getLogger("runstone")
_lock = threading.RLock()
_sampled: dict[Path, dict[str, Request]] = {}
"""By journal folder: the runs that are sampled by its sender."""


def enable_system_metrics_logging() -> None:
    """Have every run that begins from now on log the machine's metrics, unless it says otherwise.

    They are sampled by the process that delivers metrics, under MLflow's names:
    ``system/cpu_utilization_percentage``, ``system/system_memory_usage_megabytes``,
    ``system/disk_usage_percentage``, ``system/network_receive_megabytes``,
    ``system/gpu_0_utilization_percentage`` (with ``nvidia-ml-py`` installed) and so on.

    Example:
        >>> import runstone
        >>> runstone.enable_system_metrics_logging()
        >>> runstone.disable_system_metrics_logging()
    """
    os.environ[_settings.SYSTEM_METRICS] = "true"


def disable_system_metrics_logging() -> None:
    """Log the machine's metrics only for runs that ask for it by ``log_system_metrics=True``.

    Example:
        >>> import runstone
        >>> runstone.disable_system_metrics_logging()
    """
    os.environ[_settings.SYSTEM_METRICS] = "false"


@checked
def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Seconds between two samples, for runs that begin from now on; None: 10.

    Raises:
        InvalidArgument: it is less than 0.1.

    Example:
        >>> import runstone
        >>> runstone.set_system_metrics_sampling_interval(5)
        >>> runstone.set_system_metrics_sampling_interval(None)
    """
    _set(
        _settings.SYSTEM_METRICS_INTERVAL,
        None if interval is None else str(_interval(str(interval))),
    )


@checked
def set_system_metrics_samples_before_logging(samples: int | None) -> None:
    """How many samples are logged as one point, their mean; None: 1.

    Raises:
        InvalidArgument: it is no positive whole number.

    Example:
        >>> import runstone
        >>> runstone.set_system_metrics_samples_before_logging(6)
        >>> runstone.set_system_metrics_samples_before_logging(None)
    """
    _set(_settings.SYSTEM_METRICS_SAMPLES, None if samples is None else str(_samples(str(samples))))


@checked
def set_system_metrics_node_id(node_id: str | None) -> None:
    """Name this machine in the names of its metrics: ``system/<node id>/cpu_…``; None: not.

    For several machines that log to one run. Processes of one job on one machine are told apart by
    their rank in any case.

    Raises:
        InvalidField: it cannot be part of a metric's key.

    Example:
        >>> import runstone
        >>> runstone.set_system_metrics_node_id("node-0")
        >>> runstone.set_system_metrics_node_id(None)
    """
    if node_id:
        _prefix(node_id)
    _set(_settings.SYSTEM_METRICS_NODE_ID, node_id)


def _wanted(log_system_metrics: bool | None) -> bool:
    if log_system_metrics is not None:
        return log_system_metrics
    text = os.environ.get(_settings.SYSTEM_METRICS, "").lower()
    if text not in {"", "0", "1", "false", "true"}:
        raise InvalidArgument(f"{_settings.SYSTEM_METRICS} must be true or false, not {text!r}")
    return text in {"1", "true"}


def _prefix(node_id: str) -> str:
    prefix = f"{PREFIX}{node_id}/"
    rules.check_keys((prefix + LONGEST_NAME,))
    return prefix


def asked(log_system_metrics: bool | None) -> Request | None:
    """How a run that begins now is sampled, as it says, else as the process says; None: not.

    Raises:
        InvalidArgument: one of the variables cannot be read.
        InvalidField: the node's id cannot be part of a metric's key.
    """
    if not _wanted(log_system_metrics):
        return None
    if _settings.offline():
        _log.warning("there are no system metrics in offline mode: who samples them delivers too")
        return None
    from runstone._journal.format import NO_RANK
    from runstone._sender.sampling import Request

    node = os.environ.get(_settings.SYSTEM_METRICS_NODE_ID)
    rank = rules.rank()
    return Request(
        prefix=_prefix(node) if node else PREFIX,
        rank=NO_RANK if rank is None else rank,
        interval=_interval(
            os.environ.get(_settings.SYSTEM_METRICS_INTERVAL) or str(DEFAULT_INTERVAL_SECONDS)
        ),
        samples=_samples(os.environ.get(_settings.SYSTEM_METRICS_SAMPLES) or "1"),
        first_step=0,
        begun_ms=_values.now_ms(),
    )


def begin(client: Client, run_id: str, request: Request, *, resumed: bool) -> None:
    """Have the sender sample for a run. What stands in the way is told and harms no run."""
    from runstone._journal import outlet as outlets
    from runstone._sender.sampling import write_requests

    try:
        if resumed:
            request = replace(request, first_step=_next_step(client, run_id, request.prefix))
        outlet = outlets.outlet(client.tracking_uri, client.user)
        with _lock:
            runs = _sampled.setdefault(outlet.journal.folder, {})
            runs[run_id] = request
            write_requests(outlet.journal.folder, runs)
        outlet.start_sender()
    except (OSError, RunstoneException) as error:
        _log.warning("run %s has no system metrics: %s", run_id, error)


def _next_step(client: Client, run_id: str, prefix: str) -> int:
    """The step after those of an earlier part of the run."""
    found = client.list_metric_keys(run_id, max_results=10_000)
    return max((each.last_step + 1 for each in found if each.key.startswith(prefix)), default=0)


def end(run_id: str) -> None:
    """The run is over; nothing happens for one that is not sampled."""
    with _lock:
        for folder, runs in _sampled.items():
            if runs.pop(run_id, None) is not None:
                from runstone._sender.sampling import write_requests

                try:
                    write_requests(folder, runs)
                except OSError as error:
                    _log.warning("run %s is sampled on: %s", run_id, error)


def _set(variable: str, text: str | None) -> None:
    # In the environment: processes that are started afresh do as this one does.
    if text:
        os.environ[variable] = text
    else:
        os.environ.pop(variable, None)


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not LEAST_INTERVAL_SECONDS <= seconds < float("inf"):
        raise InvalidArgument(
            f"the sampling interval must be at least {LEAST_INTERVAL_SECONDS} seconds, not {text}"
        )
    return seconds


def _samples(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InvalidArgument(f"the number of samples must be a positive whole number, not {text}")
    return int(text)


@_fork.in_child
def _in_child() -> None:
    # The journals are the parent's, and so is their sender.
    global _lock
    _lock = threading.RLock()
    _sampled.clear()
