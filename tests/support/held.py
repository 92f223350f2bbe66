"""What a run holds, asked of the server by a client that has logged nothing."""

from __future__ import annotations

from dataclasses import dataclass

import runstone


@dataclass
class Held:
    """A run in plain words: points are steps, files are paths."""

    id: str
    name: str
    status: str
    params: dict[str, str]
    points: dict[str, list[int]]
    values: dict[str, float]
    tags: dict[str, str]
    files: list[str]
    models: list[int]


def held(run_id: str | None) -> Held:
    assert run_id is not None
    runstone.flush(30)
    client = runstone.Client()
    run = client.get_run(run_id)
    outputs = run.outputs.model_outputs if run.outputs else []
    for each in outputs:
        assert client.get_logged_model(each.model_id).status == "READY"
    return Held(
        run_id,
        run.info.run_name,
        run.info.status,
        run.data.params,
        {
            key: sorted(point.step for point in client.get_metric_history(run_id, key))
            for key in run.data.metrics
        },
        run.data.metrics,
        {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
        files(client, run_id),
        sorted(each.step for each in outputs),
    )


def files(client: runstone.Client, run_id: str, path: str = "") -> list[str]:
    found: list[str] = []
    for each in client.list_artifacts(run_id, path):
        found += files(client, run_id, each.path) if each.is_dir else [each.path]
    return sorted(found)


def runs_of(experiment: str) -> list[Held]:
    """The runs of an experiment, the first one first."""
    found = runstone.get_experiment_by_name(experiment)
    assert found is not None
    runs = runstone.Client().search_runs([found.experiment_id], order_by=["start_time ASC"])
    return [held(each.info.run_id) for each in runs]
