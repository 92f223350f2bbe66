"""Endpoints of traces, both versions of them. Each request has a ``{trace}`` of its own."""

from typing import Any

from compat.rest_endpoints import EXPERIMENT, RUN, TAG, B, L, O, S, W, delete, get, patch, post
from support.rest import Endpoint

NEWER = "/api/3.0/mlflow/traces"
ONE, NONE = "{trace}", "tr-00000000000000000000000000000000"
TRACED = {
    "type": "MLFLOW_EXPERIMENT",
    "mlflow_experiment": {"experiment_id": "{traced_experiment}"},
}
OF_EXPERIMENT = {
    "type": "MLFLOW_EXPERIMENT",
    "mlflow_experiment": {"experiment_id": "{experiment}"},
}
PAIR = (L, TAG)


def newer(method: str, path: str, /, **parameters: tuple[str, Any]) -> Endpoint:
    return Endpoint(method, f"{NEWER}{path}", parameters)


def begun(**parts: tuple[str, Any]) -> Endpoint:
    """POST traces, whose parameters stand below ``trace.trace_info``."""
    return Endpoint(
        "POST", NEWER, {f"trace.trace_info.{name}": each for name, each in parts.items()}
    )


TRACES = (
    begun(
        trace_id=(S, "{new_trace}"),
        trace_location=(O, OF_EXPERIMENT),
        request_time=(S, "2025-01-31T12:00:00.250Z"),
        execution_duration=(S, "1.500s"),
        state=(S, "OK"),
        client_request_id=(S, "{new_trace}-c"),
        request_preview=(S, "q"),
        response_preview=(S, "a"),
        trace_metadata=(O, {"m": "1"}),
        tags=(O, {"t": "1"}),
    ),
    newer("POST", "", trace=(O, {"trace_info": {}})).about("empty"),
    newer("GET", f"/{ONE}"),
    newer("GET", f"/{NONE}").about("unknown"),
    newer("GET", "/get", trace_id=(S, ONE), allow_partial=(B, "true")),
    newer("GET", "/get", trace_id=(S, NONE)).about("unknown"),
    newer("GET", "/batchGet", trace_ids=(L, [ONE, NONE]), experiment_ids=(L, ["{experiment}"])),
    newer(
        "POST", "/batchGetInfos", trace_ids=(L, [ONE, NONE]), experiment_ids=(L, ["{experiment}"])
    ),
    newer(
        "POST",
        "/search",
        locations=(L, [TRACED]),
        filter=(S, "tags.t = '1'"),
        max_results=(W, 5),
        order_by=(L, ["timestamp_ms DESC"]),
    ),
    newer("PATCH", f"/{ONE}/tags", key=(S, "a"), value=(S, "b")),
    newer("PATCH", f"/{NONE}/tags", key=(S, "a"), value=(S, "b")).about("unknown"),
    newer("DELETE", f"/{ONE}/tags", key=(S, "t")),
    newer("DELETE", f"/{NONE}/tags", key=(S, "t")).about("unknown"),
    newer("POST", "/delete-traces", experiment_id=EXPERIMENT, request_ids=(L, [ONE])),
    newer(
        "POST",
        "/delete-traces",
        experiment_id=EXPERIMENT,
        max_timestamp_millis=(W, 5),
        max_traces=(W, 5),
    ).about("old ones"),
    post(
        "traces",
        experiment_id=EXPERIMENT,
        timestamp_ms=(W, 1000),
        request_metadata=PAIR,
        tags=PAIR,
    ),
    get(
        "traces",
        experiment_ids=(L, ["{traced_experiment}"]),
        filter=(S, "tags.t = '1'"),
        max_results=(W, 5),
        order_by=(L, ["timestamp_ms DESC"]),
    ),
    patch(
        "traces/{older_trace}",
        timestamp_ms=(W, 2000),
        status=(S, "OK"),
        request_metadata=PAIR,
        tags=PAIR,
    ),
    patch(f"traces/{NONE}", timestamp_ms=(W, 2000), status=(S, "OK")).about("unknown"),
    get(f"traces/{ONE}/info"),
    get(f"traces/{NONE}/info").about("unknown"),
    patch(f"traces/{ONE}/tags", key=(S, "a"), value=(S, "b")),
    delete(f"traces/{ONE}/tags", key=(S, "t")),
    post("traces/delete-traces", experiment_id=EXPERIMENT, request_ids=(L, [ONE])),
    post("traces/link-to-run", run_id=RUN, trace_ids=(L, [ONE])),
    Endpoint("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", {"request_id": (S, ONE)}),
    Endpoint("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", {"request_id": (S, NONE)}).about(
        "unknown"
    ),
)
