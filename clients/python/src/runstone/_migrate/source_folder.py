"""A folder `mlruns`, as MLflow's file store writes it, as a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from runstone._entities.tracking import Dataset, DatasetInput, InputTag, RunStatus
from runstone._migrate.model import (
    FilesOutOfReach,
    Points,
    SourceExperiment,
    SourceModel,
    SourceRun,
    SourceUnreadable,
    SourceVersion,
    Tree,
)
from runstone._migrate.trees import LocalTree, Places, SubTree, checked_folder, local_path
from runstone._modeluri import ModelUri, RunUri, parse_artifact_uri
from runstone.exceptions import InvalidUri

META = "meta.yaml"
TRASH = ".trash"
MODELS = "models"
"""Beside experiments: the registry. Within one: its logged models."""

NO_RUNS = frozenset({"tags", "datasets", "traces", MODELS})
"""Folders of an experiment that are none of a run."""

DELETED_STAGE = "Deleted_Internal"

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe one, in C where there is one: ten times faster."""


class FolderSource:
    """See Source.

    Args:
        folder: The one with a folder for each experiment.
        artifacts: Where files of the scheme mlflow-artifacts are.
    """

    def __init__(self, folder: str, artifacts: str | None = None) -> None:
        self._root = checked_folder(folder)
        self.where = str(self._root)
        self._places = Places(artifacts)
        self._lock = threading.Lock()
        self._runs: dict[str, Path] | None = None
        if not any(self._experiments()):
            raise SourceUnreadable(
                f"{self._root} is no mlruns folder: no folder in it has an experiment's {META}"
            )

    def _experiments(self) -> Iterator[Path]:
        for above in (self._root, self._root / TRASH):
            yield from _folders(above)

    def experiments(self) -> Iterator[SourceExperiment]:
        """See Source."""
        for folder in self._experiments():
            meta = _meta(folder)
            if "experiment_id" not in meta:
                continue
            yield SourceExperiment(
                experiment_id=str(meta["experiment_id"]),
                name=str(meta["name"]),
                active=meta.get("lifecycle_stage", "active") == "active",
                tags=_texts(folder / "tags"),
                creation_time=meta.get("creation_time"),
                last_update_time=meta.get("last_update_time"),
            )

    def runs(self, experiment_id: str) -> Iterator[SourceRun]:
        """See Source."""
        for above in (self._root, self._root / TRASH):
            experiment = above / experiment_id
            for folder in _folders(experiment):
                if folder.name not in NO_RUNS:
                    yield _run(experiment, folder)

    def run(self, run_id: str) -> SourceRun | None:
        """See Source."""
        try:
            folder = self._folder_of(run_id)
        except FilesOutOfReach:
            return None
        return _run(folder.parent, folder)

    def points(self, run: SourceRun) -> Iterator[Points]:
        """See Source."""
        metrics = self._folder_of(run.run_id) / "metrics"
        for key in run.metrics:
            # Lines stand there as they were written, some twice.
            yield _points(metrics / key, key).distinct()

    def _folder_of(self, run_id: str) -> Path:
        with self._lock:
            if self._runs is None:
                self._runs = {
                    run.name: run for each in self._experiments() for run in _folders(each)
                }
        try:
            return self._runs[run_id]
        except KeyError:
            raise FilesOutOfReach(f"run {run_id} is not in {self._root}") from None

    def run_files(self, run: SourceRun) -> Tree:
        """See Source."""
        return self._run_tree(self._folder_of(run.run_id), run.artifact_uri)

    def _run_tree(self, folder: Path, uri: str) -> Tree:
        said = local_path(uri)
        # The folder may have been moved, or come from another machine.
        if uri and (said is None or said.is_dir()):
            return self._places.tree(uri)
        return LocalTree(folder / "artifacts")

    def models(self) -> Iterator[SourceModel]:
        """See Source."""
        for folder in _folders(self._root / MODELS):
            meta = _meta(folder)
            aliases = _texts(folder / "aliases")
            yield SourceModel(
                name=str(meta["name"]),
                description=meta.get("description") or "",
                tags=_texts(folder / "tags"),
                aliases={alias: int(version) for alias, version in aliases.items()},
                creation_time=meta.get("creation_timestamp"),
                last_updated_time=meta.get("last_updated_timestamp"),
            )

    def versions(self, model: SourceModel) -> list[SourceVersion]:
        """See Source."""
        found = []
        for folder in _folders(self._root / MODELS / model.name):
            meta = _meta(folder)
            if "version" in meta and meta.get("current_stage") != DELETED_STAGE:
                found.append(_version(meta, _texts(folder / "tags")))
        return sorted(found, key=lambda each: each.version)

    def version_files(self, version: SourceVersion) -> Tree:
        """See Source."""
        return self._tree(version.files_uri)

    def _tree(self, uri: str) -> Tree:
        try:
            found = parse_artifact_uri(uri.replace("models:/m-", "models:/of/m-", 1))
        except InvalidUri as error:
            raise FilesOutOfReach(error.message) from None
        if isinstance(found, RunUri):
            folder = self._folder_of(found.run_id)
            uri = _meta(folder).get("artifact_uri") or ""
            return SubTree(self._run_tree(folder, uri), found.path)
        if isinstance(found, ModelUri):
            return SubTree(self._model_tree(found, uri), found.path)
        return self._moved(uri) or self._places.tree(uri)

    def _model_tree(self, found: ModelUri, uri: str) -> Tree:
        if found.selector.startswith("m-"):
            for each in self._experiments():
                if (each / MODELS / found.selector).is_dir():
                    return LocalTree(each / MODELS / found.selector / "artifacts")
            raise FilesOutOfReach(f"{uri} is not in {self._root}")
        meta = _meta(self._root / MODELS / found.name / f"version-{found.selector}")
        return self._tree(meta.get("storage_location") or meta["source"])

    def _moved(self, uri: str) -> Tree | None:
        """A place within this folder, by the end of its path, when its beginning is another's."""
        said = local_path(uri)
        if said is None or said.exists():
            return None
        for count in range(min(8, len(said.parts)), 1, -1):
            near = self._root.joinpath(*said.parts[-count:])
            if near.exists():
                return LocalTree(near)
        return None

    def close(self) -> None:
        """See Source."""


def _folders(above: Path) -> list[Path]:
    """The folders with a meta.yaml, by name."""
    if not above.is_dir():
        return []
    return sorted(each for each in above.iterdir() if (each / META).is_file())


def _meta(folder: Path) -> Mapping[str, Any]:
    try:
        said = yaml.load((folder / META).read_text("utf-8"), LOADER)  # noqa: S506
    except (OSError, yaml.YAMLError) as error:
        raise SourceUnreadable(f"{folder / META} cannot be read: {error}") from None
    if not isinstance(said, Mapping):
        raise SourceUnreadable(f"{folder / META} holds no names and values")
    return said


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below a folder, with the key that its path stands for."""
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _texts(folder: Path) -> dict[str, str]:
    # Text mode would make one line end of another.
    return {key: path.read_bytes().decode("utf-8", "replace") for key, path in _files(folder)}


def _points(path: Path, key: str) -> Points:
    """Lines "timestamp value [step [dataset digest]]"."""
    found = Points.empty(key)
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            parts = line.split()
            try:
                if parts:
                    step = int(parts[2]) if len(parts) > 2 else 0
                    found.add(step, int(parts[0]), float(parts[1]))
            except (ValueError, IndexError, OverflowError):
                raise SourceUnreadable(f"{path} has the line {line!r:.100}") from None
    return found


def _run(experiment: Path, folder: Path) -> SourceRun:
    meta = _meta(folder)
    tags = _texts(folder / "tags")
    return SourceRun(
        run_id=folder.name,
        experiment_id=experiment.name,
        name=meta.get("run_name") or meta.get("name") or tags.get("mlflow.runName", ""),
        user_id=meta.get("user_id") or "",
        status=RunStatus.to_string(int(meta.get("status", RunStatus.RUNNING))),
        start_time=meta.get("start_time"),
        end_time=meta.get("end_time"),
        active=meta.get("lifecycle_stage", "active") == "active",
        artifact_uri=meta.get("artifact_uri") or "",
        params=_texts(folder / "params"),
        tags=tags,
        metrics={key: path.stat().st_size for key, path in _files(folder / "metrics")},
        inputs=_inputs(experiment, folder),
    )


def _inputs(experiment: Path, folder: Path) -> list[DatasetInput]:
    found = []
    for each in _folders(folder / "inputs"):
        meta = _meta(each)
        if meta.get("source_type") != "DATASET":
            continue
        dataset = _meta(experiment / "datasets" / str(meta["source_id"]))
        found.append(
            DatasetInput(
                Dataset(
                    name=dataset["name"],
                    digest=dataset["digest"],
                    source_type=dataset.get("source_type") or "",
                    source=dataset.get("source") or "",
                    schema=dataset.get("schema"),
                    profile=dataset.get("profile"),
                ),
                [InputTag(key, str(value)) for key, value in (meta.get("tags") or {}).items()],
            )
        )
    return found


def _version(meta: Mapping[str, Any], tags: dict[str, str]) -> SourceVersion:
    return SourceVersion(
        name=str(meta["name"]),
        version=int(meta["version"]),
        description=meta.get("description") or "",
        tags=tags,
        run_id=meta.get("run_id") or "",
        run_link=meta.get("run_link") or "",
        user_id=meta.get("user_id") or "",
        source=meta.get("source") or "",
        stage=meta.get("current_stage") or "None",
        status=str(meta.get("status") or "READY"),
        creation_time=meta.get("creation_timestamp"),
        last_updated_time=meta.get("last_updated_timestamp"),
        files_uri=meta.get("storage_location") or meta.get("source") or "",
    )
