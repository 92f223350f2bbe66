"""Traces over HTTP: what tests send to a gateway, and ask of it."""

import itertools
import json
from typing import Any
from urllib.parse import urlencode

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.http_gateway import Answer, Front

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
START_NS = 1_700_000_000_250_000_000

_numbers = itertools.count(1)


def new_experiment(server: Front) -> str:
    made = server.post(f"{V2}/experiments/create", name=f"traces {next(_numbers)}").json
    return str(made["experiment_id"])


def new_id() -> bytes:
    return next(_numbers).to_bytes(16, "big")


def export(*traces: bytes, spans: int = 2, **root: Any) -> ExportTraceServiceRequest:
    """Each trace with a root, and children of it."""
    made = ExportTraceServiceRequest()
    scope = made.resource_spans.add().scope_spans.add()
    for trace in traces:
        for number in range(1, spans + 1):
            span = scope.spans.add(
                trace_id=trace,
                span_id=number.to_bytes(8, "big"),
                parent_span_id=b"" if number == 1 else b"\x00" * 7 + b"\x01",
                name=f"span {number}",
                start_time_unix_nano=START_NS,
                end_time_unix_nano=START_NS + 1_500_000_000,
                status={"code": 1},
            )
            span.attributes.add(key="n").value.int_value = number
    return made


def send(
    server: Front,
    experiment_id: str,
    body: ExportTraceServiceRequest | bytes,
    kind: str = PROTOBUF,
    **headers: str,
) -> Answer:
    raw = body if isinstance(body, bytes) else body.SerializeToString()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = {"Content-Type": kind, "x-mlflow-experiment-id": experiment_id, **named}
    return server.ask("POST", "/v1/traces", raw, told)


def ask(server: Front, method: str, path: str, **body: Any) -> Answer:
    """A request with a JSON body."""
    return server.ask(method, path, json.dumps(body), {"Content-Type": JSON})


def get(server: Front, path: str, /, **query: Any) -> Answer:
    return server.ask("GET", f"{path}?{urlencode(query, doseq=True)}")


def named(trace: bytes) -> str:
    return f"tr-{trace.hex()}"


def trace_info(experiment_id: str, trace_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "trace_info": {
            "trace_id": trace_id,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": experiment_id},
            },
            "request_time": "2024-01-02T03:04:05.678Z",
            "execution_duration": "1.5s",
            "state": "OK",
            **fields,
        }
    }


def start(server: Front, experiment_id: str, trace_id: str, **fields: Any) -> Answer:
    return server.post(f"{V3}/traces", trace=trace_info(experiment_id, trace_id, **fields))


def found(server: Front, experiment_id: str, **options: Any) -> list[str]:
    """Ids that a search answers."""
    locations = [{"mlflow_experiment": {"experiment_id": experiment_id}}]
    answer = server.post(f"{V3}/traces/search", locations=locations, **options)
    assert answer.status == 200, answer.body
    return [each["trace_id"] for each in answer.json.get("traces", [])]
