"""What a Runstone holds, in the shape in which `dump_mlflow.py` tells what an MLflow holds."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runstone import Client
from runstone._migrate import marks
from runstone.entities import ModelVersion, Run, ViewType

Names = dict[str, str]


def dump(client: Client) -> dict[str, Any]:
    """Experiments with their runs, and registered models; without the marks of an import."""
    experiments = client.search_experiments(ViewType.ALL)
    runs = {
        each.experiment_id: client.search_runs([each.experiment_id], "", ViewType.ALL)
        for each in experiments
    }
    names = {
        run.info.run_id: f"{each.name}|{run.info.run_name}"
        for each in experiments
        for run in runs[each.experiment_id]
    }
    return {
        "experiments": {
            each.name: {
                "active": each.lifecycle_stage == "active",
                "tags": marks.without_ours(each.tags),
                "runs": {
                    run.info.run_name: _run(
                        client,
                        client.get_run(run.info.run_id),
                        names,
                        each.lifecycle_stage == "active",
                    )
                    for run in runs[each.experiment_id]
                },
            }
            for each in experiments
        },
        "models": {
            each.name: {
                "description": each.description,
                "tags": marks.without_ours(each.tags),
                "aliases": dict(each.aliases),
                "versions": {
                    str(version.version): _version(client, version, names)
                    for version in client.search_model_versions(f"name = '{each.name}'")
                },
            }
            for each in client.search_registered_models()
        },
    }


def run_count(client: Client) -> int:
    """How many runs there are, in any state."""
    experiments = client.search_experiments(ViewType.ALL)
    ids = [each.experiment_id for each in experiments]
    return len(client.search_runs(ids, "", ViewType.ALL))


def _run(client: Client, run: Run, names: Names, in_use: bool) -> dict[str, Any]:
    tags: dict[str, Any] = marks.without_ours(run.data.tags)
    if "mlflow.parentRunId" in tags:
        tags["mlflow.parentRunId"] = names.get(tags["mlflow.parentRunId"], "gone")
    if "mlflow.log-model.history" in tags:
        said = json.loads(tags["mlflow.log-model.history"])
        for each in said:
            each["run_id"] = names.get(each["run_id"], "gone")
        tags["mlflow.log-model.history"] = said
    return {
        "status": run.info.status,
        "start_time": run.info.start_time,
        "end_time": run.info.end_time,
        "user": run.info.user_id,
        "active": run.info.lifecycle_stage == "active" if in_use else None,
        "params": run.data.params,
        "tags": tags,
        "metrics": {
            key: _points(client, run.info.run_id, key) for key in run.data.metric_summaries
        },
        "inputs": sorted(
            [
                *(each.dataset.name, each.dataset.digest, each.dataset.source_type),
                *(each.dataset.source, each.dataset.schema or "", each.dataset.profile or ""),
                {tag.key: tag.value for tag in each.tags},
            ]
            for each in run.inputs.dataset_inputs
        ),
        "files": _files(client, run_id=run.info.run_id),
    }


def _points(client: Client, run_id: str, key: str) -> list[Any]:
    found = client.get_metric_columns(run_id, key)
    rows = zip(found.timestamps, found.steps, found.values, strict=True)
    points = [[time, step, repr(value)] for time, step, value in rows]
    assert len({tuple(each) for each in points}) == len(points), f"{key}: a point is there twice"
    return sorted(points)


def _files(client: Client, **owner: str) -> dict[str, str]:
    run_id = owner.get("run_id")
    version = owner.get("model_version_id")
    return {
        each.path: hashlib.sha256(
            client.read_bytes(run_id, each.path, model_version_id=version)
        ).hexdigest()
        for each in client.list_artifacts(run_id, recursive=True, model_version_id=version)
    }


def _version(client: Client, version: ModelVersion, names: Names) -> dict[str, Any]:
    said: Mapping[str, Any] = json.loads(version.tags.get(marks.VERSION, "{}"))
    former = {
        run.data.tags.get(marks.RUN, ""): run.info.run_id
        for run in client.search_runs(
            [each.experiment_id for each in client.search_experiments(ViewType.ALL)],
            "",
            ViewType.ALL,
        )
    }
    run_id = version.run_id or former.get(said.get("run_id", ""), "")
    return {
        "description": version.description,
        "tags": marks.without_ours(version.tags),
        "stage": version.current_stage,
        "run": names.get(run_id, ""),
        "run_link": said.get("run_link", ""),
        "files": _files(client, model_version_id=version.model_version_id),
    }
