"""Logged models as users have them: made by a run, with files, registered, deleted, collected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import runstone
from runstone.cli import cli
from runstone.entities import LoggedModelInput, LoggedModelOutput, Metric
from runstone.exceptions import (
    InvalidArgument,
    InvalidField,
    LoggedModelDeleted,
    LoggedModelNotFound,
    OwnerDeleted,
    SourceLoggedModelNotFound,
)
from support import fluent


@pytest.fixture
def client(tmp_path: Path) -> Iterator[runstone.Client]:
    with (
        fluent.embedded(tmp_path) as folder,
        fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(folder)),
    ):
        yield runstone.Client()


def gc() -> dict[str, object]:
    result = CliRunner().invoke(cli, ["gc", "--json", "--yes", "--objects-older-than", "0s"])
    assert result.exit_code == 0, result.output
    answer: dict[str, object] = json.loads(result.output)
    return answer


def test_the_life_of_a_logged_model(client: runstone.Client, tmp_path: Path) -> None:
    experiment = client.create_experiment("churn")
    run = client.create_run(experiment).info.run_id
    model = client.create_logged_model(
        experiment, "tree", source_run_id=run, params={"depth": 3}, model_type="sklearn"
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"123")
    client.log_model_artifacts(model.model_id, tmp_path / "model")
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=2)])
    client.log_inputs(run, models=[LoggedModelInput(model.model_id)])
    on = {"model_id": model.model_id, "dataset_name": "test", "dataset_digest": "d1"}
    client.log_batch(run, [Metric("auc", 0.8, 1, 0, **on), Metric("auc", 0.9, 2, 1, **on)])  # type: ignore[arg-type]
    client.log_metric(run, "auc", 0.1, model_id=model.model_id, timestamp=1)
    client.finalize_logged_model(model.model_id, "READY")
    client.set_logged_model_tags(model.model_id, {"a": 1, "b": 2})
    client.delete_logged_model_tag(model.model_id, "a")
    client.log_logged_model_params(model.model_id, {"lr": 0.1})

    found = client.get_logged_model(model.model_id)
    assert (found.status, found.tags, found.params) == (
        "READY",
        {"b": "2"},
        {"depth": "3", "lr": "0.1"},
    )
    assert [(each.dataset_name, each.value) for each in found.metrics] == [
        (None, 0.1),
        ("test", 0.9),
    ]
    read = client.get_run(run)
    assert read.outputs.model_outputs == [LoggedModelOutput(model.model_id, 2)]
    assert read.inputs.model_inputs == [LoggedModelInput(model.model_id)]
    # A metric of a model is one of its run too.
    assert len(client.get_metric_history(run, "auc")) == 3
    (seen,) = client.search_runs(experiment)
    assert seen.outputs == read.outputs

    weights = f"{found.model_uri}/weights"
    assert runstone.artifacts.load_text(weights) == "123"
    client.create_registered_model("churn")
    version = client.create_model_version("churn", found.model_uri)
    assert (version.run_id, version.source) == (run, found.model_uri)

    client.delete_logged_model(model.model_id)
    with pytest.raises(LoggedModelDeleted):
        client.log_metric(run, "auc", 0.2, model_id=model.model_id)
    with pytest.raises(OwnerDeleted):
        client.put_artifacts(None, {"late": b""}, logged_model_id=model.model_id)
    assert client.search_logged_models(experiment) == []
    assert gc()["logged_model_ids"] == [model.model_id]
    with pytest.raises(LoggedModelNotFound):
        client.get_logged_model(model.model_id)
    assert client.list_logged_model_artifacts(model.model_id) == []
    # The version keeps the files, the run its points.
    assert client.read_bytes(None, "weights", model_version_id=version.model_version_id) == b"123"
    assert client.get_run(run).outputs.model_outputs == []
    with pytest.raises(SourceLoggedModelNotFound):
        client.create_model_version("churn", found.model_uri)


def test_search_as_mlflows_client_asks(client: runstone.Client) -> None:
    experiment = client.create_experiment("search")
    run = client.create_run(experiment).info.run_id
    ids = {}
    for name, value in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        ids[name] = client.create_logged_model(experiment, name).model_id
        client.log_metric(run, "auc", value, model_id=ids[name], dataset_name="test")

    def names(**how: object) -> list[str]:
        return [each.name for each in client.search_logged_models([experiment], **how)]  # type: ignore[arg-type]

    best_first = [{"field_name": "metrics.auc", "ascending": False, "dataset_name": "test"}]
    assert names(order_by=best_first) == ["b", "c", "a"]
    assert names(filter_string="metrics.auc > 0.6", order_by=best_first) == ["b", "c"]
    assert names(datasets=[{"dataset_name": "other"}]) == []
    page = client.search_logged_models(experiment, max_results=2, order_by=best_first)
    assert [each.name for each in page] == ["b", "c"]
    rest = client.search_logged_models(
        experiment, max_results=2, order_by=best_first, page_token=page.token
    )
    assert ([each.name for each in rest], rest.token) == (["a"], None)


def test_what_is_wrong_is_named(client: runstone.Client) -> None:
    model = client.create_logged_model("0").model_id
    with pytest.raises(InvalidField, match="status"):
        client.finalize_logged_model(model, "DONE")
    with pytest.raises(InvalidField, match="name"):
        client.create_logged_model("0", "a/b")
    with pytest.raises(InvalidArgument, match="exactly one of"):
        client.list_artifacts("r", logged_model_id=model)
    run = client.create_run("0").info.run_id
    with pytest.raises(InvalidField, match="model_id"):
        client.append_metrics(run, [Metric("auc", 1.0, 1, 0, model_id=model)])
    with pytest.raises(LoggedModelNotFound):
        client.log_metric(run, "auc", 1.0, model_id="m-" + "0" * 32)
    # All or nothing: the point is not of the run either.
    assert client.get_metric_history(run, "auc") == []
    client.log_metric(run, "auc", 2.0)
    assert [each.value for each in client.get_metric_history(run, "auc")] == [2.0]
