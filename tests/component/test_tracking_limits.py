"""Every limit of the tracking contract over gRPC: right at it, and one past it."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from runstone.tracking.v1 import experiment_pb2, metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support.tracking_service import refused, tracking_server


@pytest.fixture
def stub(tracking_url: str) -> Iterator[TrackingServiceStub]:
    with tracking_server(tracking_url) as opened:
        yield TrackingServiceStub(opened)


@pytest.fixture
def run_id(stub: TrackingServiceStub) -> str:
    return stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id


Call = Callable[[Any], object]
Limit = tuple[Call, Any, Any, str]


def check(limits: list[Limit]) -> None:
    """Each call takes the first value, and refuses the second naming the field."""
    for call, fits, breaks, field in limits:
        call(fits)
        found = refused(lambda c=call, b=breaks: c(b))
        assert (found.code, found.reason, found.fields) == (
            *("INVALID_ARGUMENT", "INVALID_FIELD"),
            [field],
        ), field


def keys(count: int) -> dict[str, str]:
    """So many tags or params."""
    return {f"k{number}": "v" for number in range(count)}


def test_experiments(stub: TrackingServiceStub) -> None:
    def create(**fields: Any) -> str:
        request = experiment_pb2.CreateExperimentRequest(**fields)
        return stub.CreateExperiment(request).experiment.experiment_id

    def rename(name: str) -> None:
        stub.UpdateExperiment(
            experiment_pb2.UpdateExperimentRequest(
                experiment=experiment_pb2.Experiment(experiment_id=number, name=name),
                update_mask=FieldMask(paths=["name"]),
            )
        )

    def tag(tags: dict[str, str]) -> None:
        stub.SetExperimentTags(
            experiment_pb2.SetExperimentTagsRequest(experiment_id=number, tags=tags)
        )

    def untag(names: list[str]) -> None:
        stub.DeleteExperimentTags(
            experiment_pb2.DeleteExperimentTagsRequest(experiment_id=number, keys=names)
        )

    def search(**fields: Any) -> None:
        stub.SearchExperiments(experiment_pb2.SearchExperimentsRequest(**fields))

    number = create(name="one")
    check(
        [
            (lambda v: create(name=v), "é" * 500, "é" * 501, "name"),
            (lambda v: create(name="t1", tags=v), keys(100), keys(101), "tags"),
            (lambda v: create(name="t2", request_id=v), "r" * 64, "r" * 65, "request_id"),
            (rename, "ü" * 500, "ü" * 501, "experiment.name"),
            (tag, keys(100), keys(101), "tags"),
            (tag, {"a": "1"}, {}, "tags"),
            (tag, {"k" * 250: "v"}, {"k" * 251: "v"}, 'tags["' + "k" * 60 + '…"]'),
            (tag, {"a": "é" * 20_000}, {"a": "é" * 20_001}, 'tags["a"]'),
            (untag, list(keys(100)), [*keys(101)], "keys"),
            (untag, ["k" * 250], [], "keys"),
            (untag, ["a"], ["a/../b"], "keys[0]"),
            (lambda v: search(page_size=v), 2**31 - 1, -1, "page_size"),
            (lambda v: search(order_by=v), ["name"] * 16, ["name"] * 17, "order_by"),
            (lambda v: search(filter=v), " " * 100_000, " " * 100_001, "filter"),
            (lambda v: search(view_type=v), 3, 4, "view_type"),
        ]
    )


def test_runs(stub: TrackingServiceStub, run_id: str) -> None:
    def create(**fields: Any) -> None:
        stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0", **fields))

    def update(path: str, **fields: Any) -> None:
        stub.UpdateRun(
            run_pb2.UpdateRunRequest(
                run=run_pb2.Run(run_id=run_id, **fields), update_mask=FieldMask(paths=[path])
            )
        )

    def search(**fields: Any) -> None:
        stub.SearchRuns(run_pb2.SearchRunsRequest(**{"experiment_ids": ["0"]} | fields))

    def purge(**fields: Any) -> None:
        stub.PurgeRuns(run_pb2.PurgeRunsRequest(**fields))

    name_tag = "mlflow.runName"
    named = f'tags["{name_tag}"]'
    last = Timestamp(seconds=253_402_300_799, nanos=999_999_999)
    past = Timestamp(seconds=253_402_300_800)
    before = Timestamp(seconds=-1)
    experiments = [str(number) for number in range(1001)]
    check(
        [
            (lambda v: create(name=v), "é" * 250, "é" * 251, "name"),
            (lambda v: create(name=v), "x", " ", "name"),
            (lambda v: create(user_id=v), "é" * 256, "é" * 257, "user_id"),
            (lambda v: create(start_time=v), last, past, "start_time"),
            (lambda v: create(start_time=v), Timestamp(), before, "start_time"),
            (lambda v: create(tags=v), keys(100), keys(101), "tags"),
            (lambda v: create(tags={"a": v}), "é" * 8000, "é" * 8001, 'tags["a"]'),
            (lambda v: create(tags={name_tag: v}), "é" * 250, "é" * 251, named),
            (lambda v: create(name="n", tags={name_tag: v}), "n", "m", named),
            (lambda v: create(request_id=v), "r" * 64, "r" * 65, "request_id"),
            (lambda v: update("name", name=v), "é" * 250, "é" * 251, "run.name"),
            (lambda v: update("name", name=v), "x", "", "run.name"),
            (lambda v: update("status", status=v), 5, 6, "run.status"),
            (lambda v: update("status", status=v), 1, 0, "run.status"),
            (lambda v: update("end_time", end_time=v), last, past, "run.end_time"),
            (lambda v: update(v, name="x"), "name", "user_id", "update_mask"),
            (lambda v: search(experiment_ids=v), experiments[1:], experiments, "experiment_ids"),
            (lambda v: search(experiment_ids=v), ["0"], [], "experiment_ids"),
            (lambda v: search(experiment_ids=v), ["0", "x"], ["0", "x/"], "experiment_ids[1]"),
            (lambda v: search(order_by=v), ["status"] * 16, ["status"] * 17, "order_by"),
            (lambda v: search(filter=v), " " * 100_000, " " * 100_001, "filter"),
            (lambda v: search(page_size=v), 50_001, -1, "page_size"),
            (lambda v: search(view_type=v), 0, -1, "view_type"),
            (lambda v: purge(deleted_before=v), last, past, "deleted_before"),
        ]
    )
    too_many = refused(lambda: purge(run_ids=experiments))
    assert (too_many.reason, too_many.fields) == ("INVALID_FIELD", ["run_ids"])
    assert refused(lambda: purge(run_ids=experiments[1:])).reason == "RUN_NOT_FOUND"


def test_batches(stub: TrackingServiceStub, run_id: str) -> None:
    number = itertools.count()

    def log(**fields: Any) -> None:
        stub.LogBatch(run_pb2.LogBatchRequest(run_id=run_id, **fields))

    def points(count: int, **more: Any) -> None:
        column = range(count)
        series = metric_pb2.Series(key="m", steps=column, timestamps_ms=column, values=column)
        log(series=[series], **{"writer_id": f"w{next(number)}", "sequence": 1} | more)

    def untag(names: list[str]) -> None:
        stub.DeleteRunTags(run_pb2.DeleteRunTagsRequest(run_id=run_id, keys=names))

    def expect(tags: dict[str, str]) -> None:
        log(expected_tags=tags)

    long = 'params["' + "k" * 60 + '…"]'
    most = (4 * 2**20 - 16) // 24
    check(
        [
            (lambda v: log(params=v), keys(10_000), keys(10_001), "params"),
            (lambda v: log(params={v: "1"}), "k" * 250, "k" * 251, long),
            (lambda v: log(params={v: "1"}), "a/b", "a/../b", 'params["a/../b"]'),
            (lambda v: log(params={v: "1"}), "ключ", "key!", 'params["key!"]'),
            (lambda v: log(params={"p": v}), "é" * 6000, "é" * 6001, 'params["p"]'),
            (lambda v: log(tags=v), keys(10_000), keys(10_001), "tags"),
            (lambda v: log(tags={"t": v}), "é" * 8000, "é" * 8001, 'tags["t"]'),
            # They were set two lines before.
            (expect, keys(100), keys(101), "expected_tags"),
            (expect, keys(1), {"mlflow.runName": "v"}, 'expected_tags["mlflow.runName"]'),
            (lambda v: points(1, writer_id=v), "w" * 64, "w" * 65, "writer_id"),
            (lambda v: points(1, sequence=v), 1, 0, "sequence"),
            (points, most, most + 1, "series"),
            (lambda v: log(writer_id=v), "", "w", "writer_id"),
            (lambda v: log(sequence=v), 0, 1, "sequence"),
            (untag, list(keys(100)), list(keys(101)), "keys"),
            (untag, ["t"], ["mlflow.runName"], "keys[0]"),
        ]
    )


def test_samples(stub: TrackingServiceStub, run_id: str) -> None:
    def sample(**fields: Any) -> None:
        asked = {"run_ids": [run_id], "keys": ["m"]} | fields
        list(stub.SampleMetrics(metric_pb2.SampleMetricsRequest(**asked)))

    names = [f"m{number}" for number in range(1001)]
    check(
        [
            (lambda v: sample(buckets=v), 4096, 4097, "buckets"),
            (lambda v: sample(buckets=v), 0, -1, "buckets"),
            (lambda v: sample(ranks=v), range(1000), range(1001), "ranks"),
            (lambda v: sample(ranks=[v]), 2**20 - 1, 2**20, "ranks[0]"),
            (lambda v: sample(ranks=[v]), 0, -1, "ranks[0]"),
            (lambda v: sample(keys=v), names[:20], [], "keys"),
            (lambda v: sample(keys=v), ["m"], names, "keys"),
            (lambda v: sample(keys=v), ["m", "n"], ["m", "n", "m"], "keys[2]"),
            (lambda v: sample(keys=["m", v]), "k" * 250, "k" * 251, "keys[1]"),
            (lambda v: sample(run_ids=v), [run_id], [], "run_ids"),
            (lambda v: sample(run_ids=[run_id, *v]), [], [run_id], "run_ids[1]"),
            (lambda v: sample(axis=v), 3, 4, "axis"),
            (lambda v: sample(start=5, end=v), 5, 4, "end"),
        ]
    )
    runs = [f"run-{number}" for number in range(51)]
    found = refused(lambda: sample(run_ids=runs, keys=names[:20]))
    assert (found.code, found.fields) == ("INVALID_ARGUMENT", ["keys"])
    found = refused(lambda: sample(run_ids=runs[:50], keys=names[:20]))
    assert (found.code, found.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")


def test_inputs(stub: TrackingServiceStub, run_id: str) -> None:
    least = {"name": "n", "digest": "d", "source_type": "local", "source": "{}"}

    def log(count: int = 1, tags: dict[str, str] | None = None, **fields: Any) -> None:
        one = run_pb2.DatasetInput(dataset=run_pb2.Dataset(**least | fields), tags=tags)
        stub.LogInputs(run_pb2.LogInputsRequest(run_id=run_id, inputs=[one] * count))

    dataset = "inputs[0].dataset."
    tagged = "inputs[0].tags"
    long = f'{tagged}["' + "k" * 60 + '…"]'
    check(
        [
            (log, 100, 101, "inputs"),
            (log, 1, 0, "inputs"),
            (lambda v: log(name=v), "é" * 500, "é" * 501, dataset + "name"),
            (lambda v: log(name=v), "x", "", dataset + "name"),
            (lambda v: log(digest=v), "é" * 36, "é" * 37, dataset + "digest"),
            (lambda v: log(digest=v), "x", "", dataset + "digest"),
            (lambda v: log(source_type=v), "x" * 36, "x" * 37, dataset + "source_type"),
            (lambda v: log(source=v), "é" * 65_535, "é" * 65_536, dataset + "source"),
            (lambda v: log(source=v), "x", "", dataset + "source"),
            (lambda v: log(schema=v), "é" * 1_048_575, "é" * 1_048_576, dataset + "schema"),
            (lambda v: log(profile=v), "x" * 16_777_215, "x" * 16_777_216, dataset + "profile"),
            (lambda v: log(tags=v), keys(100), keys(101), tagged),
            (lambda v: log(tags={v: "x"}), "k" * 255, "k" * 256, long),
            (lambda v: log(tags={"t": v}), "é" * 500, "é" * 501, f'{tagged}["t"]'),
        ]
    )


def test_all_that_is_wrong_is_named_at_once(stub: TrackingServiceStub) -> None:
    series = metric_pb2.Series(key="/", steps=[1], timestamps_ms=[-1], values=[1, 2])
    request = run_pb2.LogBatchRequest(
        run_id="no id!",
        params={"a/../b": "1", "ok": "\0"},
        tags={"..": "x", "mlflow.runName": ""},
        series=[series],
        sequence=-1,
    )
    found = refused(lambda: stub.LogBatch(request))
    assert sorted(found.fields) == [
        *('params["a/../b"]', 'params["ok"]', "run_id", "sequence", "series[0]"),
        *("series[0].key", 'tags[".."]', 'tags["mlflow.runName"]', "writer_id"),
    ]
    many = {f"k{number}!": "x" for number in range(1000)}
    request = run_pb2.LogBatchRequest(run_id="r", params=many)
    assert 10 < len(refused(lambda: stub.LogBatch(request)).fields) <= 50
