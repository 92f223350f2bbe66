"""Where the fluent API stands: the server, the experiment, and the runs that are active.

The stack of active runs belongs to the context (thread or asyncio task): a thread starts with
none, a task with its creator's. Server and experiment belong to the process.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from runstone import _settings, _uri
from runstone._arguments import checked
from runstone.exceptions import ExperimentNameTaken, ExperimentNotFound, InvalidArgument

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._entities.tracking import Experiment
    from runstone._fluent._runs import ActiveRun

DEFAULT_EXPERIMENT_ID = "0"

stack: ContextVar[tuple[ActiveRun, ...]] = ContextVar("runstone_active_runs", default=())

_tracking_uri: str | None = None
_registry_uri: str | None = None
_experiment_id: str | None = None
_clients: dict[tuple[str | None, ...], Client] = {}
_named: dict[tuple[str, str], str] = {}

_READ = (
    _settings.TRACKING_URI,
    _settings.ARTIFACT_URI,
    _settings.REGISTRY_URI,
    _settings.DATA_DIR,
    _settings.USER,
    _settings.TIMEOUT,
    _settings.MODE,
    _settings.OFFLINE_DIR,
)


def client() -> Client:
    """The client of the fluent API as things are now; cheap when nothing changed."""
    key = (_tracking_uri, _registry_uri, *map(os.environ.get, _READ))
    found = _clients.get(key)
    if found is None:
        found = _clients.setdefault(key, _made())
    return found


def _made() -> Client:
    if _settings.offline():
        from runstone._offline.client import OfflineClient

        return OfflineClient(
            _uri.offline_dir(), tracking_uri=_tracking_uri, registry_uri=_registry_uri
        )
    from runstone._client import Client

    return Client(_tracking_uri, _registry_uri)


@checked
def set_tracking_uri(uri: str | Path | None) -> None:
    """Say where the server is, for this process and those it starts. Nothing is opened yet.

    Args:
        uri: ``runstone://host:port``, ``runstones://host:port`` (TLS), ``file:path``, a path that
            begins with ``.``, ``/`` or ``~``; None or empty for the default, an embedded suite on
            ``./runstone-data``. A relative path is resolved now.

    Raises:
        InvalidUri: it is none of these.

    Example:
        >>> import runstone
        >>> runstone.set_tracking_uri("runstone://tracking.example:5051")
        >>> runstone.get_tracking_uri()
        'runstone://tracking.example:5051'
    """
    global _tracking_uri
    before = _tracking_uri
    if uri is None or not os.fspath(uri):
        _tracking_uri = None
        os.environ.pop(_settings.TRACKING_URI, None)
    else:
        text = os.fspath(uri)
        if isinstance(uri, Path) or text.startswith((".", "/", "~", "file:")):
            path = str(uri.absolute()) if isinstance(uri, Path) else text
            text = str(_uri.parse(path).tracking)
        else:
            _uri.parse(text)
        _tracking_uri = text
        # Worker processes that are started afresh, not forked, log to the same place.
        os.environ[_settings.TRACKING_URI] = text
    if _tracking_uri != before and _experiment_id is not None:
        # The number means another experiment there.
        set_experiment_id(None)


def get_tracking_uri() -> str:
    """Where the server is, by what was set, the environment, or the default.

    Example:
        >>> import runstone
        >>> runstone.get_tracking_uri().startswith(("file:", "runstone:", "runstones:"))
        True
    """
    given = _tracking_uri or os.environ.get(_settings.TRACKING_URI)
    if given and given.startswith(("runstone:", "runstones:")):
        return given  # with what it says of each service
    return str(_uri.resolve(_tracking_uri).tracking)


def is_tracking_uri_set() -> bool:
    """Whether somebody said where the server is, in code or by RUNSTONE_TRACKING_URI.

    Example:
        >>> import runstone
        >>> runstone.set_tracking_uri("runstone://tracking.example")
        >>> runstone.is_tracking_uri_set()
        True
    """
    return bool(_tracking_uri or os.environ.get(_settings.TRACKING_URI))


@checked
def set_registry_uri(uri: str | None) -> None:
    """Say where the registry is when it is elsewhere; None: with the rest.

    Raises:
        InvalidUri

    Example:
        >>> import runstone
        >>> runstone.set_registry_uri("runstone://registry.example:5053")
        >>> runstone.get_registry_uri()
        'runstone://registry.example:5053'
    """
    global _registry_uri
    if uri:
        _uri.parse(uri)
    _registry_uri = uri or None


def get_registry_uri() -> str:
    """Where the registry is.

    Example:
        >>> import runstone
        >>> runstone.get_registry_uri() == runstone.get_tracking_uri()
        True
    """
    return str(_uri.resolve(_tracking_uri, registry=_registry_uri).registry)


def set_experiment_id(experiment_id: str | None) -> None:
    """Make an experiment the active one, for this process and those it starts."""
    global _experiment_id
    _experiment_id = experiment_id
    if experiment_id is None:
        os.environ.pop(_settings.EXPERIMENT_ID, None)
    else:
        os.environ[_settings.EXPERIMENT_ID] = experiment_id
        os.environ.pop(_settings.EXPERIMENT_NAME, None)


def experiment_id() -> str:
    """The active experiment: set in code, by the environment, else the default one."""
    if _experiment_id is not None:
        return _experiment_id
    by_id = os.environ.get(_settings.EXPERIMENT_ID)
    name = os.environ.get(_settings.EXPERIMENT_NAME)
    if not name:
        return by_id or DEFAULT_EXPERIMENT_ID
    key = (get_tracking_uri(), name)
    if key not in _named:
        _named[key] = find_or_create(name).experiment_id
    if by_id and by_id != _named[key]:
        raise InvalidArgument(
            f"{_settings.EXPERIMENT_ID}={by_id} and {_settings.EXPERIMENT_NAME}={name!r} name"
            f" different experiments ({_named[key]} has that name); unset one of them"
        )
    return _named[key]


def find_or_create(name: str) -> Experiment:
    """The experiment with this name, made when missing; many may ask at once."""
    service = client()
    found = service.get_experiment_by_name(name)
    if found is not None:
        return found
    try:
        return service.get_experiment(service.create_experiment(name))
    except ExperimentNameTaken:
        # Somebody else made it in between.
        found = service.get_experiment_by_name(name)
        if found is None:
            raise ExperimentNotFound(
                f"experiment {name!r} was there a moment ago and is gone", metadata={"name": name}
            ) from None
        return found


def reset() -> None:
    """Forget everything that was set or opened, as in a fresh process. For tests."""
    global _tracking_uri, _registry_uri, _experiment_id
    _tracking_uri = _registry_uri = _experiment_id = None
    _clients.clear()
    _named.clear()
    _uri.forget()
    stack.set(())
