"""What libraries of boosted trees report alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runstone._integrations.report import Report
from runstone._integrations.where import Choice
from runstone._values import invalid


def kinds(given: Sequence[str]) -> tuple[str, ...]:
    """Kinds of importance. Raises InvalidField for a text in place of a list."""
    if isinstance(given, str):
        raise invalid("importance_types", f"must be a list of names, not {given!r:.50}")
    return tuple(given)


def begun_anew(library: str, before: Report | None, choice: Choice) -> Report:
    """The report of a training; the callback's last one is over, and raised if it did not end."""
    if before is not None and not before.ended:
        before.end("FAILED")
    return Report.begin(library, choice)


def log_importances(report: Report, kind: str, scores: Mapping[str, Any]) -> None:
    """Log how much each feature counts, under the name that autologging gives it."""
    if scores:
        plain = {
            name: getattr(value, "tolist", lambda v=value: v)() for name, value in scores.items()
        }
        report.text(json.dumps(plain, indent=2), f"feature_importance_{kind}.json")
