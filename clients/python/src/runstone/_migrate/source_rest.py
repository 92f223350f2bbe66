"""A tracking server as a source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runstone._entities.tracking import Dataset, DatasetInput, InputTag
from runstone._migrate.model import (
    FilesOutOfReach,
    Points,
    SourceExperiment,
    SourceModel,
    SourceRun,
    SourceVersion,
    Tree,
    newest,
)
from runstone._migrate.rest import Rest, RestError
from runstone._migrate.trees import Places, SubTree, of_logged_model, of_run
from runstone._modeluri import ModelUri, RunUri, parse_artifact_uri
from runstone.exceptions import InvalidUri

PAGE_EXPERIMENTS = 1000
PAGE_RUNS = 500
PAGE_POINTS = 25_000
PAGE_MODELS = 100
PAGE_VERSIONS = 1000
"""What servers of all versions take."""

OF_RUN = re.compile(r"/([0-9a-f]{32})/artifacts(/.*)?$")
OF_MODEL = re.compile(r"/(m-[0-9a-f]{32})/artifacts(/.*)?$")
"""Places as MLflow makes them."""

OLDEST_FIRST = ["attributes.start_time ASC"]
"""Pages of runs are offsets: runs that begin meanwhile must not move the others."""


class RestSource:
    """See Source."""

    def __init__(self, url: str) -> None:
        self._rest = Rest(url)
        self.where = self._rest.where
        self._places = Places(rest=self._rest)

    def experiments(self) -> Iterator[SourceExperiment]:
        """See Source."""
        given = {"max_results": PAGE_EXPERIMENTS, "view_type": "ALL"}
        for each in self._rest.pages("POST", "experiments/search", "experiments", given):
            yield SourceExperiment(
                experiment_id=each["experiment_id"],
                name=each["name"],
                active=each.get("lifecycle_stage", "active") == "active",
                tags=_texts(each.get("tags", ())),
                creation_time=_whole(each.get("creation_time")),
                last_update_time=_whole(each.get("last_update_time")),
            )

    def runs(self, experiment_id: str) -> Iterator[SourceRun]:
        """See Source."""
        given = {
            "experiment_ids": [experiment_id],
            "max_results": PAGE_RUNS,
            "run_view_type": "ALL",
            "order_by": OLDEST_FIRST,
        }
        for each in self._rest.pages("POST", "runs/search", "runs", given):
            yield _run(each)

    def run(self, run_id: str) -> SourceRun | None:
        """See Source."""
        try:
            return _run(self._rest.get("runs/get", run_id=run_id)["run"])
        except RestError as error:
            if error.status in (400, 404):
                return None
            raise

    def points(self, run: SourceRun) -> Iterator[Points]:
        """See Source."""
        return self.history(self._rest, run.run_id, run.metrics)

    @staticmethod
    def history(rest: Rest, run_id: str, keys: Iterable[str]) -> Iterator[Points]:
        """Every point of these metrics of a run."""
        for key in keys:
            given = {"run_id": run_id, "metric_key": key, "max_results": PAGE_POINTS}
            found = Points.empty(key)
            for each in rest.pages("GET", "metrics/get-history", "metrics", given):
                found.add(
                    int(each.get("step", 0)), int(each["timestamp"]), float(each.get("value", 0.0))
                )
            # A server on files gives lines as they were written, some twice.
            yield found.distinct()

    def run_files(self, run: SourceRun) -> Tree:
        """See Source."""
        return of_run(self._rest, run.run_id, run.artifact_uri)

    def models(self) -> Iterator[SourceModel]:
        """See Source."""
        given = {"max_results": PAGE_MODELS}
        for each in self._rest.pages("GET", "registered-models/search", "registered_models", given):
            yield SourceModel(
                name=each["name"],
                description=each.get("description", ""),
                tags=_texts(each.get("tags", ())),
                aliases={a["alias"]: int(a["version"]) for a in each.get("aliases", ())},
                creation_time=_whole(each.get("creation_timestamp")),
                last_updated_time=_whole(each.get("last_updated_timestamp")),
            )

    def versions(self, model: SourceModel) -> list[SourceVersion]:
        """See Source."""
        mark = '"' if "'" in model.name else "'"
        given = {"filter": f"name={mark}{model.name}{mark}", "max_results": PAGE_VERSIONS}
        found = self._rest.pages("GET", "model-versions/search", "model_versions", given)
        return sorted(map(_version, found), key=lambda each: each.version)

    def version_files(self, version: SourceVersion) -> Tree:
        """See Source."""
        uri = version.source
        if not uri.startswith(("runs:", "models:")):
            answer = self._rest.get(
                "model-versions/get-download-uri", name=version.name, version=version.version
            )
            uri = _named(answer.get("artifact_uri") or uri)
        return self._tree(uri)

    def _tree(self, uri: str) -> Tree:
        try:
            found = parse_artifact_uri(uri.replace("models:/m-", "models:/of/m-", 1))
        except InvalidUri as error:
            raise FilesOutOfReach(error.message) from None
        if isinstance(found, RunUri):
            run = self.run(found.run_id)
            if run is None:
                raise FilesOutOfReach(f"run {found.run_id} is not there any more")
            return SubTree(self.run_files(run), found.path)
        if isinstance(found, ModelUri):
            return SubTree(self._model_tree(found), found.path)
        return self._places.tree(uri)

    def _model_tree(self, uri: ModelUri) -> Tree:
        try:
            if uri.selector.startswith("m-"):
                model = self._rest.get(f"logged-models/{uri.selector}")["model"]
                return of_logged_model(self._rest, uri.selector, model["info"]["artifact_uri"])
            answer = self._rest.get(
                "model-versions/get-download-uri", name=uri.name, version=uri.selector
            )
        except RestError as error:
            raise FilesOutOfReach(error.message) from None
        return self._tree(answer["artifact_uri"])

    def close(self) -> None:
        """See Source."""
        self._rest.close()


def _named(uri: str) -> str:
    """A place by the run or the logged model that has it, which every server gives the files of."""
    if found := OF_MODEL.search(uri):
        return f"models:/{found[1]}{found[2] or ''}"
    if found := OF_RUN.search(uri):
        return f"runs:/{found[1]}{found[2] or ''}"
    return uri


def _texts(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags or params; an empty value is left out of an answer."""
    return {each["key"]: each.get("value") or "" for each in found}


def _whole(said: Any) -> int | None:
    """Old servers write 64-bit integers as texts."""
    return int(said) if said not in (None, "") else None


def _run(said: Mapping[str, Any]) -> SourceRun:
    info, data = said["info"], said.get("data", {})
    tags = _texts(data.get("tags", ()))
    return SourceRun(
        run_id=info.get("run_id") or info["run_uuid"],
        experiment_id=str(info["experiment_id"]),
        name=info.get("run_name") or tags.get("mlflow.runName", ""),
        user_id=info.get("user_id", ""),
        status=str(info.get("status", "RUNNING")),
        start_time=_whole(info.get("start_time")),
        end_time=_whole(info.get("end_time")),
        active=info.get("lifecycle_stage", "active") == "active",
        artifact_uri=info.get("artifact_uri", ""),
        params=_texts(data.get("params", ())),
        tags=tags,
        metrics={
            each["key"]: newest(
                int(each.get("step", 0)),
                int(each.get("timestamp", 0)),
                float(each.get("value", 0.0)),
            )
            for each in data.get("metrics", ())
        },
        inputs=[_input(each) for each in said.get("inputs", {}).get("dataset_inputs", ())],
    )


def _input(said: Mapping[str, Any]) -> DatasetInput:
    dataset = said["dataset"]
    return DatasetInput(
        Dataset(
            name=dataset["name"],
            digest=dataset["digest"],
            source_type=dataset.get("source_type", ""),
            source=dataset.get("source", ""),
            schema=dataset.get("schema"),
            profile=dataset.get("profile"),
        ),
        [InputTag(each["key"], each.get("value", "")) for each in said.get("tags", ())],
    )


def _version(said: Mapping[str, Any]) -> SourceVersion:
    return SourceVersion(
        name=said["name"],
        version=int(said["version"]),
        description=said.get("description", ""),
        tags=_texts(said.get("tags", ())),
        run_id=said.get("run_id", ""),
        run_link=said.get("run_link", ""),
        user_id=said.get("user_id", ""),
        source=said.get("source", ""),
        stage=said.get("current_stage") or "None",
        status=said.get("status", "READY"),
        creation_time=_whole(said.get("creation_timestamp")),
        last_updated_time=_whole(said.get("last_updated_timestamp")),
    )
