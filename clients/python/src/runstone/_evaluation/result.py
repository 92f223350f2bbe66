"""What an evaluation came to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone import _media
from runstone._evaluation.artifacts import EvaluationArtifact, artifact
from runstone.exceptions import InvalidArgument, LocalPathMissing

if TYPE_CHECKING:
    import pandas as pd

_METRICS = "metrics.json"
_ARTIFACTS = "artifacts_metadata.json"
_FILES = "artifacts"
"""As MLflow saves them: each reads what the other saved."""

_MLFLOW_MODULE = "mlflow.models.evaluation.artifacts"


class EvaluationResult:
    """The metrics and files of an evaluation.

    Attributes:
        metrics: Names to numbers.
        artifacts: Names to files, each with ``uri`` and ``content``.
        run_id: The run that they were logged to.
        failures: Names of the metrics and artifacts that could not be made, and why; such as a
            ROC curve of data that has one class only.
    """

    def __init__(
        self,
        metrics: Mapping[str, Any],
        artifacts: Mapping[str, EvaluationArtifact],
        run_id: str | None = None,
        failures: Mapping[str, str] | None = None,
    ) -> None:
        self.metrics = dict(metrics)
        self.artifacts = dict(artifacts)
        self.run_id = run_id
        self.failures = dict(failures or {})

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The artifacts that are tables of rows, such as ``eval_results_table``, as DataFrames."""
        import pandas as pd

        found = {}
        for name, each in self.artifacts.items():
            if _media.suffix(each.uri) == ".json":
                content = each.content
                if isinstance(content, dict) and content.keys() == {"columns", "data"}:
                    found[name] = pd.DataFrame(content["data"], columns=content["columns"])
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write metrics and files into a folder, which is made when it is not there.

        Example:
            >>> from runstone.models import EvaluationResult
            >>> EvaluationResult({"r2_score": 0.9}, {}).save("evaluation")
            >>> EvaluationResult.load("evaluation").metrics
            {'r2_score': 0.9}
        """
        folder = Path(path)
        files = folder / _FILES
        files.mkdir(parents=True, exist_ok=True)
        for each in self.artifacts.values():
            (files / each.file_name).write_bytes(each.data)
        described = {
            name: {"uri": each.uri, "class_name": f"{_MLFLOW_MODULE}.{each.class_name}"}
            for name, each in self.artifacts.items()
        }
        (folder / _ARTIFACTS).write_text(json.dumps(described), "utf-8")
        (folder / _METRICS).write_text(json.dumps(self.metrics), "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EvaluationResult:
        """What ``save`` wrote, of MLflow too; nothing in it is executed.

        Raises:
            LocalPathMissing: the folder or a file in it is not there.
            InvalidArgument: a file is not what ``save`` writes.
        """
        folder = Path(path)
        metrics = _read(folder / _METRICS)
        artifacts = {}
        for name, said in _read(folder / _ARTIFACTS).items():
            uri = said.get("uri") if isinstance(said, dict) else None
            if not isinstance(uri, str) or EvaluationArtifact(uri, b"").file_name in {"", ".."}:
                raise InvalidArgument(f"{folder / _ARTIFACTS} says no file for {name!r}")
            file_name = EvaluationArtifact(uri, b"").file_name
            artifacts[name] = artifact(uri, _bytes(folder / _FILES / file_name))
        return cls(metrics, artifacts)

    def __repr__(self) -> str:
        return (
            f"EvaluationResult(run_id={self.run_id!r}, metrics={self.metrics},"
            f" artifacts={sorted(self.artifacts)}, failures={self.failures})"
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise LocalPathMissing(f"there is no file {path}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_bytes(path))
    except ValueError as error:
        raise InvalidArgument(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidArgument(f"{path} holds no names")
    return content
