"""What may be logged, checked before it is written: afterwards nobody is there to be told."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Mapping

from runstone import _settings, _values
from runstone.exceptions import InvalidArgument

MAX_KEY = 250
"""Characters; as the server's rule for the keys of metrics."""

MAX_KEYS = 10_000
"""In one call; what the server takes in one batch."""

MAX_RANK = 2**20 - 1
"""As the server's."""

DEFAULT_MAX_BYTES = 4 * 2**30
"""Of what was logged and not delivered: a billion points of ten keys a call take some ten of it."""

_KEY = re.compile(r"[/\w.\- :]*")

LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate, DeepSpeed
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
)


def check_keys(keys: Collection[str], kind: str = "metrics", most: int = MAX_KEYS) -> None:
    """Raise InvalidField for a key that the server would refuse; the message names it.

    The rules for keys of params and tags are the same.
    """
    if len(keys) > most:
        raise _values.invalid(kind, f"must have at most {most} keys, not {len(keys)}")
    for key in keys:
        problem = _problem(key)
        if problem:
            raise _values.invalid(f"{kind}[{key!r:.80}]", problem)


def _problem(key: object) -> str:
    if not isinstance(key, str):
        return f"must have a text as key, not {type(key).__name__}"
    if not key:
        return "must have a key that is not empty"
    if len(key) > MAX_KEY:
        return f"must have a key of at most {MAX_KEY} characters, not {len(key)}"
    if _KEY.fullmatch(key) is None:
        return (
            "may have a key of only letters, digits, underscores, dashes, periods, spaces, colons"
            " and slashes"
        )
    if posixpath.normpath(key) != key or key == "." or key.startswith(("..", "/")):
        return "must have a normalized relative path as key"
    return ""


def numbers(metrics: Mapping[str, object]) -> list[float]:
    """The values as floats, in order. Raises InvalidField for what is no real number."""
    return [_values.metric_value(key, value) for key, value in metrics.items()]


def timestamp_ms(value: object) -> int:
    """Unix milliseconds as given. Raises InvalidField."""
    number = _values.timestamp_ms(value)
    if number < 0 and value is not None:
        raise _values.invalid("timestamp", f"must not be negative, as {number} is")
    # A clock that is set to before 1970 is no reason for training to stop.
    return max(number, 0)


def rank() -> int | None:
    """This process's place among those that train together, as its launcher says; None alone."""
    for place, size in LAUNCHERS:
        mine, of = os.environ.get(place, ""), os.environ.get(size, "")
        if mine.isascii() and mine.isdigit() and of.isascii() and of.isdigit() and int(of) > 1:
            return int(mine) if int(mine) <= MAX_RANK else None
    return None


def drops() -> bool:
    """Whether a point that finds no room is dropped; else its call waits.

    Raises:
        InvalidArgument: RUNSTONE_JOURNAL_POLICY is neither block nor drop.
    """
    policy = os.environ.get(_settings.JOURNAL_POLICY) or "block"
    if policy not in ("block", "drop"):
        raise InvalidArgument(f"{_settings.JOURNAL_POLICY} must be block or drop, not {policy!r}")
    return policy == "drop"


def max_bytes() -> int:
    """How much may wait for delivery.

    Raises:
        InvalidArgument: RUNSTONE_JOURNAL_MAX_BYTES is no positive whole number.
    """
    text = os.environ.get(_settings.JOURNAL_MAX_BYTES) or str(DEFAULT_MAX_BYTES)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InvalidArgument(
            f"{_settings.JOURNAL_MAX_BYTES} must be a positive whole number, not {text!r}"
        )
    return int(text)
