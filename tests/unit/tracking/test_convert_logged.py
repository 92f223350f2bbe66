"""What is wrong with requests about logged models is named, all at once; what is right is read."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from runstone.tracking.v1 import logged_model_pb2 as pb
from runstone.tracking.v1 import run_pb2
from runstone_kit.errors import InvalidArgument
from runstone_tracking import convert_logged as convert
from runstone_tracking.convert_batch import read_batch
from runstone_tracking.convert_runs import read_inputs, read_outputs
from runstone_tracking.model import ModelMetric, ModelOutput, Stage
from runstone_tracking.model_logged import (
    LoggedModel,
    LoggedModelInfo,
    LoggedModelStatus,
    MetricDataset,
    OrderWish,
)

MODEL = "m-" + "0123456789abcdef" * 2
RUN = "a" * 32


def fields(read: Callable[[Any], object], request: object) -> list[str]:
    """The fields that a request is refused for."""
    try:
        read(request)
    except InvalidArgument as error:
        return [each.field for each in error.violations]
    return []


@pytest.mark.parametrize(
    "model_id", ["", "m-", MODEL[2:], MODEL.upper(), MODEL + "0", "m-../" + "a" * 29, "x" * 10**6]
)
def test_ids_of_models(model_id: str) -> None:
    for kind, read in (
        (pb.GetLoggedModelRequest, convert.read_id),
        (pb.DeleteLoggedModelRequest, convert.read_id),
        (pb.FinalizeLoggedModelRequest, convert.read_finalize),
        (pb.SetLoggedModelTagsRequest, convert.read_set_tags),
        (pb.DeleteLoggedModelTagsRequest, convert.read_delete_tags),
        (pb.LogLoggedModelParamsRequest, convert.read_params),
    ):
        assert fields(read, kind(model_id=model_id))[0] == "model_id"  # type: ignore[operator]
        assert "model_id" not in fields(read, kind(model_id=MODEL))  # type: ignore[operator]
    purge = pb.PurgeLoggedModelsRequest(model_ids=[MODEL, model_id])
    assert fields(convert.read_purge, purge) == ["model_ids[1]"]


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "a\nb", " ", "x" * 501])
def test_names_that_would_break_a_uri(name: str) -> None:
    assert fields(
        convert.read_create, pb.CreateLoggedModelRequest(experiment_id="0", name=name)
    ) == ["name"]


def test_everything_wrong_is_said_at_once() -> None:
    request = pb.CreateLoggedModelRequest(
        experiment_id="../x",
        name="a/b",
        model_type="t" * 501,
        source_run_id="a/b",
        params={"": "v"},
        tags={"k": "v" * 8001},
        request_id="\n",
    )
    assert fields(convert.read_create, request) == [
        *("experiment_id", "name", "model_type", "source_run_id"),
        *('params[""]', 'tags["k"]', "request_id"),
    ]


@pytest.mark.parametrize("status", [0, 1, 4, -1])
def test_a_model_ends_ready_or_failed(status: int) -> None:
    request = pb.FinalizeLoggedModelRequest(model_id=MODEL, status=status)  # type: ignore[arg-type]
    assert fields(convert.read_finalize, request) == ["status"]
    for number, wanted in ((2, LoggedModelStatus.READY), (3, LoggedModelStatus.UPLOAD_FAILED)):
        request = pb.FinalizeLoggedModelRequest(model_id=MODEL, status=number)  # type: ignore[arg-type]
        assert convert.read_finalize(request) == (MODEL, wanted)


def test_a_search_is_read_with_its_order() -> None:
    request = pb.SearchLoggedModelsRequest(
        datasets=[pb.MetricDataset(name="d", digest="1"), pb.MetricDataset(name="e")],
        order_by=[
            pb.LoggedModelOrder(field_name="name"),
            pb.LoggedModelOrder(field_name="metrics.m", ascending=False, dataset={"name": "d"}),
        ],
    )
    wish = convert.read_wish(request)
    assert wish.datasets == (MetricDataset("d", "1"), MetricDataset("e"))
    assert wish.order_by == (
        OrderWish("name", True, None),
        OrderWish("metrics.m", False, MetricDataset("d")),
    )


def test_what_is_wrong_with_a_search_is_named() -> None:
    request = pb.SearchLoggedModelsRequest(
        datasets=[pb.MetricDataset(digest="1")],
        order_by=[
            pb.LoggedModelOrder(),
            pb.LoggedModelOrder(field_name="metrics.m", dataset={"digest": "1"}),
        ],
    )
    assert fields(convert.read_wish, request) == [
        *("datasets[0].name", "order_by[0].field_name", "order_by[1].dataset.name"),
    ]
    many = pb.SearchLoggedModelsRequest(
        datasets=[pb.MetricDataset(name="d")] * 101,
        order_by=[pb.LoggedModelOrder(field_name="name")] * 17,
    )
    assert fields(convert.read_wish, many) == ["datasets", "order_by"]


def metric(**more: Any) -> pb.ModelMetric:
    return pb.ModelMetric(**{"model_id": MODEL, "key": "m", "value": 1.0, **more})


def test_points_of_models_are_read() -> None:
    given = metric(value=math.inf, step=-3, timestamp_ms=5, dataset_name="d", dataset_digest="1")
    request = run_pb2.LogBatchRequest(run_id=RUN, model_metrics=[given, metric(run_id=RUN)])
    batch, points = read_batch(request)
    assert points is None
    assert batch.model_metrics == (
        ModelMetric(MODEL, "m", math.inf, -3, 5, "d", "1"),
        ModelMetric(MODEL, "m", 1.0, 0, 0),
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"model_id": "m-1"}, "model_id"),
        ({"key": "../a"}, "key"),
        ({"key": ""}, "key"),
        ({"timestamp_ms": -1}, "timestamp_ms"),
        ({"dataset_name": "d" * 501}, "dataset_name"),
        ({"dataset_name": "d\0"}, "dataset_name"),
        ({"dataset_name": "d", "dataset_digest": "1" * 37}, "dataset_digest"),
        ({"dataset_digest": "1"}, "dataset_digest"),
        ({"run_id": "b" * 32}, "run_id"),
    ],
)
def test_what_is_wrong_with_a_point_of_a_model_is_named(wrong: dict[str, Any], field: str) -> None:
    request = run_pb2.LogBatchRequest(run_id=RUN, model_metrics=[metric(), metric(**wrong)])
    assert fields(read_batch, request) == [f"model_metrics[1].{field}"]


def test_a_batch_takes_a_thousand_points_of_models() -> None:
    for count, wanted in ((1000, []), (1001, ["model_metrics"])):
        request = run_pb2.LogBatchRequest(run_id=RUN, model_metrics=[metric()] * count)
        assert fields(read_batch, request) == wanted


def test_models_that_runs_read_and_made() -> None:
    read = pb.ModelInput(model_id=MODEL)
    assert read_inputs(run_pb2.LogInputsRequest(run_id=RUN, models=[read])) == (RUN, [], [MODEL])
    made = pb.ModelOutput(model_id=MODEL, step=-(2**63))
    request = run_pb2.LogOutputsRequest(run_id=RUN, models=[made])
    assert read_outputs(request) == (RUN, [ModelOutput(MODEL, -(2**63))])
    wrong = pb.ModelInput(model_id="m-1")
    refused = run_pb2.LogInputsRequest(run_id=RUN, models=[read, wrong])
    assert fields(read_inputs, refused) == ["models[1].model_id"]
    for models, wanted in (([], ["models"]), ([made] * 100, []), ([made] * 101, ["models"])):
        request = run_pb2.LogOutputsRequest(run_id=RUN, models=models)
        assert fields(read_outputs, request) == wanted
    assert fields(read_inputs, run_pb2.LogInputsRequest(run_id=RUN)) == ["inputs"]


def test_a_model_is_written_whole() -> None:
    info = LoggedModelInfo(
        *(MODEL, "7", "tree", LoggedModelStatus.READY, Stage.DELETED),
        *("sklearn", RUN, "ann", 1_001, 2_002, 3_003),
    )
    point = ModelMetric(MODEL, "m", 0.5, 2, 5, "d", "1", RUN)
    message = convert.write_model(LoggedModel(info, {"p": "1"}, {"t": "2"}, (point,)))
    assert (message.model_id, message.experiment_id, message.name) == (MODEL, "7", "tree")
    assert message.status == pb.LOGGED_MODEL_STATUS_READY
    assert (message.model_type, message.source_run_id, message.creator) == ("sklearn", RUN, "ann")
    assert message.create_time.ToMilliseconds() == 1_001
    assert message.update_time.ToMilliseconds() == 2_002
    assert message.delete_time.ToMilliseconds() == 3_003
    assert (dict(message.params), dict(message.tags)) == ({"p": "1"}, {"t": "2"})
    assert list(message.metrics) == [
        pb.ModelMetric(
            key="m",
            value=0.5,
            step=2,
            timestamp_ms=5,
            model_id=MODEL,
            dataset_name="d",
            dataset_digest="1",
            run_id=RUN,
        )
    ]
