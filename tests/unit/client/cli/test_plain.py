"""Messages as the values that --json prints."""

import json
import math

from runstone.cli._plain import enum_number, plain
from runstone.registry.v1 import governance_pb2, model_pb2
from runstone.tracking.v1 import metric_pb2, run_pb2


def test_every_field_is_there_under_its_contract_name() -> None:
    empty = plain(run_pb2.Run())
    assert list(empty) == [field.name for field in run_pb2.Run.DESCRIPTOR.fields]
    assert empty["end_time"] is None
    assert (empty["params"], empty["metrics"], empty["name"]) == ({}, [], "")


def test_times_enums_maps_and_large_numbers() -> None:
    run = run_pb2.Run(status=run_pb2.RUN_STATUS_FINISHED, tags={"b": "2", "a": "1"})
    run.start_time.FromJsonString("2026-03-01T12:00:00.123456Z")
    row = plain(run)
    assert row["status"] == "FINISHED"
    assert row["start_time"] == "2026-03-01T12:00:00.123Z"
    assert list(row["tags"]) == ["a", "b"]
    assert plain(metric_pb2.MetricSummary(step=2**62))["step"] == 2**62
    request = governance_pb2.TransitionRequest(state=governance_pb2.TRANSITION_REQUEST_STATE_OPEN)
    assert plain(request)["state"] == "OPEN"


def test_an_enum_value_of_a_newer_server_is_its_number() -> None:
    raw = run_pb2.Run.FromString(run_pb2.Run(status=run_pb2.RUN_STATUS_KILLED).SerializeToString())
    raw.status = 99  # type: ignore[assignment]
    assert plain(raw)["status"] == "99"


def test_what_json_lacks_is_told_in_words() -> None:
    points = metric_pb2.GetMetricHistoryResponse(values=[math.nan, math.inf, -math.inf, 0.5])
    values = plain(points)["values"]
    assert values == ["NaN", "Infinity", "-Infinity", 0.5]
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_enum_names_are_read_in_any_case() -> None:
    assert enum_number(model_pb2.Stage.DESCRIPTOR, "Production") == model_pb2.STAGE_PRODUCTION
