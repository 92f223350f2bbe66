"""Registered models of ours, written to a tracking server of MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runstone._entities.registry import ModelVersion, RegisteredModel
from runstone._migrate import marks
from runstone._migrate.experiments import DEFAULT_ID, FAIL, RENAME, free_name
from runstone._migrate.export_run import send_files
from runstone._migrate.rest import Rest
from runstone._migrate.tally import Counts, Moved, Tally
from runstone._migrate.target import TargetClient
from runstone._migrate.trees import proxied, proxy_path
from runstone._modeluri import RunUri, parse_artifact_uri
from runstone.exceptions import InvalidArgument, InvalidUri

MODEL = "runstone.exportedModel"
"""The tag of MLflow's model that names ours, by its time of creation."""

VERSION = "runstone.exportedVersion"
"""The tag of MLflow's version that names ours: the id of its files."""

GAP = "runstone.exportedGap"
"""Of a version that takes the number of one that was deleted here, until it is too."""

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Planned:
    """A model of ours, its name there, and whether it is there."""

    ours: RegisteredModel
    versions: list[ModelVersion]
    name: str
    there: Any


class ModelExport:
    """Writes registered models.

    Args:
        rest: The server.
        client: Where they are.
        tally: Is told what is done.
        runs: Our run ids to MLflow's.
    """

    def __init__(
        self, rest: Rest, client: TargetClient, tally: Tally, runs: Mapping[str, str]
    ) -> None:
        self._rest = rest
        self._client = client
        self._tally = tally
        self._runs = runs

    def plan(self, on_conflict: str) -> list[Planned]:
        """What is to become of each. Raises InvalidArgument: a name is taken."""
        given = {"max_results": PAGE}
        there = list(
            self._rest.pages("GET", "registered-models/search", "registered_models", given)
        )
        by_mark = {_tags(each).get(MODEL): each for each in there}
        by_name = {each["name"]: each for each in there}
        plan, taken = [], []
        for ours in self._models():
            found, name = by_mark.get(_mark(ours)), ours.name
            if found is None and name in by_name:
                if on_conflict == FAIL:
                    taken.append(name)
                elif on_conflict == RENAME:
                    name = free_name(name, by_name)
            if found is None:
                found = by_name.get(name)
            plan.append(Planned(ours, self._versions(ours.name), name, found))
        if taken:
            raise InvalidArgument(
                f"{self._rest.where} has other models of these names:"
                f" {', '.join(map(repr, taken))}; see --on-conflict and --no-registry"
            )
        return plan

    def is_of(self, planned: Planned, run_ids: Mapping[str, str]) -> bool:
        """Whether one of its versions came from one of these runs of ours."""
        return any(each.run_id in run_ids for each in planned.versions)

    def _models(self) -> list[RegisteredModel]:
        found: list[RegisteredModel] = []
        token: str | None = None
        while True:
            page = self._client.search_registered_models(None, PAGE, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found

    def _versions(self, name: str) -> list[ModelVersion]:
        quoted = name.replace("'", "''")
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(f"name = '{quoted}'", PAGE, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return sorted(found, key=lambda each: each.version)

    def write(self, planned: Planned) -> None:
        """Have a model there, with all its versions."""
        ours, name = planned.ours, planned.there["name"] if planned.there else planned.name
        if planned.there is None:
            body = {
                "name": name,
                "description": ours.description,
                "tags": [{"key": MODEL, "value": _mark(ours)}],
            }
            self._rest.create("registered-models/create", body)
            self._tally.count(written=Counts(models=1))
        self._tally.report.moved.append(Moved("model", ours.name, name, planned.there is None))
        has = planned.there or {"description": ours.description, "tags": []}
        if has.get("description", "") != ours.description:
            said = {"name": name, "description": ours.description}
            self._rest.json("PATCH", "/api/2.0/mlflow/registered-models/update", _body(said))
        tags = marks.without_ours(ours.tags)
        for key, value in {**tags, MODEL: _mark(ours)}.items():
            if _tags(has).get(key) != value:
                said = {"name": name, "key": key, "value": value}
                self._rest.post("registered-models/set-tag", said)
        numbers = self._write_versions(planned, name)
        aliases = {each["alias"]: int(each["version"]) for each in has.get("aliases", ())}
        for alias, number in ours.aliases.items():
            if number in numbers and aliases.get(alias) != numbers[number]:
                said = {"name": name, "alias": alias, "version": str(numbers[number])}
                self._rest.post("registered-models/alias", said)
                self._tally.count(written=Counts(aliases=1))
        self._count(planned, name, tags, numbers)

    def _there(self, name: str) -> list[Any]:
        mark = '"' if "'" in name else "'"
        given = {"filter": f"name={mark}{name}{mark}", "max_results": PAGE}
        found = self._rest.pages("GET", "model-versions/search", "model_versions", given)
        return sorted(found, key=lambda each: int(each["version"]))

    def _write_versions(self, planned: Planned, name: str) -> dict[int, int]:
        """Our numbers to MLflow's."""
        there = self._there(name)
        last = max((int(each["version"]) for each in there), default=0)
        gaps = [int(each["version"]) for each in there if GAP in _tags(each)]
        known = {_tags(each).get(VERSION): each for each in there}
        numbers: dict[int, int] = {}
        keeps = planned.there is None or _tags(planned.there).get(MODEL) == _mark(planned.ours)
        for ours in planned.versions:
            found = known.get(ours.model_version_id)
            if found is None and ours.status != "READY":
                self._tally.lose(f"version {ours.version} of model {ours.name!r} is not READY")
                continue
            if found is None:
                body = self._body(ours)
                while last + 1 < ours.version and keeps:
                    last = self._created(name, body, {GAP: "1"})
                    gaps.append(last)
                found = self._version(name, ours, body)
            number = int(found["version"])
            numbers[ours.version] = number
            last = max(last, number)
            self._settle(name, ours, found)
            if number != ours.version:
                self._tally.note(f"version {ours.version} of model {ours.name!r} is {number} there")
        for number in gaps:
            said = {"name": name, "version": str(number)}
            self._rest.json("DELETE", "/api/2.0/mlflow/model-versions/delete", _body(said))
        return numbers

    def _body(self, ours: ModelVersion) -> dict[str, str]:
        """What MLflow is told of where a version comes from; its files are there by then."""
        try:
            said = json.loads(ours.tags.get(marks.VERSION, "{}"))
        except ValueError:
            said = {}
        former = self._runs.get(str(said.get("run_id", "")), "")
        run_id = self._runs.get(ours.run_id) or former
        body = {"run_id": run_id} if run_id else {}
        if link := said.get("run_link"):
            body["run_link"] = str(link)
        try:
            uri = parse_artifact_uri(ours.source)
        except InvalidUri:
            uri = None
        if isinstance(uri, RunUri) and uri.run_id == ours.run_id and run_id:
            there = self._rest.get("runs/get", run_id=run_id)["run"]["info"]["artifact_uri"]
            return {**body, "source": f"{there}/{uri.path}".rstrip("/")}
        model_id = self._model(ours, run_id)
        return {**body, "source": f"models:/{model_id}", "model_id": model_id}

    def _version(self, name: str, ours: ModelVersion, body: Mapping[str, str]) -> Any:
        told = {**body, "description": ours.description}
        number = self._created(name, told, {VERSION: ours.model_version_id})
        self._tally.count(written=Counts(versions=1))
        return {"version": number, "description": ours.description, "current_stage": "None"}

    def _created(self, name: str, body: Mapping[str, str], tags: Mapping[str, str]) -> int:
        told = [{"key": key, "value": value} for key, value in tags.items()]
        made = self._rest.create("model-versions/create", {**body, "name": name, "tags": told})
        return int(made["model_version"]["version"])

    def _model(self, ours: ModelVersion, run_id: str) -> str:
        """The id of a logged model with a version's files: MLflow takes them nowhere else."""
        experiment = DEFAULT_ID
        if run_id:
            run = self._rest.get("runs/get", run_id=run_id)["run"]
            experiment = str(run["info"]["experiment_id"])
        wanted = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{VERSION}` = '{ours.model_version_id}'",
        }
        found = self._rest.post("logged-models/search", wanted).get("models", ())
        if found:
            model = found[0]["info"]
        else:
            body = {
                "experiment_id": experiment,
                "name": ours.name,
                "source_run_id": run_id,
                "tags": [{"key": VERSION, "value": ours.model_version_id}],
            }
            model = self._rest.create("logged-models", body)["model"]["info"]
        model_id = str(model["model_id"])
        self._send(ours, str(model["artifact_uri"]))
        ready = _body({"model_id": model_id, "status": "LOGGED_MODEL_READY"})
        self._rest.json("PATCH", f"/api/2.0/mlflow/logged-models/{model_id}", ready)
        return model_id

    def _send(self, ours: ModelVersion, uri: str) -> None:
        owner = ours.model_version_id
        place = proxy_path(uri)
        if place is None:
            self._tally.lose(
                f"files of version {ours.version} of model {ours.name!r}: the server does not take"
                " any (mlflow server --serve-artifacts)"
            )
            return
        listed = self._client.list_artifacts(recursive=True, model_version_id=owner)
        has = {each.path: each.size for each in proxied(self._rest, place).files()}
        missing = [each for each in listed if has.get(each.path) != each.file_size]
        sent = send_files(self._rest, self._client, missing, place, model_version_id=owner)
        self._tally.count(written=sent)

    def _settle(self, name: str, ours: ModelVersion, found: Any) -> None:
        """Tags, description and stage as they are here."""
        number = str(found["version"])
        has = _tags(found)
        for key, value in marks.without_ours(ours.tags).items():
            if has.get(key) != value:
                said = {"name": name, "version": number, "key": key, "value": value}
                self._rest.post("model-versions/set-tag", said)
        if found.get("description", "") != ours.description:
            said = {"name": name, "version": number, "description": ours.description}
            self._rest.json("PATCH", "/api/2.0/mlflow/model-versions/update", _body(said))
        if found.get("current_stage", "None") != ours.current_stage:
            moved = {
                "name": name,
                "version": number,
                "stage": ours.current_stage,
                "archive_existing_versions": False,
            }
            self._rest.post("model-versions/transition-stage", moved)

    def _count(
        self, planned: Planned, name: str, tags: Mapping[str, str], numbers: Mapping[int, int]
    ) -> None:
        there = self._rest.get("registered-models/get", name=name)["registered_model"]
        versions = {int(each["version"]): _tags(each) for each in self._there(name)}
        source = Counts(
            models=1,
            versions=len(planned.versions),
            aliases=len(planned.ours.aliases),
            tags=len(tags),
        )
        target = Counts(models=1, tags=sum(key in _tags(there) for key in tags))
        pointing = {each["alias"] for each in there.get("aliases", ())}
        target.aliases = sum(alias in pointing for alias in planned.ours.aliases)
        for each in planned.versions:
            own = marks.without_ours(each.tags)
            source.tags += len(own)
            if numbers.get(each.version) in versions:
                target.versions += 1
                target.tags += sum(key in versions[numbers[each.version]] for key in own)
        self._tally.count(source=source, target=target)


def _mark(ours: RegisteredModel) -> str:
    return f"{ours.name}@{ours.creation_timestamp}"


def _tags(said: Any) -> dict[str, str]:
    return {each["key"]: each.get("value", "") for each in said.get("tags", ())}


def _body(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said).encode()
