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


def _on(place: str) -> None:
    importlib.import_module(place).turn_on()
