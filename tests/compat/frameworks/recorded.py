"""What the run of a training holds, whether it was logged by Runstone or by MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mlflow

import runstone


@dataclass
class Recorded:
    """A run, as far as both must have left the same.

    Attributes:
        metrics: Name to (step, value) in the order of their logging.
        files: Paths of all files but those of models.
        datasets: What each was for: "train", "eval".
        signatures: Of each model, logged or among the run's files, where MLflow puts Spark's.
    """

    status: str
    params: dict[str, str]
    metrics: dict[str, list[tuple[int, float]]]
    tags: dict[str, str]
    files: list[str]
    datasets: list[str]
    signatures: list[Any] = field(default_factory=list)
    run_id: str = ""

    @property
    def told(self) -> dict[str, str]:
        """The tags that a training has, without those that each run has."""
        kept = {"mlflow.autologging", "mlflow.latest_checkpoint_artifact"}
        return {key: each for key, each in self.tags.items() if "mlflow." not in key or key in kept}


def run_of(module: Any, train: Callable[[Any], Any]) -> str | None:
    """The run that a training made, whatever came of it; None when it made none."""
    before = module.last_active_run()
    try:
        train(module)
    except RuntimeError as error:
        assert "on purpose" in str(error)  # noqa: PT017 - that is all it may raise
    run = module.last_active_run()
    same = run is None or (before is not None and run.info.run_id == before.info.run_id)
    return None if same else run.info.run_id


def recorded(module: Any, train: Callable[[Any], Any]) -> Recorded:
    """Train, and look at what is left."""
    run_id = run_of(module, train)
    assert run_id is not None
    return of_run(module, run_id)


def of_run(module: Any, run_id: str) -> Recorded:
    """What a run holds."""
    client = module.MlflowClient()
    run = client.get_run(run_id)
    models = [client.get_logged_model(each.model_id) for each in run.outputs.model_outputs]
    uris = {f"models:/{each.model_id}": each.name for each in models}
    files = sorted(_files(client, run_id, ""))
    folders = [each.removesuffix("/MLmodel") for each in files if each.endswith("/MLmodel")]
    uris |= {f"runs:/{run_id}/{each}": each for each in folders}
    signatures = []
    for uri in sorted(uris, key=lambda each: uris[each]):
        info = module.models.get_model_info(uri)
        signatures.append(info.signature and info.signature.to_dict())
    return Recorded(
        run.info.status,
        dict(sorted(run.data.params.items())),
        {
            key: [
                (each.step, round(each.value, 5)) for each in client.get_metric_history(run_id, key)
            ]
            for key in sorted(run.data.metrics)
        },
        dict(run.data.tags),
        [each for each in files if not each.startswith(tuple(f"{one}/" for one in folders))],
        sorted(each.tags[0].value for each in run.inputs.dataset_inputs),
        signatures,
        run_id,
    )


def _files(client: Any, run_id: str, path: str) -> list[str]:
    found: list[str] = []
    for each in client.list_artifacts(run_id, path or None):
        found += _files(client, run_id, each.path) if each.is_dir else [each.path]
    return found


def both(
    train: Callable[[Any], Any], library: str, options: dict[str, Any]
) -> tuple[Recorded, Recorded]:
    """What a training leaves with Runstone, and with MLflow."""
    found = []
    for module in (runstone, mlflow):
        place: Any = module
        for part in library.split("."):
            __import__(f"{place.__name__}.{part}")
            place = getattr(place, part)
        place.autolog(**options)
        try:
            found.append(recorded(module, train))
        finally:
            place.autolog(disable=True)
    return found[0], found[1]
