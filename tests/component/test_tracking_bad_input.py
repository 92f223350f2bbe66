"""Bad input to every text and number of every RPC: a documented refusal, never a defect.

The messages are walked by reflection, so a new field or RPC is tested without a word here.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from runstone.tracking.v1 import (
    experiment_pb2,
    logged_model_pb2,
    metric_pb2,
    run_pb2,
    trace_pb2,
)
from runstone.tracking.v1.run_columns_pb2 import SearchRunColumnsRequest
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support.protos import comments, descriptor, reasons
from support.tracking_service import tracking_server

BAD_TEXTS = (
    *("", " ", ".", "..", "/", "a/../b", "/etc/passwd", "a//b", "a\x00b", "a\nb", "\x7f", "\ufeff"),
    *("%s%n", "'; DROP TABLE runs; --", "\\", "`", '"', "\u202e", "😀", "é" * 300, "-1", "0" * 70),
    "x" * 10_000_000,
)
BAD_NUMBERS = (0, -1, 1, 2**31 - 1, -(2**31))
BAD_LARGE_NUMBERS = (2**63 - 1, -(2**63))

SERVICE = "tracking"


@pytest.fixture
def opened(tracking_url: str) -> Iterator[grpc.Channel]:
    with tracking_server(tracking_url) as opened:
        yield opened


def good_requests(stub: TrackingServiceStub) -> dict[str, Message]:
    """A request of each RPC with every field filled, each of which would succeed or nearly so."""
    made = stub.CreateExperiment(experiment_pb2.CreateExperimentRequest(name="here"))
    experiment = made.experiment.experiment_id
    run = stub.CreateRun(run_pb2.CreateRunRequest(experiment_id=experiment)).run.run_id
    # Of one that goes on the stream would not end.
    over = stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id
    ended = run_pb2.Run(run_id=over, status=run_pb2.RUN_STATUS_FINISHED)
    stub.UpdateRun(run_pb2.UpdateRunRequest(run=ended, update_mask=FieldMask(paths=["status"])))
    series = metric_pb2.Series(key="m", steps=[1], timestamps_ms=[1], values=[1.0])
    dataset = run_pb2.Dataset(
        name="d", digest="1", source_type="local", source="{}", schema="{}", profile="{}"
    )
    end = run_pb2.Run(run_id=run, name="n", status=run_pb2.RUN_STATUS_RUNNING)
    end.end_time.seconds = 5
    model = stub.CreateLoggedModel(
        logged_model_pb2.CreateLoggedModelRequest(experiment_id=experiment)
    ).model.model_id
    model_metric = logged_model_pb2.ModelMetric(
        model_id=model, key="m", value=1.0, step=1, timestamp_ms=1, dataset_name="d"
    )
    model_metric.dataset_digest = "1"
    output = logged_model_pb2.ModelOutput(model_id=model, step=1)
    on = logged_model_pb2.MetricDataset(name="d", digest="1")
    by_metric = logged_model_pb2.LoggedModelOrder(field_name="metrics.m", dataset=on)
    tags = {"a": "b"}
    before = {"deleted_before": {"seconds": 1}}
    name_only = FieldMask(paths=["name"])
    e, r, m, g = experiment_pb2, run_pb2, metric_pb2, logged_model_pb2
    batch = m.AppendMetricsRequest(run_id=run, writer_id="w", sequence=2, series=[series])
    return {
        "CreateExperiment": e.CreateExperimentRequest(name="n", tags=tags),
        "GetExperiment": e.GetExperimentRequest(experiment_id=experiment),
        "UpdateExperiment": e.UpdateExperimentRequest(
            experiment=e.Experiment(experiment_id=experiment, name="m"), update_mask=name_only
        ),
        "DeleteExperiment": e.DeleteExperimentRequest(experiment_id="99"),
        "RestoreExperiment": e.RestoreExperimentRequest(experiment_id=experiment),
        "SearchExperiments": e.SearchExperimentsRequest(
            filter="name = 'a'", order_by=["name"], page_size=1, view_type=1
        ),
        "SetExperimentTags": e.SetExperimentTagsRequest(experiment_id=experiment, tags=tags),
        "DeleteExperimentTags": e.DeleteExperimentTagsRequest(
            experiment_id=experiment, keys=["nope"]
        ),
        "CreateRun": r.CreateRunRequest(
            experiment_id=experiment,
            name="n",
            user_id="u",
            start_time={"seconds": 1},
            tags=tags,
        ),
        "GetRun": r.GetRunRequest(run_id=run),
        "UpdateRun": r.UpdateRunRequest(
            run=end, update_mask=FieldMask(paths=["name", "status", "end_time"])
        ),
        "DeleteRun": r.DeleteRunRequest(run_id="nope"),
        "RestoreRun": r.RestoreRunRequest(run_id=run),
        "SearchRuns": r.SearchRunsRequest(
            experiment_ids=[experiment],
            filter="status = 'FAILED'",
            order_by=["status"],
            page_size=1,
            view_type=1,
        ),
        "SearchRunColumns": SearchRunColumnsRequest(
            search=r.SearchRunsRequest(
                experiment_ids=[experiment],
                filter="status = 'FAILED'",
                order_by=["status"],
                page_size=1,
                view_type=1,
            )
        ),
        "LogBatch": r.LogBatchRequest(
            run_id=run,
            params={"p": "1"},
            tags=tags,
            series=[series],
            writer_id="w",
            sequence=1,
            model_metrics=[model_metric],
            expected_tags={"nope": ""},
        ),
        "DeleteRunTags": r.DeleteRunTagsRequest(run_id=run, keys=["nope"]),
        "LogInputs": r.LogInputsRequest(
            run_id=run,
            inputs=[r.DatasetInput(dataset=dataset, tags=tags)],
            models=[g.ModelInput(model_id=model)],
        ),
        "LogOutputs": r.LogOutputsRequest(run_id=run, models=[output]),
        "SearchDatasets": r.SearchDatasetsRequest(experiment_ids=[experiment]),
        "CreateLoggedModel": g.CreateLoggedModelRequest(
            experiment_id=experiment,
            name="n",
            model_type="t",
            source_run_id=run,
            params={"p": "1"},
            tags=tags,
        ),
        "GetLoggedModel": g.GetLoggedModelRequest(model_id=model),
        "FinalizeLoggedModel": g.FinalizeLoggedModelRequest(model_id=model, status=2),
        "DeleteLoggedModel": g.DeleteLoggedModelRequest(model_id=f"m-{'f' * 32}"),
        "SearchLoggedModels": g.SearchLoggedModelsRequest(
            experiment_ids=[experiment],
            filter="metrics.m > 0",
            datasets=[on],
            order_by=[by_metric],
            page_size=1,
            view_type=1,
        ),
        "SetLoggedModelTags": g.SetLoggedModelTagsRequest(model_id=model, tags=tags),
        "DeleteLoggedModelTags": g.DeleteLoggedModelTagsRequest(model_id=model, keys=["nope"]),
        "LogLoggedModelParams": g.LogLoggedModelParamsRequest(model_id=model, params={"q": "1"}),
        "PurgeLoggedModels": g.PurgeLoggedModelsRequest(model_ids=[f"m-{'f' * 32}"], **before),
        "AppendMetrics": batch,
        "AppendBatches": m.AppendBatchesRequest(batches=[batch]),
        "GetMetricHistory": m.GetMetricHistoryRequest(run_id=run, key="m"),
        "SampleMetrics": m.SampleMetricsRequest(
            run_ids=[run], keys=["m"], ranks=[1], buckets=2, axis=1, start=0, end=9
        ),
        "WatchMetrics": m.WatchMetricsRequest(
            run_ids=[over], keys=["m"], ranks=[1], buckets=2, axis=1, start=0, end=9
        ),
        "ListMetricKeys": m.ListMetricKeysRequest(run_id=run, page_size=1),
        "PurgeRuns": r.PurgeRunsRequest(run_ids=["nope"], **before),
        "PurgeExperiments": r.PurgeExperimentsRequest(**before),
        **good_trace_requests(stub, experiment, run),
    }


def good_trace_requests(stub: TrackingServiceStub, experiment: str, run: str) -> dict[str, Message]:
    """The same of the RPCs of traces."""
    t, tags, known = trace_pb2, {"a": "b"}, "tr-known"
    info = t.TraceInfo(
        trace_id=known,
        experiment_id=experiment,
        request_time={"seconds": 1},
        execution_duration={"seconds": 1},
        state=t.TRACE_STATE_OK,
        request_preview="q",
        response_preview="a",
        client_request_id="c",
        metadata=tags,
        tags=tags,
        finalized=True,
        span_count=1,
    )
    span = t.Span(
        trace_id=known,
        span_id="0" * 16,
        parent_span_id="1" * 16,
        name="n",
        kind=t.SPAN_KIND_SERVER,
        start_time_ns=1,
        end_time_ns=2,
        status_code=t.SPAN_STATUS_CODE_OK,
        status_message="m",
        attributes=tags,
        events=[t.SpanEvent(name="e", time_ns=1, attributes=tags)],
        links=[t.SpanLink(trace_id="t", span_id="s", attributes=tags)],
        trace_state="s",
    )
    create = t.CreateTraceRequest(trace=info)
    stub.CreateTrace(create)
    return {
        "CreateTrace": create,
        "EndTrace": t.EndTraceRequest(
            trace_id=known, end_time={"seconds": 1}, state=1, metadata=tags, tags=tags
        ),
        "GetTrace": t.GetTraceRequest(trace_id=known, include_spans=True),
        "BatchGetTraces": t.BatchGetTracesRequest(trace_ids=[known], include_spans=True),
        "SearchTraces": t.SearchTracesRequest(
            experiment_ids=[experiment],
            filter="span.name = 'a'",
            order_by=["name"],
            page_size=1,
        ),
        "SetTraceTags": t.SetTraceTagsRequest(trace_id=known, tags=tags),
        "DeleteTraceTags": t.DeleteTraceTagsRequest(trace_id=known, keys=["nope"]),
        "DeleteTraces": t.DeleteTracesRequest(experiment_id="0", trace_ids=["tr-none"]),
        "LogSpans": t.LogSpansRequest(
            experiment_id=experiment, spans=[span], resource_attributes=tags
        ),
        "LinkTracesToRun": t.LinkTracesToRunRequest(run_id=run, trace_ids=[known]),
    }


def spoilers(message: Message) -> Iterator[Callable[[], object]]:
    """One after the other, ways to spoil the message: each sets one field to one bad value."""
    for field in message.DESCRIPTOR.fields:
        yield from _spoil(message, field)


def _spoil(message: Message, field: FieldDescriptor) -> Iterator[Callable[[], object]]:
    held: Any = getattr(message, field.name)
    if _is_map(field):
        for text in BAD_TEXTS:
            yield lambda t=text: held.update({t: "value"})
            yield lambda t=text: held.update({"key": t})
    elif field.message_type is not None:
        for each in held if field.is_repeated else [held]:
            yield from spoilers(each)
    else:
        for value in _bad_values(field):
            if field.is_repeated:
                yield lambda v=value: held.__setitem__(0, v)
                yield lambda v=value: held.append(v)
            else:
                yield lambda v=value: setattr(message, field.name, v)


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _bad_values(field: FieldDescriptor) -> tuple[Any, ...]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return BAD_TEXTS
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        return BAD_NUMBERS + BAD_LARGE_NUMBERS
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_ENUM):
        return BAD_NUMBERS
    return ()


def make_new(message: Any, number: int) -> None:
    """Give it an identity of its own: a name or sequence taken before would hide what is wrong."""
    if isinstance(message, experiment_pb2.CreateExperimentRequest):
        message.name = f"n{number}"
    if "sequence" in message.DESCRIPTOR.fields_by_name:
        message.sequence = number + 10


def documented(method: str) -> set[str]:
    """The reasons that the RPC's own comment lists."""
    errors = " ".join(comments(SERVICE)[method]).split("Errors:")[1]
    return set(re.findall(r"[A-Z_]+", errors)) & set(reasons(SERVICE))


def failure(call: Callable[[], object]) -> tuple[str, str] | None:
    """Code and reason; None when the call succeeded."""
    try:
        found = call()
        if isinstance(found, grpc.Call):
            list(found)
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(error)
        for detail in status.details if status is not None else ():
            detail.Unpack(info)
        return error.code().name, info.reason
    return None


def invoke(opened: grpc.Channel, method: str, data: bytes) -> Callable[[], object]:
    """The call of an RPC with these bytes, whatever they are."""
    described = descriptor(SERVICE).methods_by_name[method]
    path = f"/{descriptor(SERVICE).full_name}/{method}"
    make = opened.unary_stream if described.server_streaming else opened.unary_unary
    answer = GetMessageClass(described.output_type)
    call = make(path, response_deserializer=answer.FromString)
    return lambda: call(data, timeout=60)


def test_every_rpc_has_a_good_request(opened: grpc.Channel) -> None:
    good = good_requests(TrackingServiceStub(opened))
    assert set(good) == {method.name for method in descriptor(SERVICE).methods}


def test_bad_values_are_refused_as_documented(opened: grpc.Channel) -> None:
    surprises = []
    calls = 0
    for method, good in good_requests(TrackingServiceStub(opened)).items():
        allowed = {(reasons(SERVICE)[reason], reason) for reason in documented(method)}
        count = sum(1 for _ in spoilers(type(good).FromString(good.SerializeToString())))
        for place in range(count):
            spoiled = type(good).FromString(good.SerializeToString())
            make_new(spoiled, place)
            list(spoilers(spoiled))[place]()
            found = failure(invoke(opened, method, spoiled.SerializeToString()))
            calls += 1
            if found is not None and found not in allowed:
                surprises.append((method, found, str(spoiled)[:300]))
    assert surprises == []
    assert calls > 1000


def test_bytes_that_are_no_message_or_no_utf8(opened: grpc.Channel) -> None:
    surprises = []
    for method, good in good_requests(TrackingServiceStub(opened)).items():
        for data in (b"\xff", b"\x0a\x05ab", *_broken_texts(good.SerializeToString())):
            found = failure(invoke(opened, method, data))
            if found != ("INVALID_ARGUMENT", "INVALID_FIELD"):
                surprises.append((method, found, data[:100]))
    assert surprises == []


def _broken_texts(data: bytes) -> list[bytes]:
    """The message with bytes of its first text that are not UTF-8."""
    # Field 1 of every request with a text there begins with tag 0x0a and the length.
    if len(data) < 3 or data[0] != 0x0A or not 0 < data[1] < 0x80:
        return []
    return [data[:2] + b"\xff" * data[1] + data[2 + data[1] :]]
