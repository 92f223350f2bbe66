"""Experiments and runs over real gRPC, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from runstone.tracking.v1 import experiment_pb2, metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support.tracking_service import refused, tracking_server

ACTIVE, DELETED = (
    experiment_pb2.LIFECYCLE_STAGE_ACTIVE,
    experiment_pb2.LIFECYCLE_STAGE_DELETED,
)


@pytest.fixture
def opened(tracking_url: str) -> Iterator[grpc.Channel]:
    with tracking_server(tracking_url) as opened:
        yield opened


@pytest.fixture
def stub(opened: grpc.Channel) -> TrackingServiceStub:
    return TrackingServiceStub(opened)


def create_experiment(stub: TrackingServiceStub, name: str, **more: object) -> str:
    request = experiment_pb2.CreateExperimentRequest(name=name, **more)
    return stub.CreateExperiment(request).experiment.experiment_id


def create_run(stub: TrackingServiceStub, experiment: str = "0", **more: object) -> run_pb2.Run:
    return stub.CreateRun(run_pb2.CreateRunRequest(experiment_id=experiment, **more)).run


def get_run(stub: TrackingServiceStub, run_id: str) -> run_pb2.Run:
    return stub.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run


def update_run(stub: TrackingServiceStub, paths: list[str], **fields: object) -> run_pb2.Run:
    request = run_pb2.UpdateRunRequest(
        run=run_pb2.Run(**fields), update_mask=FieldMask(paths=paths)
    )
    return stub.UpdateRun(request).run


def delete_experiment(stub: TrackingServiceStub, experiment: str) -> None:
    stub.DeleteExperiment(experiment_pb2.DeleteExperimentRequest(experiment_id=experiment))


def test_the_life_of_an_experiment(stub: TrackingServiceStub) -> None:
    number = create_experiment(stub, "first", tags={"a": "1"})
    run = create_run(stub, number)
    renamed = stub.UpdateExperiment(
        experiment_pb2.UpdateExperimentRequest(
            experiment=experiment_pb2.Experiment(experiment_id=number, name="second"),
            update_mask=FieldMask(paths=["name"]),
        )
    ).experiment
    assert (renamed.name, dict(renamed.tags), renamed.lifecycle_stage) == (
        "second",
        {"a": "1"},
        ACTIVE,
    )
    stub.SetExperimentTags(
        experiment_pb2.SetExperimentTagsRequest(experiment_id=number, tags={"b": "2"})
    )
    stub.DeleteExperimentTags(
        experiment_pb2.DeleteExperimentTagsRequest(experiment_id=number, keys=["a", "a"])
    )
    delete_experiment(stub, number)
    found = stub.GetExperiment(experiment_pb2.GetExperimentRequest(name="second")).experiment
    assert (dict(found.tags), found.lifecycle_stage) == ({"b": "2"}, DELETED)
    assert found.delete_time.seconds >= found.create_time.seconds > 1_700_000_000
    assert get_run(stub, run.run_id).lifecycle_stage == DELETED
    stub.RestoreExperiment(experiment_pb2.RestoreExperimentRequest(experiment_id=number))
    found = stub.GetExperiment(experiment_pb2.GetExperimentRequest(experiment_id=number)).experiment
    assert found.lifecycle_stage == ACTIVE
    assert not found.HasField("delete_time")
    assert get_run(stub, run.run_id).lifecycle_stage == ACTIVE


def test_the_life_of_a_run(stub: TrackingServiceStub) -> None:
    start = Timestamp(seconds=1_700_000_000, nanos=123_456_789)
    run = create_run(stub, start_time=start, user_id="ann", tags={"t": "1"})
    assert len(run.run_id) == 32
    assert run.name.count("-") == 2
    assert dict(run.tags) == {"t": "1", "mlflow.runName": run.name}
    assert (run.start_time.seconds, run.start_time.nanos) == (1_700_000_000, 123_000_000)
    assert get_run(stub, run.run_id) == run

    changed = update_run(stub, ["status", "name"], run_id=run.run_id, status=3, name="done")
    assert (changed.status, changed.name) == (run_pb2.RUN_STATUS_FINISHED, "done")
    assert changed.end_time.seconds > 1_700_000_000
    assert get_run(stub, run.run_id).tags["mlflow.runName"] == "done"
    resumed = update_run(stub, ["status"], run_id=run.run_id, status=1)
    assert not resumed.HasField("end_time")
    end = Timestamp(seconds=5)
    ended = update_run(stub, ["status", "end_time"], run_id=run.run_id, status=4, end_time=end)
    assert ended.end_time == end

    stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=run.run_id))
    assert refused(lambda: update_run(stub, ["name"], run_id=run.run_id, name="x")).reason == (
        "RUN_DELETED"
    )
    stub.RestoreRun(run_pb2.RestoreRunRequest(run_id=run.run_id))
    stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=run.run_id))
    dry = stub.PurgeRuns(run_pb2.PurgeRunsRequest(dry_run=True))
    assert (list(dry.run_ids), dry.more) == ([run.run_id], False)
    assert get_run(stub, run.run_id).lifecycle_stage == DELETED
    stub.PurgeRuns(run_pb2.PurgeRunsRequest(run_ids=[run.run_id, run.run_id]))
    gone = refused(lambda: get_run(stub, run.run_id))
    assert (gone.code, gone.reason, gone.metadata) == (
        *("NOT_FOUND", "RUN_NOT_FOUND"),
        {"run_id": run.run_id},
    )


def test_the_user_is_whom_the_caller_claims_to_be(stub: TrackingServiceStub) -> None:
    request = run_pb2.CreateRunRequest(experiment_id="0")
    claimed = stub.CreateRun(request, metadata=[("x-runstone-user", "bob")]).run
    assert claimed.user_id == "bob"
    request.user_id = "ann"
    assert stub.CreateRun(request, metadata=[("x-runstone-user", "bob")]).run.user_id == "ann"


def test_a_batch_is_all_or_nothing(stub: TrackingServiceStub) -> None:
    run = create_run(stub).run_id
    series = metric_pb2.Series(key="loss", steps=[1, 2], timestamps_ms=[5, 6], values=[0.5, 0.25])
    batch = run_pb2.LogBatchRequest(
        run_id=run,
        params={"lr": "0.1"},
        tags={"team": "a", "mlflow.runName": "named"},
        series=[series],
        writer_id="w",
        sequence=1,
    )
    for _ in range(2):
        stub.LogBatch(batch)
    before = get_run(stub, run)
    assert (dict(before.params), before.name) == ({"lr": "0.1"}, "named")
    assert [(each.key, each.value, each.count) for each in before.metrics] == [("loss", 0.25, 2)]

    batch.params["lr"], batch.tags["team"], batch.sequence = "0.2", "b", 2
    batch.tags["mlflow.runName"] = "other"
    immutable = refused(lambda: stub.LogBatch(batch))
    assert (immutable.code, immutable.reason) == ("FAILED_PRECONDITION", "PARAM_IMMUTABLE")
    assert immutable.metadata == {"run_id": run, "key": "lr", "value": "0.1"}
    assert get_run(stub, run) == before

    batch.params["lr"], batch.sequence = "0.1", 1
    batch.series[0].values[0] = 9.0
    reused = refused(lambda: stub.LogBatch(batch))
    assert (reused.code, reused.reason) == ("ALREADY_EXISTS", "SEQUENCE_REUSED")
    assert get_run(stub, run) == before


def test_inputs_come_with_the_run_and_without_large_texts_in_searches(
    stub: TrackingServiceStub,
) -> None:
    run = create_run(stub).run_id
    dataset = run_pb2.Dataset(
        name="iris",
        digest="abc",
        source_type="local",
        source="{}",
        schema="é" * 1_048_575,
        profile="x" * 16_777_215,
    )
    one = run_pb2.DatasetInput(dataset=dataset, tags={"mlflow.data.context": "training"})
    stub.LogInputs(run_pb2.LogInputsRequest(run_id=run, inputs=[one]))
    assert list(get_run(stub, run).inputs) == [one]
    asked = run_pb2.SearchRunsRequest(
        experiment_ids=["0"], filter="datasets.context = 'training' AND datasets.name LIKE 'i%'"
    )
    (found,) = stub.SearchRuns(asked).runs
    assert found.inputs[0].dataset.source == "{}"
    assert found.inputs[0].dataset.schema == found.inputs[0].dataset.profile == ""


def test_creates_may_be_repeated(stub: TrackingServiceStub) -> None:
    request = run_pb2.CreateRunRequest(experiment_id="0", tags={"a": "1"}, request_id="r" * 64)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: stub.CreateRun(request).run.run_id, range(8)))
    assert len(set(runs)) == 1
    request.tags["a"] = "2"
    reused = refused(lambda: stub.CreateRun(request))
    assert (reused.code, reused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    numbers = {create_experiment(stub, "same", request_id="r" * 64) for _ in range(3)}
    assert len(numbers) == 1
    assert refused(lambda: create_experiment(stub, "other", request_id="r" * 64)).reason == (
        "REQUEST_ID_REUSED"
    )


def test_a_repeated_create_of_what_was_purged_makes_it_anew(stub: TrackingServiceStub) -> None:
    first = create_run(stub, request_id="r").run_id
    stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=first))
    assert create_run(stub, request_id="r").lifecycle_stage == DELETED
    stub.PurgeRuns(run_pb2.PurgeRunsRequest(run_ids=[first]))
    second = create_run(stub, request_id="r").run_id
    assert second != first
    assert create_run(stub, request_id="r").run_id == second
    number = create_experiment(stub, "e", request_id="r")
    delete_experiment(stub, number)
    purged = stub.PurgeExperiments(run_pb2.PurgeExperimentsRequest())
    assert (list(purged.experiment_ids), purged.more) == ([number], False)
    assert create_experiment(stub, "e", request_id="r") != number


def test_what_the_state_forbids(stub: TrackingServiceStub) -> None:
    number = create_experiment(stub, "e")
    run = create_run(stub, number).run_id
    delete_experiment(stub, number)
    rename = experiment_pb2.UpdateExperimentRequest(
        experiment=experiment_pb2.Experiment(experiment_id="0", name="x"),
        update_mask=FieldMask(paths=["name"]),
    )
    fixed = ("FAILED_PRECONDITION", "DEFAULT_EXPERIMENT_FIXED")
    gone = ("FAILED_PRECONDITION", "EXPERIMENT_DELETED")
    no_run = ("NOT_FOUND", "RUN_NOT_FOUND")
    deleted = ("FAILED_PRECONDITION", "RUN_DELETED")
    cases = [
        (lambda: stub.UpdateExperiment(rename), fixed),
        (lambda: delete_experiment(stub, "0"), fixed),
        (lambda: create_run(stub, number), gone),
        (lambda: create_run(stub, "99"), ("NOT_FOUND", "EXPERIMENT_NOT_FOUND")),
        (lambda: create_experiment(stub, "e"), ("ALREADY_EXISTS", "EXPERIMENT_NAME_TAKEN")),
        (lambda: stub.RestoreRun(run_pb2.RestoreRunRequest(run_id=run)), gone),
        (lambda: stub.LogBatch(run_pb2.LogBatchRequest(run_id=run, params={"a": "1"})), deleted),
        (lambda: stub.LogBatch(run_pb2.LogBatchRequest(run_id=run)), deleted),
        (lambda: stub.LogBatch(run_pb2.LogBatchRequest(run_id="nope")), no_run),
        (
            lambda: stub.DeleteRunTags(run_pb2.DeleteRunTagsRequest(run_id=run, keys=["a"])),
            deleted,
        ),
        (
            lambda: stub.PurgeRuns(run_pb2.PurgeRunsRequest(run_ids=[create_run(stub).run_id])),
            ("FAILED_PRECONDITION", "RUN_NOT_DELETED"),
        ),
        (lambda: stub.PurgeRuns(run_pb2.PurgeRunsRequest(run_ids=["nope"])), no_run),
    ]
    for act, (code, reason) in cases:
        found = refused(act)
        assert (found.code, found.reason) == (code, reason)


def test_search_over_pages(stub: TrackingServiceStub) -> None:
    for number in range(5):
        create_run(stub, name=f"run {number}", start_time=Timestamp(seconds=number))
    request = run_pb2.SearchRunsRequest(experiment_ids=["0"], page_size=2, order_by=["run_name"])
    names = []
    while True:
        page = stub.SearchRuns(request)
        names += [run.name for run in page.runs]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert names == [f"run {number}" for number in range(5)]
    request.filter = "status = 'RUNNING'"
    other = refused(lambda: stub.SearchRuns(request))
    assert (other.reason, other.fields) == ("PAGE_TOKEN_OTHER_QUERY", ["page_token"])
    experiments = experiment_pb2.SearchExperimentsRequest(page_token=request.page_token)
    assert refused(lambda: stub.SearchExperiments(experiments)).reason == "PAGE_TOKEN_OTHER_QUERY"
    request.page_token = "nonsense"
    assert refused(lambda: stub.SearchRuns(request)).reason == "PAGE_TOKEN_INVALID"
    for text in ("(" * 10_000, "NOT " * 10_000 + "status = 'x'", "a" * 100_000, "status = 'DONE'"):
        request = run_pb2.SearchRunsRequest(experiment_ids=["0"], filter=text)
        found = refused(lambda r=request: stub.SearchRuns(r))
        assert (found.code, found.reason, found.fields) == (
            *("INVALID_ARGUMENT", "FILTER_INVALID"),
            ["filter"],
        )
    request = run_pb2.SearchRunsRequest(experiment_ids=["0"], order_by=["start_time", "nope"])
    found = refused(lambda: stub.SearchRuns(request))
    assert (found.reason, found.fields) == ("FILTER_INVALID", ["order_by[1]"])
