"""Arguments that no message can hold: refused by name, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Client
from runstone.entities import Metric
from runstone.exceptions import InvalidArgument, InvalidField
from runstone.tracking.v1 import experiment_pb2, run_pb2

LONE = "a\ud800"

Call = Callable[[Client], Any]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda client: client.create_experiment(LONE), "name"),
        (lambda client: client.create_experiment("x", tags={"k": LONE}), "tags['k']"),
        (lambda client: client.create_experiment("x", tags={LONE: "v"}), "tags"),
        (lambda client: client.get_run(LONE), "run_id"),
        (lambda client: client.log_param("r", "k", LONE), "value"),
        (lambda client: client.log_metric("r", LONE, 1), "key"),
        (lambda client: client.search_runs(["0", LONE]), "experiment_ids[1]"),
        (lambda client: client.log_text("r", LONE, "x.txt"), "text"),
        (lambda client: client.get_model_version("m", alias=LONE), "alias"),
    ],
)
def test_text_that_cannot_be_encoded(server: Any, call: Call, field: str) -> None:
    with pytest.raises(InvalidField, match="lone surrogates") as caught:
        call(Client(server.uri))
    assert caught.value.field_violations[0].field == field
    assert server.calls == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda client: client.get_run(5), "run_id must be text, not int"),
        (lambda client: client.log_metric("r", 5, 1), "key must be text, not int"),
        (lambda client: client.set_tag("r", 5, 1), "must have a text as key"),
        (lambda client: client.search_runs(["0"], max_results=2**40), "search_runs: a number"),
        (lambda client: client.search_runs(["0"], order_by=5), "order_by must be a list of texts"),
        (lambda client: client.create_experiment("x", tags=5), "tags must be a dict, not int"),
        (lambda client: client.log_batch("r", params=5), "params must be a dict, not int"),
        (lambda client: client.log_batch("r", params=[1]), "params must be a dict, not list"),
        (lambda client: client.get_model_version("m", 2**70), "get_model_version: a number"),
        (lambda client: client.get_model_version("m", "x"), "must be a whole number"),
        (lambda client: client.create_run("0", start_time="now"), "time must be a whole number"),
        (lambda client: client.update_run("r", "DONE"), "'DONE' is no RunStatus"),
        (lambda client: client.transition_model_version_stage("m", 1, "Prod"), "stage must be one"),
        (lambda client: client.list_transition_requests(state="x"), "must be OPEN, APPROVED"),
        (lambda client: client.append_metrics("r", [], sequence=1), "together with writer_id"),
        (
            lambda client: client.list_artifacts(),
            "one of run_id, model_version_id and logged_model_id",
        ),
        (lambda client: client.log_image("r", [[0]]), "must be given, or else key"),
        (lambda client: client.log_table("r", {"a": 1}, "t.csv"), "must end in .json"),
        (lambda client: client.set_model_version_tag("m", key="k", value=1), "or else stage"),
    ],
)
def test_other_arguments(server: Any, call: Call, said: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(said)):
        call(Client(server.uri))
    assert server.calls == []


COLUMNS: tuple[list[Any], list[Any], list[Any]] = ([1, 2], [3, 4], [0.5, 0.25])


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda client, n: client.log_metric("r", "k", 1.0, step=n), "step"),
        (lambda client, n: client.log_metric("r", "k", 1.0, timestamp=n), "timestamp"),
        (lambda client, n: client.log_batch("r", [Metric("k", 1.0, 1, n)]), "step"),
        (lambda client, n: client.append_metrics("r", [Metric("k", 1.0, n, 1)]), "timestamp"),
        (
            lambda client, n: client.append_metrics("r", {"ok": COLUMNS, "k": ([n], [1], [1.0])}),
            "metrics['k'].steps",
        ),
        (
            lambda client, n: client.append_metrics("r", {"ok": COLUMNS, "k": ([1], [n], [1.0])}),
            "metrics['k'].timestamps_ms",
        ),
        (lambda client, n: client.sample_metrics("r", "k", start=n), "start"),
    ],
)
def test_numbers_past_64_bits(server: Any, call: Any, field: str, number: int) -> None:
    with pytest.raises(InvalidField, match=re.escape(field)) as caught:
        call(Client(server.uri), number)
    assert [each.field for each in caught.value.field_violations] == [field]
    assert server.calls == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([1.5], [1], [1.0]), "metrics['k'].steps must be whole numbers that fit 64 bits"),
        (([1], [None], [1.0]), "metrics['k'].timestamps_ms must be whole numbers"),
        (([1], [1], ["1"]), "metrics['k'].values must be real numbers"),
        ((1, [1], [1.0]), "metrics['k'].steps must be whole numbers"),
        (([1], [1]), "metrics['k'] must be three columns: steps, timestamps_ms, values"),
        (5, "metrics['k'] must be three columns"),
    ],
)
def test_columns_of_a_series(server: Any, columns: Any, said: str) -> None:
    with pytest.raises(InvalidField, match=re.escape(said)):
        Client(server.uri).append_metrics("r", {"ok": COLUMNS, "k": columns})
    assert server.calls == []


def test_a_client_of_no_uri() -> None:
    with pytest.raises(InvalidArgument, match="tracking_uri must be text or a path, not int"):
        Client(5)  # type: ignore[arg-type]


def test_the_programmers_own_mistakes_stay_what_they_are(server: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        Client(server.uri).get_run(run="x")  # type: ignore[call-arg]


def test_warnings_point_at_the_users_line(server: Any) -> None:
    server.answers["LogBatch"] = lambda *_: run_pb2.LogBatchResponse()
    server.answers["CreateExperiment"] = lambda *_: experiment_pb2.CreateExperimentResponse()
    client = Client(server.uri)
    with pytest.warns(UserWarning, match="is cut to 6000") as told:
        client.log_param("r", "k", "x" * 7000)
    with pytest.warns(UserWarning, match="is ignored") as also_told:
        client.create_experiment("x", artifact_location="s3://b")
    runstone.set_tracking_uri(server.uri)
    with pytest.warns(UserWarning, match="is cut to 8000") as fluent:
        runstone.set_tags({"k": "x" * 9000}, run_id="r")
    for warning in (told[0], also_told[0], fluent[0]):
        assert Path(warning.filename) == Path(__file__)
