"""Prints as JSON what an MLflow holds, through its own client: run with its interpreter.

Runs are named by experiment and name, for their ids are others on another server; so are the runs
that tags and versions point at.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType

Names = dict[str, str]

MADE_HERE = "registered_model_meta"
"""MLflow's client puts it beside the files of a version when it fetches them."""


def main() -> None:
    """See the module."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    experiments = client.search_experiments(ViewType.ALL, max_results=1000)
    runs = {
        each.experiment_id: list(client.search_runs([each.experiment_id], "", ViewType.ALL, 1000))
        for each in experiments
    }
    names = {
        run.info.run_id: f"{each.name}|{run.info.run_name}"
        for each in experiments
        for run in runs[each.experiment_id]
    }
    found = {
        "experiments": {
            each.name: {
                "active": each.lifecycle_stage == "active",
                "tags": own(each.tags),
                "runs": {
                    run.info.run_name: run_of(client, run, names, each.lifecycle_stage == "active")
                    for run in runs[each.experiment_id]
                },
            }
            for each in experiments
        },
        "models": {
            each.name: model_of(client, each, names)
            for each in client.search_registered_models(max_results=1000)
        },
    }
    print(json.dumps(found))


def run_of(client: MlflowClient, run: Any, names: Names, in_use: bool) -> dict[str, Any]:
    """A run; whether one of a deleted experiment is deleted too is MLflow's affair."""
    run_id, tags = run.info.run_id, own(run.data.tags)
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
        "params": dict(run.data.params),
        "tags": tags,
        "metrics": {key: points_of(client, run_id, key) for key in run.data.metrics},
        "inputs": sorted(
            [
                *(each.dataset.name, each.dataset.digest, each.dataset.source_type),
                *(each.dataset.source, each.dataset.schema or "", each.dataset.profile or ""),
                {tag.key: tag.value for tag in each.tags},
            ]
            for each in run.inputs.dataset_inputs
        ),
        "files": files_of(lambda to: folder_of(run, to)),
    }


def own(tags: Any) -> dict[str, Any]:
    """Tags without those by which an export knows what it has made."""
    return {key: value for key, value in tags.items() if not key.startswith("runstone.")}


def folder_of(run: Any, to: str) -> str:
    """Where a run's files are on this machine; ones that are far are fetched."""
    uri = run.info.artifact_uri
    if uri.startswith(("/", "file:")):
        # MLflow's client takes some of the names that it wrote itself for no paths.
        folder = str(urlsplit(uri).path)
        # Of a deleted experiment it has moved the files itself, and goes on naming the old place.
        return folder if Path(folder).exists() else folder.replace("/mlruns/", "/mlruns/.trash/")
    return str(
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=to, artifact_path="")
    )


def points_of(client: MlflowClient, run_id: str, key: str) -> list[Any]:
    """Every point once; a folder has some twice. Values as texts: NaN is unlike itself."""
    found = {
        (each.timestamp, each.step, repr(each.value))
        for each in client.get_metric_history(run_id, key)
    }
    return sorted(found)


def files_of(download: Any) -> dict[str, str]:
    """Path to a digest of the bytes."""
    with tempfile.TemporaryDirectory() as to:
        top = Path(download(to))
        return {
            path.relative_to(top).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(top.rglob("*"))
            if path.is_file() and path.name != MADE_HERE
        }


def model_of(client: MlflowClient, model: Any, names: Names) -> dict[str, Any]:
    """A registered model with its versions."""
    versions = client.search_model_versions(f"name='{model.name}'", max_results=1000)
    return {
        "description": model.description or "",
        "tags": own(model.tags),
        "aliases": {alias: int(version) for alias, version in model.aliases.items()},
        "versions": {
            str(each.version): {
                "description": each.description or "",
                "tags": own(each.tags),
                "stage": each.current_stage,
                "run": names.get(each.run_id, ""),
                "run_link": each.run_link or "",
                "files": files_of(
                    lambda to, each=each: mlflow.artifacts.download_artifacts(
                        f"models:/{each.name}/{each.version}", dst_path=to
                    )
                ),
            }
            for each in versions
        },
    }


if __name__ == "__main__":
    main()
