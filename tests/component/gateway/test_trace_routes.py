"""Traces over HTTP, as MLflow's clients and OpenTelemetry's exporters send and read them."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from support.http_gateway import Gateway
from support.http_traces import (
    JSON,
    PROTOBUF,
    START_NS,
    V2,
    V3,
    ask,
    export,
    found,
    get,
    named,
    new_experiment,
    new_id,
    send,
    start,
    trace_info,
)

INVALID = (400, "INVALID_PARAMETER_VALUE")
MISSING = (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.fixture
def server(embedded: Gateway) -> Gateway:
    """One database is enough: a gateway keeps nothing, and the RPCs are tested on both."""
    return embedded


@pytest.fixture
def experiment(server: Gateway) -> str:
    return new_experiment(server)


def test_spans_of_an_exporter_are_a_trace(server: Gateway, experiment: str) -> None:
    trace = new_id()
    answer = send(server, experiment, export(trace))
    assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.body) == ExportTraceServiceResponse()
    told = get(server, f"{V3}/traces/get", trace_id=named(trace)).json["trace"]
    assert told["trace_info"] == {
        "trace_id": named(trace),
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": experiment},
        },
        "request_time": "2023-11-14T22:13:20.250Z",
        "execution_duration": "1.500s",
        "state": "OK",
        "tags": {
            "mlflow.artifactLocation": (
                f"mlflow-artifacts:/{experiment}/traces/{named(trace)}/artifacts"
            ),
            "mlflow.trace.spansLocation": "TRACKING_STORE",
        },
    }
    root, child = told["spans"]
    assert root == {
        "trace_id": base64.b64encode(trace).decode(),
        "span_id": "AAAAAAAAAAE=",
        "name": "span 1",
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 1_500_000_000,
        "attributes": root["attributes"],
        "status": {"code": "STATUS_CODE_OK"},
    }
    assert sorted(root["attributes"], key=lambda each: str(each["key"])) == [
        {"key": "mlflow.traceRequestId", "value": {"string_value": named(trace)}},
        {"key": "n", "value": {"int_value": 1}},
    ]
    assert child["parent_span_id"] == "AAAAAAAAAAE="
    info = server.ask("GET", f"{V3}/traces/{named(trace)}").json
    assert info == {"trace": {"trace_info": told["trace_info"]}}


@pytest.mark.parametrize("packed", [False, True])
def test_json_and_gzip(server: Gateway, experiment: str, packed: bool) -> None:
    trace = new_id()
    span = {"traceId": trace.hex(), "spanId": "0a" * 8, "name": "a", "startTimeUnixNano": "5"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    headers = {"content_encoding": "gzip"} if packed else {}
    answer = send(
        server,
        experiment,
        gzip.compress(body) if packed else body,
        "application/json; charset=utf-8",
        **headers,
    )
    assert (answer.status, answer.headers["content-type"], answer.json) == (200, JSON, {})
    assert found(server, experiment) == [named(trace)]


def test_a_large_export_is_stored_whole(server: Gateway, experiment: str) -> None:
    trace = new_id()
    assert send(server, experiment, export(trace, spans=12_000)).status == 200
    told = get(server, f"{V3}/traces/get", trace_id=named(trace)).json["trace"]
    assert len({each["span_id"] for each in told["spans"]}) == 12_000


def test_an_export_can_name_its_run(server: Gateway, experiment: str) -> None:
    run_id = server.new_run(experiment)
    several = [new_id() for _ in range(3)]
    body = export(*several)
    assert send(server, experiment, body, x_mlflow_run_id=run_id).status == 200
    assert set(found(server, experiment, filter=f"run_id = '{run_id}'")) == {*map(named, several)}
    # As with MLflow, spans whose run is unknown are stored all the same.
    other = new_id()
    assert send(server, experiment, export(other), x_mlflow_run_id="nobody's").status == 200
    assert named(other) in found(server, experiment)


@pytest.mark.parametrize(
    "headers",
    [
        {"kind": "text/plain"},
        {"kind": ""},
        {"experiment_id": ""},
        {"experiment_id": "no id"},
        {"body": b"\xff"},
        {"body": b"{", "kind": JSON},
        {"body": b"[]", "kind": JSON},
        {"body": b"no gzip", "content_encoding": "gzip"},
        {"body": gzip.compress(b"x" * 100)[:-9], "content_encoding": "gzip"},
        {"body": export(b"short")},
        {"body": export(bytes(16))},
    ],
)
def test_a_bad_export_is_not_to_be_repeated(embedded: Gateway, headers: dict[str, Any]) -> None:
    told = {"experiment_id": "0", "body": export(new_id()), **headers}
    answer = send(embedded, **told)
    assert answer.error == INVALID
    assert "retry-after" not in answer.headers


def test_exports_that_are_too_much_or_go_nowhere(embedded: Gateway) -> None:
    assert send(embedded, "99999", export(new_id())).error == MISSING
    bomb = gzip.compress(bytes(65 * 2**20))
    assert send(embedded, "0", bomb, content_encoding="gzip").status == 413
    assert send(embedded, "0", b"", content_encoding="br").status == 415
    # An exporter with nothing to send has made no mistake.
    assert send(embedded, "0", b"").status == 200
    assert embedded.ask("GET", "/v1/traces").status == 405


def test_a_trace_that_is_started_keeps_what_it_was_told(server: Gateway, experiment: str) -> None:
    trace_id = named(new_id())
    given = trace_info(
        experiment,
        trace_id,
        client_request_id="c",
        request_preview="q" * 1001,
        response_preview="a",
        trace_metadata={"m": "x" * 8001, "mlflow.trace.infoFinalized": "no"},
        tags={"t": "1", "mlflow.artifactLocation": "file:///etc"},
        assessments=[{"assessment_name": "good"}],
    )["trace_info"]
    answer = server.post(f"{V3}/traces", trace={"trace_info": given})
    told = answer.json["trace"]["trace_info"]
    location = f"mlflow-artifacts:/{experiment}/traces/{trace_id}/artifacts"
    del given["assessments"]
    assert told == {
        **given,
        "execution_duration": "1.500s",
        "request_preview": "q" * 1000,
        "trace_metadata": {"m": "x" * 8000, "mlflow.trace.infoFinalized": "true"},
        "tags": {"t": "1", "mlflow.artifactLocation": location},
    }
    assert start(server, experiment, trace_id).status == 200


@pytest.mark.parametrize(
    ("agent", "sends"),
    [
        ("mlflow-python-client/3.17.2", True),
        ("mlflow-python-client/3.6.0", True),
        ("mlflow-python-client/3.5.1", False),
        ("mlflow-python-client/2.22.0", False),
        ("mlflow-java-client", False),
    ],
)
def test_clients_that_send_spans_are_told_where_they_are(
    embedded: Gateway, agent: str, sends: bool
) -> None:
    body = json.dumps({"trace": trace_info("0", named(new_id()))})
    headers = {"Content-Type": JSON, "User-Agent": agent}
    told = embedded.ask("POST", f"{V3}/traces", body, headers).json["trace"]["trace_info"]
    assert ("mlflow.trace.spansLocation" in told["tags"]) == sends


def test_a_trace_is_read_once_all_its_spans_are_there(server: Gateway, experiment: str) -> None:
    trace = new_id()
    stats = json.dumps({"num_spans": 3})
    start(server, experiment, named(trace), trace_metadata={"mlflow.trace.sizeStats": stats})
    path = f"{V3}/traces/get"
    for spans in (0, 2):
        if spans:
            send(server, experiment, export(trace, spans=spans))
        assert get(server, path, trace_id=named(trace)).error == MISSING
        partial = get(server, path, trace_id=named(trace), allow_partial="true").json["trace"]
        assert len(partial.get("spans", [])) == spans
    send(server, experiment, export(trace, spans=3))
    assert len(get(server, path, trace_id=named(trace)).json["trace"]["spans"]) == 3


def test_several_traces_at_once(server: Gateway, experiment: str) -> None:
    other = new_experiment(server)
    first, second = new_id(), new_id()
    send(server, experiment, export(first))
    send(server, other, export(second))
    ids = [named(second), "tr-nobody", named(first)]
    traces = get(server, f"{V3}/traces/batchGet", trace_ids=ids).json["traces"]
    assert [each["trace_info"]["trace_id"] for each in traces] == [named(second), named(first)]
    assert [len(each["spans"]) for each in traces] == [2, 2]
    infos = server.post(f"{V3}/traces/batchGetInfos", trace_ids=ids).json["trace_infos"]
    assert infos == [each["trace_info"] for each in traces]
    query = {"trace_ids": ids, "experiment_ids": [other]}
    traces = get(server, f"{V3}/traces/batchGet", **query).json["traces"]
    assert [each["trace_info"]["trace_id"] for each in traces] == [named(second)]
    infos = server.post(f"{V3}/traces/batchGetInfos", **query).json["trace_infos"]
    assert [each["trace_id"] for each in infos] == [named(second)]
    assert get(server, f"{V3}/traces/batchGet", trace_ids=["tr-x"]).json == {}
    assert server.post(f"{V3}/traces/batchGetInfos", trace_ids=["tr-x"]).json == {}
    assert server.post(f"{V3}/traces/batchGetInfos", trace_ids=[]).json == {}


def test_searches_page_by_page(server: Gateway, experiment: str) -> None:
    ids = [named(new_id()) for _ in range(5)]
    for number, trace_id in enumerate(ids):
        time = f"2024-01-02T03:04:0{number}Z"
        state = "ERROR" if number == 3 else "OK"
        start(server, experiment, trace_id, request_time=time, state=state)
    assert found(server, experiment) == ids[::-1]
    assert found(server, experiment, order_by=["timestamp_ms ASC"]) == ids
    assert found(server, experiment, filter="status = 'ERROR'") == [ids[3]]
    locations = [{"mlflow_experiment": {"experiment_id": experiment}}, {"inference_table": {}}]
    query: dict[str, Any] = {"locations": locations, "max_results": 2}
    pages: list[list[str]] = []
    while len(pages) < 9:
        answer = server.post(f"{V3}/traces/search", **query).json
        pages.append([each["trace_id"] for each in answer["traces"]])
        if "next_page_token" not in answer:
            break
        query["page_token"] = answer["next_page_token"]
    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    older = get(server, f"{V2}/traces", experiment_ids=[experiment], max_results=2).json
    assert [each["request_id"] for each in older["traces"]] == pages[0]
    assert older["next_page_token"]
    assert server.post(f"{V3}/traces/search", locations=[]).json == {}
    assert server.post(f"{V3}/traces/search", locations=[{"inference_table": {}}]).json == {}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"max_results": count} for count in (-1, 0, 501, 2**40)),
        {"filter": "nonsense = 1"},
        {"order_by": ["nonsense"]},
        {"page_token": "nonsense"},
    ],
)
def test_bad_searches(embedded: Gateway, wrong: dict[str, Any]) -> None:
    locations = [{"mlflow_experiment": {"experiment_id": "0"}}]
    assert embedded.post(f"{V3}/traces/search", locations=locations, **wrong).error == INVALID
    assert get(embedded, f"{V2}/traces", experiment_ids=["0"], **wrong).error == INVALID


@pytest.mark.parametrize("api", [V2, V3])
def test_tags(server: Gateway, experiment: str, api: str) -> None:
    trace_id = named(new_id())
    start(server, experiment, trace_id)
    path = f"{api}/traces/{trace_id}/tags"

    def tags() -> dict[str, str]:
        told = server.ask("GET", f"{V3}/traces/{trace_id}").json["trace"]["trace_info"]["tags"]
        del told["mlflow.artifactLocation"]
        return dict(told)

    assert ask(server, "PATCH", path, key="a", value="x" * 8001).json == {}
    assert ask(server, "PATCH", path, key="b").json == {}
    assert tags() == {"a": "x" * 8000, "b": ""}
    assert ask(server, "DELETE", path, key="a").json == {}
    assert tags() == {"b": ""}
    assert ask(server, "DELETE", path, key="a").error == MISSING
    for made in ("mlflow.artifactLocation", "mlflow.trace.spansLocation"):
        assert ask(server, "PATCH", path, key=made, value="file:///etc").error == INVALID
        assert ask(server, "DELETE", path, key=made).error == INVALID
    assert tags() == {"b": ""}
    for method in ("PATCH", "DELETE"):
        nobody = f"{api}/traces/tr-nobody/tags"
        assert ask(server, method, nobody, key="a", value="b").error == MISSING


@pytest.mark.parametrize("api", [V2, V3])
def test_traces_are_deleted_by_id_and_by_age(server: Gateway, experiment: str, api: str) -> None:
    ids = [named(new_id()) for _ in range(6)]
    for number, trace_id in enumerate(ids):
        start(server, experiment, trace_id, request_time=f"1970-01-01T00:00:0{number}Z")

    def deleted(**given: Any) -> int:
        answer = server.post(f"{api}/traces/delete-traces", experiment_id=experiment, **given)
        assert answer.status == 200, answer.body
        return int(answer.json["traces_deleted"])

    # More than the service takes at once.
    assert deleted(request_ids=[ids[5], *(f"tr-{n}" for n in range(2000)), ids[4]]) == 2
    assert deleted(max_timestamp_millis=3000, max_traces=1) == 1
    assert found(server, experiment) == ids[3:0:-1]
    assert deleted(max_timestamp_millis=2000) == 2
    assert found(server, experiment) == [ids[3]]
    assert deleted(max_timestamp_millis=2000, max_traces=5) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"request_ids": []},
        {"request_ids": ["tr-1"], "max_timestamp_millis": 5},
        {"request_ids": ["tr-1"], "max_traces": 5},
        *({"max_timestamp_millis": 5, "max_traces": count} for count in (0, -1, 2**31)),
        *({"max_timestamp_millis": time} for time in (-1, 2**62)),
    ],
)
def test_bad_deletions_delete_nothing(embedded: Gateway, wrong: dict[str, Any]) -> None:
    experiment_id = new_experiment(embedded)
    start(embedded, experiment_id, "tr-1", request_time="1970-01-01T00:00:00Z")
    path = f"{V3}/traces/delete-traces"
    assert embedded.post(path, experiment_id=experiment_id, **wrong).error == INVALID
    assert embedded.ask("GET", f"{V3}/traces/tr-1").status == 200


def test_traces_are_linked_to_a_run(server: Gateway, experiment: str) -> None:
    trace_id, run_id = named(new_id()), server.new_run(experiment)
    start(server, experiment, trace_id)
    path = f"{V2}/traces/link-to-run"
    assert server.post(path, run_id=run_id, trace_ids=[trace_id]).json == {}
    assert found(server, experiment, filter=f"run_id = '{run_id}'") == [trace_id]
    assert server.post(path, run_id=run_id, trace_ids=[]).json == {}
    assert server.post(path, run_id=run_id, trace_ids=["tr-1"] * 101).error == INVALID
    assert server.post(path, run_id="0" * 32, trace_ids=[trace_id]).error == MISSING


def test_a_trace_of_an_older_client(server: Gateway, experiment: str) -> None:
    made = server.post(
        f"{V2}/traces",
        experiment_id=experiment,
        timestamp_ms="1700000000250",
        request_metadata=[{"key": "m", "value": "1"}],
        tags=[{"key": "t", "value": "2"}],
    ).json["trace_info"]
    trace_id = made["request_id"]
    location = f"mlflow-artifacts:/{experiment}/traces/{trace_id}/artifacts"
    assert made == {
        "request_id": trace_id,
        "experiment_id": experiment,
        "timestamp_ms": 1_700_000_000_250,
        "execution_time_ms": 0,
        "status": "IN_PROGRESS",
        "request_metadata": [{"key": "m", "value": "1"}],
        "tags": [
            {"key": "t", "value": "2"},
            {"key": "mlflow.artifactLocation", "value": location},
        ],
    }
    ended = ask(
        server,
        "PATCH",
        f"{V2}/traces/{trace_id}",
        request_id=trace_id,
        timestamp_ms=1_700_000_001_000,
        status="ERROR",
        request_metadata=[{"key": "n", "value": "3"}],
        tags=[{"key": "t", "value": "4"}],
    ).json["trace_info"]
    assert ended == {
        **made,
        "execution_time_ms": 750,
        "status": "ERROR",
        "request_metadata": [{"key": "m", "value": "1"}, {"key": "n", "value": "3"}],
        "tags": [{"key": "t", "value": "4"}, made["tags"][1]],
    }
    read = server.ask("GET", f"{V2}/traces/{trace_id}/info").json
    assert read == {"trace_info": ended}
    assert ask(server, "PATCH", f"{V2}/traces/tr-nobody", timestamp_ms=1).error == MISSING
    assert server.ask("GET", f"{V2}/traces/tr-nobody/info").error == MISSING


@pytest.mark.parametrize("api", ["2.0", "3.0"])
def test_the_spans_as_a_file(server: Gateway, experiment: str, api: str) -> None:
    trace, path = new_id(), f"/ajax-api/{api}/mlflow/get-trace-artifact"
    start(server, experiment, named(trace))
    assert get(server, path, request_id=named(trace)).error == (404, "NOT_FOUND")
    send(server, experiment, export(trace))
    answer = get(server, path, request_id=named(trace))
    assert answer.headers["content-disposition"] == "attachment; filename=traces.json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    first, second = answer.json["spans"]
    assert (first["parent_span_id"], second["name"]) == (None, "span 2")
    assert first["attributes"] == {"n": "1", "mlflow.traceRequestId": f'"{named(trace)}"'}
    assert get(server, path, request_id="tr-nobody").error == MISSING
    assert get(server, path, request_id=named(trace), path="../x.png").error == MISSING
    assert server.ask("GET", path).error == (400, "BAD_REQUEST")


def test_the_file_that_older_clients_write_and_read(server: Gateway, experiment: str) -> None:
    trace, other = new_id(), new_id()
    start(server, experiment, named(trace))
    send(server, experiment, export(other))

    def path(trace_id: str, experiment_id: str = experiment) -> str:
        place = f"{experiment_id}/traces/{trace_id}/artifacts/traces.json"
        return f"/api/2.0/mlflow-artifacts/artifacts/{place}"

    assert server.ask("GET", path(named(trace))).error == MISSING
    written = server.ask("GET", path(named(other))).body
    assert server.ask("PUT", path(named(trace)), written).status == 200
    told = get(server, f"{V3}/traces/get", trace_id=named(trace)).json["trace"]
    assert [each["name"] for each in told["spans"]] == ["span 1", "span 2"]
    assert {each["trace_id"] for each in told["spans"]} == {base64.b64encode(trace).decode()}
    assert len(server.ask("GET", path(named(trace))).json["spans"]) == 2
    for wrong in (b"", b"{", b"{}", b'{"spans": [3]}'):
        assert server.ask("PUT", path(named(trace)), wrong).error == INVALID
    elsewhere = new_experiment(server)
    for place in (path("tr-nobody"), path(named(trace), elsewhere)):
        assert server.ask("PUT", place, written).error == MISSING
        assert server.ask("GET", place).error == MISSING
    assert server.ask("DELETE", path(named(trace))).status == 405


def wrong_infos() -> Iterator[dict[str, Any]]:
    yield from ({"trace_id": value} for value in ("", "a/b", "-", "x" * 51, "é"))
    yield from ({"request_time": value} for value in ("", "now", "2024-13-01T00:00:00Z", None))
    yield {"request_time": "1969-12-31T23:59:59Z"}
    yield from ({"execution_duration": value} for value in ("", "1", "-1s", "1e3s", "9" * 30 + "s"))
    yield from ({"state": value} for value in ("", "DONE", 4))
    yield {"client_request_id": "x" * 51}
    yield from ({"tags": {key: "x"}} for key in ("", "x" * 251, "\x00"))
    yield {"trace_metadata": {f"k{number}": "v" for number in range(101)}}
    yield {"trace_location": {"inference_table": {"full_table_name": "a.b.c"}}}


@pytest.mark.parametrize("wrong", list(wrong_infos()), ids=repr)
def test_bad_traces_are_refused(embedded: Gateway, wrong: dict[str, Any]) -> None:
    trace_id = named(new_id())
    given = {"trace_id": trace_id, **wrong}
    answer = start(embedded, "0", given.pop("trace_id"), **given)
    assert answer.error == INVALID, answer.body
    assert embedded.ask("GET", f"{V3}/traces/{trace_id}").error == MISSING
