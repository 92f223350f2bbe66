"""What is turned on, for which library, and with which options."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Switch:
    """How a library logs by itself.

    Attributes:
        log_models: Log the model, with its signature and, if ``log_input_examples``, an example.
        log_datasets: Log what was trained on, as an input of the run.
        exclusive: Leave runs alone that somebody began: log only to runs made for the purpose.
        silent: Say nothing when something could not be logged.
        extra_tags: Tags of runs that are made for the purpose.
        registered_model_name: Register each model under this name.
        others: Options of this library alone.
    """

    log_input_examples: bool = False
    log_model_signatures: bool = True
    log_models: bool = True
    log_datasets: bool = True
    exclusive: bool = False
    silent: bool = False
    extra_tags: Mapping[str, str] = field(default_factory=dict)
    registered_model_name: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)


_lock = threading.Lock()
_switches: dict[str, Switch] = {}


def turn(library: str, switch: Switch | None) -> None:
    """Turn a library on as said, or off."""
    with _lock:
        # The one that was turned on last stands last.
        _switches.pop(library, None)
        if switch is not None:
            _switches[library] = switch


def of(library: str) -> Switch | None:
    """How the library logs; None when it is off."""
    return _switches.get(library)


def latest(libraries: Collection[str]) -> str | None:
    """Of libraries whose trainings are one and the same, the one that was turned on last."""
    with _lock:
        return next((each for each in reversed(_switches) if each in libraries), None)


def reset() -> None:
    """Turn everything off. For tests."""
    with _lock:
        _switches.clear()
