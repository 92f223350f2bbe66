"""Two runs side by side: what differs, of what was put in and what came out."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from runstone._client._versions import VersionCalls
from runstone._entities.artifacts import FileInfo
from runstone._entities.differences import Difference, RunDiff
from runstone._entities.tracking import Run
from runstone._values import invalid
from runstone.exceptions import LoggedModelNotFound

KINDS = (
    *("source", "environment", "param", "tag", "input"),
    *("status", "metric", "artifact", "model"),
)
"""Causes first, then effects."""

SOURCE_TAGS = {
    "mlflow.source.name": "name",
    "mlflow.source.type": "type",
    "mlflow.source.git.commit": "commit",
    "mlflow.source.git.branch": "branch",
    "mlflow.source.git.repoURL": "repository",
    "mlflow.project.version": "version",
    "mlflow.project.entryPoint": "entry point",
    "mlflow.project.env": "environment",
    "mlflow.project.backend": "backend",
    "mlflow.docker.image.uri": "image",
    "mlflow.docker.image.id": "image id",
}
"""What the machinery notes and is the same when the same is run again. All other tags of
``mlflow.`` and ``runstone.`` are of one run: its name, its parent, its user."""

OF_ONE_RUN = ("mlflow.", "runstone.")
CONTEXT = "mlflow.data.context"

SYSTEM_METRICS = "system/"
"""The machine's load is never the same."""

RECORD = "source/project.json"
PATCH = "source/diff.patch"
ENVIRONMENT_FOLDER = "source/environment/"
MODEL_FILE = "MLmodel"
"""Has ids and times in it."""

MOST_TEXT = 256 * 1024
"""Longer lists of packages are told by their digest alone."""

_PINNED = re.compile(
    r"\s*(?:-\s+)?['\"]?([A-Za-z0-9][A-Za-z0-9._-]*)\s*(==?[^;\s'\"#]+)['\"]?\s*(?:#.*)?"
)

Value = str | float | None


class CompareCalls(VersionCalls):
    """Calls about several runs."""

    def diff_runs(self, run_id: str, other_run_id: str, tolerance: float = 0.0) -> RunDiff:
        """In what two runs differ: source, environment, params, tags, inputs, and what came out.

        Latest values of metrics are compared, system metrics are not; files by their SHA-256,
        models by those of their files; tags that are of one run alone, such as its name, are not.

        Args:
            run_id: The run A.
            other_run_id: The run B.
            tolerance: How far metrics may be apart, as a part of the greater one.

        Raises:
            RunNotFound

        Example:
            >>> import runstone
            >>> runs = []
            >>> for alpha in (0.1, 0.5):
            ...     with runstone.start_run() as run:
            ...         _ = runstone.log_param("alpha", alpha)
            ...         runs.append(run.info.run_id)
            >>> found = runstone.Client().diff_runs(*runs)
            >>> [(each.kind, each.key, each.a, each.b) for each in found.differences]
            [('param', 'alpha', '0.1', '0.5')]
        """
        if not 0 <= tolerance < 1:
            raise invalid("tolerance", f"must be from 0 to below 1, not {tolerance}")
        a, b = self._facts(run_id), self._facts(other_run_id)
        differences: list[Difference] = []
        compared: dict[str, int] = {}
        for kind in KINDS:
            mine, theirs = a[kind], b[kind]
            keys = sorted({*mine, *theirs})
            compared[kind] = len(keys)
            for key in keys:
                one, other = mine.get(key), theirs.get(key)
                if not _same(one, other, tolerance):
                    differences.append(Difference(kind, key, one, other))
        return RunDiff(run_id, other_run_id, differences, compared)

    def _facts(self, run_id: str) -> dict[str, Mapping[str, Value]]:
        run = self.get_run(run_id)
        files = self.list_artifacts(run_id, recursive=True)
        tags = run.data.tags
        source: dict[str, Value] = {
            name: tags[key] for key, name in SOURCE_TAGS.items() if key in tags
        }
        for each in files:
            if each.path == PATCH:
                source["uncommitted changes"] = each.sha256
        return {
            "source": source,
            "environment": self._environment(run_id, files),
            "param": run.data.params,
            "tag": {key: tags[key] for key in tags if not key.startswith(OF_ONE_RUN)},
            "input": _inputs(run),
            "status": {"status": run.info.status},
            "metric": {
                key: value
                for key, value in run.data.metrics.items()
                if not key.startswith(SYSTEM_METRICS)
            },
            "artifact": {
                each.path: each.sha256
                for each in files
                if each.path not in {RECORD, PATCH} and not each.path.startswith(ENVIRONMENT_FOLDER)
            },
            "model": self._models(run),
        }

    def _environment(self, run_id: str, files: Iterable[FileInfo]) -> dict[str, Value]:
        """Packages by name where a file lists them with versions; else the file's digest."""
        found: dict[str, Value] = {}
        for each in files:
            if not each.path.startswith(ENVIRONMENT_FOLDER):
                continue
            name = each.path.removeprefix(ENVIRONMENT_FOLDER)
            packages = (
                _packages(self.read_bytes(run_id, each.path))
                if (each.file_size or 0) <= MOST_TEXT
                else {}
            )
            found |= packages or {name: each.sha256}
        return found

    def _models(self, run: Run) -> dict[str, Value]:
        found: dict[str, Value] = {}
        names: Counter[str] = Counter()
        for each in run.outputs.model_outputs:
            try:
                name = self.get_logged_model(each.model_id).name
            except LoggedModelNotFound:  # deleted for good meanwhile
                continue
            names[name] += 1
            if names[name] > 1:
                name = f"{name} ({names[name]})"
            found[name] = "logged"
            for file in self.list_artifacts(logged_model_id=each.model_id, recursive=True):
                if file.path != MODEL_FILE:
                    found[f"{name}/{file.path}"] = file.sha256
        return found


def _inputs(run: Run) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for each in run.inputs.dataset_inputs:
        contexts = [tag.value for tag in each.tags if tag.key == CONTEXT]
        context = f" ({contexts[0]})" if contexts else ""
        key = f"{each.dataset.name}{context}"
        digests = sorted({*str(found.get(key) or "").split(), each.dataset.digest})
        found[key] = " ".join(digests)
    return found | {model.model_id: "read" for model in run.inputs.model_inputs}


def _packages(content: bytes) -> dict[str, Value]:
    """Packages with their versions; nothing where a line says more than that."""
    found: dict[str, Value] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        package = _PINNED.fullmatch(line)
        if package is not None:
            found[package[1].lower()] = package[2].lstrip("=")
        elif line.strip() and not line.lstrip().startswith("#"):
            return {}
    return found


def _same(one: Value, other: Value, tolerance: float) -> bool:
    if not isinstance(one, float) or not isinstance(other, float):
        return one == other
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=tolerance)
