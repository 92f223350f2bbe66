"""A framework that tells its hook of a training's begin by a list of callbacks, as the real do."""

from collections.abc import Callable

from runstone._integrations.report import Report
from runstone._integrations.where import Choice


def train(choice: Choice, callback: Callable[[Report], object] = lambda report: None) -> Report:
    """A training of one round, at whose end `callback` is called."""
    report = _begun(choice)
    callback(report)
    report.end()
    return report


def _begun(choice: Choice) -> Report:
    return Report.begin("toy", choice)
