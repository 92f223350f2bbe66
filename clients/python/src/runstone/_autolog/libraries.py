"""Which libraries can log by themselves, and what turns each on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from runstone._autolog import guard, imports, switches
from runstone._autolog.switches import Switch
from runstone._values import invalid

PLACES: dict[str, tuple[str, str]] = {
    "sklearn": ("sklearn", "runstone._autolog.sklearn"),
    "xgboost": ("xgboost", "runstone._autolog.xgboost"),
    "lightgbm": ("lightgbm", "runstone._autolog.lightgbm"),
    "catboost": ("catboost", "runstone._autolog.catboost"),
    "statsmodels": ("statsmodels.base.model", "runstone._autolog.statsmodels"),
    "pytorch": ("torch", "runstone._autolog.pytorch"),
    "tensorflow": ("keras", "runstone._autolog.keras"),
    "keras": ("keras", "runstone._autolog.keras"),
    "pyspark.ml": ("pyspark.ml", "runstone._autolog.spark"),
}
"""Library to the module of it whose import is waited for, and ours, which has ``turn_on``."""

_COMMON = frozenset(each.name for each in fields(Switch)) - {"others"}


def turn(library: str, *, disable: bool = False, options: Mapping[str, Any] | None = None) -> None:
    """Have a library log by itself from its import on, now or later; or no more.

    Raises:
        InvalidField: an option is of the wrong type.
    """
    given = dict(options or {})
    for name, value in given.items():
        if name.startswith(("log_", "exclusive", "silent")) and not isinstance(value, bool):
            raise invalid(name, f"must be True or False, not {value!r:.50}")
    tags = given.get("extra_tags") or {}
    if not isinstance(tags, Mapping):
        raise invalid("extra_tags", f"must be a dict, not {type(tags).__name__}")
    given["extra_tags"] = tags
    common = {name: value for name, value in given.items() if name in _COMMON}
    others = {name: value for name, value in given.items() if name not in _COMMON}
    switches.turn(library, None if disable else Switch(**common, others=others))
    if not disable:
        waited, place = PLACES[library]
        imports.when_imported(waited, lambda: guard.guarded(library, "anything", _on, place))


def steps(log_every_n_steps: Any, *, log_every_epoch: Any) -> dict[str, int | None]:
    """How often a training's metrics are logged, as the arguments of an ``autolog`` say it.

    Raises:
        InvalidField: both are wanted, or neither, or the number is none.
    """
    name = "log_every_n_steps"
    if not isinstance(log_every_epoch, bool):
        raise invalid("log_every_epoch", f"must be True or False, not {log_every_epoch!r:.50}")
    if log_every_n_steps is not None and (
        type(log_every_n_steps) is not int or log_every_n_steps < 1
    ):
        raise invalid(name, f"must be 1 or more, not {log_every_n_steps!r:.50}")
    if log_every_epoch != (log_every_n_steps is None):
        rule = "goes with log_every_epoch=False" if log_every_epoch else "must be given"
        raise invalid(name, f"{rule}: metrics are logged by epoch or by step")
    return {name: log_every_n_steps}


def _on(place: str) -> None:
    importlib.import_module(place).turn_on()
