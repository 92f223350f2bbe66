"""What the environment says. An argument beats the environment, the environment the default.

Nothing is read at import: each function looks when it is asked.
"""

from __future__ import annotations

import os

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


def value(argument: str | None, variable: str) -> str | None:
    """The argument if given, else the environment's, else None. An empty text counts as unset."""
    return argument or os.environ.get(variable) or None


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
