"""What the environment says. An argument beats the environment, the environment the default.

Nothing is read at import: each function looks when it is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from runstone.exceptions import InvalidArgument

TRACKING_URI = "RUNSTONE_TRACKING_URI"
ARTIFACT_URI = "RUNSTONE_ARTIFACT_URI"
REGISTRY_URI = "RUNSTONE_REGISTRY_URI"
EXPERIMENT_NAME = "RUNSTONE_EXPERIMENT_NAME"
EXPERIMENT_ID = "RUNSTONE_EXPERIMENT_ID"
RUN_ID = "RUNSTONE_RUN_ID"
USER = "RUNSTONE_USER"
TIMEOUT = "RUNSTONE_TIMEOUT"
DATA_DIR = "RUNSTONE_DATA_DIR"
SYSTEM_METRICS = "RUNSTONE_ENABLE_SYSTEM_METRICS_LOGGING"
SYSTEM_METRICS_INTERVAL = "RUNSTONE_SYSTEM_METRICS_SAMPLING_INTERVAL"
SYSTEM_METRICS_SAMPLES = "RUNSTONE_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING"
SYSTEM_METRICS_NODE_ID = "RUNSTONE_SYSTEM_METRICS_NODE_ID"
JOURNAL_DIR = "RUNSTONE_JOURNAL_DIR"
JOURNAL_POLICY = "RUNSTONE_JOURNAL_POLICY"
JOURNAL_MAX_BYTES = "RUNSTONE_JOURNAL_MAX_BYTES"
MODE = "RUNSTONE_MODE"
OFFLINE_DIR = "RUNSTONE_OFFLINE_DIR"
ALLOW_PICKLE = "RUNSTONE_ALLOW_PICKLE"
TRACKING_TOKEN = "RUNSTONE_TRACKING_TOKEN"  # noqa: S105 - a variable's name
TRACKING_TOKEN_FILE = "RUNSTONE_TRACKING_TOKEN_FILE"  # noqa: S105 - likewise
ALLOW_PLAIN_TOKEN = "RUNSTONE_ALLOW_PLAIN_TOKEN"  # noqa: S105 - likewise
ALLOW_FILE_REPOSITORIES = "RUNSTONE_ALLOW_FILE_REPOSITORIES"
RESUME = "RUNSTONE_RESUME"
NESTED_RUN = "RUNSTONE_NESTED_RUN"
RUN_TAGS = "RUNSTONE_RUN_TAGS"
LOG_MODEL = "RUNSTONE_LOG_MODEL"

MLFLOW_TRACKING_URI = "MLFLOW_TRACKING_URI"
"""Not read, but whoever sets it may believe so."""

CLIENT_VARIABLES = (
    TRACKING_URI,
    ARTIFACT_URI,
    REGISTRY_URI,
    EXPERIMENT_NAME,
    EXPERIMENT_ID,
    RUN_ID,
    USER,
    TIMEOUT,
    DATA_DIR,
    SYSTEM_METRICS,
    SYSTEM_METRICS_INTERVAL,
    SYSTEM_METRICS_SAMPLES,
    SYSTEM_METRICS_NODE_ID,
    JOURNAL_DIR,
    JOURNAL_POLICY,
    JOURNAL_MAX_BYTES,
    MODE,
    OFFLINE_DIR,
    ALLOW_PICKLE,
    TRACKING_TOKEN,
    TRACKING_TOKEN_FILE,
    ALLOW_PLAIN_TOKEN,
    ALLOW_FILE_REPOSITORIES,
    RESUME,
    NESTED_RUN,
    RUN_TAGS,
    LOG_MODEL,
)
"""Every variable that the client reads; none of them is meant for a server."""

SERVER_PLACES = (
    "RUNSTONE_DATABASE_URL",
    "RUNSTONE_DATABASE_URL_FILE",
    "RUNSTONE_OBJECTS_URL",
    "RUNSTONE_OBJECTS_URL_FILE",
)
"""Where a server keeps its data; whoever sets them may believe that this process does too."""

DEFAULT_DATA_DIR = "runstone-data"
"""Where the embedded suite keeps its data when nothing else is said: below the working folder."""

DEFAULT_OFFLINE_DIR = "runstone-offline"
"""Where offline mode keeps what is logged, likewise."""

_online: ContextVar[bool] = ContextVar("runstone_online", default=False)


def value(argument: str | None, variable: str) -> str | None:
    """The argument if given, else the environment's, else None. An empty text counts as unset."""
    return argument or os.environ.get(variable) or None


def offline() -> bool:
    """Whether what is logged is kept in a folder, for `runstone sync`, and no server is called.

    Raises:
        InvalidArgument: RUNSTONE_MODE is neither online nor offline.
    """
    mode = os.environ.get(MODE) or "online"
    if mode not in ("online", "offline"):
        raise InvalidArgument(f"{MODE} must be online or offline, not {mode!r}")
    return mode == "offline" and not _online.get()


@contextmanager
def online() -> Iterator[None]:
    """Inside, clients call their server whatever RUNSTONE_MODE says.

    It is about what trains: in the shell of a job it is set for the command line too, which would
    be of no use then.
    """
    token = _online.set(True)
    try:
        yield
    finally:
        _online.reset(token)


def timeout(argument: float | None = None) -> float | None:
    """Seconds that a call may take; None: what the service's configuration says.

    Raises:
        InvalidArgument: it is not a positive number.
    """
    if argument is not None:
        seconds, source = float(argument), "timeout"
    else:
        text = os.environ.get(TIMEOUT)
        if not text:
            return None
        source = TIMEOUT
        try:
            seconds = float(text)
        except ValueError:
            raise InvalidArgument(f"{TIMEOUT} must be a number of seconds, not {text!r}") from None
    if not 0 < seconds < float("inf"):
        raise InvalidArgument(f"{source} must be a positive number of seconds, not {seconds}")
    return seconds


def user(argument: str | None = None) -> str:
    """Who is at work: the argument, RUNSTONE_USER, or the name of the login; may be empty."""
    named = value(argument, USER)
    if named:
        return named
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return ""
