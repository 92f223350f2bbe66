"""Arguments as the services take them: numbers, texts, times."""

from __future__ import annotations

import inspect
import math
import operator
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from runstone.exceptions import FieldViolation, InvalidField

MAX_PARAM_VALUE = 6_000
MAX_TAG_VALUE = 8_000
MAX_EXPERIMENT_TAG_VALUE = 20_000
"""Characters; longer values are cut with a warning, as MLflow's clients do."""

INT64 = 2**63


def now_ms() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def invalid(field: str, description: str) -> InvalidField:
    """The exception for one wrong argument."""
    return InvalidField(
        f"{field} {description}", field_violations=[FieldViolation(field, description)]
    )


def metric_value(key: str, value: Any) -> float:
    """A metric's value from any real number: int, float, Decimal, a scalar of numpy or torch.

    Raises:
        InvalidField: it is a bool, a text, or no single real number.
    """
    if type(value) is float:
        return value
    if type(value) is not int and hasattr(value, "item"):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            raise invalid(
                f"metrics[{key!r}]", f"must be one number, not {type(value).__name__}"
            ) from None
    if isinstance(value, bool | str | bytes | bytearray):
        raise invalid(f"metrics[{key!r}]", f"must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise invalid(
            f"metrics[{key!r}]", f"must be a number, not {type(value).__name__}"
        ) from None


def whole_number(field: str, value: Any) -> int:
    """An int64 from an int or an integral float, of numpy too. Raises InvalidField."""
    if isinstance(value, bool):
        raise invalid(field, "must be a whole number, not bool")
    try:
        number = operator.index(value)
    except TypeError:
        try:
            number = int(value)
            exact = number == value
        except (TypeError, ValueError, OverflowError):
            exact = False
        if not exact:
            raise invalid(field, f"must be a whole number, not {value!r:.60}") from None
    if not -INT64 <= number < INT64:
        raise invalid(field, "must fit 64 bits")
    return number


def timestamp_ms(value: Any) -> int:
    """Unix milliseconds; None means now. Raises InvalidField."""
    return now_ms() if value is None else whole_number("timestamp", value)


def warn(message: str) -> None:
    """A warning at the line of the user's that led here, however deep in our code."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "runstone":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def text(kind: str, key: str, value: Any, limit: int) -> str:
    """``str(value)``, cut to ``limit`` characters with a warning."""
    result = value if type(value) is str else str(value)
    if len(result) > limit:
        warn(f"the value of {kind} {key!r} has {len(result)} characters and is cut to {limit}")
        result = result[:limit]
    return result


def texts(kind: str, values: Any, limit: int) -> dict[str, str]:
    """A dict of texts from a mapping, or from entities with ``key`` and ``value``.

    Raises:
        InvalidField: a key is no text, or stands twice.
    """
    if not values:
        return {}
    items: Iterable[tuple[Any, Any]]
    if isinstance(values, Mapping):
        items = values.items()
    else:
        try:
            items = [(each.key, each.value) for each in values]
        except (TypeError, AttributeError):
            raise invalid(f"{kind}s", f"must be a dict, not {type(values).__name__}") from None
    found: dict[str, str] = {}
    for key, value in items:
        if not isinstance(key, str):
            raise invalid(f"{kind}s[{key!r}]", f"must have a text as key, not {type(key).__name__}")
        if key in found:
            raise invalid(f"{kind}s[{key!r}]", "must not stand twice in one call")
        found[key] = text(kind, key, value, limit)
    return found
