"""What a data folder looks like, for the client that would use it and the suite that serves it."""

from __future__ import annotations

from pathlib import Path

SIGNS = (
    "suite.lock",
    "suite.json",
    "clients.lock",
    "start.lock",
    "tracking.db",
    "artifact.db",
    "registry.db",
)
"""One of them is in every folder that a suite has served or is about to."""

NAMED = 3
"""Names that tell a user which folder it is; more tell nothing more."""

_MLFLOW_FILES = frozenset({"mlflow.db", "mlruns.db", "mlruns"})


def is_data_folder(path: Path) -> bool:
    """Whether Runstone's data are there, or a suite is just making them."""
    return any((path / name).exists() for name in SIGNS)


def strangers(path: Path) -> str:
    """What a folder that is not Runstone's holds, in words; empty when it can become one.

    A folder that is missing, empty, or Runstone's already has none. Hidden files and a mounted
    disk's lost+found are no reason.
    """
    if not path.is_dir() or is_data_folder(path):
        return ""
    found = sorted(
        each.name + "/" * each.is_dir()
        for each in path.iterdir()
        if not each.name.startswith(".") and each.name != "lost+found"
    )
    if not found:
        return ""
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    known = " (an MLflow folder)" if _is_mlflow(path) else ""
    return f"{', '.join(found[:NAMED])}{more}{known}"


def _is_mlflow(path: Path) -> bool:
    # Its file store has a meta.yaml in the folder of each experiment.
    return any(
        each.name in _MLFLOW_FILES or (each / "meta.yaml").is_file() for each in path.iterdir()
    )
